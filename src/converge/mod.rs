//! Carries a plan out, one step at a time, and says how far it got.
//!
//! There are no choices left to make here: a step is a few calls on the world.

mod ask;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::fault::Fault;
use crate::plan::Plan;
use crate::plan::environment::Environment;
use crate::plan::programs::{self, Program};
use crate::plan::site::ServedSite;
use crate::plan::step::{Aside, Step, UnitChange, UnitRemoval};
use crate::trust::VerifiedCommit;
use crate::world::{Facts as _, Routes as _, Store as _, Units as _, World};

/// How many units of one step are worked on at the same time. systemd takes jobs
/// faster in bursts, and one D-Bus connection has a limited number of pending
/// replies.
const SIDE_BY_SIDE: usize = 16;

/// How carrying out a plan ended.
#[derive(Debug)]
#[must_use = "a stopped plan has to be planned again or rolled back"]
pub enum Outcome {
    Converged,
    Stopped { at: Box<Step>, because: Fault },
}

/// Who is told before each step, and may veto it (the ledger, on a full disk).
pub trait Journal: Send {
    /// # Errors
    /// The step must not be taken, since it could not be recorded.
    fn begins(&mut self, number: usize, step: &Step) -> Result<(), Fault>;
}

/// A journal nobody reads.
pub struct Quiet;

impl Journal for Quiet {
    fn begins(&mut self, _: usize, _: &Step) -> Result<(), Fault> {
        Ok(())
    }
}

/// Runs the steps in order and stops at the first that fails.
///
/// Running it again after a stop, or after the future was dropped, is always
/// safe: the caller observes and plans afresh, so a step that did happen is not
/// planned twice.
pub async fn converge(
    plan: Plan<VerifiedCommit>,
    world: &impl World,
    journal: &mut impl Journal,
) -> Outcome {
    converge_checked(plan, BTreeSet::new(), world, journal).await
}

/// The same, where these programs are looked for after everything has arrived and before
/// the first change.
pub async fn converge_checked(
    plan: Plan<VerifiedCommit>,
    programs: BTreeSet<Program>,
    world: &impl World,
    journal: &mut impl Journal,
) -> Outcome {
    let mut unchecked = Some(programs);
    for (number, step) in plan.steps.into_iter().enumerate() {
        if !step.only_arrives()
            && let Some(stopped) = check(unchecked.take(), world).await
        {
            return stopped;
        }
        let taken = match journal.begins(number, &step) {
            Ok(()) => take(&step, world).await,
            Err(fault) => Err(fault),
        };
        if let Err(because) = taken {
            return Outcome::Stopped { at: Box::new(step), because };
        }
    }
    check(unchecked, world).await.unwrap_or(Outcome::Converged)
}

/// Nothing of a generation is begun whose programs are not there: systemd would find out
/// after it has stopped what runs.
async fn check(programs: Option<BTreeSet<Program>>, world: &impl World) -> Option<Outcome> {
    let programs = programs.filter(|programs| !programs.is_empty())?;
    let paths = programs.iter().map(|program| program.path.clone()).collect();
    let because = match world.facts().flawed_programs(&paths).await {
        Err(fault) => fault,
        Ok(flawed) => {
            let found = programs.iter().find_map(|p| Some((p, flawed.get(&p.path)?)));
            let (program, flaw) = found?;
            Fault::refuse(
                format!("run {}", program.service),
                format!("{} {flaw}", program.path),
            )
            .remedy("name a program that the closure has: `command` and `reload` of [exec], `command` of [health]")
            .evidence(programs::told(&programs, &flawed))
        }
    };
    let at = Box::new(Step::Check { programs: programs.into_iter().collect() });
    Some(Outcome::Stopped { at, because })
}

