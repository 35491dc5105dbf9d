//! A `.tar.zst` file that is written from its beginning to its end, and read back.

mod target;
mod unpack;

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;
pub use unpack::unpack;
use zstd::stream::write::Encoder;

/// What is large in it is packed already.
const LEVEL: i32 = 3;
/// The first moment that every disk can tell, 1980-01-01, so that an archive does not
/// depend on when it was made.
const TIME: u64 = 315_532_800;

/// An archive that has its name once it is complete.
pub struct Archive {
    path: PathBuf,
    /// What is in it: two store paths may have one NAR.
    names: BTreeSet<String>,
    tar: Builder<Encoder<'static, NamedTempFile>>,
}

impl Archive {
    /// Beside `path`, which is left as it is until [`Archive::end`].
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let everybody = Permissions::from_mode(0o644);
        let folder = folder_of(path);
        let file =
            tempfile::Builder::new().prefix(".writ-").permissions(everybody).tempfile_in(folder)?;
        Ok(Self {
            path: path.to_owned(),
            names: BTreeSet::new(),
            tar: Builder::new(Encoder::new(file, LEVEL)?),
        })
    }

    /// # Errors
    /// The disk is full, or gone.
    pub fn folder(&mut self, name: &str) -> io::Result<()> {
        let mut header = header(EntryType::Directory, 0o755, 0);
        self.tar.append_data(&mut header, format!("{name}/"), io::empty())
    }

    /// Adds a file of `size` bytes; one that is in it stays as it is.
    ///
    /// # Errors
    /// As [`Archive::folder`], or there are fewer bytes.
    pub fn file(&mut self, name: &str, content: impl Read, size: u64) -> io::Result<()> {
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = header(EntryType::Regular, 0o644, size);
        let mut content = content.take(size);
        self.tar.append_data(&mut header, name, &mut content)?;
        match content.limit() {
            0 => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Puts the archive in its place.
    ///
    /// # Errors
    /// As [`Archive::folder`].
    pub fn end(self) -> io::Result<()> {
        let file = self.tar.into_inner()?.finish()?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|lost| lost.error)?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(TIME);
    header
}

#[cfg(test)]
mod tests;
