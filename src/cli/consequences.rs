//! What each host would do with a changed manifest, for those who are about to sign it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Blame, Failure};
use crate::manifest::{Manifest, Problems, WorkingTree};
use crate::plan::assume::assumed;
use crate::plan::{plan, undigested, unsupported};

/// Manifest files by path, as [`crate::source::checkout`] reads them.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The plan of every host that goes from `old` to `new`.
///
/// # Errors
/// Hosts would refuse `new`.
pub(super) fn told(old: &Files, new: &Files) -> Result<String, Failure> {
    let new = accepted(new)?;
    // Of a manifest that hosts refuse, nobody here can tell what they run instead.
    let old = draft(old).ok();
    let mut text = String::new();
    for host in &new.hosts() {
        let (old, new) = (old.as_ref().map(|old| old.desired(host)), new.desired(host));
        let before = old.as_ref().map(assumed).unwrap_or_default();
        let plan = plan(&new, &before).from(old.as_ref(), &new);
        if !plan.steps.is_empty() || !plan.privileges.is_empty() {
            text.push_str(&format!("on {host}\n{plan}"));
        }
    }
    if text.is_empty() {
        text.push_str("no host has anything to do\n");
    }
    Ok(text)
}

/// The manifest, where hosts would take it.
///
/// # Errors
/// Every problem.
pub(super) fn accepted(files: &Files) -> Result<Manifest<WorkingTree>, Failure> {
    draft(files).map_err(|problems| Failure {
        message: format!("hosts would refuse the result\n{problems}"),
        hint: Some("nothing was changed".to_owned()),
        blame: Blame::Refused,
    })
}

/// What hosts cannot carry out, or lacks a digest where `digests` wants one: they
/// refuse it as they do a manifest that is not valid.
pub(super) fn lacking<Source: Clone>(manifest: &Manifest<Source>, digests: bool) -> Vec<String> {
    let of_host = |host| {
        let desired = manifest.desired(host);
        let bare = if digests { undigested(&desired) } else { Vec::new() };
        unsupported(&desired).into_iter().chain(bare).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = manifest.hosts().iter().flat_map(of_host).collect();
    all.into_iter().collect()
}

fn draft(files: &Files) -> Result<Manifest<WorkingTree>, Problems> {
    Manifest::draft(files)
}
