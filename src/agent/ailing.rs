//! Services that had failed before keep no other from what it is to have.

use std::collections::BTreeSet;

use super::Agent;
use super::telling::Shown;
use crate::converge::{Outcome, converge};
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::names::ServiceName;
use crate::plan::Plan;
use crate::trust::VerifiedCommit;
use crate::world::World;

impl<W: World> Agent<W> {
    /// The services that had failed when a generation was begun, or one that it overtook
    /// half-way, and that were left unchanged since: what else fails may be its doing.
    pub(super) fn spared_before(
        &self,
        generation: &Generation,
        unchanged: &BTreeSet<ServiceName>,
    ) -> Result<BTreeSet<ServiceName>, Fault> {
        let good = self.ledger.last_good()?.unwrap_or_default();
        let begun = |number: &u64| *number > good && *number <= generation.number;
        for number in self.ledger.numbers()?.into_iter().rev().filter(begun) {
            if let Some(record) = self.ledger.recorded_plan(number)? {
                return Ok(record.spared.intersection(unchanged).cloned().collect());
            }
        }
        Ok(BTreeSet::new())
    }

    /// Carries a plan out, and at its end what concerns each ailing service, by itself.
    /// Where several fail, the first is told.
    pub(super) async fn converge_apart(
        &self,
        plan: Plan<VerifiedCommit>,
        ailing: &BTreeSet<ServiceName>,
        mut journal: Shown,
    ) -> Outcome {
        let alone: Vec<_> = ailing.iter().map(|service| plan.alone(service)).collect();
        let mut outcome = converge(plan.sparing(ailing), &*self.world, &mut journal).await;
        for plan in alone {
            match (converge(plan, &*self.world, &mut journal).await, &outcome) {
                (stopped @ Outcome::Stopped { .. }, Outcome::Converged) => outcome = stopped,
                (Outcome::Stopped { .. } | Outcome::Converged, _) => {}
            }
        }
        outcome
    }
}
