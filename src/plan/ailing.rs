//! Services that had failed before: no generation is to blame for them, and nothing else waits for them.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{Observed, ObservedUnit, UnitState};
use super::step::{Step, Watch};
use super::unit::started;
use super::{Change, Plan, watch_of};
use crate::manifest::Desired;
use crate::manifest::service::Service;
use crate::names::{ServiceName, UnitName};

/// The services whose unit has failed, or is being started again after it failed,
/// although it is as it should be.
pub fn ailing<Source>(desired: &Desired<Source>, observed: &Observed) -> BTreeSet<ServiceName> {
    let ails = |name: &ServiceName| {
        let unit = desired.services.get(name).and_then(started);
        let state = unit.and_then(|unit| observed.units.get(&unit)).map(|unit| unit.state);
        matches!(state, Some(UnitState::Failed | UnitState::Activating))
    };
    let mut services = unchanged(desired, observed);
    services.retain(ails);
    services
}

/// The services whose unit files and environments are as they should be.
pub fn unchanged<Source>(desired: &Desired<Source>, observed: &Observed) -> BTreeSet<ServiceName> {
    let same = |service: &&Service| {
        let change = Change::of(service, observed);
        change.files.is_empty() && change.environment.is_none()
    };
    desired.services.values().filter(same).map(|service| service.name.clone()).collect()
}

/// The services whose unit has failed, each with the look that was too late.
pub fn failed<Source>(
    desired: &Desired<Source>,
    units: &BTreeMap<UnitName, ObservedUnit>,
) -> Vec<Watch> {
    let fell =
        |watch: &Watch| units.get(&watch.unit).is_some_and(|unit| unit.state == UnitState::Failed);
    desired.services.values().filter_map(watch_of).filter(fell).collect()
}

impl<Source: Clone> Plan<Source> {
    /// The same without these services being started, watched or asked.
    pub fn sparing(mut self, services: &BTreeSet<ServiceName>) -> Self {
        let steps = self.steps.into_iter();
        let left = |step| only(step, |name| !services.contains(name)).unwrap_or_else(Some);
        self.steps = steps.filter_map(left).collect();
        self.spared.extend(services.iter().cloned());
        self
    }

    /// How one service is started, watched and asked, and nothing else.
    pub fn alone(&self, service: &ServiceName) -> Self {
        let steps = self.steps.iter().cloned();
        let own = |step| only(step, |name| name == service).unwrap_or_default();
        let (source, steps) = (self.source.clone(), steps.filter_map(own).collect());
        Self { source, steps, waiting: Vec::new(), privileges: Vec::new(), spared: BTreeSet::new() }
    }
}

/// What is left of a step that sees to single services; `Err` where it is no such step.
fn only(step: Step, meant: impl Fn(&ServiceName) -> bool) -> Result<Option<Step>, Step> {
    Ok(match step {
        Step::Start { mut units } => {
            units.retain(|change| change.unit.service().as_ref().is_none_or(&meant));
            (!units.is_empty()).then_some(Step::Start { units })
        }
        Step::Watch { mut watches } => {
            watches.retain(|watch| meant(&watch.service));
            (!watches.is_empty()).then_some(Step::Watch { watches })
        }
        Step::Ask { mut routes } => {
            routes.retain(|route| meant(&route.service));
            (!routes.is_empty()).then_some(Step::Ask { routes })
        }
        other => return Err(other),
    })
}
