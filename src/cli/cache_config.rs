//! The binary caches that git's config names: the same for every command.

use std::path::PathBuf;

use super::Failure;
use crate::source::git_program::{Checkout, GitError};

/// May be given several times: uploads go to the last one, reads to each in turn.
const CACHE: &str = "writ.cache";
const KEY: &str = "writ.cacheKey";
const NETRC: &str = "writ.cacheNetrc";

/// What git's config says in a checkout, or outside of one.
pub(super) struct CacheConfig<'a>(pub(super) &'a Checkout);

impl CacheConfig<'_> {
    /// Where closures are uploaded.
    pub(super) fn upload_to(&self) -> Result<Option<String>, Failure> {
        self.ask(&["config", CACHE])
    }

    /// Every cache that closures can be read from.
    pub(super) fn all(&self) -> Result<Vec<String>, Failure> {
        let told = self.ask(&["config", "--get-all", CACHE])?.unwrap_or_default();
        Ok(told.lines().map(str::to_owned).collect())
    }

    /// The secret key that closures are signed with.
    pub(super) fn key(&self) -> Result<Option<PathBuf>, Failure> {
        self.file(KEY)
    }

    /// The netrc with the password of an HTTP cache.
    pub(super) fn netrc(&self) -> Result<Option<PathBuf>, Failure> {
        self.file(NETRC)
    }

    /// A path, where `~` is somebody's home.
    fn file(&self, key: &str) -> Result<Option<PathBuf>, Failure> {
        Ok(self.ask(&["config", "--type=path", key])?.map(PathBuf::from))
    }

    fn ask(&self, args: &[&str]) -> Result<Option<String>, Failure> {
        match self.0.ask(args) {
            // Uploads work without git, too.
            Err(GitError::Start { .. }) => Ok(None),
            told => Ok(told?),
        }
    }
}
