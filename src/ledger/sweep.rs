//! What a crash left half-written beside the ledger's files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::error::io;
use super::{Ledger, LedgerError};

/// Packs of each source, in a folder that begins so.
pub(super) const INCOMING: &str = "incoming.";
/// Copies of the repository that were being put in its place.
const HALF_MADE: [&str; 2] = ["repo.fresh", "repo.old"];

impl Ledger {
    /// Deletes files that were begun and never put in their places by an agent that
    /// was killed. Nothing is ever read from them, so one that cannot be deleted is left.
    ///
    /// For the agent alone, and not while it follows the branch: to a second process,
    /// what the agent is writing looks the same.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn sweep(&self) -> Result<(), LedgerError> {
        for number in self.numbers()? {
            sweep_folder(&self.folder(number))?;
            let _ = fs::remove_dir_all(self.folder(number).join("units.new"));
        }
        for name in HALF_MADE {
            let _ = fs::remove_dir_all(self.dir.join(name));
        }
        sweep_packs(&self.repository().join("objects/pack"));
        sweep_folder(&self.dir)?;
        self.changed();
        Ok(())
    }

    /// Deletes packs that an earlier agent fetched and did not live to import. Before
    /// the first fetch only: one that is under way writes there.
    pub fn sweep_incoming(&self) {
        sweep_incoming(&self.dir);
        self.changed();
    }
}

fn sweep_folder(folder: &Path) -> Result<(), LedgerError> {
    let failed = |source| io("read", folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension() == Some(OsStr::new("new")) {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

fn sweep_incoming(folder: &Path) {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let begins = |name: &OsStr| name.as_encoded_bytes().starts_with(INCOMING.as_bytes());
    for entry in names.filter(|entry| begins(&entry.file_name())) {
        // A folder, or the one pack of an agent of an earlier version.
        let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
    }
}

/// Packs whose import was cut off: gix writes them to files that are named so.
fn sweep_packs(folder: &Path) {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in names.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".tmp")) {
        let _ = fs::remove_file(entry.path());
    }
}
