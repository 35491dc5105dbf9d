//! The way back to what was confirmed last: a plan like any other, carried to its end also after a crash.

use std::sync::Arc;

use super::{Agent, now};
use crate::converge::Outcome;
use crate::fault::{Fault, Retry};
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::next::{Next, pause};
use crate::observe::observe;
use crate::plan::ailing::{ailing, unchanged};
use crate::plan::{rechecked, rechecked_again};
use crate::trust::VerifiedCommit;
use crate::verdict::Verdict;
use crate::world::World;

/// What a generation failed at.
pub(super) struct Trouble {
    pub(super) step: String,
    pub(super) fault: Fault,
}

/// Whether a rollback has been begun by an agent that did not live to finish it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Now,
    Before,
}

impl<W: World> Agent<W> {
    /// Goes back, having recorded that this is what is happening: an agent that
    /// starts in the middle of it does not try the bad generation again.
    pub(super) async fn roll_back(
        &mut self,
        generation: &Generation,
        trouble: Trouble,
    ) -> Result<Next, Fault> {
        let Trouble { step, fault } = trouble;
        tracing::error!(generation = generation.number, step, "{fault}; rolling back");
        let to = self.last_good_before(generation)?.map(|good| good.record.commit);
        let verdict = Verdict::RollingBack {
            since: now().to_string(),
            to,
            step: step.clone(),
            fault: fault.clone(),
        };
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        self.back(generation, Trouble { step, fault }, Begun::Now).await
    }

    /// Finishes a rollback that an earlier round began.
    pub(super) async fn go_on_back(
        &mut self,
        generation: &Generation,
        trouble: Trouble,
    ) -> Result<Next, Fault> {
        self.back(generation, trouble, Begun::Before).await
    }

    async fn back(
        &mut self,
        generation: &Generation,
        Trouble { step, fault }: Trouble,
        begun: Begun,
    ) -> Result<Next, Fault> {
        let to = self.last_good_before(generation)?;
        let back = self.converge_back(generation, to.as_ref(), begun).await;
        let at = now().to_string();
        let verdict = match back {
            Ok(()) => {
                self.ledger.set_current(to.as_ref().map(|good| good.number))?;
                Verdict::RolledBack { at, to: to.map(|good| good.record.commit), step, fault }
            }
            // The way back is open; the host is not ready to go it.
            Err(rollback) if rollback.retry == Retry::Soon => return Err(rollback),
            Err(rollback) => Verdict::Failed { at, step, fault, rollback },
        };
        tracing::error!(generation = generation.number, "{}", verdict.word());
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        self.forget_drift();
        self.calm(Vec::new());
        Ok(match verdict {
            Verdict::Failed { .. } => Next::Again(pause(self.memory.failures)),
            _ => Next::WaitForCommit,
        })
    }

    async fn converge_back(
        &mut self,
        generation: &Generation,
        to: Option<&Generation>,
        begun: Begun,
    ) -> Result<(), Fault> {
        let desired = self.target(generation, to)?;
        let observed = observe(&*self.world, &desired).await?;
        let plan = match begun {
            Begun::Now => rechecked(&desired, &observed),
            Begun::Before => rechecked_again(&desired, &observed),
        };
        let spared = self.spared_before(generation, &unchanged(&desired, &observed))?;
        let plan = plan.without_unfit(&observed.unfit);
        let (plan, ailing) = (plan.sparing(&spared), ailing(&desired, &observed));
        let journal = self.shown(&plan, Some(generation.number));
        let apart = self.converge_apart(plan, &ailing, journal).await;
        match apart.outcome {
            Outcome::Converged => Ok(()),
            Outcome::Stopped { because, .. } => {
                if apart.only_looks_left {
                    self.stands_on_good(to.map(|good| good.number))?;
                }
                Err(because)
            }
        }
    }

    /// Nothing is left to be changed, though somebody is not well, maybe since long
    /// before: the next generation is not to answer for that.
    pub(super) fn stands_on_good(&self, good: Option<u64>) -> Result<(), Fault> {
        Ok(self.ledger.set_current(good)?)
    }

    /// Where nothing was begun there is no way back to go, and nothing to be put back
    /// that somebody may have asked to leave.
    pub(super) fn let_go(
        &mut self,
        generation: &Generation,
        Trouble { step, fault }: Trouble,
    ) -> Result<Next, Fault> {
        tracing::error!(generation = generation.number, step, "{fault}; nothing was begun");
        let to = self.last_good_before(generation)?.map(|good| good.record.commit);
        let verdict = Verdict::RolledBack { at: now().to_string(), to, step, fault };
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        self.calm(Vec::new());
        Ok(Next::WaitForCommit)
    }

    /// What the host is taken back to: the last good generation, or where none was
    /// ever confirmed, nothing of what this one brought.
    fn target(
        &mut self,
        generation: &Generation,
        to: Option<&Generation>,
    ) -> Result<Arc<Desired<VerifiedCommit>>, Fault> {
        let Some(good) = to else {
            let commit = self.recall(&generation.record.commit)?.commit;
            return Ok(self.nothing(commit));
        };
        self.recall(&good.record.commit)?.desired.map_err(|problems| {
            Fault::refuse(
                format!("read the manifest of generation {} again", good.number),
                problems,
            )
        })
    }

    /// What a host is where nothing was ever confirmed.
    pub(super) fn nothing(&self, commit: VerifiedCommit) -> Arc<Desired<VerifiedCommit>> {
        Arc::new(Desired::nothing(self.config.host.clone(), commit))
    }
}
