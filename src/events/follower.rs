//! Follows a journal as it is written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::lines::{append_file, opened, parse};
use super::{Event, Events};

/// Reads what is added to a journal, from its end on.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Follower {
    /// Follows from what is there now.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn from_the_end(events: &Events) -> io::Result<Self> {
        let mut file = opened(&events.path)?;
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self { path: events.path.clone(), file, rest: Vec::new() })
    }

    /// What was added since the last call, over the beginning of a new file as well.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn news(&mut self) -> io::Result<Vec<Event>> {
        let mut bytes = std::mem::take(&mut self.rest);
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut bytes)?;
        }
        if self.is_another()? {
            self.file = opened(&self.path)?;
            let mut more = Vec::new();
            if let Some(file) = &mut self.file {
                file.read_to_end(&mut more)?;
            }
            append_file(&mut bytes, more);
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest = bytes.split_off(whole);
        Ok(parse(&bytes))
    }

    /// Whether the path leads to another file than the one that is open.
    fn is_another(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let now = match fs::metadata(&self.path) {
            Ok(now) => now,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match &self.file {
            Some(file) => Ok(file.metadata()?.ino() != now.ino()),
            None => Ok(true),
        }
    }
}
