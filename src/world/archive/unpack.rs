//! An archive of anybody's, read: what it may hold, and how much of it is taken.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tar::{Entry, EntryType};
use zstd::stream::read::Decoder;

use super::target::Target;
use crate::fault::Fault;
use crate::plan::step::human_bytes;
use crate::world::disk::Disk;

/// Folders in folders.
const DEPTH: usize = 4;
/// What describes one file, with the end of the one before it, in bytes.
const HEADERS: u64 = 64 << 10;
/// What a small file takes of an archive, with what describes it, in bytes.
const SMALL: u64 = 1 << 10;
/// The window that zstd may want, as a power of two: 128 MiB, what the program `zstd`
/// takes too where nobody says otherwise.
const WINDOW: u32 = 27;
/// Bits of a mode that give a program somebody else's rights.
const RIGHTS: u32 = 0o6000;

/// What is taken of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Files and folders in it.
    pub(super) entries: usize,
    /// How many times its own size it may unpack to: what is large in a kit was packed
    /// before.
    pub(super) growth: u64,
    /// What a small one may unpack to all the same, in bytes.
    pub(super) small: u64,
    /// Bytes that are written between two looks at the disk.
    pub(super) piece: u64,
    pub(super) disk: fn(&Path) -> io::Result<Disk>,
}

impl Limits {
    pub(super) const USUAL: Self =
        Self { entries: 250_000, growth: 100, small: 1 << 30, piece: 64 << 20, disk: Disk::of };
}

/// What is wrong with an archive, or with the place that it is unpacked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("{} {what}", name.display())]
    Entry { name: PathBuf, what: &'static str },
    #[error("it has more than {0} files and folders")]
    Many(usize),
    #[error("{} makes it more than {growth} times as large as the archive is", name.display())]
    Grows { name: PathBuf, growth: u64 },
    #[error("{} is there and is {what}", place.display())]
    InTheWay { place: PathBuf, what: &'static str },
    #[error(
        "{what} needs {}, and {} are free in {} besides the {} that stay in reserve",
        human_bytes(*needs), human_bytes(disk.room()), folder.display(), human_bytes(disk.reserve())
    )]
    Full { what: String, needs: u64, folder: PathBuf, disk: Disk },
    #[error("the disk of {} has no room for more files", folder.display())]
    Files { folder: PathBuf },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes the files of an archive below a folder: all of them or none, and what makes the
/// folder a kit at last. What is there by the same name is replaced; the rest stays.
///
/// # Errors
/// It is no such archive, holds more than plain files and folders, leads out of the folder,
/// or is too large for it. What was there is as it was.
pub fn unpack(archive: &Path, folder: &Path) -> Result<usize, Fault> {
    within(archive, folder, Limits::USUAL)
}

pub(super) fn within(archive: &Path, folder: &Path, limits: Limits) -> Result<usize, Fault> {
    let doing = format!("unpack {} into {}", archive.display(), folder.display());
    let read = || -> Result<_, Wrong> {
        count(open(archive)?.1, limits.entries)?;
        Ok(open(archive)?)
    };
    let (packed, unpacked) = read().map_err(|wrong| wrong.fault(&doing, "nothing was written"))?;
    let mut target = Target::new(folder, limits, packed);
    let filled = target.begin(packed).and_then(|()| {
        fill(&mut target, unpacked, limits)?;
        target.end()
    });
    filled.map_err(|wrong| match target.undo() {
        Ok(()) => wrong.fault(&doing, "what was written is gone again"),
        Err(error) => wrong.fault(&doing, &format!("what was written is still there: {error}")),
    })
}

/// An archive's size, and what is in it.
fn open(archive: &Path) -> io::Result<(u64, impl Read + use<>)> {
    let file = File::open(archive)?;
    let packed = file.metadata()?.len();
    let mut unpacked = Decoder::new(file)?;
    unpacked.window_log_max(WINDOW)?;
    Ok((packed, unpacked))
}

/// Finds out that there are too many small files before one is written. Where there are
/// large ones, the disk is the limit, and so is the time that a stick takes to be read
/// twice.
fn count(unpacked: impl Read, most: usize) -> Result<(), Wrong> {
    let begin = unpacked.take((most as u64).saturating_mul(SMALL));
    let allowed = Rc::new(Cell::new(HEADERS));
    let mut tar = tar::Archive::new(Metered { inner: begin, allowed: Rc::clone(&allowed) });
    let mut entries = 0;
    // What is wrong with one is told when it is unpacked.
    for entry in tar.entries()?.map_while(Result::ok) {
        entries += 1;
        if entries > most {
            return Err(Wrong::Many(most));
        }
        allowed.set(entry.size().saturating_add(HEADERS));
    }
    Ok(())
}

fn fill(target: &mut Target<'_>, unpacked: impl Read, limits: Limits) -> Result<(), Wrong> {
    let allowed = Rc::new(Cell::new(HEADERS));
    let mut tar = tar::Archive::new(Metered { inner: unpacked, allowed: Rc::clone(&allowed) });
    for (entry, number) in tar.entries()?.zip(1..) {
        if number > limits.entries {
            return Err(Wrong::Many(limits.entries));
        }
        let mut entry = entry?;
        allowed.set(entry.size());
        take(target, &mut entry)?;
        allowed.set(HEADERS);
    }
    Ok(())
}

fn take(target: &mut Target<'_>, entry: &mut Entry<'_, impl Read>) -> Result<(), Wrong> {
    let name = entry.path()?.into_owned();
    let wrong = |what| Wrong::Entry { name: name.clone(), what };
    let inside = inside(&name).map_err(wrong)?;
    match entry.header().entry_type() {
        EntryType::Directory => target.furnish(&inside),
        EntryType::Regular if entry.header().mode()? & RIGHTS != 0 => {
            Err(wrong("is to run with somebody else's rights"))
        }
        EntryType::Regular if inside.as_os_str().is_empty() => Err(wrong("is no name of a file")),
        EntryType::Regular if target.has(&inside) => Err(wrong("is there twice")),
        EntryType::Regular => {
            let size = entry.size();
            target.file(inside, entry, size)
        }
        _ => Err(wrong("is neither a file nor a folder")),
    }
}

/// The name from the folder on.
pub(super) fn inside(name: &Path) -> Result<PathBuf, &'static str> {
    let mut plain = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err("leads out of the archive");
            }
        }
    }
    if plain.components().count() > DEPTH {
        return Err("is too deep");
    }
    Ok(plain)
}

/// Whatever describes the next file is held in memory: it is short, or there is no end to
/// it.
struct Metered<R> {
    inner: R,
    allowed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        let most = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it describes a file without end"));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.allowed.set(allowed - read as u64);
        Ok(read)
    }
}

impl Wrong {
    fn fault(&self, doing: &str, left: &str) -> Fault {
        let because = format!("{self}; {left}");
        match self {
            Self::Entry { .. } | Self::Many(_) => Fault::refuse(doing, because)
                .remedy("`writ kit` makes no such archive: see where it comes from"),
            Self::Grows { .. } => Fault::refuse(doing, because).remedy(
                "see where it comes from; if it is right so, unpack it with tar --zstd -xf",
            ),
            Self::InTheWay { .. } => {
                Fault::refuse(doing, because).remedy("name an empty folder, or an older kit")
            }
            Self::Full { .. } | Self::Files { .. } => {
                Fault::wait(doing, because).remedy("take a larger disk, or make room on this one")
            }
            Self::Io(_) => Fault::wait(doing, because)
                .remedy("see that it was copied whole, and that you may write there"),
        }
    }
}
