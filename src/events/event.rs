//! What happened, and whether that is news.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// RFC 3339 in UTC.
    pub time: String,
    pub kind: Kind,
    /// The source that it is about, where the host has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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
    /// Root had a service begun anew.
    Restarted,
}

/// What an event is about. Of each topic only news are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Head,
    Step,
    Verdict,
    Drift,
    Source,
    Pause,
    Restart,
}

impl Kind {
    pub(super) fn topic(self) -> Topic {
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
            Self::Restarted => Topic::Restart,
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
            | Self::Paused
            | Self::Restarted => None,
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
            Self::Restarted => "restarted",
        }
    }
}

impl Event {
    /// What it is about.
    pub(super) fn topic(&self) -> (Topic, Option<String>) {
        (self.kind.topic(), self.source.clone())
    }

    /// Whether this says something that the last event of its topic did not.
    pub(super) fn is_news(&self, last: Option<&Self>) -> bool {
        if let Some(begun) = self.kind.ends() {
            return last.is_some_and(|last| last.kind == begun);
        }
        let Some(last) = last.filter(|_| self.kind != Kind::Restarted) else { return true };
        let same = last.kind == self.kind && last.generation == self.generation;
        // Why the source is away may differ at every look (a port, a time).
        !(same && (self.kind == Kind::SourceLost || last.text == self.text))
    }
}
