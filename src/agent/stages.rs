//! One generation after the other, where commits have to pass before the head.

use super::follow::unfit;
use super::{Agent, Wish, now};
use crate::fault::Fault;
use crate::ledger::{Due, Generation};
use crate::next::Next;
use crate::trust::{Reason, Refusal, VerifiedCommit};
use crate::verdict::Verdict;
use crate::world::World;

impl<W: World> Agent<W> {
    /// Brings the host to the head's generation by way of those that have to pass
    /// first, or keeps it on the last good one.
    pub(super) async fn settle(&mut self, head: &VerifiedCommit) -> Result<Next, Fault> {
        if self.is_paused()? {
            self.look_for_drift(head).await?;
            return Ok(Next::Settled);
        }
        loop {
            let generation = match self.ledger.due()? {
                Due::Nothing => return Ok(Next::Settled),
                Due::Of(generation) => generation,
                Due::Barred { left, by } => {
                    self.bar(&left, &by)?;
                    continue;
                }
            };
            self.pass(&generation)?;
            let last = self.precedes(&generation)?;
            let own = match self.own_wish(&generation, head)? {
                Ok(own) => own,
                Err(revoked) => {
                    self.void(&generation, &revoked)?;
                    continue;
                }
            };
            let number = generation.number;
            let next = self.settle_one(generation, own).await?;
            // The next one is due once this one is over and the host stands still.
            let over = self.ledger.generation(number)?.verdict.is_some_and(|v| v.is_final());
            if last || !over || !matches!(next, Next::Settled | Next::WaitForCommit) {
                return Ok(next);
            }
        }
    }

    /// The agent may have been killed between the verdict of what passed and the
    /// links: whatever follows goes back to that one.
    fn pass(&self, generation: &Generation) -> Result<(), Fault> {
        let Some(below) = generation.record.behind else { return Ok(()) };
        let known = self.ledger.last_good()?;
        if known.is_some_and(|known| known >= below) || !self.ledger.numbers()?.contains(&below) {
            return Ok(());
        }
        match self.ledger.generation(below)?.verdict {
            Some(Verdict::Confirmed { .. }) => Ok(self.ledger.set_good(below)?),
            Some(_) | None => Ok(()),
        }
    }

    /// Tells the newest generation what it waits for; whether there is nothing newer.
    fn precedes(&self, generation: &Generation) -> Result<bool, Fault> {
        let Some(newest) = self.ledger.newest()?.filter(|n| n.number != generation.number) else {
            return Ok(true);
        };
        let reasons = vec![format!(
            "commit {} has to pass first (generation {})",
            generation.record.commit.short(),
            generation.number
        )];
        match newest.verdict {
            Some(Verdict::Waiting { reasons: known, .. }) if known == reasons => {}
            _ => {
                let since = now().to_string();
                self.ledger.verdict(newest.number, &Verdict::Waiting { since, reasons })?;
            }
        }
        Ok(false)
    }

    /// What a generation means here: the head's is at hand, another one's commit is
    /// verified again. One that was to be tried yet may have been revoked meanwhile.
    fn own_wish(
        &mut self,
        generation: &Generation,
        head: &VerifiedCommit,
    ) -> Result<Result<Wish, Refusal>, Fault> {
        let id = &generation.record.commit;
        if id == head.id() {
            return Ok(Ok(self.remember_head(head.clone())));
        }
        if let Some(stage) = self.memory.stage.as_ref().filter(|stage| stage.commit.id() == id) {
            return Ok(Ok(stage.clone()));
        }
        let over = generation.verdict.as_ref().is_some_and(Verdict::is_final);
        match self.judged(id)? {
            Ok(stage) => {
                self.memory.stage = Some(stage.clone());
                Ok(Ok(stage))
            }
            Err(refusal) if refusal.reason == Reason::Revoked && !over => Ok(Err(refusal)),
            Err(refusal) => Err(unfit(id, &refusal)),
        }
    }

    /// Ends a generation whose commit was revoked before it passed: nobody waits for it.
    fn void(&self, generation: &Generation, revoked: &Refusal) -> Result<(), Fault> {
        tracing::error!(generation = generation.number, "{revoked}");
        let verdict = Verdict::Refused {
            at: now().to_string(),
            rule: revoked.rule.clone(),
            reason: revoked.reason.word().to_owned(),
            because: vec![revoked.because.clone()],
            remedy: revoked.remedy.clone(),
        };
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        Ok(())
    }

    /// Ends what was to follow a commit that did not pass.
    fn bar(&self, left: &[Generation], by: &Generation) -> Result<(), Fault> {
        let because = format!(
            "commit {} had to pass first (generation {}) and did not",
            by.record.commit.short(),
            by.number
        );
        for generation in left {
            tracing::error!(generation = generation.number, "{because}");
            let verdict = Verdict::Refused {
                at: now().to_string(),
                rule: "must-pass".to_owned(),
                reason: "must-pass".to_owned(),
                because: vec![because.clone()],
                remedy: format!(
                    "see `writ show {}` on this host, mend it, and push a new commit; the host keeps what it runs",
                    by.number
                ),
            };
            self.ledger.verdict(generation.number, &verdict)?;
            self.tell_verdict(generation, &verdict);
        }
        Ok(())
    }
}
