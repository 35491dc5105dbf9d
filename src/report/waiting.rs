//! How far a host is with one commit, by its report.

use super::state::plain;
use super::{HostReport, Kind};
use crate::names::CommitId;

/// A host on its way to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// In a word: what it is doing.
    Pending(String),
    /// It runs the commit or a descendant of it, confirmed.
    Confirmed,
    /// It has tried and does not run it, and why.
    Failed(String),
}

/// How far a host is. `follows` says whether a commit is the one that is waited for, or
/// a descendant of it.
pub fn progress(report: &HostReport, follows: impl Fn(&CommitId) -> bool) -> Progress {
    let state = &report.state;
    let Some(told) = &state.verdict else { return Progress::Pending("no verdict yet".to_owned()) };
    let tried = state.head.as_ref().is_some_and(&follows);
    // While a generation is being applied or taken back, what runs is not confirmed.
    let stands = match told.kind {
        Kind::Confirmed => true,
        Kind::RolledBack | Kind::Refused | Kind::Waiting | Kind::Failed => {
            state.commit != state.head
        }
        Kind::Applying | Kind::RollingBack => false,
    };
    if stands && state.commit.as_ref().is_some_and(&follows) {
        return Progress::Confirmed;
    }
    let reason = told.reason.as_deref().map_or(String::new(), |why| format!(": {}", plain(why)));
    let word = format!("{}{reason}", told.kind);
    match told.kind {
        _ if !tried => Progress::Pending("has not seen it yet".to_owned()),
        Kind::RolledBack | Kind::Refused | Kind::Failed => Progress::Failed(word),
        Kind::Applying | Kind::RollingBack | Kind::Waiting | Kind::Confirmed => {
            Progress::Pending(word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{State, Told};

    fn commit(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    /// How far a host is with commit 2, where the branch is 1, 2, 3.
    fn far(kind: Kind, head: &str, runs: &str) -> &'static str {
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        let report = HostReport {
            version: 1,
            repository: "acme".to_owned(),
            branch: "main".parse().unwrap(),
            host: "biz".parse().unwrap(),
            at: since,
            sequence: 1,
            interval: 900,
            writ: String::new(),
            seen: None,
            state: State {
                head: Some(commit(head)),
                commit: Some(commit(runs)),
                verdict: Some(Told { kind, since, reason: None, detail: Vec::new() }),
                ..State::default()
            },
        };
        match progress(&report, |named| *named >= commit("2")) {
            Progress::Confirmed => "confirmed",
            Progress::Failed(_) => "failed",
            Progress::Pending(_) => "pending",
        }
    }

    #[test]
    fn a_commit_is_confirmed_by_what_stands_on_it_and_failed_by_its_own_verdict() {
        use Kind::{Applying, Confirmed, Failed, Refused, RolledBack, RollingBack, Waiting};
        for (kind, head, runs, wanted) in [
            (Confirmed, "1", "1", "pending"),
            (Confirmed, "2", "2", "confirmed"),
            (Confirmed, "3", "3", "confirmed"),
            (Applying, "2", "2", "pending"),
            (Applying, "3", "2", "pending"),
            (Waiting, "2", "1", "pending"),
            (Waiting, "3", "2", "confirmed"),
            (RollingBack, "2", "1", "pending"),
            (RolledBack, "2", "1", "failed"),
            (RolledBack, "3", "2", "confirmed"),
            (RolledBack, "3", "1", "failed"),
            (RolledBack, "1", "1", "pending"),
            (Refused, "2", "1", "failed"),
            (Refused, "3", "2", "confirmed"),
            (Failed, "2", "2", "failed"),
        ] {
            assert_eq!(far(kind, head, runs), wanted, "{kind} {head} on {runs}");
        }
    }
}
