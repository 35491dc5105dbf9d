//! Files in a folder of this machine.

mod board;

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::shelf::{Content, Created, Shelf};
use crate::fault::Fault;

/// A folder; it is made where it is missing.
#[derive(Clone, Debug)]
pub struct Folder {
    url: String,
    path: PathBuf,
}

impl Folder {
    /// The folder that `file:///FOLDER` names; `None` where it is no such URL.
    pub fn of_url(url: &str) -> Option<Self> {
        let path = url.strip_prefix("file://")?;
        // `?` would begin options of nix's, and `%` stands for other characters there.
        let plain = path.starts_with('/') && !path.contains(['?', '%', '#']);
        plain.then(|| Self { url: url.to_owned(), path: PathBuf::from(path) })
    }

    fn fault(&self, doing: &str, name: &str, error: &io::Error) -> Fault {
        Fault::wait(format!("{doing} {}", self.path.join(name).display()), error)
    }
}

impl Shelf for Folder {
    fn name(&self) -> &str {
        &self.url
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        present(fs::read(self.path.join(name))).map_err(|e| self.fault("read", name, &e))
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Fault> {
        let size = fs::metadata(self.path.join(name)).map(|file| file.len());
        present(size).map_err(|e| self.fault("look at", name, &e))
    }

    async fn create(
        &self,
        name: &str,
        what: &Content,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, Fault> {
        let (path, content) = (self.path.join(name), what.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &content)).await;
        let created = written
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|e| self.fault("write", name, &e).remedy("see that you may write there"))?;
        on_sent(what.size());
        Ok(created)
    }

    async fn tidy(&self) {}
}

fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Beside, flushed, and then linked to its name, which takes no place that is taken.
fn write(path: &Path, content: &Content) -> io::Result<Created> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let everybody = Permissions::from_mode(0o644);
    let mut fresh =
        tempfile::Builder::new().prefix(".writ-").permissions(everybody).tempfile_in(dir)?;
    match content {
        Content::Text { text, .. } => fresh.write_all(text.as_bytes())?,
        Content::File { file, size, .. } => {
            let mut file = file.try_clone()?;
            file.rewind()?;
            let copied = io::copy(&mut file.take(*size), &mut fresh)?;
            if copied != *size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    fresh.as_file().sync_all()?;
    match fresh.persist_noclobber(path) {
        Ok(_) => {}
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(Created::There);
        }
        Err(lost) => return Err(lost.error),
    }
    File::open(dir)?.sync_all()?;
    Ok(Created::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_stays_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of_url(&format!("file://{}/cache", dir.path().display())).unwrap();
        let text = |text: &str| Content::Text { text: text.to_owned(), kind: "text/plain" };
        assert_eq!(folder.read("nar/a").await.unwrap(), None);
        for (write, created) in [("one", Created::New), ("two", Created::There)] {
            assert_eq!(folder.create("nar/a", &text(write), &|_| ()).await.unwrap(), created);
        }
        assert_eq!(folder.read("nar/a").await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(folder.size("nar/a").await.unwrap(), Some(3));
        assert_eq!(fs::read_dir(dir.path().join("cache/nar")).unwrap().count(), 1);
    }

    #[test]
    fn what_nix_would_read_otherwise_is_no_folder() {
        for url in ["file://cache", "file:///c?compression=xz", "file:///a%20b", "s3://a"] {
            assert!(Folder::of_url(url).is_none(), "{url}");
        }
    }
}
