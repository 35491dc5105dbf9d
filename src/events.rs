//! What the agent did and saw, line by line in `events.jsonl`, for people and programs that follow a host.
//!
//! The ledger decides; this only tells. So an event that cannot be written (a full
//! disk) is a warning in the log and never keeps the agent from its work.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// From this length on, in bytes, a new file is begun and the old one kept as `.1`.
const LENGTH: u64 = 4 << 20;
/// How much of the file's end is read to know what was told last.
const TAIL: u64 = 256 << 10;
/// The longest text of one event, in bytes.
const TEXT: usize = 4 << 10;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// RFC 3339 in UTC.
    pub time: String,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    pub text: String,
}

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A commit was verified and is this host's newest generation.
    Accepted,
    /// A commit is not obeyed, or its manifest cannot be carried out.
    Refused,
    /// The branch's head, which was refused, is good again.
    Obeyed,
    /// A step of a generation began.
    Step,
    Confirmed,
    /// A generation did not work; the steps that follow go back.
    RollingBack,
    RolledBack,
    /// Neither the generation nor the way back worked.
    Failed,
    /// The world is not ready.
    Waiting,
    /// The host is not as its generation says.
    DriftFound,
    DriftHealed,
    SourceLost,
    SourceFound,
    Paused,
    Resumed,
}

/// What an event is about. Of each topic only news are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Head,
    Step,
    Verdict,
    Drift,
    Source,
    Pause,
}

impl Kind {
    fn topic(self) -> Topic {
        match self {
            Self::Accepted | Self::Refused | Self::Obeyed => Topic::Head,
            Self::Step => Topic::Step,
            Self::Confirmed
            | Self::RollingBack
            | Self::RolledBack
            | Self::Failed
            | Self::Waiting => Topic::Verdict,
            Self::DriftFound | Self::DriftHealed => Topic::Drift,
            Self::SourceLost | Self::SourceFound => Topic::Source,
            Self::Paused | Self::Resumed => Topic::Pause,
        }
    }

    /// The kind whose end this one is: news only after it.
    fn ends(self) -> Option<Self> {
        match self {
            Self::Obeyed => Some(Self::Refused),
            Self::DriftHealed => Some(Self::DriftFound),
            Self::SourceFound => Some(Self::SourceLost),
            Self::Resumed => Some(Self::Paused),
            Self::Accepted
            | Self::Refused
            | Self::Step
            | Self::Confirmed
            | Self::RollingBack
            | Self::RolledBack
            | Self::Failed
            | Self::Waiting
            | Self::DriftFound
            | Self::SourceLost
            | Self::Paused => None,
        }
    }

    /// The kind as one word, the same as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Obeyed => "obeyed",
            Self::Step => "step",
            Self::Confirmed => "confirmed",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::DriftFound => "drift-found",
            Self::DriftHealed => "drift-healed",
            Self::SourceLost => "source-lost",
            Self::SourceFound => "source-found",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
        }
    }
}

impl Event {
    /// Whether this says something that the last event of its topic did not.
    fn is_news(&self, last: Option<&Self>) -> bool {
        if let Some(begun) = self.kind.ends() {
            return last.is_some_and(|last| last.kind == begun);
        }
        let Some(last) = last else { return true };
        let same = last.kind == self.kind && last.generation == self.generation;
        // Why the source is away may differ at every look (a port, a time).
        !(same && (self.kind == Kind::SourceLost || last.text == self.text))
    }
}

/// The journal of one host, written by its agent alone.
#[derive(Clone, Debug)]
pub struct Events {
    path: PathBuf,
    /// The last event of each topic, read from the file at the first use.
    last: Arc<Mutex<Option<BTreeMap<Topic, Event>>>>,
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
        let time = jiff::Timestamp::now();
        let time = jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string();
        let event = Event { time, kind, generation, text: shortened(text.into()) };
        let mut slot = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = slot.get_or_insert_with(|| self.last_of_each_topic());
        if !event.is_news(last.get(&kind.topic())) {
            return;
        }
        if let Err(error) = self.append(&event) {
            tracing::warn!("could not write {}: {error}", self.path.display());
        }
        last.insert(kind.topic(), event);
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

