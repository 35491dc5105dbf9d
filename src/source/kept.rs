//! A small file in `.git/writ/` that a checkout remembers something by.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::checkout::CheckoutError;
use super::git_program::{Checkout, GitError};

/// Such a file; all worktrees of a repository have the same one.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// # Errors
    /// The checkout is none of git's.
    pub(super) fn of(checkout: &Checkout, name: &str) -> Result<Self, GitError> {
        let common = checkout.run(&["rev-parse", "--git-common-dir"])?;
        Ok(Self { path: checkout.root().join(common).join("writ").join(name) })
    }

    /// What it holds; `None` where there is none yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, CheckoutError> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CheckoutError::Unreadable { path: self.path.clone(), source }),
        }
    }

    /// Written beside and renamed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, text: &str) -> Result<(), CheckoutError> {
        let fresh = self.path.with_extension(format!("new-{}", std::process::id()));
        self.path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&fresh, text))
            .and_then(|()| fs::File::open(&fresh)?.sync_all())
            .and_then(|()| fs::rename(&fresh, &self.path))
            .map_err(|source| CheckoutError::Unwritable { path: self.path.clone(), source })
    }

    /// That it holds something else than was written there.
    pub(super) fn unusable(&self, why: String) -> CheckoutError {
        CheckoutError::Unusable { path: self.path.clone(), why }
    }
}
