//! The host's own key file: made by `ssh-keygen` where there is none, readable for root alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::child::Bounded;
use crate::fault::Fault;
use crate::names::HostName;
use crate::trust::STATUS;

/// Making and using a key is a matter of milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Where a host's key lies.
#[derive(Clone, Debug)]
pub struct KeyFile {
    pub path: PathBuf,
    /// Whose it is, for the comment in it.
    pub host: HostName,
}

impl KeyFile {
    /// The public half, `ssh-ed25519 AAAA…`, of a key that is made where there is none.
    ///
    /// # Errors
    /// It cannot be made or used, or others may read it.
    pub async fn public(&self) -> Result<String, Fault> {
        if !self.is_there()? {
            self.make().await?;
        }
        let mut command = Command::new("ssh-keygen");
        command.args(["-y", "-P", "", "-f"]).arg(&self.path);
        let told = self.run(command, b"").await?;
        let mut words = told.split_whitespace();
        match (words.next(), words.next()) {
            (Some(kind), Some(key)) => Ok(format!("{kind} {key}")),
            _ => Err(self.fault("ssh-keygen prints no public half of it")),
        }
    }

    /// An armored signature over a report's text.
    ///
    /// # Errors
    /// As [`KeyFile::public`].
    pub async fn sign(&self, text: &str) -> Result<String, Fault> {
        if !self.is_there()? {
            self.make().await?;
        }
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "sign", "-q", "-n", STATUS, "-f"]).arg(&self.path);
        self.run(command, text.as_bytes()).await
    }

    fn is_there(&self) -> Result<bool, Fault> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.fault(error)),
        };
        let own = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o077 != 0 || ![0, own].contains(&metadata.uid()) {
            let mode = metadata.mode() & 0o7777;
            return Err(self
                .fault(format!("others than root may use it (mode {mode:o})"))
                .remedy("remove it, and name the new one in the manifest: writ report key"));
        }
        Ok(true)
    }

    /// Made beside and renamed: a key that is half written would be taken for one that
    /// somebody put there.
    async fn make(&self) -> Result<(), Fault> {
        let lock = timeout(DEADLINE, lock(&beside(&self.path, ".lock"))).await;
        let lock = lock.map_err(|_| self.fault("another process makes it, and does not end"))?;
        let _held = lock.map_err(|error| self.fault(error))?;
        // Whoever held the lock may have made it.
        if self.is_there()? {
            return Ok(());
        }
        let fresh = beside(&self.path, ".fresh");
        let (here, public) = (beside(&self.path, ".pub"), beside(&fresh, ".pub"));
        for left in [&fresh, &public] {
            // `ssh-keygen` would ask whether to overwrite what a crash has left.
            let _ = fs::remove_file(left);
        }
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", &format!("writ@{}", self.host), "-f"]);
        command.arg(&fresh);
        self.run(command, b"").await?;
        File::open(&fresh)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&public, &here))
            .and_then(|()| fs::rename(&fresh, &self.path))
            .and_then(|()| match self.path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            })
            .map_err(|error| self.fault(error))
    }

    async fn run(&self, command: Command, input: &[u8]) -> Result<String, Fault> {
        let child = Bounded { command, deadline: DEADLINE, apart: true };
        let printed = child.run(input).await.map_err(|why| self.fault(why))?;
        String::from_utf8(printed).map_err(|error| self.fault(error))
    }

    fn fault(&self, because: impl std::fmt::Display) -> Fault {
        Fault::wait(format!("use the host's key {}", self.path.display()), because)
    }
}

/// Whose turn it is to make the key: the agent and `writ report key` may both find none.
/// Held until the file is dropped; it stays, as one that is removed could be held twice.
async fn lock(path: &Path) -> io::Result<File> {
    // Nobody else may open it: to read a file is enough to lock it.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => sleep(PAUSE).await,
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
