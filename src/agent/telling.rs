//! What the agent tells while it works: the step at hand for the status, and what happened for `writ events`.

use std::sync::Arc;

use super::{Agent, Shared};
use crate::converge::Journal;
use crate::events::{Events, Kind};
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::plan::Plan;
use crate::plan::step::Step;
use crate::trust::VerifiedCommit;
use crate::verdict::Verdict;

/// Shows each step as it begins.
pub(super) struct Shown {
    shared: Arc<Shared>,
    total: usize,
    /// Whose steps they are; those that heal are told by what they heal.
    generation: Option<u64>,
    events: Events,
}

impl Journal for Shown {
    fn begins(&mut self, number: usize, step: &Step) -> Result<(), Fault> {
        tracing::info!("step {} of {}: {step}", number + 1, self.total);
        self.shared.update(|snapshot| snapshot.step = Some(step.to_string()));
        if self.generation.is_some() {
            self.events.tell(Kind::Step, self.generation, step.to_string());
        }
        Ok(())
    }
}

impl<W> Agent<W> {
    pub(super) fn shown(&self, plan: &Plan<VerifiedCommit>, generation: Option<u64>) -> Shown {
        let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
        Shown { shared, total: plan.steps.len(), generation, events }
    }

    pub(super) fn tell_verdict(&self, generation: &Generation, verdict: &Verdict) {
        let (kind, text) = match verdict {
            Verdict::Confirmed { .. } => {
                let record = &generation.record;
                (Kind::Confirmed, format!("{} {}", record.commit.short(), record.subject))
            }
            Verdict::RolledBack { to: Some(to), fault, .. } => {
                (Kind::RolledBack, format!("to {}: {fault}", to.short()))
            }
            Verdict::RolledBack { to: None, fault, .. } => {
                (Kind::RolledBack, format!("nothing had been confirmed before: {fault}"))
            }
            Verdict::Refused { because, .. } => (Kind::Refused, because.join("; ")),
            Verdict::Failed { fault, rollback, .. } => {
                (Kind::Failed, format!("{fault}; going back: {rollback}"))
            }
            Verdict::Waiting { reasons, .. } => (Kind::Waiting, reasons.join("; ")),
            Verdict::RollingBack { fault, .. } => (Kind::RollingBack, fault.to_string()),
            // Told step by step.
            Verdict::Applying { .. } => return,
        };
        self.events.tell(kind, Some(generation.number), text);
    }

    /// A verdict that an earlier agent recorded and may not have lived to tell.
    pub(super) fn tell_again(&mut self, generation: &Generation) {
        if let Some(verdict) = &generation.verdict
            && self.memory.told != Some(generation.number)
        {
            self.tell_verdict(generation, verdict);
            self.memory.told = Some(generation.number);
        }
    }
}