    fn last_of_each_topic(&self) -> BTreeMap<Topic, Event> {
        let mut bytes = tail(&self.rotated()).unwrap_or_default();
        append_file(&mut bytes, tail(&self.path).unwrap_or_default());
        parse(&bytes).into_iter().map(|event| (event.kind.topic(), event)).collect()
    }
}

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

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut file) = opened(path)? {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Puts one file's bytes after another's, whose last line may have no end.
fn append_file(bytes: &mut Vec<u8>, more: Vec<u8>) {
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes.extend(more);
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut file) = opened(path)? {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Vec<Event> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// A power cut may have left half a line.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT {
        let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Events) {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::at(dir.path().join("events.jsonl"));
        (dir, events)
    }

    fn kinds(events: &Events) -> Vec<Kind> {
        events.read().unwrap().into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn what_was_told_last_is_not_told_again_even_after_a_restart() {
        let (_dir, events) = journal();
        events.tell(Kind::SourceFound, None, "it was never lost");
        for events in [events.clone(), Events::at(events.path().to_owned())] {
            events.tell(Kind::Waiting, Some(1), "for Caddy");
            events.tell(Kind::SourceLost, None, "port 1");
            events.tell(Kind::SourceLost, None, "port 2");
        }
        assert_eq!(kinds(&events), [Kind::Waiting, Kind::SourceLost]);
        events.tell(Kind::SourceFound, None, "");
        events.tell(Kind::SourceFound, None, "");
        events.tell(Kind::Waiting, Some(1), "for a disk");
        events.tell(Kind::Waiting, Some(2), "for a disk");
        assert_eq!(kinds(&events)[2..], [Kind::SourceFound, Kind::Waiting, Kind::Waiting]);
    }

    #[test]
    fn half_a_line_costs_no_other_event() {
        let (_dir, events) = journal();
        events.tell(Kind::Confirmed, Some(1), "");
        let mut file = OpenOptions::new().append(true).open(events.path()).unwrap();
        file.write_all(b"{\"time\":\"2026-").unwrap();
        Events::at(events.path().to_owned()).tell(Kind::Confirmed, Some(2), "");
        assert_eq!(kinds(&events), [Kind::Confirmed, Kind::Confirmed]);
    }

    #[test]
    fn a_long_journal_is_begun_anew_and_the_old_one_kept() {
        let (_dir, events) = journal();
        let mut follower = Follower::from_the_end(&events).unwrap();
        events.tell(Kind::Confirmed, Some(1), "");
        assert_eq!(follower.news().unwrap().len(), 1);
        let old = File::options().append(true).open(events.path()).unwrap();
        old.set_len(LENGTH).unwrap();
        events.tell(Kind::Confirmed, Some(2), "");
        assert!(fs::metadata(events.path()).unwrap().len() < 200);
        assert_eq!(events.read().unwrap().len(), 2);
        let seen: Vec<_> = follower.news().unwrap().iter().map(|e| e.generation).collect();
        assert_eq!(seen, [Some(2)], "a follower goes over to the new file");
    }

    #[test]
    fn a_follower_waits_for_the_end_of_a_line() {
        let (_dir, events) = journal();
        events.tell(Kind::Confirmed, Some(1), "");
        let mut follower = Follower::from_the_end(&events).unwrap();
        let line = serde_json::to_vec(&events.read().unwrap()[0]).unwrap();
        let mut file = OpenOptions::new().append(true).open(events.path()).unwrap();
        file.write_all(&line[..9]).unwrap();
        assert_eq!(follower.news().unwrap(), []);
        file.write_all(&line[9..]).unwrap();
        file.write_all(b"\n").unwrap();
        assert_eq!(follower.news().unwrap(), events.read().unwrap()[..1]);
    }

    #[test]
    fn a_text_without_end_is_cut_off() {
        let (_dir, events) = journal();
        events.tell(Kind::Waiting, None, "é".repeat(TEXT));
        assert!(events.read().unwrap()[0].text.len() <= TEXT + 3);
    }
}
