//! Whether the statement about the head will still speak for the commit when the kit arrives.

use std::path::Path;

use crate::cli::{Blame, Failure};
use crate::names::BranchName;
use crate::source::operator;
use crate::trust::VerifiedCommit;

/// A statement that is good for less than this is told of, in seconds.
const SOON: i64 = 24 * 3600;

/// Where the statement is.
pub(super) struct Told<'a> {
    pub(super) root: &'a Path,
    pub(super) branch: &'a BranchName,
    pub(super) channel: &'a str,
}

impl Told<'_> {
    /// What may keep a host from following. `required`: whether the host's config says
    /// `requireHead`, where it was named.
    ///
    /// # Errors
    /// The checkout cannot be read.
    pub(super) fn warnings(
        &self,
        commit: &VerifiedCommit,
        required: Option<bool>,
        now: i64,
    ) -> Result<Vec<String>, Failure> {
        let name = format!("refs/writ/head/{}", self.branch);
        let text = operator::statement(self.root, &name)
            .map_err(|error| Failure::new(Blame::Usage, &error))?;
        let flaw = match text {
            None if required != Some(true) && !commit.has_heralds() => None,
            None => Some("there is no statement about the head in this checkout".to_owned()),
            Some(text) => self.flaw(commit, &text, now),
        };
        let Some(flaw) = flaw else { return Ok(Vec::new()) };
        let consequence = match required {
            Some(false) => return Ok(Vec::new()),
            Some(true) => "the host requires one and will wait",
            None => "a host with requireHead will wait",
        };
        let branch = self.branch;
        Ok(vec![format!(
            "{flaw}; {consequence}. Fetch it (git fetch origin {name}:{name}) or make one (writ trust head {branch}), and run this again"
        )])
    }

    fn flaw(&self, commit: &VerifiedCommit, text: &str, now: i64) -> Option<String> {
        let stated = match commit.head_statement(text.as_bytes(), self.channel, now) {
            Ok(stated) => stated,
            Err(why) => return Some(format!("the statement about the head does not count: {why}")),
        };
        if stated.commit != *commit.id() {
            return Some(format!(
                "the statement about the head is for commit {}",
                stated.commit.short()
            ));
        }
        let left = stated.expires - now;
        let expires = jiff::Timestamp::from_second(stated.expires).ok()?;
        match left {
            ..0 => Some(format!("the statement about the head expired at {expires}")),
            0..SOON => Some(format!(
                "the statement about the head expires at {expires}: the kit has to be there before"
            )),
            _ => None,
        }
    }
}
