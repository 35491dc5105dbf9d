//! A branch in bundles, in a bucket (`s3://`) or a folder (`dir://`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetched::{Fetched, Known};
use super::secret::SecretFile;
use crate::fault::Fault;
use crate::names::{BranchName, CommitId};

/// Where bundles lie, as the config says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `s3://bucket/prefix?region=…&endpoint=…&profile=…` or `dir:///path`.
    pub url: String,
    /// A file in the form of `~/.aws/credentials`, for a bucket.
    pub credentials: Option<SecretFile>,
}

/// One branch, as bundles and an index of them.
#[derive(Clone, Debug)]
pub struct BundleSource {
    place: Place,
    branch: BranchName,
    deadline: Duration,
}

impl BundleSource {
    /// The branch at a place.
    ///
    /// # Errors
    /// The URL is not one of a place, in words for whoever wrote it into a config.
    pub fn at(place: Place, branch: BranchName, deadline: Duration) -> Result<Self, String> {
        Ok(Self { place, branch, deadline })
    }

    /// Its URL.
    pub fn name(&self) -> &str {
        &self.place.url
    }

    /// Folders whose change is a reason to look at once.
    pub fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// As [`super::roads::Source::fetch`].
    pub async fn fetch(&self, _: &Known, _: &Path) -> Result<Fetched, Fault> {
        Err(self.unread())
    }

    /// As [`super::roads::Source::look`].
    pub async fn look(&self) -> Result<CommitId, Fault> {
        Err(self.unread())
    }

    fn unread(&self) -> Fault {
        let doing = format!("fetch {} of {}", self.branch, self.place.url);
        Fault::wait(doing, format!("bundles are not read yet (within {:?})", self.deadline))
    }
}
