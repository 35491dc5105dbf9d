//! Commits that had to pass before a head: a generation each, and which of them is due.
//!
//! They are noted before the anchor moves and become generations after it, so that a
//! crash in between loses none of them and brings none of a head that was never
//! accepted.

use std::collections::BTreeSet;
use std::fs;

use serde::{Deserialize, Serialize};

use super::error::io;
use super::files::{plain, sync_dir};
use super::{CommitRecord, Generation, Ledger, LedgerError};
use crate::names::CommitId;
use crate::trust::{Reason, Stage, VerifiedCommit};
use crate::verdict::Verdict;

const FILE: &str = "stages.json";

/// Generations about to be entered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// The number of the first.
    first: u64,
    /// In their order; the head is the last.
    records: Vec<CommitRecord>,
}

/// Which generation an agent works on.
#[derive(Debug)]
pub enum Due {
    /// Nothing was accepted yet.
    Nothing,
    /// The oldest that has to pass before the newest, or else the newest.
    Of(Generation),
    /// What had to pass before these, the oldest first, did not.
    Barred { left: Vec<Generation>, by: Generation },
}

impl CommitRecord {
    /// What is kept of an accepted head.
    pub(super) fn of(commit: &VerifiedCommit, now: &str, behind: Option<u64>) -> Self {
        Self {
            commit: commit.id().clone(),
            signer: commit.principal().clone(),
            key: commit.key().clone(),
            author: plain(commit.author()),
            committed: commit.committed(),
            subject: plain(commit.message().lines().next().unwrap_or_default()),
            accepted: now.to_owned(),
            urgent: commit.is_urgent(),
            must_pass: commit.must_pass(),
            behind,
        }
    }

    fn of_stage(stage: &Stage, now: &str, behind: Option<u64>) -> Self {
        Self {
            commit: stage.id.clone(),
            signer: stage.principal.clone(),
            key: stage.key.clone(),
            author: plain(&stage.author),
            committed: stage.committed,
            subject: plain(stage.message.lines().next().unwrap_or_default()),
            accepted: now.to_owned(),
            // The head it was verified with says so for all of them.
            urgent: false,
            must_pass: true,
            behind,
        }
    }
}

impl Ledger {
    /// Notes the stages of a head, before the anchor moves to it.
    pub(super) fn note_stages(&self, head: &VerifiedCommit, now: &str) -> Result<(), LedgerError> {
        if head.stages().is_empty() {
            return self.forget_stages();
        }
        let first = self.numbers()?.last().map_or(1, |last| last + 1);
        let mut behind = self.barrier()?;
        let mut records = Vec::new();
        for (number, stage) in (first..).zip(head.stages()) {
            records.push(CommitRecord::of_stage(stage, now, behind));
            behind = Some(number);
        }
        records.push(CommitRecord::of(head, now, behind));
        self.write_plain(FILE, &Noted { first, records })
    }

    /// Makes generations of what was noted for the head that the anchor names.
    pub(super) fn enter_stages(&self, head: &CommitId) -> Result<(), LedgerError> {
        let noted: Option<Noted> = self.read(&self.dir.join(FILE))?;
        let Some(noted) = noted else { return Ok(()) };
        if noted.records.last().is_some_and(|record| record.commit == *head) {
            for (number, record) in (noted.first..).zip(&noted.records) {
                self.enter(number, record)?;
            }
        }
        self.forget_stages()
    }

    pub(super) fn forget_stages(&self) -> Result<(), LedgerError> {
        self.forget(FILE).map(|_| ())
    }

