//! Programs that hosts would not find, looked for where this machine's own store has the
//! closure.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Blame, Failure, whisper};
use crate::manifest::{Desired, Manifest, WorkingTree};
use crate::names::ServiceName;
use crate::plan::programs::{self, Program};
use crate::world::Facts as _;
use crate::world::facts::HostFacts;

/// Says of each program of these hosts that is not in its closure that hosts will refuse
/// it.
pub(super) async fn warn(desired: &[Desired<WorkingTree>]) {
    for line in lacking(desired, |_| true).await {
        whisper(&format!("warning: hosts will refuse this: {line}\n"));
    }
}

/// # Errors
/// A host would refuse this service, by the same look.
pub(super) async fn accepted(
    manifest: &Manifest<WorkingTree>,
    service: &ServiceName,
) -> Result<(), Failure> {
    let desired: Vec<_> = manifest.hosts().iter().map(|host| manifest.desired(host)).collect();
    let lacking = lacking(&desired, |program| program.service == *service).await;
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Failure {
        message: format!(
            "hosts would refuse the result\n{}",
            lacking.into_iter().collect::<Vec<_>>().join("\n")
        ),
        hint: Some(HINT.to_owned()),
        blame: Blame::Refused,
    })
}

const HINT: &str = "name a program that the closure has (ls STOREPATH/bin): `command` and `reload` of [exec], `command` of [health]";

/// What is not here is left to the hosts.
async fn lacking(
    desired: &[Desired<WorkingTree>],
    wanted: impl Fn(&Program) -> bool,
) -> BTreeSet<String> {
    let here = desired.iter().flat_map(|desired| desired.services.values());
    let here = here.filter(|service| Path::new(service.artifact.store_path.as_str()).exists());
    let programs: BTreeSet<Program> = here.flat_map(programs::of).filter(wanted).collect();
    let paths = programs.iter().map(|program| program.path.clone()).collect();
    match HostFacts::default().flawed_programs(&paths).await {
        Ok(flawed) => programs::told(&programs, &flawed).into_iter().collect(),
        Err(fault) => {
            tracing::debug!("{fault}");
            BTreeSet::new()
        }
    }
}
