//! A broken rule, before it is known which commit broke it.

use super::{Reason, Refusal};
use crate::names::CommitId;

/// What a check found; [`Breach::of`] makes it the refusal of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) rule: &'static str,
    pub(super) reason: Reason,
    because: String,
    pub(super) remedy: String,
}

impl Breach {
    pub(super) fn new(
        rule: &'static str,
        reason: Reason,
        because: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        // What was found may quote a stranger's bytes; a terminal must not obey them.
        let because = because.into().replace(char::is_control, " ");
        Self { rule, reason, because, remedy: remedy.into() }
    }

    /// An object that is not written the way git writes it.
    pub(super) fn malformed(rule: &'static str, because: impl Into<String>) -> Self {
        Self::new(
            rule,
            Reason::Malformed,
            because,
            "find out who made this object: git itself does not write it this way; then move the branch back to the last good commit",
        )
    }

    /// A policy that cannot be taken at its word.
    pub(super) fn policy(file: &str, because: impl Into<String>) -> Self {
        Self::new(
            "P1",
            Reason::PolicyMalformed,
            format!("{file}: {}", because.into()),
            "correct the file and replace the commit: neither it nor a commit on top of it can be accepted",
        )
    }

    pub(super) fn unsupported(rule: &'static str, because: impl Into<String>) -> Self {
        Self::new(
            rule,
            Reason::Unsupported,
            because,
            "update Writ on this host, or take the setting out of the policy",
        )
    }

    pub(super) fn because(&self) -> &str {
        &self.because
    }

    /// Says in which file it was found.
    pub(super) fn at(self, path: &str) -> Self {
        Self { because: format!("{path}: {}", self.because), ..self }
    }

    pub(super) fn of(self, commit: &CommitId) -> Refusal {
        Refusal {
            commit: commit.clone(),
            rule: self.rule.to_owned(),
            reason: self.reason,
            because: self.because,
            remedy: self.remedy,
        }
    }
}
