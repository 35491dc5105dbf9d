//! The folder that an archive is unpacked to, which stays as it was until all is there.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::folder_of;
use super::unpack::{Limits, Wrong};

/// Without it the folder is no kit.
const INDEX: &str = "index";
/// More files than this still have to fit on the disk.
const FILES: u64 = 1000;

pub(super) struct Target<'a> {
    folder: &'a Path,
    limits: Limits,
    /// Bytes that the archive may still unpack to.
    left: u64,
    came: BTreeMap<PathBuf, Came>,
    /// Folders that were not there, each before those in it.
    made: Vec<PathBuf>,
}

/// What became of a file of the archive.
enum Came {
    /// There was none of its name.
    New,
    /// The same was there.
    There,
    /// It takes its place when all the others have theirs.
    Late(TempPath),
}

impl<'a> Target<'a> {
    pub(super) fn new(folder: &'a Path, limits: Limits, packed: u64) -> Self {
        let left = packed.saturating_mul(limits.growth).max(limits.small);
        Self { folder, limits, left, came: BTreeMap::new(), made: Vec::new() }
    }

    /// Makes the folder. Where no kit is in it yet, what certainly does not fit is not
    /// begun: what is large in an archive is no smaller outside of it.
    pub(super) fn begin(&mut self, packed: u64) -> Result<(), Wrong> {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let mut missing: Vec<_> =
            self.folder.ancestors().take_while(missing).map(Path::to_owned).collect();
        missing.reverse();
        for folder in missing {
            self.make(folder)?;
        }
        match fs::read_dir(self.folder)?.next() {
            None => self.room_for("the archive itself", packed - packed / 100),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn has(&self, name: &Path) -> bool {
        self.came.contains_key(name)
    }

    /// Makes a folder below. A disk may hold links where an archive has folders, and
    /// whoever unpacks as root would write where they lead.
    pub(super) fn furnish(&mut self, inside: &Path) -> Result<(), Wrong> {
        let mut place = self.folder.to_owned();
        for part in inside {
            place.push(part);
            match fs::symlink_metadata(&place) {
                Ok(there) if there.is_dir() => {}
                Ok(_) => return Err(Wrong::InTheWay { place, what: "no folder" }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make(place.clone())?
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn make(&mut self, folder: PathBuf) -> io::Result<()> {
        fs::create_dir(&folder)?;
        self.made.push(folder);
        Ok(())
    }

    /// Takes a file of `size` bytes that it has none of yet.
    pub(super) fn file(
        &mut self,
        name: PathBuf,
        content: &mut impl Read,
        size: u64,
    ) -> Result<(), Wrong> {
        let growth = self.limits.growth;
        let left = self.left.checked_sub(size);
        self.left = left.ok_or_else(|| Wrong::Grows { name: name.clone(), growth })?;
        self.room_for(&name.display().to_string(), size)?;
        let above = name.parent().unwrap_or(Path::new(""));
        self.furnish(above)?;
        let place = self.folder.join(&name);
        let fresh = self.write(&name, content, size)?;
        let came = match there(&place)? {
            Some(there) if there.is_dir() => {
                return Err(Wrong::InTheWay { place, what: "a folder" });
            }
            Some(there) if there.is_file() && is_same(fresh.path(), &place)? => Came::There,
            Some(_) => Came::Late(fresh.into_temp_path()),
            // Those that hosts read first are not in a folder.
            None if above.as_os_str().is_empty() => Came::Late(fresh.into_temp_path()),
            None => {
                fresh.persist(&place).map_err(|lost| lost.error)?;
                Came::New
            }
        };
        self.came.insert(name, came);
        Ok(())
    }

    /// Writes it beside its place. Others write to the disk too, so that is looked at
    /// again and again.
    fn write(
        &self,
        name: &Path,
        content: &mut impl Read,
        size: u64,
    ) -> Result<NamedTempFile, Wrong> {
        let everybody = Permissions::from_mode(0o644);
        let mut fresh = tempfile::Builder::new()
            .prefix(".writ-")
            .permissions(everybody)
            .tempfile_in(folder_of(&self.folder.join(name)))?;
        let mut left = size;
        while left > 0 {
            let copied = io::copy(&mut content.take(self.limits.piece), &mut fresh)?;
            if copied == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            left = left.saturating_sub(copied);
            self.room_for(&format!("the rest of {}", name.display()), left)?;
        }
        fresh.flush()?;
        Ok(fresh)
    }

    fn room_for(&self, what: &str, needs: u64) -> Result<(), Wrong> {
        let disk = (self.limits.disk)(self.folder)?;
        let folder = || self.folder.to_owned();
        if needs > disk.room() {
            let what = what.to_owned();
            return Err(Wrong::Full { what, needs, folder: folder(), disk });
        }
        match disk.files {
            Some(files) if files < FILES => Err(Wrong::Files { folder: folder() }),
            Some(_) | None => Ok(()),
        }
    }

    /// Puts the rest in its place, the index last; how many files came. The disk is made
    /// to keep all at once: file by file, it takes minutes for very many.
    pub(super) fn end(&mut self) -> Result<usize, Wrong> {
        let late = self.came.iter().filter(|(_, came)| matches!(came, Came::Late(_)));
        let late = late.map(|(name, _)| name.clone());
        let (index, others): (Vec<_>, Vec<_>) = late.partition(|name| name == Path::new(INDEX));
        self.sync()?;
        for names in [others, index] {
            names.into_iter().try_for_each(|name| self.replace(name))?;
            self.sync()?;
        }
        Ok(self.came.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.folder)?)?)
    }

    fn replace(&mut self, name: PathBuf) -> io::Result<()> {
        let place = self.folder.join(&name);
        let before = there(&place)?;
        if let Some(Came::Late(fresh)) = self.came.remove(&name) {
            fresh.persist(&place).map_err(|lost| lost.error)?;
        }
        self.came.insert(name, if before.is_some() { Came::There } else { Came::New });
        Ok(())
    }

    /// Removes what came.
    pub(super) fn undo(self) -> io::Result<()> {
        let remove = |(name, came): (PathBuf, Came)| match came {
            Came::New => fs::remove_file(self.folder.join(name)),
            Came::There => Ok(()),
            Came::Late(fresh) => fresh.close(),
        };
        let files = self.came.into_iter().map(remove).fold(Ok(()), Result::and);
        self.made.iter().rev().map(fs::remove_dir).fold(files, Result::and)
    }
}

/// What has this name, itself and not what it may lead to.
fn there(place: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(place) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut here, mut there) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let length = one.read(&mut here)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut there[..length])?;
        if here[..length] != there[..length] {
            return Ok(false);
        }
    }
}
