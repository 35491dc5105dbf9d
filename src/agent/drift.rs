//! What is not as the host's generation says: told in every round, and put back where nobody asked to leave it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::judging::revived;
use super::{Agent, Wish, now};
use crate::config::OnDrift;
use crate::events::Kind;
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::names::UnitName;
use crate::next::Next;
use crate::observe::observe;
use crate::plan::drift::{Drift, drift};
use crate::plan::environment::EnvironmentChange;
use crate::plan::observed::{Observed, ObservedRoutes};
use crate::plan::step::{Step, UnitChange};
use crate::plan::unit::unit_files;
use crate::plan::{Plan, Waiting, plan, routes};
use crate::trust::VerifiedCommit;
use crate::verdict::Verdict;
use crate::world::World;

/// What was put back last by the agent that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// RFC 3339 in UTC.
    pub at: String,
    pub drift: Vec<Drift>,
}

impl<W: World> Agent<W> {
    /// On a host that is left as it is: says what would be put back.
    pub(super) async fn look_for_drift(&mut self, head: &VerifiedCommit) -> Result<(), Fault> {
        let Some(newest) = self.ledger.newest()? else { return Ok(()) };
        // In the middle of a generation nothing is as it should be yet.
        if !self.ledger.runs_last_good()? {
            return Ok(());
        }
        let wish = match (newest.verdict, self.ledger.last_good()?) {
            (Some(Verdict::Confirmed { .. }), _) => self.remember_head(head.clone()),
            (_, Some(good)) => self.recall(&self.ledger.generation(good)?.record.commit)?,
            (_, None) => return Ok(()),
        };
        let desired = wish.readable()?;
        let observed = observe(&*self.world, desired).await?;
        self.note_services(desired, &observed.units).await?;
        let plan = plan(desired, &observed).without_unfit(&observed.unfit);
        self.found(drift(desired, &observed, &plan), &reasons(&plan));
        Ok(())
    }

    /// While a generation waits to begin, maybe for days, the one that runs is kept
    /// as it is.
    pub(super) async fn keep_meanwhile(
        &mut self,
        newest: &Generation,
        next: &Next,
    ) -> Result<(), Fault> {
        if !matches!(next, Next::Again(_)) || !self.ledger.runs_last_good()? {
            return Ok(());
        }
        let Some(good) = self.last_good_before(newest)? else { return Ok(()) };
        let wish = self.recall(&good.record.commit)?;
        let waiting = self.shared.snapshot().waiting;
        self.heal(&wish).await?;
        self.shared.update(|snapshot| snapshot.waiting = waiting);
        Ok(())
    }

    /// What is not as it should be, by a look of its own: some things no plan puts
    /// back, and some are to stay.
    pub(super) async fn left(
        &self,
        desired: &Desired<VerifiedCommit>,
    ) -> Result<Vec<Drift>, Fault> {
        let observed = observe(&*self.world, desired).await?;
        self.note_services(desired, &observed.units).await?;
        let plan = plan(desired, &observed).without_unfit(&observed.unfit);
        Ok(drift(desired, &observed, &plan))
    }

    /// What of a plan is carried out on a host that runs its generation.
    pub(super) fn allowed(
        &self,
        plan: Plan<VerifiedCommit>,
        desired: &Desired<VerifiedCommit>,
        observed: &Observed,
    ) -> Plan<VerifiedCommit> {
        match self.config.drift {
            OnDrift::Heal => plan,
            OnDrift::Report => only_what_a_start_lost(plan, desired, observed),
        }
    }
}

impl<W> Agent<W> {
    /// Tells what is not as it should be, or that everything is again.
    pub(super) fn found(&self, drift: Vec<Drift>, waiting: &[String]) {
        if self.shared.snapshot().drift != drift {
            drift.iter().for_each(|drift| tracing::warn!("drift: {drift}"));
        }
        let generation = self.ledger.current().ok().flatten();
        if drift.is_empty() && waiting.is_empty() {
            self.events.tell(Kind::DriftHealed, generation, "everything is as it should be");
        } else {
            let lines: Vec<_> = drift.iter().map(ToString::to_string).collect();
            let lines: Vec<_> = lines.iter().chain(waiting).map(String::as_str).collect();
            self.events.tell(Kind::DriftFound, generation, lines.join("; "));
        }
        self.shared.update(|snapshot| snapshot.drift = drift);
    }

