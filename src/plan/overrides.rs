//! What to do about files that others put over the units of desired services.
//!
//! Only files for exactly one unit count. Settings for many units at once
//! (`service.d/`, `writ-.service.d/`) are the host's own business.

use super::observed::{Observed, Override, OverrideKind};
use super::step::{Aside, Step};
use super::unit::{self, Impact, UnitFile, impact};
use super::{ChangeKind, Waiting};
use crate::manifest::Desired;
use crate::manifest::service::Service;

/// The files that can be moved away.
pub(super) fn aside<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let aside = |(service, unit, over): (&Service, UnitFile, &Override)| Aside {
        stop: unit::started(service).as_ref() == Some(&unit.name) && matters(over, &unit),
        path: over.path.clone(),
        unit: unit.name,
    };
    let movable = found(desired, observed).filter(|(_, _, over)| over.movable);
    let files: Vec<_> = movable.map(aside).collect();
    (!files.is_empty()).then_some(Step::Aside { files })
}

/// The files that cannot: whoever put them there has to take them away.
pub(super) fn fixed<Source>(desired: &Desired<Source>, observed: &Observed) -> Vec<Waiting> {
    let fixed = found(desired, observed).filter(|(_, _, over)| !over.movable);
    let wait = |(service, _, over): (&Service, UnitFile, &Override)| Waiting::Override {
        service: service.name.clone(),
        path: over.path.clone(),
    };
    fixed.map(wait).collect()
}

/// Every file over a unit of a desired service.
pub(super) fn found<'a, Source>(
    desired: &'a Desired<Source>,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a Service, UnitFile, &'a Override)> {
    // Making the texts of a thousand units takes a while, and mostly for nothing.
    let any = !observed.overrides.is_empty();
    let services = desired.services.values().filter(move |_| any);
    services.flat_map(move |service| {
        unit::unit_files(service).into_iter().flat_map(move |unit| {
            let over = observed.overrides.get(&unit.name).into_iter().flatten();
            over.map(move |over| (service, unit.clone(), over))
        })
    })
}

/// What the unit needs once the files over it have been moved away.
pub(super) fn change(unit: &UnitFile, observed: &Observed) -> ChangeKind {
    let over = observed.overrides.get(&unit.name).into_iter().flatten();
    let anew = over.filter(|over| over.movable).any(|over| matters(over, unit));
    if anew { ChangeKind::Restart } else { ChangeKind::None }
}

/// Whether a process that was started with the file may run otherwise than one
/// without it. A mask changes nothing of a process that runs.
fn matters(over: &Override, unit: &UnitFile) -> bool {
    let impact = match over.kind {
        OverrideKind::Mask => Impact::Same,
        OverrideKind::Replacement => impact(&over.text, &unit.text),
        OverrideKind::DropIn => impact("", &over.text),
    };
    match impact {
        Impact::Same | Impact::Write => false,
        Impact::Reload | Impact::Restart => true,
    }
}
