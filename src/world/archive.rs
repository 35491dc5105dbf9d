//! A `.tar.zst` file that is written from its beginning to its end, and read back.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;
use zstd::stream::{read::Decoder, write::Encoder};

/// What is large in it is packed already.
const LEVEL: i32 = 3;
/// The first moment that every disk can tell, 1980-01-01, so that an archive does not
/// depend on when it was made.
const TIME: u64 = 315_532_800;
/// Files in an archive that is read.
const MOST: usize = 1_000_000;
/// Folders in folders.
const DEPTH: usize = 4;

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

/// Writes the files of an archive below a folder, each whole or not at all and in their
/// order; how many. What is there by the same name is replaced.
///
/// # Errors
/// It is no such archive, holds more than plain files and folders, or leads out of the
/// folder.
pub fn unpack(archive: &Path, folder: &Path) -> io::Result<usize> {
    let mut tar = tar::Archive::new(Decoder::new(File::open(archive)?)?);
    let mut files = 0;
    fs::create_dir_all(folder)?;
    for (entry, number) in tar.entries()?.zip(1..) {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let inside = inside(&name)?;
        let place = folder.join(&inside);
        match entry.header().entry_type() {
            EntryType::Directory => furnish(folder, &inside)?,
            EntryType::Regular => {
                furnish(folder, inside.parent().unwrap_or(Path::new("")))?;
                put(&place, &mut entry)?;
                files += 1;
            }
            _ => return Err(wrong(&name, "is neither a file nor a folder")),
        }
        if number > MOST {
            return Err(io::Error::other(format!("it has more than {MOST} files and folders")));
        }
    }
    Ok(files)
}

fn inside(name: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(wrong(name, "leads out of the archive"));
            }
        }
    }
    if plain.components().count() > DEPTH {
        return Err(wrong(name, "is too deep"));
    }
    Ok(plain)
}

/// Makes a folder below another. A disk may hold links where an archive has folders, and
/// whoever unpacks as root would write where they lead.
fn furnish(folder: &Path, inside: &Path) -> io::Result<()> {
    let mut place = folder.to_owned();
    for part in inside {
        place.push(part);
        match fs::symlink_metadata(&place) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Err(wrong(&place, "is there and is no folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&place)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn put(place: &Path, content: &mut impl Read) -> io::Result<()> {
    let folder = folder_of(place);
    let everybody = Permissions::from_mode(0o644);
    let mut file =
        tempfile::Builder::new().prefix(".writ-").permissions(everybody).tempfile_in(folder)?;
    io::copy(content, &mut file)?;
    file.flush()?;
    file.as_file().sync_all()?;
    file.persist(place).map_err(|lost| lost.error)?;
    File::open(folder)?.sync_all()
}

fn wrong(name: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{} {what}", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(dir: &Path, fill: impl FnOnce(&mut Archive)) -> PathBuf {
        let path = dir.join("kit.tar.zst");
        let mut archive = Archive::begin(&path).unwrap();
        fill(&mut archive);
        archive.end().unwrap();
        path
    }

    #[test]
    fn what_is_packed_twice_is_the_same_and_comes_out_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let fill = |archive: &mut Archive| {
            archive.folder("cache/nar").unwrap();
            archive.file("cache/nar/1.nar", &b"a path"[..], 6).unwrap();
            archive.file("index", &b"last"[..], 4).unwrap();
        };
        let bytes = |path: PathBuf| fs::read(path).unwrap();
        assert_eq!(bytes(packed(dir.path(), fill)), bytes(packed(dir.path(), fill)));
        let out = dir.path().join("out");
        for _ in 0..2 {
            assert_eq!(unpack(&dir.path().join("kit.tar.zst"), &out).unwrap(), 2);
            assert_eq!(bytes(out.join("cache/nar/1.nar")), b"a path");
            assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
        }
    }

    #[test]
    fn an_archive_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::begin(&dir.path().join("kit.tar.zst")).unwrap();
        assert!(archive.file("short", &b"abc"[..], 4).is_err());
        drop(archive);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_written_outside_of_the_folder_nor_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let link = |archive: &mut Archive| {
            let mut header = header(EntryType::Symlink, 0o777, 0);
            archive.tar.append_link(&mut header, "cache", "/etc").unwrap();
        };
        let told = |path: PathBuf| unpack(&path, &dir.path().join("out")).unwrap_err().to_string();
        assert_eq!(told(packed(dir.path(), link)), "cache is neither a file nor a folder");
        let deep = |archive: &mut Archive| archive.file("a/b/c/d/e", &b""[..], 0).unwrap();
        assert_eq!(told(packed(dir.path(), deep)), "a/b/c/d/e is too deep");
        for bad in ["../evil", "/evil", "a/../../evil"] {
            assert!(inside(Path::new(bad)).unwrap_err().to_string().contains("leads out"), "{bad}");
        }
        assert!(!dir.path().join("evil").exists());
    }

    #[test]
    fn nothing_is_written_through_a_link_that_lies_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (out, safe) = (dir.path().join("out"), dir.path().join("safe"));
        fs::create_dir(&out).unwrap();
        fs::create_dir(&safe).unwrap();
        std::os::unix::fs::symlink(&safe, out.join("cache")).unwrap();
        for fill in [
            |archive: &mut Archive| archive.file("cache/passwd", &b"x"[..], 1).unwrap(),
            |archive: &mut Archive| archive.folder("cache/nar").unwrap(),
        ] {
            let told = unpack(&packed(dir.path(), fill), &out).unwrap_err().to_string();
            assert!(told.ends_with("out/cache is there and is no folder"), "{told}");
        }
        assert_eq!(fs::read_dir(&safe).unwrap().count(), 0);
    }
}
