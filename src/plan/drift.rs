//! What on the host is not as its generation says, one difference a line.
//!
//! It tells; what is done about it is a [`super::plan()`] like any other.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::observed::{Observed, ObservedRoutes, OverrideKind, UnitState};
use super::routes::{self, RouteLine, RouteText};
use super::site::servable;
use super::{Plan, Waiting, environment, here, overrides, runs, unit};
use crate::manifest::Desired;
use crate::manifest::service::Service;
use crate::names::{ServiceName, UnitName};

/// The longest a side of a difference is shown, in characters.
const SHOWN: usize = 160;

/// One difference between what was applied and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    pub what: What,
    /// Whose it is; none for what belongs to no service of the manifest.
    pub service: Option<ServiceName>,
    pub expected: String,
    pub found: String,
}

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    UnitStopped,
    /// Its process failed, and systemd does not start it again.
    UnitFailed,
    UnitEdited,
    UnitDeleted,
    UnitMasked,
    /// Another unit of the same name, which systemd prefers.
    UnitReplaced,
    DropIn,
    /// A unit named like one of ours that no service has.
    UnitUnknown,
    Profile,
    /// A profile named like one of ours that no service has.
    ProfileUnknown,
    /// The closure is gone from the store, or nothing keeps it there.
    Closure,
    /// The variables of the manifest, as the service is given them.
    Environment,
    /// The host's own file of variables, which has changed since the service was started.
    EnvFile,
    /// Nobody remembers that the closure was compared with its signed digest.
    ClosureDigest,
    Route,
    /// Somebody else has a route for the same requests, and ours is left as it is.
    RouteContested,
}

/// What `plan` would put back; nothing where it has nothing to do and waits for nothing.
pub fn drift<Source>(
    desired: &Desired<Source>,
    observed: &Observed,
    plan: &Plan<Source>,
) -> Vec<Drift> {
    let mut drift = fixed(desired, observed);
    drift.extend(plan.waiting.iter().filter_map(contested));
    if plan.steps.is_empty() {
        return drift;
    }
    let moved = overrides::found(desired, observed).filter(|(_, _, file)| file.movable);
    drift.extend(moved.map(|(service, _, file)| over(service, file.kind, file.path.as_str())));
    for service in desired.services.values() {
        drift.extend(units(service, observed));
        drift.extend(environment(service, observed));
        drift.extend(closure(service, observed));
    }
    drift.extend(unknown(desired, observed));
    drift.extend(routes(desired, observed));
    drift
}

/// Files over units that cannot be moved away, so that they stay also once all else
/// has been put back.
fn fixed<Source>(desired: &Desired<Source>, observed: &Observed) -> Vec<Drift> {
    overrides::found(desired, observed)
        .filter(|(_, _, file)| !file.movable)
        .map(|(service, _, file)| over(service, file.kind, file.path.as_str()))
        .collect()
}

/// A route that stays as it is, since somebody else has it.
fn contested(waiting: &Waiting) -> Option<Drift> {
    let Waiting::ForeignRoute { service, route, because } = waiting else { return None };
    let drift = nobodys(What::RouteContested, route, because);
    Some(Drift { service: Some(service.clone()), ..drift })
}

fn over(service: &Service, kind: OverrideKind, path: &str) -> Drift {
    let what = match kind {
        OverrideKind::Mask => What::UnitMasked,
        OverrideKind::Replacement => What::UnitReplaced,
        OverrideKind::DropIn => What::DropIn,
    };
    of(service, what, "only the unit that Writ wrote", path)
}

fn units(service: &Service, observed: &Observed) -> Vec<Drift> {
    let mut drift = Vec::new();
    for file in unit::unit_files(service) {
        let found = observed.units.get(&file.name).and_then(|unit| unit.file.as_deref());
        match found {
            Some(text) if text == file.text => {}
            Some("") => drift.push(of(service, What::UnitMasked, "its unit", "an empty unit")),
            Some(text) => {
                let (expected, found) = lines(&file.text, text);
                drift.push(of(service, What::UnitEdited, &expected, &found));
            }
            None => drift.push(of(service, What::UnitDeleted, file.name.as_str(), "no file")),
        }
    }
    if let Some(started) = unit::started(service) {
        let found = observed.units.get(&started);
        if !runs(found) {
            let state = found.map(|unit| unit.state).unwrap_or_default();
            let what = match state {
                UnitState::Failed => What::UnitFailed,
                _ => What::UnitStopped,
            };
            drift.push(of(service, what, "active", &state.to_string()));
        }
    }
    drift
}

/// By the names of variables, and never by what they are.
fn environment(service: &Service, observed: &Observed) -> Vec<Drift> {
    let Some(change) = environment::change(service, observed) else { return Vec::new() };
    let mut drift = Vec::new();
    if change.rewrites {
        let found = observed.environments.get(&service.name).and_then(|found| found.text.as_ref());
        let found = match (found, change.variables.as_slice()) {
            (None, _) => "no file that only root reads".to_owned(),
            (Some(_), names) => format!("{} changed", names.join(", ")),
        };
        drift.push(of(service, What::Environment, "what the manifest says", &found));
    }
    if let Some(path) = &change.env_file {
        drift.push(of(service, What::EnvFile, "what it was started with", path.as_str()));
    }
    drift
}

