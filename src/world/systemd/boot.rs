//! Puts the units of the last good generation back at boot: without network, D-Bus or the agent.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::environments::Environments;
use super::files::UnitFiles;
use super::{FOLDER, is_ours};
use crate::fault::Fault;
use crate::names::{ServiceName, UnitName};
use crate::plan::environment;

/// Writes units and environments whose files are not there and queues the start of those that run,
/// and returns these. A job's timer is started, and not the job.
///
/// systemd is told through its own private socket, which is there before D-Bus.
/// Nothing is waited for: this is part of the boot, and so are the units.
///
/// # Errors
/// A file cannot be written, or systemd does not take the jobs.
pub fn restore(
    units: &BTreeMap<UnitName, String>,
    environments: &BTreeMap<ServiceName, String>,
) -> Result<Vec<UnitName>, Fault> {
    let own = Environments::in_folder(environment::FOLDER);
    for (service, text) in environments {
        own.restore(service, text)
            .map_err(|error| Fault::wait(format!("write the environment of {service}"), error))?;
    }
    let files = UnitFiles::in_folder(FOLDER);
    for (unit, text) in units.iter().filter(|(unit, _)| is_ours(unit)) {
        if !files.path(unit).exists() {
            files.write(unit, None, text)?;
        }
    }
    let started: Vec<UnitName> =
        units.keys().filter(|unit| is_ours(unit) && is_started(unit, units)).cloned().collect();
    if started.is_empty() {
        return Ok(started);
    }
    let output = Command::new("systemctl")
        .args(["--no-block", "--no-ask-password", "start", "--"])
        .args(started.iter().map(UnitName::as_str))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Fault::wait("run systemctl", error))?;
    if output.status.success() {
        return Ok(started);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Fault::wait("start the units of the last good generation", said))
}

fn is_started(unit: &UnitName, units: &BTreeMap<UnitName, String>) -> bool {
    let timer = unit.service().map(|service| service.timer());
    timer.is_none_or(|timer| *unit == timer || !units.contains_key(&timer))
}
