//! Plans that trust nothing that runs: every service is watched and every route is asked.

use std::collections::BTreeSet;

use super::observed::{Observed, ObservedRoutes, UnitState};
use super::site::servable;
use super::step::{Step, UnitChange};
use super::{Plan, plan, routes, watch_of};
use crate::manifest::Desired;
use crate::manifest::service::{Service, Work};
use crate::names::ServiceName;

/// The plan of a generation that was begun earlier and interrupted: what is left,
/// and at the end every service is watched, since one that runs may never have
/// been seen healthy. What can reload does so once more: its file may have been
/// written and its process not been told.
pub fn resumed<Source: Clone>(desired: &Desired<Source>, observed: &Observed) -> Plan<Source> {
    let mut plan = plan(desired, observed);
    let unwatched = unwatched(&plan, desired);
    let units: Vec<_> =
        unwatched.iter().filter_map(|service| told_again(service, observed)).collect();
    if !units.is_empty() {
        plan.steps.push(Step::Reload { units });
    }
    watch_all(&mut plan, desired);
    plan
}

/// The plan of the way back: what is left to do, and at the end every service has
/// to be healthy and every route to answer, also those that the generation at fault
/// never touched. systemd may have stopped them, and nobody has looked since.
pub fn rechecked<Source: Clone>(desired: &Desired<Source>, observed: &Observed) -> Plan<Source> {
    let mut plan = plan(desired, observed);
    watch_all(&mut plan, desired);
    ask_all(&mut plan, desired, observed);
    plan
}

/// [`rechecked`] for a way back that was begun earlier and interrupted.
pub fn rechecked_again<Source: Clone>(
    desired: &Desired<Source>,
    observed: &Observed,
) -> Plan<Source> {
    let mut plan = resumed(desired, observed);
    ask_all(&mut plan, desired, observed);
    plan
}

impl<Source> Plan<Source> {
    /// The steps at the end that change nothing: where one of them fails, everything
    /// is as it should be and somebody is not well.
    pub fn last_looks(&self) -> Vec<Step> {
        let looks = |step: &&Step| matches!(step, Step::Watch { .. } | Step::Ask { .. });
        self.steps.iter().rev().take_while(looks).cloned().collect()
    }
}

fn unwatched<'a, Source>(plan: &Plan<Source>, desired: &'a Desired<Source>) -> Vec<&'a Service> {
    let watched: BTreeSet<&ServiceName> = plan
        .steps
        .iter()
        .flat_map(|step| match step {
            Step::Watch { watches } => watches.as_slice(),
            _ => &[],
        })
        .map(|watch| &watch.service)
        .collect();
    desired.services.values().filter(|service| !watched.contains(&service.name)).collect()
}

fn watch_all<Source>(plan: &mut Plan<Source>, desired: &Desired<Source>) {
    let watches: Vec<_> = unwatched(plan, desired).into_iter().filter_map(watch_of).collect();
    if !watches.is_empty() {
        plan.steps.push(Step::Watch { watches });
    }
}

fn ask_all<Source>(plan: &mut Plan<Source>, desired: &Desired<Source>, observed: &Observed) {
    let ObservedRoutes::Up { config, .. } = &observed.routes else { return };
    let routes = routes::asked(config, servable(desired, observed));
    if !routes.is_empty() {
        plan.steps.push(Step::Ask { routes });
    }
}

fn told_again(service: &Service, observed: &Observed) -> Option<UnitChange> {
    let unit = service.name.unit();
    let active = observed.units.get(&unit).is_some_and(|u| u.state == UnitState::Active);
    match &service.work {
        Work::Daemon { exec, .. } if active && exec.reload.is_some() => {
            Some(UnitChange { unit, files: Vec::new(), environment: None })
        }
        Work::Daemon { .. } | Work::Oneshot { .. } | Work::Job { .. } | Work::Static { .. } => None,
    }
}