/// The lines that a text lost and got.
fn lines(expected: &str, found: &str) -> (String, String) {
    let diff = TextDiff::from_lines(expected, found);
    let with = |tag: ChangeTag| -> String {
        let lines = diff.iter_all_changes().filter(|change| change.tag() == tag);
        let lines: Vec<String> = lines.map(|change| change.value().trim().to_owned()).collect();
        if lines.is_empty() { "nothing".to_owned() } else { lines.join("; ") }
    };
    (with(ChangeTag::Delete), with(ChangeTag::Insert))
}

fn closure(service: &Service, observed: &Observed) -> Vec<Drift> {
    let wanted = &service.artifact.store_path;
    let mut drift = Vec::new();
    match observed.store.current.get(&service.name) {
        Some(found) if found == wanted => {}
        Some(found) => {
            drift.push(of(service, What::Profile, wanted.as_str(), found.as_str()));
        }
        None => drift.push(of(service, What::Profile, wanted.as_str(), "no profile")),
    }
    if !observed.store.rooted.contains(wanted) {
        let found = "not in the store, or kept by no profile";
        drift.push(of(service, What::Closure, wanted.as_str(), found));
    } else if !here(&service.artifact, &observed.store) {
        let digest = service.artifact.closure_digest.as_ref().map(ToString::to_string);
        drift.push(of(service, What::ClosureDigest, &digest.unwrap_or_default(), "not compared"));
    }
    drift
}

/// Units and profiles named like ours that nothing of the generation has.
fn unknown<Source>(desired: &Desired<Source>, observed: &Observed) -> Vec<Drift> {
    let wanted: BTreeSet<UnitName> = desired.services.values().flat_map(unit::unit_names).collect();
    let units = observed
        .units
        .keys()
        .filter(|unit| !wanted.contains(*unit))
        .map(|unit| nobodys(What::UnitUnknown, "no such unit", unit.as_str()));
    let profiles = observed.store.current.iter();
    let profiles = profiles.filter(|(name, _)| !desired.services.contains_key(*name));
    let profiles = profiles.map(|(name, path)| {
        nobodys(What::ProfileUnknown, "no such profile", &format!("{name}, {path}"))
    });
    units.chain(profiles).collect()
}

fn routes<Source>(desired: &Desired<Source>, observed: &Observed) -> Vec<Drift> {
    let ObservedRoutes::Up { config, features, .. } = &observed.routes else { return Vec::new() };
    let merged = routes::merge(config, servable(desired, observed), *features);
    if merged.config.is_some() && merged.lines.is_empty() {
        return vec![nobodys(What::Route, "only what the services need", "leftovers in Caddy")];
    }
    merged.lines.iter().map(route).collect()
}

fn route(line: &RouteLine) -> Drift {
    let (route, expected, found) = match line {
        RouteLine::Added { to } => (to, to.to_string(), "no route".to_owned()),
        RouteLine::Removed { from } => (from, "no route".to_owned(), from.to_string()),
        RouteLine::Changed { from, to } if from == to => {
            (to, to.to_string(), "the same with other settings".to_owned())
        }
        RouteLine::Changed { from, to } => (to, to.to_string(), from.to_string()),
        RouteLine::Moved { to } => (to, to.to_string(), "the same in another place".to_owned()),
    };
    Drift { service: owner(route), ..nobodys(What::Route, &expected, &found) }
}

/// The service in `writ-<service>-<n>` and `writ-<service>-<n>-redirect`.
fn owner(route: &RouteText) -> Option<ServiceName> {
    let id = route.id.strip_prefix("writ-")?;
    let id = id.strip_suffix("-redirect").unwrap_or(id);
    id.rsplit_once('-')?.0.parse().ok()
}

fn of(service: &Service, what: What, expected: &str, found: &str) -> Drift {
    Drift { service: Some(service.name.clone()), ..nobodys(what, expected, found) }
}

fn nobodys(what: What, expected: &str, found: &str) -> Drift {
    Drift { what, service: None, expected: shortened(expected), found: shortened(found) }
}

/// What others wrote must neither fill nor steer a terminal.
fn shortened(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

impl What {
    /// The kind as one word, the same as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnitStopped => "unit-stopped",
            Self::UnitFailed => "unit-failed",
            Self::UnitEdited => "unit-edited",
            Self::UnitDeleted => "unit-deleted",
            Self::UnitMasked => "unit-masked",
            Self::UnitReplaced => "unit-replaced",
            Self::DropIn => "drop-in",
            Self::UnitUnknown => "unit-unknown",
            Self::Profile => "profile",
            Self::ProfileUnknown => "profile-unknown",
            Self::Closure => "closure",
            Self::Environment => "environment",
            Self::EnvFile => "env-file",
            Self::ClosureDigest => "closure-digest",
            Self::Route => "route",
            Self::RouteContested => "route-contested",
        }
    }
}

/// `web: unit-stopped, expected active, found inactive`.
impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (What::EnvFile, Some(service)) = (self.what, &self.service) {
            return write!(f, "{service}: its envFile {} has changed", self.found);
        }
        self.service.iter().try_for_each(|service| write!(f, "{service}: "))?;
        write!(f, "{}, expected {}, found {}", self.what.word(), self.expected, self.found)
    }
}
