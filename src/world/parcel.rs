//! The folder or the archive that a kit is made in.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::archive::Archive;
use super::disk::Disk;
use super::folder::Folder;
use super::shelf::{Content, Created, Shelf};
use crate::fault::Fault;

/// What makes a file's name that of an archive.
const PACKED: &str = ".tar.zst";
/// The binary cache, beside the commits.
const CACHE: &str = "cache";
/// Folders that nix makes in a cache; it cannot where a disk may only be read.
const FOLDERS: [&str; 4] = ["cache", "cache/nar", "cache/realisations", "cache/log"];
/// What tells that a folder is a kit already, or was about to become one.
const SIGNS: [&str; 2] = ["kit.json", CACHE];
/// What disks have of their own.
const OTHERS: [&str; 2] = ["lost+found", "System Volume Information"];
/// What a host reads last of a kit, and without which it is none.
const INDEX: &str = "index";

/// A kit in the making.
pub struct Parcel {
    path: PathBuf,
    name: String,
    kind: Kind,
}

enum Kind {
    /// Filled in place; it is a kit once it has an index.
    Folder(Folder),
    Archive {
        tar: Arc<Mutex<Archive>>,
        beside: TempDir,
    },
}

impl Parcel {
    /// A folder, or an archive where `path` ends in `.tar.zst`. Nothing is in it yet, or
    /// an older kit.
    ///
    /// # Errors
    /// Nothing can be written there, or it holds something else.
    pub fn at(path: &Path) -> Result<Self, Fault> {
        let begin = || match is_packed(path) {
            true => Ok(Kind::Archive {
                tar: Arc::new(Mutex::new(Archive::begin(path)?)),
                beside: tempfile::tempdir()?,
            }),
            false => folder(path).map(Kind::Folder),
        };
        let kind = begin().map_err(|error| {
            Fault::wait(format!("make a kit in {}", path.display()), error)
                .remedy("name an empty folder, an older kit, or a file FILE.tar.zst")
        })?;
        let parcel = Self { path: path.to_owned(), name: path.display().to_string(), kind };
        Ok(parcel)
    }

    /// Where commits are put, to be a part of it.
    pub fn history(&self) -> &Path {
        match &self.kind {
            Kind::Folder(_) => &self.path,
            Kind::Archive { beside, .. } => beside.path(),
        }
    }

    /// Writes a small text, in the place of an older one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&self, name: &str, text: &str) -> Result<(), Fault> {
        let written = match &self.kind {
            Kind::Folder(_) => replace(&self.path.join(name), text),
            Kind::Archive { tar, .. } => locked(tar).file(name, text.as_bytes(), text.len() as u64),
        };
        written.map_err(|error| self.fault(name, &error))
    }

    /// Makes what is empty in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn furnish(&self) -> Result<(), Fault> {
        let furnish = || match &self.kind {
            Kind::Folder(_) => {
                FOLDERS.iter().try_for_each(|name| fs::create_dir_all(self.path.join(name)))
            }
            Kind::Archive { tar, .. } => {
                FOLDERS.iter().try_for_each(|name| locked(tar).folder(name))
            }
        };
        furnish().map_err(|error| self.fault(CACHE, &error))
    }

    /// Completes it, the index last.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(self) -> Result<(), Fault> {
        let failed = |error: io::Error| {
            Fault::wait(format!("write {}", self.name), error).remedy("see that there is room")
        };
        match self.kind {
            Kind::Folder(_) => File::open(&self.path).and_then(|dir| dir.sync_all()),
            Kind::Archive { tar, beside } => packed(tar, beside.path()),
        }
        .map_err(failed)
    }

    fn fault(&self, name: &str, error: &io::Error) -> Fault {
        Fault::wait(format!("write {name} in {}", self.name), error)
            .remedy("see that there is room, and that you may write there")
    }
}

/// Bytes that are free where something is to be written; `None` where nobody can tell.
pub fn free(path: &Path) -> Option<u64> {
    let whole = path.is_absolute().then(|| path.to_owned());
    let whole = whole.or_else(|| std::env::current_dir().ok().map(|here| here.join(path)))?;
    Some(whole.ancestors().find_map(|folder| Disk::of(folder).ok())?.free)
}

/// Whether it is an archive's name.
pub fn is_packed(path: &Path) -> bool {
    path.to_string_lossy().ends_with(PACKED)
}

fn folder(path: &Path) -> io::Result<Folder> {
    fs::create_dir_all(path)?;
    let names: Vec<String> = fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    let own = names.iter().any(|name| SIGNS.contains(&name.as_str()));
    let other = |name: &&String| !name.starts_with('.') && !OTHERS.contains(&name.as_str());
    match names.iter().find(other) {
        Some(name) if !own => {
            Err(io::Error::other(format!("it is no kit, and something is in it: {name}")))
        }
        _ => Ok(Folder::at(&path.join(CACHE))),
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let everybody = fs::Permissions::from_mode(0o644);
    let mut fresh =
        tempfile::Builder::new().prefix(".writ-").permissions(everybody).tempfile_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|lost| lost.error)?;
    Ok(())
}

fn packed(tar: Arc<Mutex<Archive>>, beside: &Path) -> io::Result<()> {
    let mut tar = Arc::into_inner(tar)
        .ok_or_else(|| io::Error::other("something is still being written"))?
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut names = Vec::new();
    files_below(beside, "", &mut names)?;
    names.sort_by_key(|name| (name == INDEX, name.clone()));
    for name in names {
        let file = File::open(beside.join(&name))?;
        let size = file.metadata()?.len();
        tar.file(&name, file, size)?;
    }
    tar.end()
}

/// Plain files by their names from the folder on; hidden ones are those of whoever is
/// writing.
fn files_below(folder: &Path, above: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let leaf = entry.file_name().to_string_lossy().into_owned();
        let (name, kind) = (format!("{above}{leaf}"), entry.file_type()?);
        if leaf.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            files_below(&entry.path(), &format!("{name}/"), names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

fn locked(tar: &Mutex<Archive>) -> std::sync::MutexGuard<'_, Archive> {
    tar.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cache in it.
impl Shelf for Parcel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match &self.kind {
            Kind::Folder(folder) => folder.read(name).await,
            // It is written anew, whatever an older one has.
            Kind::Archive { .. } => Ok(None),
        }
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Fault> {
        match &self.kind {
            Kind::Folder(folder) => folder.size(name).await,
            Kind::Archive { .. } => Ok(None),
        }
    }

    async fn create(
        &self,
        name: &str,
        what: &Content,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, Fault> {
        let tar = match &self.kind {
            Kind::Folder(folder) => return folder.create(name, what, on_sent).await,
            Kind::Archive { tar, .. } => Arc::clone(tar),
        };
        let (place, content) = (format!("{CACHE}/{name}"), what.clone());
        let written = tokio::task::spawn_blocking(move || append(&tar, &place, &content)).await;
        written
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| self.fault(name, &error))?;
        on_sent(what.size());
        Ok(Created::New)
    }

    async fn tidy(&self) {}
}

fn append(tar: &Mutex<Archive>, name: &str, content: &Content) -> io::Result<()> {
    match content {
        Content::Text { text, .. } => locked(tar).file(name, text.as_bytes(), text.len() as u64),
        Content::File { file, size, .. } => {
            let mut file = file.try_clone()?;
            file.rewind()?;
            locked(tar).file(name, file, *size)
        }
    }
}
