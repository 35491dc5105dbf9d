//! Services that had failed before keep no other from what it is to have.

use std::collections::BTreeSet;

use super::Agent;
use super::telling::Shown;
use crate::converge::{Outcome, converge};
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::names::ServiceName;
use crate::plan::Plan;
use crate::plan::ailing::failed;
use crate::plan::step::Step;
use crate::trust::VerifiedCommit;
use crate::world::{Units as _, World};

const JOURNAL_LINES: usize = 20;

/// How far a plan came whose ailing services were seen to last.
pub(super) struct Apart {
    pub(super) outcome: Outcome,
    /// All that the plan was to change is as it should be; who is not well is an ailing
    /// service or was found by the looks at its end.
    pub(super) only_looks_left: bool,
}

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

    /// Whether every service that was up before a plan was carried out is so still, also
    /// those that it did not touch.
    pub(super) async fn still_up(
        &self,
        desired: &Desired<VerifiedCommit>,
        spared: &BTreeSet<ServiceName>,
    ) -> Result<Outcome, Fault> {
        let units = self.world.units().observe().await?;
        self.note_services(desired, &units).await?;
        let fell = failed(desired, &units).into_iter().find(|w| !spared.contains(&w.service));
        let Some(watch) = fell else { return Ok(Outcome::Converged) };
        let journal = self.world.units().journal(&watch.unit, JOURNAL_LINES).await;
        let doing = format!("see service {} still up", watch.service);
        let because = Fault::refuse(doing, "it failed while this generation was applied")
            .evidence(journal.into_iter().map(|line| format!("journal: {line}")));
        Ok(Outcome::Stopped { at: Box::new(Step::Watch { watches: vec![watch] }), because })
    }

    /// Carries a plan out, and at its end what concerns each ailing service, by itself.
    /// Where several fail, the first is told.
    pub(super) async fn converge_apart(
        &self,
        plan: Plan<VerifiedCommit>,
        ailing: &BTreeSet<ServiceName>,
        mut journal: Shown,
    ) -> Apart {
        let alone: Vec<_> = ailing.iter().map(|service| plan.alone(service)).collect();
        let plan = plan.sparing(ailing);
        let looks = plan.last_looks();
        let mut outcome = converge(plan, &*self.world, &mut journal).await;
        let only_looks_left = match &outcome {
            Outcome::Converged => true,
            Outcome::Stopped { at, .. } => looks.contains(at),
        };
        for plan in alone {
            match (converge(plan, &*self.world, &mut journal).await, &outcome) {
                (stopped @ Outcome::Stopped { .. }, Outcome::Converged) => outcome = stopped,
                (Outcome::Stopped { .. } | Outcome::Converged, _) => {}
            }
        }
        Apart { outcome, only_looks_left }
    }
}
