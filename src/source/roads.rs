//! The roads that lead to the branch: a git server, or bundles in a bucket or a folder.

use std::path::{Path, PathBuf};

use super::bundles::BundleSource;
use super::fetched::{Fetched, Known};
use super::git::GitSource;
use super::pack_import::{Delivered, PackImport};
use super::repo::ObjectFormat;
use crate::fault::Fault;
use crate::names::CommitId;

/// A source, as people call it.
#[derive(Clone, Debug)]
pub struct Road {
    pub name: String,
    pub source: Source,
    /// Who looks into what it sends.
    pub import: PackImport,
}

/// What a source is asked for, and where its answer goes.
#[derive(Clone, Debug)]
pub struct Order {
    pub known: Known,
    /// A folder for packs, which is made where anything comes, on the disk of `base`.
    pub folder: PathBuf,
    /// The repository that has what is known; with none, a whole history is to come.
    pub base: Option<PathBuf>,
    pub format: ObjectFormat,
}

impl Road {
    /// Asks where the branch stands, and has what leads there checked, each within the
    /// source's deadline.
    ///
    /// # Errors
    /// As [`Source::fetch`] and [`PackImport::check`].
    pub async fn deliver(&self, order: &Order) -> Result<Delivered, Fault> {
        let fetched = self.source.fetch(&order.known, &order.folder).await?;
        self.import.check(fetched, &order.folder, order.base.clone(), order.format).await
    }
}

/// One place that shows the branch. Sources are asked side by side, so that what they
/// do can be sent to another thread; a future that is dropped ends what it began.
#[derive(Clone, Debug)]
pub enum Source {
    Git(GitSource),
    Bundles(BundleSource),
}

impl Source {
    /// Its URL, which holds no secret.
    pub fn name(&self) -> &str {
        match self {
            Self::Git(git) => git.url.as_str(),
            Self::Bundles(bundles) => bundles.name(),
        }
    }

    /// Whether it is a folder that was not there at the last look.
    pub fn is_unplugged(&self) -> bool {
        match self {
            Self::Git(_) => false,
            Self::Bundles(bundles) => bundles.is_unplugged(),
        }
    }

    /// Asks where the branch stands, and has what leads there written into `folder`,
    /// which is made where anything is written; a failure leaves nothing in it.
    ///
    /// # Errors
    /// It cannot be reached, has no such branch, or takes longer than its deadline.
    pub async fn fetch(&self, known: &Known, folder: &Path) -> Result<Fetched, Fault> {
        match self {
            Self::Git(git) => git.fetch(known, folder).await,
            Self::Bundles(bundles) => bundles.fetch(known, folder).await,
        }
    }

    /// Folders of this machine whose change is a reason to look at once.
    pub fn watched(&self) -> Vec<PathBuf> {
        match self {
            Self::Git(git) => git.watched(),
            Self::Bundles(bundles) => bundles.watched(),
        }
    }

    /// Where the branch stands, by the same road, without taking anything.
    ///
    /// # Errors
    /// As [`Source::fetch`].
    pub async fn look(&self) -> Result<CommitId, Fault> {
        match self {
            Self::Git(git) => git.look().await,
            Self::Bundles(bundles) => bundles.look().await,
        }
    }
}
