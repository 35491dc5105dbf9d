//! What people can look at before a host does it: the steps that change something, and their digest.
//!
//! The digest is `sha256:` and the lowercase hexadecimal SHA-256 of a JSON text without
//! spaces: `["writ-plan-1",[STEP,…]]`, the steps in their order. In it are
//!
//! - units that are stopped, written, reloaded or started (also again), with the new
//!   text of each file, and of the environment where that changes;
//! - profiles, from which store path to which; those that go;
//! - routes that come, go and change, and all routes as they become;
//! - files of others that are moved away from over our units.
//!
//! Left out is what depends on the moment, so that somebody who sees no host can say
//! beforehand what the digest will be:
//!
//! - what is fetched and looked through, since a closure may be on the host already;
//! - watches and questions to routes, which change nothing;
//! - what lies in files that only the host has (`envFile`);
//! - whether a unit happens to run: a start is a start, for the first time or again;
//! - what Caddy serves for others, and so where certificates come from.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::observed::{Observed, UnitState};
use super::plan;
use super::routes::{self, Features, RouteLine, RouteText};
use super::step::{Step, UnitChange};
use crate::manifest::Desired;
use crate::names::PlanDigest;

/// Names the form of the text, so that a later one can never be taken for it.
const FORM: &str = "writ-plan-1";

/// The steps of a plan that change something, as far as they can be known beforehand.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    step: Value,
    told: String,
}

/// What `plan` would change, whatever happens to run.
pub fn outline<Source: Clone>(desired: &Desired<Source>, observed: &Observed) -> Outline {
    let plan = plan(desired, &as_if_up(observed.clone()));
    let lines = plan
        .steps
        .iter()
        .filter_map(|step| Some(Line { step: canonical(step, desired)?, told: one_line(step) }));
    Outline { lines: lines.collect() }
}

/// Every unit with a file runs, and nobody remembers units without one.
fn as_if_up(mut observed: Observed) -> Observed {
    observed.units.retain(|_, unit| unit.file.is_some());
    observed.units.values_mut().for_each(|unit| unit.state = UnitState::Active);
    let units = &observed.units;
    observed.environments.retain(|service, _| units.contains_key(&service.unit()));
    // Nor does what lies in files of the host's own.
    observed.env_files.clear();
    observed
}

fn canonical<Source>(step: &Step, desired: &Desired<Source>) -> Option<Value> {
    let of = |what: &str, items: Value| Some(json!([what, items]));
    match step {
        Step::Fetch { .. }
        | Step::Inspect { .. }
        | Step::Check { .. }
        | Step::Watch { .. }
        | Step::Ask { .. } => None,
        Step::Aside { files } => of("aside", value(files)),
        Step::Stop { units } => of("stop", value(units)),
        Step::Switch { profiles } => of("switch", value(profiles)),
        Step::Write { units } => of("write", changes(units)),
        Step::Reload { units } => of("reload", changes(units)),
        Step::Restart { units } | Step::Start { units } => of("start", changes(units)),
        Step::Route(change) => {
            let lines: Vec<Value> = change.lines.iter().map(route).collect();
            // A change of settings shows in no line.
            let own = routes::merge(&Value::Null, desired.services.values(), Features::default());
            let own = own.config;
            of("route", json!([lines, own]))
        }
        Step::Retire { profiles } => of("retire", value(profiles)),
    }
}

fn changes(units: &[UnitChange]) -> Value {
    let one = |change: &UnitChange| match &change.environment {
        Some(environment) if environment.rewrites => {
            json!([change.unit, change.files, environment.to.text])
        }
        Some(_) | None => json!([change.unit, change.files]),
    };
    units.iter().map(one).collect()
}

fn route(line: &RouteLine) -> Value {
    match line {
        RouteLine::Added { to } => json!(["added", place(to)]),
        RouteLine::Removed { from } => json!(["removed", place(from)]),
        RouteLine::Changed { from, to } => json!(["changed", place(from), place(to)]),
        RouteLine::Moved { to } => json!(["moved", place(to)]),
    }
}

/// A route without its scheme, which the rest of Caddy's configuration has a say in.
fn place(route: &RouteText) -> Value {
    let bare =
        |url: &String| url.split_once("://").map_or(url.clone(), |(_, rest)| rest.to_owned());
    let urls: Vec<String> = route.urls.iter().map(bare).collect();
    json!([route.id, urls, route.target])
}

fn value(items: &impl Serialize) -> Value {
    serde_json::to_value(items).expect("steps are made of names and text")
}

/// Without the padding between verb and items.
fn one_line(step: &Step) -> String {
    step.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Outline {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn digest(&self) -> PlanDigest {
        let steps: Vec<&Value> = self.lines.iter().map(|line| &line.step).collect();
        let hash = Sha256::digest(json!([FORM, steps]).to_string());
        let hex = hash.iter().fold(String::from("sha256:"), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        });
        hex.parse().expect("it is sha256: and 64 lowercase hex digits")
    }

    /// The first step that is not the same in both, in words: here and there.
    pub fn differs(&self, other: &Self) -> Option<(String, String)> {
        let told = |line: Option<&Line>| line.map_or("nothing".to_owned(), |l| l.told.clone());
        let longest = self.lines.len().max(other.lines.len());
        let pairs = (0..longest).map(|n| (self.lines.get(n), other.lines.get(n)));
        let different = |(here, there): &(Option<&Line>, Option<&Line>)| {
            here.map(|line| &line.step) != there.map(|line| &line.step)
        };
        pairs.into_iter().find(different).map(|(here, there)| (told(here), told(there)))
    }

    /// The first step, in words.
    pub fn first(&self) -> Option<&str> {
        self.lines.first().map(|line| line.told.as_str())
    }
}

#[cfg(test)]
#[path = "digest/tests.rs"]
mod tests;
