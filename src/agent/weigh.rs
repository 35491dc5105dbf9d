//! What a source's branch means to this host: verified and accepted, out of date, or
//! refused.

use super::roads::Standing;
use super::{Agent, now};
use crate::events::Kind;
use crate::fault::Fault;
use crate::names::CommitId;
use crate::source::fetched::Statements;
use crate::source::repo::Repository;
use crate::trust::{self, Anchor, Reason, Refusal, VerifiedCommit};
use crate::world::World;

use super::follow::settled;

impl<W: World> Agent<W> {
    /// Judges a tip whose objects are here, and takes note of what its source shows.
    pub(super) fn weigh(
        &mut self,
        copy: &Repository,
        lane: usize,
        tip: &CommitId,
        statements: &Statements,
    ) -> Result<Standing, Fault> {
        let standing = self.judge(copy, lane, tip, statements)?;
        let settled = match &standing {
            Standing::Refused(refusal) => settled(refusal.reason),
            Standing::Unknown | Standing::Current | Standing::Behind => true,
        };
        let read = if settled { statements } else { &Statements::default() };
        self.roads.lanes[lane].shows(tip, read, standing.clone());
        self.tell_standing(lane);
        Ok(standing)
    }

    /// A source that shows a known tip: the accepted one, one below it, or one that was
    /// refused.
    pub(super) fn shows_again(
        &mut self,
        copy: &Repository,
        anchor: Option<&Anchor>,
        lane: usize,
        tip: &CommitId,
    ) {
        let current = anchor.is_some_and(|anchor| anchor.commit == *tip);
        let behind = || anchor.is_some_and(|a| trust::first_met(copy, a, &[tip]).is_some());
        let road = &self.roads.lanes[lane];
        let refused = road.refusal().is_some() && road.tip.as_ref() == Some(tip);
        let standing = match (current, refused) {
            (true, _) => Standing::Current,
            (false, true) => return,
            (false, false) if behind() => Standing::Behind,
            // The accepted commit was changed meanwhile; the next answer is judged.
            (false, false) => Standing::Unknown,
        };
        let road = &mut self.roads.lanes[lane];
        road.tip = (standing != Standing::Unknown).then(|| tip.clone());
        road.standing = standing;
        self.tell_standing(lane);
    }

    /// Verifies a new head and moves the anchor to it, or says why not.
    fn judge(
        &mut self,
        copy: &Repository,
        lane: usize,
        tip: &CommitId,
        statements: &Statements,
    ) -> Result<Standing, Fault> {
        let anchor = self.ledger.anchor()?;
        let at = now().as_second();
        let pins = self.pins()?;
        let mut expected = anchor.clone();
        let mut verdict = trust::verify(copy, &pins, anchor.as_ref(), tip, at);
        if let (Err(refusal), Some(anchor)) = (&verdict, &anchor)
            && refusal.reason == Reason::Rollback
            && let Some(moved) = self.recovered(copy, anchor, statements)?
        {
            verdict = trust::verify(copy, &pins, Some(&moved), tip, at);
            expected = Some(moved);
        }
        let verdict = match verdict {
            Ok(commit) => self.fresh(copy, commit, statements)?,
            Err(refusal) if self.is_behind(copy, expected.as_ref(), lane, tip) => {
                tracing::debug!("{}: {refusal}", self.roads.lanes[lane].name);
                return self.older(copy, statements);
            }
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok(commit) if self.is_twin(expected.as_ref(), &commit)? => Ok(Standing::Current),
            Ok(commit) => self.accept(commit, expected.as_ref()).map(|()| Standing::Current),
            Err(refusal) => {
                self.doubt(&refusal);
                Ok(Standing::Refused(refusal))
            }
        }
    }

    fn accept(&mut self, commit: VerifiedCommit, expected: Option<&Anchor>) -> Result<(), Fault> {
        if self.ledger.anchor()?.as_ref() != expected {
            // `writ trust reset`, while this commit was being verified.
            let because = "the accepted commit was changed meanwhile";
            return Err(Fault::wait(format!("accept {commit}"), because));
        }
        let number = self.ledger.accept(&commit, &now().to_string())?;
        self.memory.followed = Some(commit.anchor().clone());
        tracing::info!(generation = number, "accepted {commit}");
        let ignored = commit.ignored_trailers();
        ignored.iter().for_each(|why| tracing::warn!("{why}"));
        let told = [vec![commit.to_string()], ignored].concat().join("; ");
        self.events.tell(Kind::Accepted, Some(number), told);
        self.roads.fall_behind(commit.id());
        // It may revoke what this one was signed with.
        self.memory.stage = None;
        self.remember_head(commit);
        Ok(())
    }

    /// Whether this is the accepted commit under another signature, which whoever serves
    /// it can make as many of as they like. It is worth a generation where those who state
    /// the head mean it.
    fn is_twin(&self, anchor: Option<&Anchor>, commit: &VerifiedCommit) -> Result<bool, Fault> {
        let (other, own) = (commit.anchor(), commit.id());
        let again = anchor.is_some_and(|a| a.payload == other.payload && a.commit != *own);
        Ok(again && self.ledger.freshness()?.is_none_or(|stated| stated.commit != *own))
    }

    /// Whether a source is only out of date. With a single source it is not for this
    /// host to say so, nor where the source showed a newer commit before.
    fn is_behind(
        &self,
        copy: &Repository,
        anchor: Option<&Anchor>,
        lane: usize,
        tip: &CommitId,
    ) -> bool {
        let Some(anchor) = anchor.filter(|anchor| anchor.commit != *tip) else { return false };
        let before = self.roads.lanes[lane].tip.iter();
        let ids: Vec<&CommitId> = before.filter(|before| *before != tip).chain([tip]).collect();
        self.roads.several() && trust::first_met(copy, anchor, &ids) == Some(tip)
    }

    /// A source that is out of date may still show who signed two statements for one
    /// sequence.
    fn older(&mut self, copy: &Repository, statements: &Statements) -> Result<Standing, Fault> {
        let Some(head) = self.memory.head.as_ref().map(|head| head.commit.clone()) else {
            return Ok(Standing::Behind);
        };
        Ok(match self.fresh(copy, head, statements)? {
            Err(refusal) if is_alarm(&refusal) => Standing::Refused(refusal),
            Ok(_) | Err(_) => Standing::Behind,
        })
    }
}

fn is_alarm(refusal: &Refusal) -> bool {
    refusal.reason == Reason::Equivocation
}
