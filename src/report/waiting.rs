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
