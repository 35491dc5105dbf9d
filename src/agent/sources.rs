//! What people are told of each source: as events, in the log and in the status.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Agent;
use super::roads::{Lane, Standing};
use crate::events::Kind;
use crate::fault::Fault;
use crate::names::CommitId;
use crate::trust::Refusal;

/// One source, as the agent saw it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    pub name: String,
    pub state: SourceState,
    /// Where the branch stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<CommitId>,
    /// When it last answered, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// How a source is doing, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// It shows the commit that this host accepted last.
    Current,
    /// It shows an earlier one.
    Behind,
    /// It shows one that this host does not obey.
    Refused,
    /// It cannot be seen.
    Lost,
    /// It is a folder that is not there now.
    Unplugged,
    /// It has not answered yet.
    Unknown,
}

impl<W> Agent<W> {
    /// Tells of a source that was lost or found.
    pub(super) fn tell_source(&self, lane: usize, outcome: &Result<(), Fault>) {
        let Lane { name, fault: known, .. } = &self.roads.lanes[lane];
        if self.roads.resident && self.roads.lanes[lane].is_unplugged() {
            tracing::debug!("{name} is not there");
            return;
        }
        let source = self.roads.several().then_some(name.as_str());
        match outcome {
            Ok(()) => {
                let text = match source {
                    Some(name) => format!("the branch can be seen at {name} again"),
                    None => "the branch can be seen again".to_owned(),
                };
                self.events.tell_of(source, Kind::SourceFound, None, text);
            }
            Err(fault) => {
                let text = match source {
                    Some(name) => format!("{name}: {fault}"),
                    None => fault.to_string(),
                };
                if known.as_ref() != Some(fault) {
                    tracing::warn!("{text}");
                }
                self.events.tell_of(source, Kind::SourceLost, None, text);
            }
        }
    }

    /// Tells of a source, among several, that shows what is not obeyed, or no longer does.
    pub(super) fn tell_standing(&self, lane: usize) {
        if !self.roads.several() {
            return;
        }
        let lane = &self.roads.lanes[lane];
        match &lane.standing {
            Standing::Refused(refusal) => {
                let text = format!("{} shows another branch: {refusal}", lane.name);
                tracing::error!(source = lane.name, reason = ?refusal.reason, "{text}");
                self.events.tell_of(Some(&lane.name), Kind::Refused, None, text);
            }
            Standing::Current | Standing::Behind => {
                let text = format!("{} shows the accepted branch again", lane.name);
                self.events.tell_of(Some(&lane.name), Kind::Obeyed, None, text);
            }
            Standing::Unknown => {}
        }
    }

    /// Puts into the status what was seen.
    pub(super) fn show_sources(&self) {
        let sources: Vec<SourceStatus> = self.roads.lanes.iter().map(status).collect();
        let fetched = self.roads.lanes.iter().filter_map(|lane| lane.seen.clone()).max();
        let fault = self.source_fault();
        self.shared.update(|snapshot| {
            snapshot.sources = sources;
            snapshot.fetched = fetched;
            snapshot.source_fault = fault;
        });
    }

    /// What is wrong with the sources as a whole: one that shows another branch beside
    /// one that is followed, or none that can be seen.
    fn source_fault(&self) -> Option<Fault> {
        let lanes = &self.roads.lanes;
        let foreign = |lane: &Lane| {
            let refusal = lane.refusal()?;
            let doing = format!("follow {}, while another source is followed", lane.name);
            Some(Fault::wait(doing, refusal).remedy(refusal.remedy.clone()))
        };
        if lanes.iter().any(Lane::is_good) {
            return lanes.iter().find_map(foreign);
        }
        let lost = lanes.iter().all(|lane| lane.fault.is_some());
        let away = |lane: &Lane| self.roads.resident && lane.is_unplugged();
        let told = lanes.iter().filter(|lane| !away(lane)).find_map(|lane| lane.fault.clone());
        told.filter(|_| lost)
    }
}

fn status(lane: &Lane) -> SourceStatus {
    let state = match (&lane.fault, &lane.standing) {
        (Some(_), _) if lane.is_unplugged() => SourceState::Unplugged,
        (Some(_), _) => SourceState::Lost,
        (None, Standing::Current) => SourceState::Current,
        (None, Standing::Behind) => SourceState::Behind,
        (None, Standing::Refused(_)) => SourceState::Refused,
        (None, Standing::Unknown) => SourceState::Unknown,
    };
    SourceStatus {
        name: lane.name.clone(),
        state,
        tip: lane.tip.clone(),
        seen: lane.seen.clone(),
        fault: lane.fault.clone(),
        refusal: lane.refusal().cloned(),
    }
}

impl SourceState {
    fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Unplugged => "away",
            Self::Unknown => "not seen",
        }
    }
}

impl fmt::Display for SourceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}", self.state.word(), self.name)?;
        if let Some(tip) = &self.tip {
            write!(f, "  {}", tip.short())?;
        }
        if let (Some(seen), SourceState::Lost | SourceState::Unplugged) = (&self.seen, self.state) {
            write!(f, "  (last seen {seen})")?;
        }
        if let Some(fault) = self.fault.as_ref().filter(|_| self.state == SourceState::Lost) {
            write!(f, "\n           {fault}")?;
        }
        if let Some(refusal) = &self.refusal {
            write!(f, "\n           {refusal}")?;
        }
        Ok(())
    }
}
