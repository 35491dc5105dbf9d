//! How much room a disk has, and how much of it nobody may take.

use std::io;
use std::path::Path;

/// The most that is kept free, in bytes.
const RESERVE: u64 = 512 << 20;
/// A small disk keeps only this part of itself free.
const PART: u64 = 20;

/// A disk as statvfs(3) tells of it, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    pub size: u64,
    pub free: u64,
    /// How many more files fit; `None` where nothing but bytes counts.
    pub files: Option<u64>,
}

impl Disk {
    /// The one that a folder is on.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(folder)?;
        let [size, free] =
            [found.f_blocks, found.f_bavail].map(|blocks| blocks.saturating_mul(found.f_frsize));
        let files = (found.f_files > 0).then_some(found.f_favail);
        Ok(Self { size, free, files })
    }

    /// Bytes that stay free where nobody says otherwise.
    pub fn reserve(self) -> u64 {
        RESERVE.min(self.size / PART)
    }

    /// Bytes that may be written.
    pub fn room(self) -> u64 {
        self.free.saturating_sub(self.reserve())
    }
}