    /// What was found and healed before another generation was applied.
    pub(super) fn forget_drift(&self) {
        self.shared.update(|snapshot| {
            snapshot.drift = Vec::new();
            snapshot.healed = None;
            snapshot.revived.clear();
        });
    }

    /// All that was found and is not among `left` has been put back.
    pub(super) fn put_back(&self, left: Vec<Drift>, waiting: &[String]) {
        let mut drift = self.shared.snapshot().drift;
        drift.retain(|drift| !left.contains(drift));
        if !drift.is_empty() {
            let revived = revived(&drift);
            let healed = Healed { at: now().to_string(), drift };
            self.shared.update(|snapshot| {
                snapshot.healed = Some(healed);
                for service in revived {
                    *snapshot.revived.entry(service).or_default() += 1;
                }
            });
        }
        self.found(left, waiting);
    }
}

impl Wish {
    /// What the commit asks of this host.
    pub(super) fn readable(&self) -> Result<&Desired<VerifiedCommit>, Fault> {
        self.desired.as_deref().map_err(|problems| {
            let doing = format!("read the manifest of commit {} again", self.commit.id().short());
            Fault::refuse(doing, problems)
        })
    }
}

/// What a plan waits for, in words; a contested route is told as drift.
pub(super) fn reasons<Source>(plan: &Plan<Source>) -> Vec<String> {
    let told = |waiting: &&Waiting| !matches!(waiting, Waiting::ForeignRoute { .. });
    plan.waiting.iter().filter(told).map(ToString::to_string).collect()
}

/// What follows from a changed `envFile`, which nobody changes in order to have it ignored;
/// of the units themselves, what was changed by hand stays.
fn only_the_hosts_own_files(step: Step) -> Option<Step> {
    let own = |units: Vec<UnitChange>, kept: fn(&EnvironmentChange) -> bool| -> Vec<UnitChange> {
        let own = units.into_iter().filter(|unit| unit.environment.as_ref().is_some_and(kept));
        own.map(|unit| UnitChange { files: Vec::new(), ..unit }).collect()
    };
    match step {
        Step::Restart { units } => {
            let units = own(units, |change| change.env_file.is_some() && !change.rewrites);
            (!units.is_empty()).then_some(Step::Restart { units })
        }
        Step::Write { units } => {
            let units = own(units, |change| !change.rewrites);
            (!units.is_empty()).then_some(Step::Write { units })
        }
        _ => None,
    }
}

/// Units live in memory, and so do Caddy's routes: where there is not one of them,
/// the host or Caddy was started, and nobody took anything away by hand.
fn only_what_a_start_lost(
    mut plan: Plan<VerifiedCommit>,
    desired: &Desired<VerifiedCommit>,
    observed: &Observed,
) -> Plan<VerifiedCommit> {
    let units: BTreeSet<UnitName> =
        desired.services.values().flat_map(unit_files).map(|file| file.name).collect();
    let has_file = |unit| observed.units.get(unit).is_some_and(|unit| unit.file.is_some());
    let booted = !units.is_empty() && !units.iter().any(has_file);
    let forgot = match &observed.routes {
        ObservedRoutes::Up { config, .. } => routes::owned(config).is_empty(),
        ObservedRoutes::Down { .. } => false,
    };
    let lost = |step: &Step| booted || (forgot && matches!(step, Step::Route(_)));
    let asked = |step: Step| if lost(&step) { Some(step) } else { only_the_hosts_own_files(step) };
    plan.steps = plan.steps.into_iter().filter_map(asked).collect();
    plan
}
