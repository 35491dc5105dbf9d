//! The programs of closures that a plan is about to have run: they are looked for after
//! everything has arrived, and before anything stops.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::step::{Step, UnitChange};
use crate::manifest::Desired;
use crate::manifest::service::{Check, Reload, Service, Work};
use crate::names::{AbsolutePath, ServiceName};

/// A program of a service's closure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Program {
    pub service: ServiceName,
    /// Absolute, inside the closure.
    pub path: AbsolutePath,
}

/// Why a program cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    Absent,
    NotAFile,
    NotExecutable,
}

/// Programs that cannot be run, and why.
pub type Flawed = BTreeMap<AbsolutePath, Flaw>;

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "is not in the closure",
            Self::NotAFile => "is not a file",
            Self::NotExecutable => "is not executable",
        })
    }
}

/// What systemd and health checks run for a service.
pub fn of(service: &Service) -> BTreeSet<Program> {
    let mut paths = Vec::new();
    match &service.work {
        Work::Daemon { exec, .. } | Work::Oneshot { exec } | Work::Job { exec, .. } => {
            paths.push(&exec.command);
            if let Some(Reload::Command { command, .. }) = &exec.reload {
                paths.push(command);
            }
        }
        Work::Static { .. } => {}
    }
    if let Check::Command { command, .. } = &service.health.check {
        paths.push(command);
    }
    let program =
        |path: &AbsolutePath| Program { service: service.name.clone(), path: path.clone() };
    paths.into_iter().map(program).collect()
}

/// The programs of the services that these steps change or start.
pub fn needed<Source>(desired: &Desired<Source>, steps: &[Step]) -> BTreeSet<Program> {
    let changed = steps.iter().flat_map(|step| {
        let units = step.units().iter().filter_map(|UnitChange { unit, .. }| unit.service());
        let moved = match step {
            Step::Switch { profiles } => profiles.as_slice(),
            _ => &[],
        };
        units.chain(moved.iter().map(|profile| profile.service.clone())).collect::<Vec<_>>()
    });
    changed.filter_map(|name| desired.services.get(&name)).flat_map(of).collect()
}

/// What is wrong with these programs, a sentence each.
pub fn told<'a>(programs: impl IntoIterator<Item = &'a Program>, flawed: &Flawed) -> Vec<String> {
    let told = |program: &Program| {
        let flaw = flawed.get(&program.path)?;
        Some(format!("service {}: {} {flaw}", program.service, program.path))
    };
    programs.into_iter().filter_map(told).collect()
}
