//! Nix's lock on a profile, so that `nix-env -p` and this program take turns.
//!
//! Nix locks `<profile>.lock` with flock(2) and deletes it afterwards; a byte in it
//! tells those who wait that the file is no longer the lock (nix,
//! `src/libstore/pathlocks.cc`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

/// How long another process may hold the lock.
const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// # Errors
    /// The file cannot be made, or is still locked at the deadline
    /// (`ErrorKind::TimedOut`).
    pub(super) async fn take(profile: &Path) -> io::Result<Self> {
        let path = PathBuf::from(format!("{}.lock", profile.display()));
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(file) = attempt(&path)? {
                return Ok(Self { file, path });
            }
            if Instant::now() >= deadline {
                let held = format!("another process holds {}", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, held));
            }
            sleep(PAUSE).await;
        }
    }
}

/// `None` where somebody else holds the lock or has just deleted it.
fn attempt(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((file.metadata()?.len() == 0).then_some(file)),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock file that stays is taken over by the next one who comes.
        if std::fs::remove_file(&self.path).is_ok() {
            let _ = self.file.write_all(b"d");
        }
    }
}
