//! What the agent did and saw, line by line in `events.jsonl`, for people and programs that follow a host.
//!
//! The ledger decides; this only tells. So an event that cannot be written (a full
//! disk) is a warning in the log and never keeps the agent from its work.

mod event;
mod follower;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use event::{Event, Kind};
pub use follower::Follower;

use event::Topic;
use lines::{append_file, contents, ends_a_line, parse, tail};

/// From this length on, in bytes, a new file is begun and the old one kept as `.1`.
const LENGTH: u64 = 4 << 20;
/// The longest text of one event, in bytes.
const TEXT: usize = 4 << 10;

/// The last event of each topic, of the host or of one of its sources.
type LastOfEach = BTreeMap<(Topic, Option<String>), Event>;

/// The journal of one host, written by its agent alone.
#[derive(Clone, Debug)]
pub struct Events {
    path: PathBuf,
    /// The last event of each topic, read from the file at the first use.
    last: Arc<Mutex<Option<LastOfEach>>>,
}

impl Events {
    /// The journal in a file that need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path, last: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells what happened, unless it is what was told last: a host that waits, or
    /// whose source is away, says so once and not in every round.
    pub fn tell(&self, kind: Kind, generation: Option<u64>, text: impl Into<String>) {
        self.tell_of(None, kind, generation, text);
    }

    /// The same of one source among several, of which each has news of its own.
    pub fn tell_of(
        &self,
        source: Option<&str>,
        kind: Kind,
        generation: Option<u64>,
        text: impl Into<String>,
    ) {
        let time = jiff::Timestamp::now();
        let time = jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string();
        let (source, text) = (source.map(str::to_owned), shortened(text.into()));
        let event = Event { time, kind, source, generation, text };
        let mut slot = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = slot.get_or_insert_with(|| self.last_of_each_topic());
        if !event.is_news(last.get(&event.topic())) {
            return;
        }
        if let Err(error) = self.append(&event) {
            tracing::warn!("could not write {}: {error}", self.path.display());
        }
        last.insert(event.topic(), event);
    }

    /// Every event that is kept, oldest first. Lines that are no events (cut off by
    /// a power cut, or written by a later version) are left out.
    ///
    /// # Errors
    /// A file cannot be read; one that is not there is empty.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        let mut bytes = contents(&self.rotated())?;
        append_file(&mut bytes, contents(&self.path)?);
        Ok(parse(&bytes))
    }

    fn rotated(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".1");
        path.into()
    }

    fn append(&self, event: &Event) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() >= LENGTH) {
            fs::rename(&self.path, self.rotated())?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o644).open(&self.path)?;
        let mut line = Vec::new();
        if !ends_a_line(&mut file)? {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, event)?;
        line.push(b'\n');
        // One write, so that whoever follows never sees half a line.
        file.write_all(&line)
    }

    fn last_of_each_topic(&self) -> LastOfEach {
        let mut bytes = tail(&self.rotated()).unwrap_or_default();
        append_file(&mut bytes, tail(&self.path).unwrap_or_default());
        parse(&bytes).into_iter().map(|event| (event.topic(), event)).collect()
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT {
        let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
