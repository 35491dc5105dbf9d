//! A host's signed report, left beside the kit that it deployed from.
//!
//! The disk is a stranger's: nothing is written through a link, nor where no kit lies.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fstat, fsync, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::outbox::END;
use crate::names::HostName;

/// The folder in a kit.
const FOLDER: &str = "receipts";
/// What makes a folder a kit.
const LABEL: &str = "kit.json";

/// A disk that does not answer for this long is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A folder where a kit may lie.
#[derive(Clone, Debug)]
pub struct KitFolder {
    path: PathBuf,
    /// Whether the disk has not answered yet to what was asked of it earlier.
    busy: Arc<AtomicBool>,
}

/// A kit as it lies there now: another disk, or the same one made anew, is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kit {
    device: u64,
    inode: u64,
    changed: (i64, u64),
}

/// Whether a receipt was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Written,
    /// The disk may only be read.
    ReadOnly,
    /// It was pulled out.
    Away,
}

impl KitFolder {
    pub fn at(path: PathBuf) -> Self {
        Self { path, busy: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kit that lies there, if one does; none where the disk does not answer, which
    /// keeps nobody from their work.
    pub async fn kit(&self) -> Option<Kit> {
        let path = self.path.clone();
        let looked = self.apart(PATIENCE, move || kit(&path)).await;
        looked.ok().flatten()
    }

    /// Leaves a receipt in the place of the host's one before.
    ///
    /// # Errors
    /// Why it cannot be left there.
    pub async fn leave(
        &self,
        host: &HostName,
        bytes: &[u8],
        deadline: Duration,
    ) -> Result<Left, String> {
        let (path, name, bytes) = (self.path.clone(), format!("{host}{END}"), bytes.to_vec());
        let written = self.apart(deadline, move || leave(&path, &name, &bytes)).await?;
        written.map_err(|error| error.to_string())
    }

    /// Does what may wait for a device; one thing at a time, so that a disk that is gone
    /// gathers no threads.
    async fn apart<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err("the disk has not answered yet".to_owned());
        }
        let busy = Arc::clone(&self.busy);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            busy.store(false, Ordering::Release);
            done
        });
        match tokio::time::timeout(deadline, done).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the disk did not answer within {deadline:?}")),
        }
    }
}

fn kit(path: &Path) -> Option<Kit> {
    let kit = directory(CWD, path.as_os_str()).ok()?;
    let label = statat(&kit, LABEL, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let plain = FileType::from_raw_mode(label.st_mode) == FileType::RegularFile;
    let changed = (label.st_mtime, label.st_mtime_nsec);
    plain.then_some(Kit { device: label.st_dev, inode: label.st_ino, changed })
}

fn leave(kit: &Path, name: &str, bytes: &[u8]) -> io::Result<Left> {
    let written = directory(CWD, kit.as_os_str()).and_then(|kit| {
        statat(&kit, LABEL, AtFlags::SYMLINK_NOFOLLOW)?;
        match mkdirat(&kit, FOLDER, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        directory(&kit, OsStr::new(FOLDER))
    });
    let folder = match written {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Left::Away),
        Err(Errno::ROFS) => return Ok(Left::ReadOnly),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Err(io::Error::other("there is something else in the place of a folder"));
        }
        Err(error) => return Err(error.into()),
    };
    match replace(folder.as_fd(), name, bytes) {
        Err(error) if error.raw_os_error() == Some(Errno::ROFS.raw_os_error()) => {
            Ok(Left::ReadOnly)
        }
        written => written.map(|()| Left::Written),
    }
}

/// Beside, flushed, and renamed: a link in its place is replaced, and never followed.
fn replace(folder: impl AsFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = format!(".{name}.new");
    // What lies there is what a pulled disk has left.
    match unlinkat(folder.as_fd(), fresh.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder.as_fd(), fresh.as_str(), flags, Mode::from_raw_mode(0o644))?;
    debug_assert_eq!(FileType::from_raw_mode(fstat(&file)?.st_mode), FileType::RegularFile);
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()?;
    renameat(folder.as_fd(), fresh.as_str(), folder.as_fd(), name)?;
    Ok(fsync(folder)?)
}

fn directory(at: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_receipt_lies_beside_a_kit_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let kit = dir.path().join("kit");
        assert_eq!(leave(&kit, "biz.status", b"one").unwrap(), Left::Away);
        fs::create_dir(&kit).unwrap();
        // An empty mount point.
        assert_eq!(leave(&kit, "biz.status", b"one").unwrap(), Left::Away);
        assert!(!kit.join("receipts").exists() && super::kit(&kit).is_none());
        fs::write(kit.join("kit.json"), "{}").unwrap();
        assert!(super::kit(&kit).is_some());
        for text in ["one", "two"] {
            assert_eq!(leave(&kit, "biz.status", text.as_bytes()).unwrap(), Left::Written);
            assert_eq!(fs::read_to_string(kit.join("receipts/biz.status")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(kit.join("receipts")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_asked_nothing_more() {
        let folder = KitFolder::at("/nowhere".into());
        let (hangs, ends) = std::sync::mpsc::channel::<()>();
        let waits = folder.apart(Duration::from_millis(1), move || ends.recv().is_err()).await;
        assert!(waits.unwrap_err().contains("did not answer"));
        let asked = folder.apart(PATIENCE, || ()).await;
        assert!(asked.unwrap_err().contains("not answered yet"));
        drop(hangs);
        while folder.apart(PATIENCE, || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn nothing_is_written_through_a_stranger_s_link() {
        let dir = tempfile::tempdir().unwrap();
        let (kit, safe) = (dir.path().join("kit"), dir.path().join("safe"));
        fs::create_dir_all(&kit).unwrap();
        fs::create_dir_all(&safe).unwrap();
        fs::write(kit.join("kit.json"), "{}").unwrap();
        symlink(&safe, kit.join("receipts")).unwrap();
        assert!(
            leave(&kit, "biz.status", b"x").unwrap_err().to_string().contains("something else")
        );
        fs::remove_file(kit.join("receipts")).unwrap();
        fs::create_dir(kit.join("receipts")).unwrap();
        fs::write(safe.join("secret"), "secret").unwrap();
        for name in ["biz.status", ".biz.status.new"] {
            symlink(safe.join("secret"), kit.join("receipts").join(name)).unwrap();
        }
        assert_eq!(leave(&kit, "biz.status", b"x").unwrap(), Left::Written);
        assert_eq!(fs::read_to_string(safe.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_to_string(kit.join("receipts/biz.status")).unwrap(), "x");
        let other = dir.path().join("other");
        symlink(&kit, &other).unwrap();
        assert!(leave(&other, "biz.status", b"x").is_err());
    }
}
