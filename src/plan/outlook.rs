//! What each host would do on its way from one manifest to another, for people who decide whether it should.

mod markdown;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::assume::assumed;
use super::contents::{Contents, Load, load, reach};
use super::difference::{Closure, ClosureLine, difference};
use super::digest::outline;
use super::packages::{PackageMove, compared};
use super::routes::RouteLine;
use super::step::Step;
use super::{Plan, plan};
use crate::manifest::{Desired, WorkingTree};
use crate::names::{HostName, PlanDigest, ServiceName, StorePath};

/// What every host would do.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// Those with something to do.
    pub hosts: BTreeMap<HostName, HostOutlook>,
    pub unchanged: Vec<HostName>,
}

/// What one host would do, taken to run the one manifest, healthy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostOutlook {
    #[serde(flatten)]
    pub plan: Plan<()>,
    /// Of the steps that change something; none where none does.
    pub digest: Option<PlanDigest>,
    pub services: Services,
    pub closures: Vec<ClosureLine>,
    pub size: Size,
    /// No host reboots: no profile is activated.
    pub reboot: bool,
}

/// Services by what happens to them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    pub started: BTreeSet<ServiceName>,
    pub restarted: BTreeSet<ServiceName>,
    pub reloaded: BTreeSet<ServiceName>,
    pub stopped: BTreeSet<ServiceName>,
}

/// How much a host has to fetch at most; it may have some of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    pub known: Known,
    pub download: Option<u64>,
    pub disk: Option<u64>,
}

/// Where a size comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// No closure is new.
    Nothing,
    /// Every path that is new was looked at.
    Contents,
    /// The whole closures, as the manifest's `closureSize` says.
    Manifest,
    Unknown,
}

impl HostOutlook {
    /// From `old`, or from a host that runs nothing of ours.
    pub fn of(
        old: Option<&Desired<WorkingTree>>,
        new: &Desired<WorkingTree>,
        contents: &Contents,
    ) -> Self {
        let nothing = Desired::nothing(new.host.clone(), new.source.clone());
        let old = old.unwrap_or(&nothing);
        let before = assumed(old);
        let Plan { source: _, steps, waiting, privileges, spared } =
            plan(new, &before).from(Some(old), new);
        let outline = outline(new, &before);
        let mut closures = difference(old, new).closures;
        closures.iter_mut().for_each(|line| look_inside(line, contents));
        Self {
            digest: (!outline.is_empty()).then(|| outline.digest()),
            services: Services::of(&steps),
            size: size(old, new, contents),
            closures,
            plan: Plan { source: (), steps, waiting, privileges, spared },
            reboot: false,
        }
    }

    /// Every route that comes, goes or changes.
    pub fn routes(&self) -> impl Iterator<Item = &RouteLine> {
        self.plan.steps.iter().flat_map(|step| match step {
            Step::Route(change) => change.lines.as_slice(),
            _ => &[],
        })
    }
}

/// The roots whose contents an outlook asks for.
pub fn roots<'a, S: 'a>(
    desired: impl IntoIterator<Item = &'a Desired<S>>,
) -> BTreeSet<&'a StorePath> {
    let services = desired.into_iter().flat_map(|desired| desired.services.values());
    services.map(|service| &service.artifact.store_path).collect()
}

fn look_inside(line: &mut ClosureLine, contents: &Contents) {
    let ClosureLine { from: Some(from), to: Some(to), packages, .. } = line else { return };
    let both = (inside(from, contents), inside(to, contents));
    if let (Some(from), Some(to)) = both {
        *packages = Some(compared(from, to));
    }
}

/// The paths of a closure with their sizes, where all of them are known.
fn inside<'a>(closure: &'a Closure, contents: &'a Contents) -> Option<Vec<(&'a StorePath, u64)>> {
    let paths = reach(contents, [&closure.store_path])?;
    Some(paths.into_iter().map(|path| (path, contents[path].nar_size)).collect())
}

fn size<S>(old: &Desired<S>, new: &Desired<S>, contents: &Contents) -> Size {
    let (here, wanted) = (roots([old]), roots([new]));
    let fresh: BTreeSet<&StorePath> = wanted.difference(&here).copied().collect();
    let told = |known, download, disk| Size { known, download, disk };
    if fresh.is_empty() {
        return told(Known::Nothing, None, None);
    }
    if let Some(paths) = reach(contents, fresh.iter().copied()) {
        // Of an old closure that nobody knows, nothing is taken to be there.
        let there: BTreeSet<&StorePath> =
            here.into_iter().filter_map(|root| reach(contents, [root])).flatten().collect();
        let Load { disk, download } = load(contents, paths.difference(&there).copied());
        return told(Known::Contents, download, Some(disk));
    }
    let artifacts = new.services.values().map(|service| &service.artifact);
    let sizes: BTreeMap<&StorePath, Option<u64>> = artifacts
        .filter(|artifact| fresh.contains(&artifact.store_path))
        .map(|artifact| (&artifact.store_path, artifact.closure_size))
        .collect();
    match sizes.into_values().try_fold(0_u64, |sum, size| Some(sum.saturating_add(size?))) {
        Some(disk) => told(Known::Manifest, None, Some(disk)),
        None => told(Known::Unknown, None, None),
    }
}

impl Services {
    fn of(steps: &[Step]) -> Self {
        let mut services = Self::default();
        for step in steps {
            let units = step.units().iter().filter_map(|change| change.unit.service());
            match step {
                Step::Start { .. } => services.started.extend(units),
                Step::Restart { .. } => services.restarted.extend(units),
                Step::Reload { .. } => services.reloaded.extend(units),
                Step::Stop { units } => {
                    services.stopped.extend(units.iter().filter_map(|unit| unit.unit.service()));
                }
                Step::Fetch { .. }
                | Step::Inspect { .. }
                | Step::Check { .. }
                | Step::Aside { .. }
                | Step::Switch { .. }
                | Step::Write { .. }
                | Step::Route(_)
                | Step::Watch { .. }
                | Step::Ask { .. }
                | Step::Retire { .. } => {}
            }
        }
        services
    }
}

/// What the names of two closures alone tell.
fn moved(line: &ClosureLine) -> PackageMove {
    match (&line.from, &line.to) {
        (None, _) => PackageMove::Added,
        (_, None) => PackageMove::Removed,
        (Some(from), Some(to)) => PackageMove::between(
            from.version.as_deref().into_iter(),
            to.version.as_deref().into_iter(),
        ),
    }
}
