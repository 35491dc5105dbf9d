//! The commits of a kit.

use std::path::Path;

use super::bundles::mirror::{How, Outcome, Tally, publish};
use super::bundles::site::Site;
use super::bundles::snapshot::Snapshot;
use crate::fault::Fault;
use crate::names::{BranchName, CommitId};
use crate::world::folder::Folder;

/// How somebody gets on whose folder is of no use.
const EMPTY: &str = "name an empty folder";

/// Which commits are carried.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    pub branch: &'a BranchName,
    pub tip: &'a CommitId,
}

/// Writes the whole branch up to a commit, and the statements about it, into a folder
/// that hosts read as a source. A folder with an older kit gets what is new.
///
/// # Errors
/// The folder has another history or a newer one, or cannot be written.
pub async fn carry(checkout: &Path, reach: Reach<'_>, folder: &Path) -> Result<(), Fault> {
    let snapshot = Snapshot::of(checkout, reach.branch, Some(reach.tip.as_str()))?;
    let site = Site::Folder(Folder::at(folder));
    let published = publish(&snapshot, &site, &How::default(), &Tally::default()).await;
    match published.map_err(|fault| fault.remedy(EMPTY))? {
        Outcome::Unchanged { .. } | Outcome::Published(_) => Ok(()),
        Outcome::Ahead { tip } => Err(Fault::refuse(
            format!("carry commit {} in {}", reach.tip.short(), folder.display()),
            format!("a kit of a newer commit is there, {}", tip.short()),
        )
        .remedy(EMPTY)),
    }
}
