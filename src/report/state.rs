//! The part of a report that is worth another one as soon as it changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use crate::condition::Condition;
use crate::fault::Fault;
use crate::names::{CommitId, ServiceName};
use crate::verdict::Verdict;

/// Characters of a reason or a line; the whole is for `writ status` on the host.
const LONGEST: usize = 300;
/// Lines of what the machine showed.
const MOST: usize = 20;

/// How a host is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// The newest commit of the branch that the host has judged, obeyed or not.
    pub head: Option<CommitId>,
    /// The commit whose generation runs.
    pub commit: Option<CommitId>,
    /// The newest generation.
    pub generation: Option<u64>,
    /// The word on `head`.
    pub verdict: Option<Told>,
    /// What the host makes of all this; an older one does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Services that are not up, each with what is wrong.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, String>,
    /// What a confirmed generation waits for to be whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
    /// What is wrong beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// How many things are not as the generation that runs says.
    pub drift: usize,
    /// Since when somebody has paused the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Moment>,
    /// When the deploy window opens that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<Moment>,
}

/// A verdict in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub kind: Kind,
    pub since: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Lines of the journal and the like, where the host's config says `detail`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

/// A verdict in a word, the same as in `writ status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Applying,
    Confirmed,
    RollingBack,
    RolledBack,
    Refused,
    Waiting,
    Failed,
}

impl Told {
    /// A verdict without what the machine showed, unless `detail` says so.
    pub fn of(verdict: &Verdict, now: Moment, detail: bool) -> Self {
        let (kind, reason, fault) = match verdict {
            Verdict::Applying { .. } => (Kind::Applying, None, None),
            Verdict::Confirmed { .. } => (Kind::Confirmed, None, None),
            Verdict::RollingBack { step, fault, .. } => {
                (Kind::RollingBack, Some(at(step, fault)), Some(fault))
            }
            Verdict::RolledBack { step, fault, .. } => {
                (Kind::RolledBack, Some(at(step, fault)), Some(fault))
            }
            Verdict::Failed { step, fault, .. } => {
                (Kind::Failed, Some(at(step, fault)), Some(fault))
            }
            Verdict::Refused { rule, reason, because, .. } => {
                let why = because.first().map_or("", |text| text.as_str());
                (Kind::Refused, Some(format!("{rule}, {reason}: {why}")), None)
            }
            Verdict::Waiting { reasons, .. } => (Kind::Waiting, Some(reasons.join("; ")), None),
        };
        let evidence = fault.filter(|_| detail).map_or(&[][..], |fault| &fault.evidence);
        Self {
            kind,
            since: verdict.when().parse().unwrap_or(now),
            reason: reason.map(|reason| short(&reason)),
            detail: evidence.iter().take(MOST).map(|line| short(line)).collect(),
        }
    }
}

fn at(step: &str, fault: &Fault) -> String {
    format!("{step}: {fault}")
}

/// The first line of a text, of bearable length and without passwords of URLs.
pub fn short(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let bare = without_passwords(line);
    match bare.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &bare[..end]),
        None => bare,
    }
}

/// `https://user:secret@host/` becomes `https://…@host/`.
pub fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        bare.push_str("://");
        match part[..end].rfind('@') {
            Some(at) => bare.extend(["…", &part[at..]]),
            None => bare.push_str(part),
        }
    }
    bare
}

/// What others wrote, fit for a terminal: nothing in it moves the cursor or turns the
/// direction of writing.
pub fn plain(text: &str) -> String {
    let harmless = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).take(2 * LONGEST).collect()
}

impl Kind {
    /// The word, the same as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Confirmed => "confirmed",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_without_passwords() {
        let text =
            "\n could not fetch https://bob:s3cr3t@git.example.org/x from ssh://git@h/: no\nmore";
        assert_eq!(short(text), "could not fetch https://…@git.example.org/x from ssh://…@h/: no");
        assert_eq!(short("a@b://c d@e"), "a@b://c d@e");
        assert_eq!(short(&"x".repeat(999)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_journal_stays_at_home_unless_the_config_says_otherwise() {
        let fault = Fault::refuse("watch web", "it failed").evidence(["journal: key=1".to_owned()]);
        let at = "2026-01-01T00:00:00Z".to_owned();
        let verdict =
            Verdict::RolledBack { at: at.clone(), to: None, step: "check web".into(), fault };
        let told = |detail| Told::of(&verdict, at.parse().unwrap(), detail);
        assert_eq!(told(false).reason.unwrap(), "check web: could not watch web: it failed");
        assert!(told(false).detail.is_empty());
        assert_eq!(told(true).detail, ["journal: key=1"]);
    }
}
