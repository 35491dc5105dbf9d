//! Where a host leaves its reports: a ref of the deploy repository, a folder, or a bucket.

mod bucket;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::child::Bounded;
use super::repo::ObjectFormat;
use crate::fault::Fault;
use crate::names::HostName;
use crate::report::without_passwords;
pub use bucket::BucketOutbox;

/// Where reports lie in a repository, one ref a host.
pub const REFS: &str = "refs/writ/status/";
/// The one file in the tree that a ref leads to.
pub const FILE: &str = "status";
/// What follows the host's name in a folder and in a bucket.
pub const END: &str = ".status";

/// The road that a host's reports take.
#[derive(Clone, Debug)]
pub enum Outbox {
    Git(GitOutbox),
    Folder(Folder),
    Bucket(Box<BucketOutbox>),
}

/// A folder, of this disk or one that others see too.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    path: PathBuf,
    /// Whether an earlier report is still being written.
    busy: Arc<AtomicBool>,
}

/// A repository that a host may push its own ref to.
#[derive(Clone, Debug)]
pub struct GitOutbox {
    pub url: String,
    pub format: ObjectFormat,
    /// A repository that holds one report while it is on its way.
    pub scratch: PathBuf,
}

/// One report on its way.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    pub host: &'a HostName,
    pub bytes: &'a [u8],
    /// Seconds since 1970.
    pub at: i64,
}

impl Outbox {
    /// Leaves a report in the place of the one before.
    ///
    /// # Errors
    /// It cannot be left there now.
    pub async fn send(&self, letter: Letter<'_>, deadline: Duration) -> Result<(), Fault> {
        match self {
            Self::Git(git) => git.push(letter, deadline).await,
            Self::Folder(folder) => folder.leave(letter, deadline).await,
            Self::Bucket(bucket) => bucket.leave(letter, deadline).await,
        }
    }
}

impl GitOutbox {
    async fn push(&self, letter: Letter<'_>, deadline: Duration) -> Result<(), Fault> {
        let reference = format!("{REFS}{}", letter.host);
        let pushed = timeout(deadline, self.in_scratch(letter, &reference, deadline)).await;
        // It holds nothing that is not at the other end now, or old.
        let _ = fs::remove_dir_all(&self.scratch);
        pushed.unwrap_or_else(|_| Err(format!("no answer within {deadline:?}"))).map_err(|why| {
            // More people may read a host's log and status than its config.
            let doing = format!("push {reference} to {}", without_passwords(&self.url));
            Fault::wait(doing, without_passwords(&why)).remedy(
                "see that git is here and that root's credentials may push this ref and no other: docs/fleet.md",
            )
        })
    }

    /// A commit without parents: the report replaces the one before, and whatever it
    /// replaces can be collected.
    async fn in_scratch(
        &self,
        letter: Letter<'_>,
        reference: &str,
        deadline: Duration,
    ) -> Result<(), String> {
        let _ = fs::remove_dir_all(&self.scratch);
        let format = match self.format {
            ObjectFormat::Sha1 => "sha1",
            ObjectFormat::Sha256 => "sha256",
        };
        let mut init = plain_git();
        init.args(["init", "--quiet", "--bare", "--template=", "--object-format", format]);
        init.arg(&self.scratch);
        Bounded { command: init, deadline, apart: true }.run(b"").await?;
        let mut import = self.git();
        import.args(["fast-import", "--quiet", "--force"]);
        let stream = stream(letter, reference);
        Bounded { command: import, deadline, apart: true }.run(&stream).await?;
        let mut push = self.git();
        push.args(["push", "--quiet", "--no-verify", "--no-signed", "--recurse-submodules=no"]);
        push.arg("--").arg(&self.url).arg(format!("+{reference}:{reference}"));
        Bounded { command: push, deadline, apart: true }.run(b"").await.map(drop)
    }

    fn git(&self) -> Command {
        let mut git = plain_git();
        git.arg("--git-dir").arg(&self.scratch);
        // Whoever answers may not send this host on, and no hook runs here.
        git.args(["-c", "http.followRedirects=false", "-c", "core.hooksPath=/dev/null"]);
        let scheme = self.url.split_once("://").map_or("", |(scheme, _)| scheme);
        git.env("GIT_ALLOW_PROTOCOL", scheme);
        git
    }
}

/// Git that asks nobody: root's own config and keys have to do.
fn plain_git() -> Command {
    let mut git = Command::new("git");
    git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("LC_ALL", "C");
    git.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20");
    git
}

fn stream(letter: Letter<'_>, reference: &str) -> Vec<u8> {
    let Letter { host, bytes, at } = letter;
    let subject = format!("status of {host}\n");
    let head = format!(
        "commit {reference}\ncommitter {host} <writ@{host}> {at} +0000\ndata {}\n{subject}\nM 100644 inline {FILE}\ndata {}\n",
        subject.len(),
        bytes.len()
    );
    [head.as_bytes(), bytes, b"\n"].concat()
}

impl Folder {
    pub fn at(path: PathBuf) -> Self {
        Self { path, busy: Arc::default() }
    }

    /// A shared disk may hang for ever, so that it is left to a thread of its own, and
    /// to one alone.
    async fn leave(&self, letter: Letter<'_>, deadline: Duration) -> Result<(), Fault> {
        let name = format!("{}{END}", letter.host);
        let fault = |why: String| {
            let doing = format!("write {name} in {}", self.path.display());
            Fault::wait(doing, why).remedy("see that the folder is there and root may write it")
        };
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(fault("the disk has not answered yet".to_owned()));
        }
        let (folder, bytes, busy) = (self.path.clone(), letter.bytes.to_vec(), self.busy.clone());
        let file = name.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = replace(&folder, &file, &bytes);
            busy.store(false, Ordering::Release);
            written
        });
        match timeout(deadline, written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(fault(error.to_string())),
            Ok(Err(error)) => Err(fault(error.to_string())),
            Err(_) => Err(fault(format!("the disk did not answer within {deadline:?}"))),
        }
    }
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = folder.join(format!(".{name}.new"));
    // What lies there is what a crash has left, and no link to elsewhere.
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_lets_a_host_in_is_not_told_when_it_is_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::Git(GitOutbox {
            url: "http://bob:s3cr3t@127.0.0.1:1/x.git".to_owned(),
            format: ObjectFormat::Sha1,
            scratch: dir.path().join("report.git"),
        });
        let host = "biz".parse().unwrap();
        let letter = Letter { host: &host, bytes: b"x", at: 1 };
        let fault = outbox.send(letter, Duration::from_secs(60)).await.unwrap_err();
        let told = fault.to_string();
        assert!(told.contains("127.0.0.1:1") && !told.contains("s3cr3t"), "{told}");
    }
}
