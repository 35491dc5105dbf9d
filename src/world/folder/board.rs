//! Files in a folder that are replaced, under a lock; and what strangers may have put
//! there instead: a stick is whatever somebody made of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, open, openat, unlinkat};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Folder, present};
use crate::fault::Fault;
use crate::world::shelf::{Board, Listed, Look, Replaced, Sink, Tag};
use crate::world::waits::Wait;

/// Held while a file is replaced.
const LOCK: &str = ".writ-lock";
/// Bytes that are read at once.
const PIECE: usize = 128 << 10;
/// More files than this are not listed.
const FILES: usize = 10_000;

impl Folder {
    /// A folder by its path.
    pub fn at(path: &Path) -> Self {
        Self { url: format!("dir://{}", path.display()), path: path.to_owned() }
    }

    /// Does what may wait for a device, without keeping others from their work.
    async fn apart<T: Send + 'static>(
        &self,
        doing: &str,
        name: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (path, file) = (self.path.clone(), name.to_owned());
        let wait = Wait::at(&path).map_err(|error| self.fault(doing, name, &error))?;
        let done = tokio::task::spawn_blocking(move || {
            let _wait = wait;
            work(&path, &file)
        });
        let done = done.await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| self.fault(doing, name, &error))
    }
}

impl Board for Folder {
    async fn look(&self, name: &str, before: Option<&Tag>, limit: u64) -> Result<Look, Fault> {
        let read = self.apart("read", name, move |folder, name| {
            let Some(file) = present(regular(folder, name))? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(limit + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > limit {
                return Err(io::Error::other(format!("it has more than {limit} bytes")));
            }
            Ok(Some(bytes))
        });
        Ok(match read.await? {
            None => Look::Absent,
            Some(bytes) => match tag(&bytes) {
                tag if Some(&tag) == before => Look::Same,
                tag => Look::New(bytes, Some(tag)),
            },
        })
    }

    async fn replace(
        &self,
        name: &str,
        text: &str,
        before: Option<&Tag>,
    ) -> Result<Replaced, Fault> {
        let (text, before) = (text.to_owned(), before.cloned());
        self.apart("replace", name, move |folder, name| {
            fs::create_dir_all(folder)?;
            // Nothing is taken for replaced that another program replaces meanwhile.
            let lock = File::options().create(true).append(true).open(folder.join(LOCK))?;
            flock(&lock, FlockOperation::LockExclusive)?;
            let there = present(regular(folder, name))?;
            let there = there.map(|mut file| {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map(|_| tag(&bytes))
            });
            if there.transpose()? != before {
                return Ok(Replaced::Lost);
            }
            put(folder, name, text.as_bytes()).map(|()| Replaced::Done)
        })
        .await
    }

    async fn carry(&self, name: &str, to: Sink<'_>) -> Result<bool, Fault> {
        let (pieces, mut read) = mpsc::channel(2);
        let sent = self.apart("read", name, move |folder, name| {
            let Some(mut file) = present(regular(folder, name))? else { return Ok(false) };
            loop {
                let mut piece = vec![0; PIECE];
                let length = file.read(&mut piece)?;
                piece.truncate(length);
                if length == 0 || pieces.blocking_send(piece).is_err() {
                    return Ok(true);
                }
            }
        });
        let taken = async move {
            while let Some(piece) = read.recv().await {
                if to(&piece).is_break() {
                    break;
                }
            }
        };
        let (sent, ()) = tokio::join!(sent, taken);
        sent
    }

    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        self.apart("list", folder, |root, folder| {
            let Some(entries) = present(fs::read_dir(root.join(folder)))? else {
                return Ok(Vec::new());
            };
            let mut listed = Vec::new();
            for entry in entries.take(FILES) {
                let entry = entry?;
                let written = entry.metadata()?.modified()?;
                let age = written.elapsed().unwrap_or(Duration::ZERO);
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                listed.push(Listed { name, age });
            }
            Ok(listed)
        })
        .await
    }

    async fn remove(&self, name: &str) -> Result<(), Fault> {
        self.apart("delete", name, |folder, name| {
            let (parent, name) = parent(folder, name)?;
            match unlinkat(parent, name, AtFlags::empty()) {
                Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Opens a file below a folder, and never one elsewhere, nor a device or a pipe that
/// would have its reader wait.
fn regular(folder: &Path, name: &str) -> io::Result<File> {
    let (parent, name) = parent(folder, name)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(parent, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a symbolic link")),
        file => File::from(file?),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// The folder that a file is in, reached through no symbolic link below `folder`.
fn parent<'a>(folder: &Path, name: &'a str) -> io::Result<(rustix::fd::OwnedFd, &'a str)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut parent = open(folder, flags, Mode::empty())?;
    let (folders, name) = name.rsplit_once('/').unwrap_or(("", name));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        parent = openat(parent, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok((parent, name))
}

/// Beside, flushed, and then renamed to its name.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let everybody = fs::Permissions::from_mode(0o644);
    let mut fresh =
        tempfile::Builder::new().prefix(".writ-").permissions(everybody).tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(folder.join(name)).map_err(|lost| lost.error)?;
    File::open(folder)?.sync_all()
}

fn tag(bytes: &[u8]) -> Tag {
    Tag(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn who_saw_an_older_version_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        assert_eq!(folder.look("index", None, 10).await.unwrap(), Look::Absent);
        assert_eq!(folder.replace("index", "one", None).await.unwrap(), Replaced::Done);
        assert_eq!(folder.replace("index", "two", None).await.unwrap(), Replaced::Lost);
        let Look::New(bytes, Some(tag)) = folder.look("index", None, 10).await.unwrap() else {
            panic!("it is there");
        };
        assert_eq!(bytes, b"one");
        assert_eq!(folder.look("index", Some(&tag), 10).await.unwrap(), Look::Same);
        assert_eq!(folder.replace("index", "three", Some(&tag)).await.unwrap(), Replaced::Done);
        assert_eq!(folder.replace("index", "four", Some(&tag)).await.unwrap(), Replaced::Lost);
        assert!(folder.look("index", None, 4).await.unwrap_err().because.contains("more than 4"));
        assert_eq!(fs::read_to_string(dir.path().join("index")).unwrap(), "three");
    }

    #[tokio::test]
    async fn what_is_no_file_of_the_folder_is_not_read_and_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
        symlink(outside.path(), dir.path().join("bundles")).unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o644.into(), 0)
            .unwrap();
        let folder = Folder::at(dir.path());
        for (name, why) in [
            ("link", "symbolic link"),
            ("bundles/secret", "directory"),
            ("folder", "no regular file"),
            ("pipe", "no regular file"),
        ] {
            let told = folder.look(name, None, 100).await.unwrap_err();
            assert!(told.because.to_lowercase().contains(why), "{told}");
            let told = folder.carry(name, &mut |_| ControlFlow::Continue(())).await.unwrap_err();
            assert!(told.because.to_lowercase().contains(why), "{told}");
        }
    }

    #[tokio::test]
    async fn a_file_is_handed_over_until_enough_of_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        fs::write(dir.path().join("big"), vec![7; PIECE * 5]).unwrap();
        for (most, pieces) in [(2, 2), (100, 5)] {
            let mut seen = 0;
            let mut sink = |_: &[u8]| {
                seen += 1;
                if seen == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            assert!(folder.carry("big", &mut sink).await.unwrap());
            assert_eq!(seen, pieces);
        }
        assert!(!folder.carry("none", &mut |_| ControlFlow::Continue(())).await.unwrap());
        let listed = folder.list("").await.unwrap();
        assert_eq!(listed.len(), 1);
    }
}
