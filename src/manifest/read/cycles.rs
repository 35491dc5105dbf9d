//! Finds services that wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use super::Spotted;
use super::cross::Services;
use crate::manifest::problem::Report;
use crate::names::ServiceName;

/// A walk along `dependsOn`: every service on it with the dependencies not yet
/// followed. Kept by hand, as a chain may be longer than the stack is deep.
type Walk<'s, 'a> = Vec<(&'s ServiceName, std::slice::Iter<'s, Spotted<'a, ServiceName>>)>;

/// Notes each dependency that closes a cycle, with the cycle's services.
pub(super) fn check<'a>(services: &Services<'_, 'a>, report: &Report) {
    let mut done = BTreeSet::new();
    for (&start, written) in services {
        let mut walk: Walk<'_, 'a> = Vec::new();
        let mut places = BTreeMap::new();
        if !done.contains(start) {
            places.insert(start, 0);
            walk.push((start, written.depends_on.iter()));
        }
        while let Some((name, rest)) = walk.last_mut() {
            let Some(dependency) = rest.next() else {
                done.insert(*name);
                places.remove(*name);
                walk.pop();
                continue;
            };
            let Some((&on, written)) = services.get_key_value(&dependency.value) else { continue };
            if let Some(place) = places.get(on) {
                let what = format!("a cycle of `dependsOn`: {}", circle(&walk[*place..]));
                report.add(dependency.at, what, "remove one of these dependencies");
            } else if !done.contains(on) {
                places.insert(on, walk.len());
                walk.push((on, written.depends_on.iter()));
            }
        }
    }
}

/// `a → b → a`, from the first name in the alphabet.
fn circle(walk: &[(&ServiceName, std::slice::Iter<'_, Spotted<'_, ServiceName>>)]) -> String {
    let mut names: Vec<&str> = walk.iter().map(|(name, _)| name.as_str()).collect();
    let first = (0..names.len()).min_by_key(|at| names[*at]).unwrap_or(0);
    names.rotate_left(first);
    names.extend(names.first().copied());
    names.join(" → ")
}
