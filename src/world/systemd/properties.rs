//! What systemd knows of a unit: its state, how its last run ended, its time limits.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::try_join;

use super::bus::{Bus, BusError, UNIT};
use super::outcome::Ending;
use crate::names::UnitName;
use crate::plan::observed::{Pulse, UnitState};

pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// How long a job may wait for others beyond its unit's own time limit.
const SLACK: Duration = Duration::from_secs(120);
/// Stands in for a unit without any time limit of its own.
const UNLIMITED: Duration = Duration::from_secs(3600);
/// Units asked about at the same time; the bus bounds the replies in flight.
pub(super) const ASKED_AT_ONCE: usize = 16;

/// How a unit is doing that systemd lists in `state`: what that leaves open is asked.
pub(super) async fn pulse_of(
    bus: &Bus,
    unit: &UnitName,
    state: UnitState,
) -> Result<Pulse, BusError> {
    let runs = matches!(state, UnitState::Active | UnitState::Reloading);
    let failure = async {
        if runs { Ok(None) } else { ending(bus, unit).await.map(|ending| ending.failure()) }
    };
    let (invocation, failure, main_pid) =
        try_join!(invocation(bus, unit), failure, main_pid(bus, unit),)?;
    Ok(Pulse { state, invocation, failure, main_pid })
}

/// The unit's run at hand, or its last one; empty where systemd remembers none.
pub(super) async fn invocation(bus: &Bus, unit: &UnitName) -> Result<String, BusError> {
    let id: Vec<u8> = bus.property(unit, UNIT, "InvocationID").await?;
    Ok(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// When the unit last began to be anything but inactive, by the clock that nobody sets
/// (org.freedesktop.systemd1(5), in microseconds).
pub(super) async fn began(bus: &Bus, unit: &UnitName) -> Result<Duration, BusError> {
    bus.property(unit, UNIT, "InactiveExitTimestampMonotonic").await.map(Duration::from_micros)
}

async fn main_pid(bus: &Bus, unit: &UnitName) -> Result<Option<u32>, BusError> {
    match interface(unit) {
        Some(SERVICE) => {
            let pid: u32 = bus.property(unit, SERVICE, "MainPID").await?;
            Ok((pid != 0).then_some(pid))
        }
        Some(_) | None => Ok(None),
    }
}

pub(super) async fn ending(bus: &Bus, unit: &UnitName) -> Result<Ending, BusError> {
    let Some(interface) = interface(unit) else { return Ok(Ending::default()) };
    if interface != SERVICE {
        let result = bus.property(unit, interface, "Result").await?;
        return Ok(Ending { result, ..Ending::default() });
    }
    let (result, code, status) = try_join!(
        bus.property(unit, SERVICE, "Result"),
        bus.property(unit, SERVICE, "ExecMainCode"),
        bus.property(unit, SERVICE, "ExecMainStatus"),
    )?;
    Ok(Ending { result, code, status })
}

/// The interface of a unit's own kind, for the kinds that this program writes.
pub(super) fn interface(unit: &UnitName) -> Option<&'static str> {
    match unit.as_str().rsplit_once('.') {
        Some((_, "service")) => Some(SERVICE),
        Some((_, "timer")) => Some("org.freedesktop.systemd1.Timer"),
        _ => None,
    }
}

pub(super) async fn any_outdated(bus: &Bus, units: &[UnitName]) -> Result<bool, BusError> {
    let asked: Vec<_> =
        units.iter().map(|unit| bus.property::<bool>(unit, UNIT, "NeedDaemonReload")).collect();
    let outdated: Vec<bool> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
    Ok(outdated.contains(&true))
}

/// How long a start or reload of the unit may take.
pub(super) async fn start_limit(bus: &Bus, unit: &UnitName) -> Result<Duration, BusError> {
    let own: u64 = match interface(unit) {
        Some(SERVICE) => bus.property(unit, SERVICE, "TimeoutStartUSec").await?,
        Some(_) | None => 0,
    };
    Ok(limit(own))
}

/// How long a stop may take: SIGTERM, then SIGKILL, each has the unit's time limit.
pub(super) async fn stop_limit(bus: &Bus, unit: &UnitName) -> Result<Duration, BusError> {
    let once: u64 = match interface(unit) {
        Some(SERVICE) => bus.property(unit, SERVICE, "TimeoutStopUSec").await?,
        Some(_) | None => 0,
    };
    Ok(limit(once.saturating_mul(2)))
}

/// From microseconds; `u64::MAX` is systemd's infinity.
fn limit(micros: u64) -> Duration {
    let own = if micros == u64::MAX { UNLIMITED } else { Duration::from_micros(micros) };
    own.saturating_add(SLACK)
}

pub(super) fn state(active_state: &str) -> UnitState {
    match active_state {
        "active" => UnitState::Active,
        "activating" => UnitState::Activating,
        "reloading" | "refreshing" => UnitState::Reloading,
        "deactivating" => UnitState::Deactivating,
        "failed" => UnitState::Failed,
        _ => UnitState::Inactive,
    }
}
