//! Statements beside the branch: whether what the server shows is the newest (rules F1
//! to F3), and whether a rewritten history may be followed (rule T4).

use super::{Agent, now};
use crate::fault::Fault;
use crate::names::CommitId;
use crate::source::fetched::Statements;
use crate::source::repo::Repository;
use crate::trust::{
    self, Anchor, HeadStatement, Kind, Objects as _, Reason, Refusal, ResetStatement,
    VerifiedCommit,
};
use crate::world::World;

/// The largest statement, in bytes.
const STATEMENT: u64 = 1 << 16;

impl<W: World> Agent<W> {
    /// Lets a verified head pass, unless the statements about it speak against that.
    pub(super) fn fresh(
        &mut self,
        repository: &Repository,
        commit: VerifiedCommit,
        statements: &Statements,
    ) -> Result<Result<VerifiedCommit, Refusal>, Fault> {
        let known = self.ledger.freshness()?;
        let seen = statements.head.as_ref().map(|id| self.head_statement(repository, &commit, id));
        let (newest, bad) = match seen {
            Some(Ok(new)) => match newer(known, new) {
                Ok((newest, changed)) => {
                    if changed {
                        self.ledger.remember_freshness(&newest)?;
                    }
                    (Some(newest), None)
                }
                Err(two) => return Ok(Err(equivocation(&commit, &two.0, &two.1))),
            },
            Some(Err(why)) => (known, Some(why)),
            None => (known, None),
        };
        let stated = newest.filter(|newest| newest.commit == *commit.id());
        // What is accepted stays so; the alarm of [`Agent::watch_freshness`] is for that.
        let accepted = self.ledger.anchor()?.is_some_and(|anchor| anchor == *commit.anchor());
        if accepted || !self.config.repository.require_head {
            return Ok(Ok(commit));
        }
        Ok(match self.out_of_date(stated.as_ref(), bad) {
            None => Ok(commit),
            Some(why) => Err(stale(&commit, why)),
        })
    }

    /// Raises the alarm where nobody has confirmed the branch for too long, and ends
    /// it. Services run on whatever comes of it.
    pub(super) fn watch_freshness(&self) -> Result<(), Fault> {
        let watched = &self.config.repository;
        let why = match watched.require_head || watched.max_staleness.is_some() {
            true => self.out_of_date(self.ledger.freshness()?.as_ref(), None),
            false => None,
        };
        let fault = why.map(|why| {
            Fault::wait("see that the branch is fresh", why).remedy(
                "publish a statement (`writ trust head`), and find out who keeps it from this host",
            )
        });
        if self.shared.snapshot().stale != fault {
            match &fault {
                Some(fault) => tracing::error!("{fault}"),
                None => tracing::info!("the branch is fresh again"),
            }
            self.shared.update(|snapshot| snapshot.stale = fault);
        }
        Ok(())
    }

    /// Moves the anchor where enough recovery keys say so; the new anchor.
    pub(super) fn recovered(
        &mut self,
        repository: &Repository,
        anchor: &Anchor,
        statements: &Statements,
    ) -> Result<Option<Anchor>, Fault> {
        let (Some(recovery), Some(id)) = (self.config.recovery(), &statements.reset) else {
            return Ok(None);
        };
        let at = now();
        let (pins, last) = (self.pins()?, self.ledger.recovered()?);
        let verified = read(repository, id).and_then(|bytes| {
            let now = at.as_second();
            ResetStatement::verify(&bytes, &pins.channel, &recovery, anchor, last, now)
        });
        let statement = match verified {
            Ok(statement) => statement,
            Err(why) => {
                tracing::warn!("the statement in refs/writ/reset does not count: {why}");
                return Ok(None);
            }
        };
        match trust::verify(repository, &pins, None, &statement.to, at.as_second()) {
            Ok(commit) => {
                let way = (anchor, &commit);
                self.ledger.recover(way, statement.sequence, &at.to_string())?;
                tracing::warn!("moved the anchor to {commit}, as the recovery keys say");
                self.memory.followed = Some(commit.anchor().clone());
                Ok(self.memory.followed.clone())
            }
            Err(refusal) => {
                tracing::error!("the recovery keys lead to a bad commit: {refusal}");
                Ok(None)
            }
        }
    }

    fn head_statement(
        &self,
        repository: &Repository,
        commit: &VerifiedCommit,
        id: &CommitId,
    ) -> Result<HeadStatement, String> {
        let channel = self.config.pins().channel;
        commit.head_statement(&read(repository, id)?, &channel, now().as_second())
    }

    /// Why the newest statement is not enough; `None` where it is.
    fn out_of_date(&self, stated: Option<&HeadStatement>, bad: Option<String>) -> Option<String> {
        let now = now().as_second();
        let Some(stated) = stated else {
            return Some(match bad {
                Some(why) => format!("the statement about the head does not count: {why}"),
                None => "nobody has stated that the branch stands here".to_owned(),
            });
        };
        let age = now.saturating_sub(stated.issued);
        let oldest = self.config.repository.max_staleness.map(|most| most.as_secs());
        if now > stated.expires {
            Some(format!("statement {} about the head has expired", stated.sequence))
        } else if oldest.is_some_and(|most| age > i64::try_from(most).unwrap_or(i64::MAX)) {
            Some(format!("statement {} about the head is {age} seconds old", stated.sequence))
        } else {
            None
        }
    }
}

/// The newer of two statements, and whether that is the second; both where they have
/// one sequence and differ in their commits.
fn newer(
    known: Option<HeadStatement>,
    new: HeadStatement,
) -> Result<(HeadStatement, bool), Box<(HeadStatement, HeadStatement)>> {
    match known {
        Some(known) if known.sequence == new.sequence && known.commit != new.commit => {
            Err(Box::new((known, new)))
        }
        Some(known) if known.sequence >= new.sequence => Ok((known, false)),
        Some(_) | None => Ok((new, true)),
    }
}

fn read(repository: &Repository, id: &CommitId) -> Result<Vec<u8>, String> {
    match repository.find(id, STATEMENT) {
        Ok(Some((Kind::Blob, bytes))) => Ok(bytes),
        Ok(Some((kind, _))) => Err(format!("it is a {kind}, not a file")),
        Ok(None) => Err("it was not sent".to_owned()),
        Err(_) => Err("it cannot be read, or is too large".to_owned()),
    }
}

fn stale(commit: &VerifiedCommit, because: String) -> Refusal {
    Refusal {
        commit: commit.id().clone(),
        rule: "F3".to_owned(),
        reason: Reason::Stale,
        because,
        remedy: "publish a statement for it (`writ trust head`); the host follows once it sees one"
            .to_owned(),
    }
}

fn equivocation(commit: &VerifiedCommit, one: &HeadStatement, other: &HeadStatement) -> Refusal {
    Refusal {
        commit: commit.id().clone(),
        rule: "F2".to_owned(),
        reason: Reason::Equivocation,
        because: format!(
            "statement {} about the head names {} and also {}: somebody shows hosts different histories",
            one.sequence,
            one.commit.short(),
            other.commit.short()
        ),
        remedy: "find out who holds the key for head statements, take it out of .writ/allowed_signers, and publish a statement with a higher sequence".to_owned(),
    }
}
