//! What a host is judged by, gathered: the ledger's view, the agent's memory, its services.

use std::collections::{BTreeMap, BTreeSet};

use super::{Agent, Snapshot};
use crate::condition::{AgentState, Health, Judgement, RoutesState, SETTLED, View, health, judge};
use crate::fault::Fault;
use crate::manifest::Desired;
use crate::names::{ServiceName, UnitName};
use crate::plan::observed::{ObservedRoutes, ObservedUnit, Pulse, UnitState, Vitals};
use crate::plan::{drift, routes};
use crate::trust::{Refusal, VerifiedCommit};
use crate::verdict::Verdict;
use crate::world::{Units as _, World};

/// What the ledger says of a host.
#[derive(Clone, Copy)]
pub(super) struct LedgerView<'a> {
    pub(super) verdict: Option<&'a Verdict>,
    pub(super) refused: Option<&'a Refusal>,
}

/// Judges a host by what its agent saw last.
pub(super) fn judge_snapshot(
    agent: AgentState,
    ledger: LedgerView<'_>,
    snapshot: &Snapshot,
) -> Judgement {
    judge(&view(agent, ledger, snapshot))
}

/// All but what is observed afresh.
pub(super) fn view<'a>(
    agent: AgentState,
    LedgerView { verdict, refused }: LedgerView<'a>,
    snapshot: &'a Snapshot,
) -> View<'a> {
    let faults = [&snapshot.source_fault, &snapshot.stale, &snapshot.fault];
    View {
        agent,
        verdict,
        refused,
        faults: faults.into_iter().flatten().collect(),
        waiting: &snapshot.waiting,
        drift: &snapshot.drift,
        services: snapshot.services.clone(),
        routes: RoutesState::Served,
    }
}

/// How a service is doing by its units; a job is well while its timer is armed.
pub(super) fn service_health(
    name: &ServiceName,
    units: &BTreeMap<UnitName, ObservedUnit>,
    pulse: Option<&Pulse>,
    vitals: Vitals,
) -> Option<Health> {
    let state = units.get(&name.unit())?.state;
    let timer = units.get(&name.timer()).map(|timer| timer.state);
    Some(match (timer, state) {
        (Some(UnitState::Active), UnitState::Failed) | (None, _) => {
            health(state, pulse.and_then(|pulse| pulse.failure.as_deref()), vitals)
        }
        (Some(UnitState::Active), _) => Health::Up,
        (Some(_), _) => Health::Stopped,
    })
}

/// Whether Caddy has the routes of the generation that runs, as it is now.
pub(super) fn routes_state(
    expected: &BTreeMap<String, String>,
    observed: &ObservedRoutes,
) -> RoutesState {
    match observed {
        _ if expected.is_empty() => RoutesState::Served,
        ObservedRoutes::Down { because } => RoutesState::Unknown(because.clone()),
        ObservedRoutes::Up { config, .. } => {
            let owned = routes::owned(config);
            let lacks = expected.iter().filter(|(id, _)| !owned.contains_key(*id));
            let lacks: Vec<String> = lacks.map(|(_, place)| place.clone()).collect();
            if lacks.is_empty() { RoutesState::Served } else { RoutesState::Missing(lacks) }
        }
    }
}

impl<W: World> Agent<W> {
    /// Remembers how the services of the generation that runs are doing, and which
    /// routes it has. systemd is asked only about those that are not up, or not for long.
    pub(super) async fn note_services(
        &self,
        desired: &Desired<VerifiedCommit>,
        units: &BTreeMap<UnitName, ObservedUnit>,
    ) -> Result<(), Fault> {
        let young = self.world.units().started_within(SETTLED);
        let calm = |unit: &UnitName| {
            let state = units.get(unit).map(|unit| unit.state).unwrap_or_default();
            state == UnitState::Active && !young.contains(unit)
        };
        let asked = desired.services.keys().map(ServiceName::unit);
        let asked = asked.filter(|unit| units.contains_key(unit) && !calm(unit));
        let asked: Vec<UnitName> = asked.collect();
        let (pulses, mut vitals) = (self.pulses(&asked).await?, self.vitals(&asked).await?);
        let revived = self.shared.snapshot().revived;
        let known = |name: &ServiceName| {
            let unit = name.unit();
            let mut vitals = vitals.remove(&unit).unwrap_or(LONG);
            vitals.restarts += revived.get(name).copied().unwrap_or_default();
            let health = service_health(name, units, pulses.get(&unit), vitals)?;
            Some((name.clone(), health))
        };
        let services = desired.services.keys().filter_map(known).collect();
        let routes = routes::expected(desired.services.values());
        self.shared.note(|snapshot| (snapshot.services, snapshot.routes) = (services, routes));
        Ok(())
    }

    async fn pulses(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Pulse>, Fault> {
        if units.is_empty() { Ok(BTreeMap::new()) } else { self.world.units().pulse(units).await }
    }

    async fn vitals(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Vitals>, Fault> {
        if units.is_empty() { Ok(BTreeMap::new()) } else { self.world.units().vitals(units).await }
    }
}

/// Of a unit that was not asked about, since it has been running for long.
const LONG: Vitals = Vitals { restarts: 0, uptime: Some(SETTLED) };

/// Services that had failed and were started again by a round.
pub(super) fn revived(healed: &[drift::Drift]) -> BTreeSet<ServiceName> {
    let crashed = healed.iter().filter(|drift| drift.what == drift::What::UnitFailed);
    crashed.filter_map(|drift| drift.service.clone()).collect()
}
