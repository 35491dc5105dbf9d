//! One agent at a time: a lock in the state directory, held for the agent's life.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::io;
use super::{Ledger, LedgerError};

/// The right to change this host, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Claim {
    _locked: File,
}

impl Ledger {
    /// Claims the host for this process.
    ///
    /// The file stays where it is: were it removed, one could hold the old and another
    /// the new.
    ///
    /// # Errors
    /// Another agent has the claim, or the file cannot be made.
    pub fn claim(&self) -> Result<Claim, LedgerError> {
        let path = self.dir.join("agent.lock");
        let failed = |source| io("lock", &path, source);
        let mut options = OpenOptions::new();
        // Nobody else may open it: to read a file is enough to lock it.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Who has just begun may not have written it yet.
                let _ = file.read_to_string(&mut holder);
                return Err(LedgerError::Claimed { path, holder: holder.trim().parse().ok() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Claim { _locked: file })
    }
}
