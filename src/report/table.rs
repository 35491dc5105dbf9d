//! The fleet as a person or a program reads it, a row a host.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::fleet::Standing;
use super::moment::{Moment, length};
use super::state::plain;
use super::{HostReport, Kind};
use crate::condition::Condition;
use crate::names::CommitId;

/// Seconds that a host's clock may be ahead.
const AHEAD: i64 = 300;
/// Signs of life that a host may miss before it counts as silent.
const MISSED: u64 = 3;

/// From where the reports are looked at.
#[derive(Clone, Debug)]
pub struct Sight {
    pub now: Moment,
    /// How old a report may be; three of the host's own intervals where it is left out.
    pub stale: Option<Duration>,
    /// How each commit that is named stands to the branch's head.
    pub branch: BTreeMap<CommitId, Distance>,
}

/// Where a commit stands, seen from the branch's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// So many commits are newer.
    Behind(u64),
    /// It is here, and not part of the branch.
    Elsewhere,
    /// This repository does not have it.
    Unknown,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub host: String,
    /// Whether it has confirmed the branch's head, says so now, and is well.
    pub good: bool,
    /// What it runs.
    pub commit: Option<CommitId>,
    /// How many commits it is behind, where that can be told.
    pub behind: Option<u64>,
    /// Seconds since its report.
    pub age: Option<i64>,
    /// On the newest commit that it has judged.
    pub verdict: Option<Kind>,
    pub since: Option<Moment>,
    /// What else there is to say, the gravest first.
    pub notes: Vec<String>,
    /// Its whole report, where there is one that counts.
    pub report: Option<HostReport>,
}

impl Row {
    pub fn of(host: &str, standing: &Standing, sight: &Sight) -> Self {
        match standing {
            Standing::Told(report) => Self::told(report, sight),
            Standing::Never => Self::silent(host, "never reported"),
            Standing::Doubtful(why) => Self::silent(host, &plain(why)),
            Standing::Stranger => Self::silent(host, "the manifest has no such host"),
        }
    }

    fn silent(host: &str, why: &str) -> Self {
        Self {
            host: host.to_owned(),
            good: false,
            commit: None,
            behind: None,
            age: None,
            verdict: None,
            since: None,
            notes: vec![why.to_owned()],
            report: None,
        }
    }

    fn told(report: &HostReport, sight: &Sight) -> Self {
        let state = &report.state;
        let age = sight.now.second() - report.at.second();
        let clock = clock(report, age, sight.stale);
        let distance = state.commit.as_ref().and_then(|commit| sight.branch.get(commit)).copied();
        let behind = match distance {
            Some(Distance::Behind(count)) => Some(count),
            Some(Distance::Elsewhere | Distance::Unknown) | None => None,
        };
        let verdict = state.verdict.as_ref().map(|told| told.kind);
        let fine = state.condition.is_none_or(|condition| condition == Condition::Fine);
        let whole = verdict == Some(Kind::Confirmed) && behind == Some(0) && fine;
        let strange = match distance {
            Some(Distance::Elsewhere) => Some("what it runs is not on this branch".to_owned()),
            Some(Distance::Unknown) => Some("what it runs is not known here".to_owned()),
            Some(Distance::Behind(_)) | None => None,
        };
        Self {
            host: report.host.to_string(),
            good: whole && clock.is_none(),
            commit: state.commit.clone(),
            behind,
            age: Some(age),
            verdict,
            since: state.verdict.as_ref().map(|told| told.since),
            notes: clock.into_iter().chain(strange).chain(notes(report)).collect(),
            report: Some(report.clone()),
        }
    }

    /// The commit and how far it is behind.
    fn place(&self) -> String {
        match (&self.commit, self.behind) {
            (None, _) => "-".to_owned(),
            (Some(commit), None | Some(0)) => commit.short().to_owned(),
            (Some(commit), Some(count)) => format!("{} ({count} behind)", commit.short()),
        }
    }
}

/// Why the age of a report is a reason for doubt.
fn clock(report: &HostReport, age: i64, stale: Option<Duration>) -> Option<String> {
    if age < -AHEAD {
        return Some(format!("its clock is {} ahead", length(-age)));
    }
    let own = Duration::from_secs(report.interval.saturating_mul(MISSED));
    let longest = i64::try_from(stale.unwrap_or(own).as_secs()).unwrap_or(i64::MAX);
    (age > longest).then(|| format!("stale: nothing was heard for {}", length(age)))
}

fn notes(report: &HostReport) -> Vec<String> {
    let state = &report.state;
    let reason = state.verdict.as_ref().and_then(|told| {
        let reason = told.reason.as_deref()?;
        let on = state.head.as_ref().filter(|head| Some(*head) != state.commit.as_ref());
        let on = on.map_or(String::new(), |head| format!("{}: ", head.short()));
        Some(format!("{on}{}", plain(reason)))
    });
    let services = state.services.iter().map(|(name, how)| format!("{name}: {}", plain(how)));
    let drift = (state.drift > 0).then(|| format!("{} changed by hand", state.drift));
    let paused = state.paused.map(|since| format!("paused since {since}"));
    let fault = state.fault.as_ref().map(|fault| plain(fault));
    let detail = state.verdict.iter().flat_map(|told| &told.detail).map(|line| plain(line));
    let waiting = state.waiting.iter().map(|reason| plain(reason));
    let notes = [reason, paused].into_iter().flatten().chain(services).chain(waiting);
    notes.chain([fault, drift].into_iter().flatten()).chain(detail).collect()
}

/// All rows under their headings; each further note has a line of its own.
pub fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let heads = ["HOST", "COMMIT", "AGE", "VERDICT", "SINCE"].map(str::to_owned);
    let wide = |column: usize| {
        let widths = cells.iter().map(|cells| cells[column].chars().count());
        widths.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4].map(wide);
    let line = |cells: &[String; 5], note: &str| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        format!("{}{note}", cells.collect::<String>()).trim_end().to_owned() + "\n"
    };
    let mut text = line(&heads, "NOTE");
    let indent = " ".repeat(widths.iter().map(|width| width + 2).sum());
    for (row, cells) in rows.iter().zip(&cells) {
        text += &line(cells, row.notes.first().map_or("", String::as_str));
        for note in row.notes.iter().skip(1) {
            let _ = writeln!(text, "{indent}{note}");
        }
    }
    text
}

fn cells(row: &Row) -> [String; 5] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.host.clone(),
        row.place(),
        or_none(row.age.filter(|age| *age >= 0).map(length)),
        or_none(row.verdict.map(|kind| kind.to_string())),
        or_none(row.since.map(|since| since.to_string())),
    ]
}
