//! What trust remembers on this host: the anchor, revoked keys, and the last statements.

use std::collections::BTreeSet;
use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::io;
use super::{CommitRecord, Ledger, LedgerError};
use crate::names::Fingerprint;
use crate::trust::{Anchor, HeadStatement, VerifiedCommit};

/// Keys that were once revoked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    keys: BTreeSet<Fingerprint>,
}

/// A statement that moved the anchor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recovered {
    sequence: u64,
}

impl Ledger {
    /// The last accepted commit; `None` before the first.
    ///
    /// # Errors
    /// The anchor is damaged, writable for others, or missing although there are
    /// generations: never taken for a first boot.
    pub fn anchor(&self) -> Result<Option<Anchor>, LedgerError> {
        let path = self.dir.join("anchor.json");
        match self.read(&path)? {
            Some(anchor) => Ok(Some(anchor)),
            None if self.numbers()?.is_empty() => Ok(None),
            None => Err(LedgerError::AnchorLost { path }),
        }
    }

    /// Moves the anchor to a commit, which makes it this host's newest generation,
    /// and returns the generation's number. Accepting the newest again changes
    /// nothing.
    ///
    /// # Errors
    /// Somebody moved the anchor since the commit was verified: it may not follow from
    /// where the anchor is now.
    pub fn accept(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        let _held = self.hold_anchor()?;
        let known = self.anchor_or_none()?;
        if known.as_ref() != commit.since() && known.as_ref() != Some(commit.anchor()) {
            return Err(LedgerError::AnchorMoved);
        }
        self.accepted(commit, now)
    }

    fn accepted(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        self.remember_revoked(commit)?;
        if self.anchor_or_none()?.as_ref() != Some(commit.anchor()) {
            self.note_stages(commit, now)?;
            self.write("anchor.json", 0o600, commit.anchor())?;
        }
        self.enter_stages(commit.id())?;
        if let Some(newest) = self.newest()?
            && newest.record.commit == *commit.id()
        {
            return Ok(newest.number);
        }
        self.mend_links()?;
        let number = self.numbers()?.last().map_or(1, |last| last + 1);
        self.enter(number, &CommitRecord::of(commit, now, self.barrier()?))?;
        Ok(number)
    }

    /// Puts the anchor somewhere else by root's own decision.
    pub fn reset(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        let _held = self.hold_anchor()?;
        self.moved(commit, now)
    }

    fn moved(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        self.remember_revoked(commit)?;
        self.write("anchor.json", 0o600, commit.anchor())?;
        self.forget_head()?;
        // Nothing of a history that was given up has to pass before it.
        self.forget_stages()?;
        if self.newest()?.is_none_or(|newest| newest.record.commit != *commit.id()) {
            let number = self.numbers()?.last().map_or(1, |last| last + 1);
            self.enter(number, &CommitRecord::of(commit, now, None))?;
        }
        self.accepted(commit, now)
    }

    /// The newest statement about the head that this host has seen (rule F2).
    pub fn freshness(&self) -> Result<Option<HeadStatement>, LedgerError> {
        self.read(&self.dir.join("freshness.json"))
    }

    /// Remembers a newer statement about the head.
    pub fn remember_freshness(&self, statement: &HeadStatement) -> Result<(), LedgerError> {
        self.write("freshness.json", 0o600, statement)
    }

    /// The sequence of the last statement that moved the anchor; 0 before the first.
    pub fn recovered(&self) -> Result<u64, LedgerError> {
        let recovered: Option<Recovered> = self.read(&self.dir.join("recovery.json"))?;
        Ok(recovered.map_or(0, |recovered| recovered.sequence))
    }

    /// Puts the anchor from where it has to be somewhere else, by a statement of recovery
    /// keys (rule T4).
    ///
    /// # Errors
    /// Somebody moved the anchor since the statement was read.
    pub fn recover(
        &self,
        (from, to): (&Anchor, &VerifiedCommit),
        sequence: u64,
        now: &str,
    ) -> Result<u64, LedgerError> {
        let _held = self.hold_anchor()?;
        if self.anchor_or_none()?.as_ref() != Some(from) {
            return Err(LedgerError::AnchorMoved);
        }
        // The anchor first: a statement that was noted and not obeyed would be lost, and
        // one that was obeyed leads from a commit that is the anchor no more.
        let number = self.moved(to, now)?;
        self.write("recovery.json", 0o600, &Recovered { sequence })?;
        Ok(number)
    }

    /// Every key that an accepted policy has ever revoked (rule P3).
    pub fn revoked(&self) -> Result<BTreeSet<Fingerprint>, LedgerError> {
        let revoked: Option<Revoked> = self.read(&self.dir.join("revoked.json"))?;
        Ok(revoked.map(|revoked| revoked.keys).unwrap_or_default())
    }

    /// Before the anchor moves, so that no crash makes the host forget.
    fn remember_revoked(&self, commit: &VerifiedCommit) -> Result<(), LedgerError> {
        let known = self.revoked()?;
        if commit.revoked().is_subset(&known) {
            return Ok(());
        }
        let keys = known.union(commit.revoked()).cloned().collect();
        self.write("revoked.json", 0o600, &Revoked { keys })
    }

    /// The agent and root's `writ trust reset` move the anchor one after the other; each
    /// is done in milliseconds.
    fn hold_anchor(&self) -> Result<File, LedgerError> {
        let (path, file) = self.lock_file("anchor.lock")?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(io("lock", &path, errno.into())),
            }
        }
    }

    fn anchor_or_none(&self) -> Result<Option<Anchor>, LedgerError> {
        self.read(&self.dir.join("anchor.json"))
    }
}
