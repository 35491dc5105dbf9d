//! What nix tells while it fetches: how far it is, and what went wrong.
//!
//! `--log-format internal-json` writes a line `@nix {…}` for each event (nix,
//! `src/libutil/logging.{hh,cc}`). Only what is counted here is read; a line that is
//! none of nix's events is taken for a message.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::narinfo::Missing;
use crate::world::download::Download;

/// A longer line is cut, in bytes.
const LONGEST: u64 = 16 << 10;
/// Messages that are kept, the last ones.
const KEPT: usize = 200;
/// Archives that nix unpacks at the same time are far fewer.
const MOST: usize = 1024;
/// The last bytes of an archive are not told.
const REST: u64 = 128 << 10;
/// Above it is only for who looks for faults in nix.
const INFO: u64 = 3;

/// Kinds of activities (`ActivityType`) and results (`ResultType`).
const COPY_PATH: u64 = 100;
const COPY_PATHS: u64 = 103;
const PROGRESS: u64 = 105;

/// How far the download of the moment is.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<Going>>);

#[derive(Debug)]
struct Going {
    begun: Instant,
    of: Missing,
    bytes: u64,
    paths: u64,
}

/// Says that nothing is downloaded any more, however that ended.
pub(super) struct Ended<'a>(&'a Progress);

impl Progress {
    /// What is missing is being downloaded until the answer is dropped.
    pub(super) fn begin(&self, of: Missing) -> Ended<'_> {
        self.set(Some(Going { begun: Instant::now(), of, bytes: 0, paths: 0 }));
        Ended(self)
    }

    pub(super) fn look(&self) -> Option<Download> {
        let going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Going { begun, of, bytes, paths } = going.as_ref().filter(|g| g.of.paths > 0)?;
        let of_paths = of.paths as u64;
        let mut download = Download {
            paths: (*paths).min(of_paths),
            of_paths,
            bytes: if of.unpacked > 0 { (*bytes).min(of.unpacked) } else { *bytes },
            of_bytes: of.unpacked,
            seconds_left: None,
        };
        download.seconds_left = download.left(begun.elapsed());
        Some(download)
    }

    fn count(&self, bytes: u64, paths: u64) {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(going) = going.as_mut() {
            (going.bytes, going.paths) = (bytes, paths);
        }
    }

    fn set(&self, going: Option<Going>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = going;
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// One event, as far as it counts here.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Event {
    Start {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
    },
    Stop {
        id: u64,
    },
    Result {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<serde_json::Value>,
    },
    Msg {
        #[serde(default)]
        level: u64,
        msg: String,
    },
    #[serde(other)]
    Other,
}

/// What was told so far.
#[derive(Debug, Default)]
struct Told {
    /// What of each archive that is on its way was unpacked, and its size.
    going: BTreeMap<u64, (u64, u64)>,
    /// The activity that counts paths.
    counter: Option<u64>,
    bytes: u64,
    paths: u64,
    messages: VecDeque<String>,
}

/// Reads to the end, and returns the last messages, a line each.
pub(super) async fn listen(
    mut from: impl AsyncBufRead + Unpin,
    progress: &Progress,
) -> std::io::Result<String> {
    let mut told = Told::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut from).take(LONGEST).read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        told.line(&String::from_utf8_lossy(&line));
        progress.count(told.unpacked(), told.paths);
    }
    Ok(Vec::from(told.messages).join("\n"))
}

impl Told {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        let event = line.strip_prefix("@nix ").map(serde_json::from_str::<Event>);
        match event {
            Some(Ok(event)) => self.event(event),
            // The rest of a line that was cut, or an event of another shape.
            Some(Err(_)) => {}
            None => self.message(line),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Start { id, kind: COPY_PATH } if self.going.len() < MOST => {
                self.going.insert(id, (0, 0));
            }
            Event::Start { id, kind: COPY_PATHS } => self.counter = Some(id),
            Event::Result { id, kind: PROGRESS, fields } => self.counted(id, &fields),
            Event::Stop { id } => self.stopped(id),
            Event::Msg { level, msg } if level <= INFO => {
                plain(&msg).lines().for_each(|line| self.message(line));
            }
            Event::Start { .. } | Event::Result { .. } | Event::Msg { .. } | Event::Other => {}
        }
    }

    fn counted(&mut self, id: u64, fields: &[serde_json::Value]) {
        let number = |n: usize| fields.get(n).and_then(serde_json::Value::as_u64).unwrap_or(0);
        if let Some(copy) = self.going.get_mut(&id) {
            *copy = (number(0), number(1));
        } else if self.counter == Some(id) {
            self.paths = number(0);
        }
    }

    /// What came of an archive that was cut counts no more: it begins anew.
    fn stopped(&mut self, id: u64) {
        if let Some((done, size)) = self.going.remove(&id)
            && done.saturating_add(REST) >= size
        {
            self.bytes = self.bytes.saturating_add(size);
        }
    }

    fn unpacked(&self) -> u64 {
        self.going.values().fold(self.bytes, |sum, (done, _)| sum.saturating_add(*done))
    }

    fn message(&mut self, line: &str) {
        if self.messages.len() == KEPT {
            self.messages.pop_front();
        }
        self.messages.push_back(line.to_owned());
    }
}