async fn take(step: &Step, world: &impl World) -> Result<(), Fault> {
    match step {
        Step::Fetch { closures } => world.store().fetch(closures).await,
        Step::Inspect { sites } => inspect(sites, world).await,
        // Of no plan.
        Step::Check { .. } => Ok(()),
        Step::Aside { files } => set_aside(files, world).await,
        Step::Stop { units } => each(units, |unit| remove(unit, world)).await,
        Step::Switch { profiles } => {
            for step in profiles {
                world.store().switch(&step.service, step.from.as_ref(), &step.to).await?;
            }
            Ok(())
        }
        Step::Write { units } => each(units, |change| write(change, world)).await,
        Step::Reload { units } => each(units, |change| reload(change, world)).await,
        Step::Restart { units } => each(units, |change| restart(change, world)).await,
        Step::Start { units } => each(units, |change| start(change, world)).await,
        Step::Route(change) => world.routes().apply(&change.etag, &change.config).await,
        Step::Watch { watches } => watch::watch(watches, world).await,
        Step::Ask { routes } => each(routes, |route| ask::ask(route, world)).await,
        Step::Retire { profiles } => {
            for (service, from) in profiles {
                world.store().retire(service, from).await?;
            }
            Ok(())
        }
    }
}

/// Does one thing to each item, side by side, and stops at the first fault.
async fn each<'a, T, F>(items: &'a [T], work: impl Fn(&'a T) -> F) -> Result<(), Fault>
where
    F: Future<Output = Result<(), Fault>>,
{
    stream::iter(items)
        .map(|item| Ok(work(item)))
        .try_buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await
}

/// Nothing of a generation is begun whose files may not be served.
async fn inspect(sites: &[ServedSite], world: &impl World) -> Result<(), Fault> {
    let asked = sites.iter().map(|served| served.site.clone()).collect();
    let unfit = world.store().inspect(&asked).await?;
    let found = sites.iter().find_map(|served| Some((served, unfit.get(&served.site)?)));
    let Some((served, why)) = found else { return Ok(()) };
    let doing = format!("serve the files of {}", served.service);
    Err(Fault::refuse(doing, why).remedy("build the site with copies in place of such links"))
}

async fn set_aside(files: &[Aside], world: &impl World) -> Result<(), Fault> {
    let stopped: Vec<_> = files.iter().filter(|file| file.stop).map(|file| &file.unit).collect();
    each(&stopped, |unit| world.units().stop(unit)).await?;
    world.units().set_aside(files).await
}

async fn remove(removal: &UnitRemoval, world: &impl World) -> Result<(), Fault> {
    world.units().stop(&removal.unit).await?;
    // Before the unit's file, so that a crash in between leaves a unit to stop again.
    if let Some(service) = removal.unit.service().filter(|_| removal.environment) {
        world.units().set_environment(&service, &Environment::default()).await?;
    }
    match &removal.expect {
        Some(text) => world.units().remove(&removal.unit, text).await,
        None => Ok(()),
    }
}

async fn write(change: &UnitChange, world: &impl World) -> Result<(), Fault> {
    if let (Some(environment), Some(service)) = (&change.environment, change.unit.service()) {
        world.units().set_environment(&service, &environment.to).await?;
    }
    for file in &change.files {
        world.units().write(&file.unit, file.expect.as_deref(), &file.text).await?;
    }
    Ok(())
}

async fn reload(change: &UnitChange, world: &impl World) -> Result<(), Fault> {
    write(change, world).await?;
    world.units().reload(&change.unit).await
}

/// Stops before it writes: systemd reads a file afresh once its unit has been
/// unloaded, so that no daemon-reload is needed (2.2 s on a host with 1,000 units).
async fn restart(change: &UnitChange, world: &impl World) -> Result<(), Fault> {
    world.units().stop(&change.unit).await?;
    start(change, world).await
}

async fn start(change: &UnitChange, world: &impl World) -> Result<(), Fault> {
    write(change, world).await?;
    let files: Vec<_> = change.files.iter().map(|file| file.unit.clone()).collect();
    world.units().start(&change.unit, &files).await
}
