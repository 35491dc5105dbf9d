//! A generation that has to wait for its host's deploy window.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{Agent, now};
use crate::converge::{Outcome, converge_checked};
use crate::fault::{Fault, Retry};
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::manifest::window::Gate;
use crate::next::Next;
use crate::plan::programs::Program;
use crate::plan::{Plan, Waiting};
use crate::trust::VerifiedCommit;
use crate::verdict::Verdict;
use crate::world::World;

/// The next window, and what people are told about it.
pub(super) struct Opens {
    at: Timestamp,
    reason: String,
}

impl<W: World> Agent<W> {
    /// When the window opens that a generation has to wait for. One that was begun is
    /// brought to its end, and one that changes nothing here disturbs nobody.
    pub(super) fn closed(
        &self,
        generation: &Generation,
        desired: &Desired<VerifiedCommit>,
        plan: &Plan<VerifiedCommit>,
    ) -> Result<Option<Opens>, Fault> {
        let Gate::Closed { opens: at } = desired.windows.at(now()) else { return Ok(None) };
        let begun = matches!(generation.verdict, Some(Verdict::Applying { .. }));
        if begun || plan.steps.is_empty() || self.is_urgent()? {
            return Ok(None);
        }
        // Half of an overtaken generation runs, and there is nothing to go back to.
        if !self.ledger.runs_last_good()? && self.last_good_before(generation)?.is_none() {
            return Ok(None);
        }
        let reason = Waiting::window(&desired.windows, at).to_string();
        Ok(Some(Opens { at, reason }))
    }

    /// Has everything ready for the moment the window opens, and until then keeps the
    /// host on what was confirmed last.
    pub(super) async fn hold(
        &mut self,
        generation: &Generation,
        plan: &Plan<VerifiedCommit>,
        programs: BTreeSet<Program>,
        opens: Opens,
    ) -> Result<Next, Fault> {
        let healed = match self.keep_good(generation).await {
            // It was given up, and no waiting brings it back.
            Err(fault) if fault.retry == Retry::NextCommit => self.stands_alone(fault),
            healed => healed?,
        };
        let fault = self.shared.snapshot().fault;
        if self.memory.prefetched != Some(generation.number) {
            let fetch = only_fetch(plan);
            let mut journal = self.shown(&fetch, Some(generation.number));
            match converge_checked(fetch, programs, &*self.world, &mut journal).await {
                Outcome::Converged => self.memory.prefetched = Some(generation.number),
                Outcome::Stopped { at, because } => {
                    return self.stopped(generation, &at, because).await;
                }
            }
        }
        self.record_waiting(generation, self.reasons(generation, opens.reason))?;
        self.shared.update(|snapshot| {
            snapshot.fault = fault;
            snapshot.opens = Some(opens.at);
        });
        Ok(match healed {
            Next::Again(_) => healed,
            Next::Settled | Next::Later(_) | Next::RollBack | Next::WaitForCommit => {
                Next::Later(until(opens.at))
            }
        })
    }

    /// Drift does not wait for a window, nor does the way back from a generation that
    /// was overtaken while it was applied.
    pub(super) async fn keep_good(&mut self, generation: &Generation) -> Result<Next, Fault> {
        let Some(good) = self.last_good_before(generation)? else { return Ok(Next::Settled) };
        let wish = self.recall(&good.record.commit)?;
        let next = self.heal(&wish).await?;
        if next == Next::Settled {
            self.ledger.set_current(Some(good.number))?;
        }
        Ok(next)
    }

    /// What waits is made ready also where nothing can be kept whole meanwhile.
    fn stands_alone(&self, fault: Fault) -> Next {
        if self.shared.snapshot().fault.as_ref() != Some(&fault) {
            tracing::error!("{fault}");
        }
        self.shared.update(|snapshot| snapshot.fault = Some(fault));
        Next::Settled
    }

    /// Whether a commit since the one that was confirmed last says that it is urgent.
    fn is_urgent(&self) -> Result<bool, Fault> {
        let good = self.ledger.last_good()?.unwrap_or_default();
        for number in self.ledger.numbers()?.into_iter().rev().take_while(|n| *n > good) {
            if self.ledger.generation(number)?.record.urgent {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Somebody may have meant it to be urgent, and should know why it is not.
    fn reasons(&self, generation: &Generation, window: String) -> Vec<String> {
        let head = self.memory.head.iter().chain(&self.memory.stage);
        let own = head.filter(|wish| *wish.commit.id() == generation.record.commit);
        let ignored = own.flat_map(|wish| wish.commit.ignored_trailers());
        std::iter::once(window).chain(ignored).collect()
    }
}

fn only_fetch(plan: &Plan<VerifiedCommit>) -> Plan<VerifiedCommit> {
    let fetches = plan.steps.iter().filter(|step| step.only_arrives());
    Plan { steps: fetches.cloned().collect(), waiting: Vec::new(), ..plan.clone() }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