/// Without the colours that nix writes there.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
        plain.push_str(part.strip_prefix('[').map_or(part, |_| &part[end..]));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nix 2.26 wrote it.
    const LINES: &str = r#"@nix {"action":"start","fields":["http://127.0.0.1:8000/nix-cache-info"],"id":1,"level":4,"parent":0,"text":"downloading","type":101}
@nix {"action":"result","fields":[21,21,0,0],"id":1,"type":105}
@nix {"action":"start","id":3,"level":0,"parent":0,"text":"","type":103}
@nix {"action":"result","fields":[0,2,1,0],"id":3,"type":105}
@nix {"action":"start","fields":["/nix/store/a","x","y"],"id":5,"level":3,"parent":4,"text":"copying","type":100}
@nix {"action":"start","fields":["/nix/store/b","x","y"],"id":6,"level":3,"parent":4,"text":"copying","type":100}
@nix {"action":"result","fields":[20971520,20972032,0,0],"id":5,"type":105}
@nix {"action":"result","fields":[1000000,9000000,0,0],"id":6,"type":105}
"#;

    async fn told(lines: &str) -> (Option<Download>, String) {
        let progress = Progress::default();
        let _ended = progress.begin(Missing { paths: 2, unpacked: 30 << 20, ..Missing::default() });
        let messages = listen(lines.as_bytes(), &progress).await.unwrap();
        let look = progress.look().map(|look| Download { seconds_left: None, ..look });
        (look, messages)
    }

    fn far(paths: u64, bytes: u64) -> Option<Download> {
        Some(Download { paths, of_paths: 2, bytes, of_bytes: 30 << 20, seconds_left: None })
    }

    #[tokio::test]
    async fn what_was_unpacked_is_counted_and_what_was_cut_is_not() {
        assert_eq!(told(LINES).await.0, far(0, 21_971_520));
        let stop = r#"@nix {"action":"stop","id":5}
@nix {"action":"result","fields":[1,2,1,0],"id":3,"type":105}
@nix {"action":"stop","id":6}
"#;
        assert_eq!(told(&format!("{LINES}{stop}")).await.0, far(1, 20_972_032));
    }

    #[tokio::test]
    async fn messages_are_kept_without_colours_and_the_rest_is_skipped() {
        let noise = r#"@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m one"}
@nix {"action":"msg","level":5,"msg":"chatter"}
@nix {"action":"dance","id":"x"}
@nix {"action":"start","id":-1,"type":100}
@nix {"action":"result","id":7,"type":105,"fields":["a",{}]}
@nix not json
terminate called
@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m two\nthree"}"#;
        let (look, messages) = told(noise).await;
        assert_eq!(messages, "warning: one\nterminate called\nerror: two\nthree");
        assert_eq!(look, far(0, 0));
    }

    #[tokio::test]
    async fn no_output_is_too_long() {
        let long = "x".repeat(1 << 20);
        let many = "line\n".repeat(10_000);
        let (_, messages) = told(&format!("{long}\n{many}")).await;
        assert_eq!(messages.lines().count(), KEPT);
        let (_, messages) = told(&long).await;
        assert_eq!(messages.len(), (1 << 20) + (1 << 20) / usize::try_from(LONGEST).unwrap() - 1);
    }

    #[test]
    fn a_download_that_ended_is_told_no_more() {
        let progress = Progress::default();
        let ended = progress.begin(Missing { paths: 1, ..Missing::default() });
        assert!(progress.look().is_some());
        drop(ended);
        assert_eq!(progress.look(), None);
    }
}
