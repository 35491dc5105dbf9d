//! What a refusal means for the generation, and how a person mends it.

use super::bus::BusError;
use super::files::is_ours;
use crate::fault::Fault;
use crate::names::UnitName;

pub(super) fn only_ours(verb: &str, unit: &UnitName) -> Result<(), Fault> {
    if is_ours(unit) {
        return Ok(());
    }
    Err(Fault::refuse(format!("{verb} {unit}"), "it is not the unit of a service of the manifest"))
}

pub(super) fn plain_fault(doing: impl Into<String>, error: BusError) -> Fault {
    match error {
        BusError::Lost(because) => lost(doing.into(), &because),
        BusError::Refused { message, .. } => Fault::wait(doing, message),
    }
}

pub(super) fn lost(doing: String, because: &str) -> Fault {
    Fault::wait(doing, format!("systemd cannot be reached over the system bus: {because}"))
        .remedy("`systemctl status dbus` says how the bus is; the agent connects again by itself")
}

/// systemd's own refusal to start or reload a unit.
pub(super) fn refused(doing: String, unit: &UnitName, name: &str, message: String) -> Fault {
    let refuse = |remedy: String| Fault::refuse(doing.clone(), message.clone()).remedy(remedy);
    match name.rsplit('.').next().unwrap_or(name) {
        "NoSuchUnit" => refuse(
            "the service's `systemd.requires` may name only units that this host has".to_owned(),
        ),
        "BadUnitSetting" | "LoadFailed" => {
            refuse(format!("`systemd-analyze verify /run/systemd/system/{unit}` names the setting"))
        }
        "UnitMasked" => refuse("`systemctl unmask` the unit, or require another".to_owned()),
        "TransactionIsDestructive" | "ShuttingDown" => {
            Fault::wait(doing, message).remedy("the host is shutting down")
        }
        _ => Fault::refuse(doing, message),
    }
}