    /// Makes a generation, where it has not been made.
    pub(super) fn enter(&self, number: u64, record: &CommitRecord) -> Result<(), LedgerError> {
        let folder = self.folder(number);
        if folder.join("commit.json").exists() {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(|source| io("create", &folder, source))?;
        self.changed();
        self.write_plain(&format!("generations/{number}/commit.json"), record)?;
        sync_dir(&self.dir.join("generations"))
    }

    /// The generation that a commit accepted now has to wait for.
    pub(super) fn barrier(&self) -> Result<Option<u64>, LedgerError> {
        match self.due()? {
            Due::Of(generation) if !generation.is_over() => {
                let (left, _) = self.unsettled()?;
                Ok(left.iter().filter(|g| g.record.must_pass).map(|g| g.number).max())
            }
            // Whatever failed was seen to fail before this commit came.
            Due::Of(_) | Due::Nothing | Due::Barred { .. } => Ok(None),
        }
    }

    /// Which generation is due. A commit that has to pass is tried before those that came
    /// after it; where it fails, those that were behind it already are barred, and
    /// one that is accepted later is free.
    pub fn due(&self) -> Result<Due, LedgerError> {
        let (mut left, below) = self.unsettled()?;
        if below.as_ref().is_some_and(Generation::has_failed) && !left.is_empty() {
            left.reverse();
            return Ok(below.map_or(Due::Nothing, |by| Due::Barred { left, by }));
        }
        // The host goes on back from one that is unfinished before anything else.
        let next = below.filter(|below| left.is_empty() || below.is_unfinished());
        Ok(next.or_else(|| left.pop()).map_or(Due::Nothing, Due::Of))
    }

    /// The generations that the newest waits for. Where one of them cannot be read, that
    /// one and those above it.
    fn to_pass(&self) -> Result<BTreeSet<u64>, LedgerError> {
        let mut found = BTreeSet::new();
        let mut at = self.numbers()?.last().copied();
        while let Some(number) = at.take() {
            let Ok(generation) = self.generation(number) else { break };
            at =
                generation.record.behind.filter(|behind| !generation.is_over() && *behind < number);
            found.extend(at);
        }
        Ok(found)
    }

    /// Whether a generation has no verdict and never will: newer ones took its place.
    pub fn is_overtaken(&self, generation: &Generation) -> Result<bool, LedgerError> {
        let number = generation.number;
        let newest = self.numbers()?.last() == Some(&number);
        Ok(!generation.is_over() && !newest && !self.to_pass()?.contains(&number))
    }

    /// Whether the host did not come back whole from the generation that is due.
    pub fn is_going_back(&self) -> Result<bool, LedgerError> {
        Ok(matches!(self.due()?, Due::Of(generation) if generation.is_unfinished()))
    }

    /// The newest generation and what it waits for, while they are not over, the
    /// newest first; and the one below them, where it is.
    pub(super) fn unsettled(&self) -> Result<(Vec<Generation>, Option<Generation>), LedgerError> {
        let (mut left, mut at) = (Vec::new(), self.newest()?);
        while let Some(generation) = at.take() {
            if generation.is_over() {
                return Ok((left, Some(generation)));
            }
            // One that was taken away by hand bars nobody.
            let behind = generation.record.behind;
            let behind = behind.filter(|n| self.folder(*n).join("commit.json").exists());
            left.push(generation);
            at = behind.map(|number| self.generation(number)).transpose()?;
        }
        Ok((left, None))
    }
}

impl Generation {
    fn is_over(&self) -> bool {
        self.verdict.as_ref().is_some_and(Verdict::is_final)
    }

    /// It did not pass, and nothing of it is left to be done.
    pub(super) fn has_failed(&self) -> bool {
        match &self.verdict {
            // Nobody waits for what was signed with a revoked key.
            Some(Verdict::Refused { reason, .. }) => reason != Reason::Revoked.word(),
            Some(Verdict::RolledBack { .. }) => true,
            Some(
                Verdict::Applying { .. }
                | Verdict::Confirmed { .. }
                | Verdict::RollingBack { .. }
                | Verdict::Waiting { .. }
                | Verdict::Failed { .. },
            )
            | None => false,
        }
    }

    /// It did not pass, and the host is not back yet.
    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Failed { .. }))
    }
}
