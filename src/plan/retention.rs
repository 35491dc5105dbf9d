//! Which generations and which versions of services a host keeps, and why.
//!
//! What is kept is what the host may go to without asking anybody: the generation
//! that runs, the one confirmed last, the one it booted with, one that has no verdict
//! yet; and for people the newest few. All else goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::names::{ServiceName, StorePath};

/// How much of the past is kept beside what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Versions of each service that the manifest has.
    pub versions: usize,
    pub generations: usize,
}

/// Why something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It runs, or its profile points at it.
    Current,
    /// It was confirmed last: where a rollback goes.
    LastGood,
    /// Its units were restored as the host booted.
    Booted,
    Newest,
    /// It has no verdict yet.
    Unfinished,
    /// It is among the last few.
    Recent,
    /// A generation that is needed does not tell its closures.
    Untold,
}

/// What the ledger says of generations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generations {
    /// All of them, each with why it is needed however old it is.
    pub needed: BTreeMap<u64, BTreeSet<Why>>,
    /// The closures of those that the host may go to; `None` where they are not told.
    pub closures: BTreeMap<u64, Option<BTreeSet<StorePath>>>,
}

/// What the store holds on behalf of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub profiles: BTreeMap<ServiceName, Versions>,
    /// Roots on what was fetched and may not be in any profile yet.
    pub roots: BTreeSet<StorePath>,
}

/// One profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// What it points at; `None` once its service left the manifest.
    pub current: Option<StorePath>,
    pub all: BTreeMap<u64, StorePath>,
}

/// What is kept and why, and what goes: whatever has no reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    pub generations: Vec<Generation>,
    pub versions: Vec<Version>,
    /// Roots of finished downloads: profiles hold what is still needed of them.
    pub roots: Vec<StorePath>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    pub generation: u64,
    pub kept: BTreeSet<Why>,
}

/// A version of a service's profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub service: ServiceName,
    pub version: u64,
    pub store_path: StorePath,
    pub kept: BTreeSet<Why>,
}

/// Decides what is kept.
pub fn retention(generations: &Generations, held: &Held, limits: Limits) -> Retention {
    let needs = Needs::of(generations);
    let versions: Vec<Version> =
        held.profiles.iter().flat_map(|(name, all)| needs.versions(name, all, limits)).collect();
    let in_profiles: BTreeSet<&StorePath> =
        versions.iter().filter(|v| !v.kept.is_empty()).map(|v| &v.store_path).collect();
    let over = |path: &&StorePath| in_profiles.contains(*path) || needs.why(path).is_empty();
    Retention {
        generations: recent(&generations.needed, limits.generations),
        roots: held.roots.iter().filter(over).cloned().collect(),
        versions,
    }
}

impl Retention {
    /// Whether everything stays.
    pub fn is_quiet(&self) -> bool {
        self.roots.is_empty() && self.going().next().is_none() && self.old().next().is_none()
    }

    /// The versions that go.
    pub fn going(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|version| version.kept.is_empty())
    }

    /// The generations that go.
    pub fn old(&self) -> impl Iterator<Item = u64> {
        self.generations.iter().filter(|g| g.kept.is_empty()).map(|g| g.generation)
    }
}

/// Which closures are needed, and by what.
struct Needs<'a> {
    by_path: BTreeMap<&'a StorePath, BTreeSet<Why>>,
    untold: bool,
}

impl<'a> Needs<'a> {
    fn of(generations: &'a Generations) -> Self {
        let mut by_path: BTreeMap<&StorePath, BTreeSet<Why>> = BTreeMap::new();
        for (number, closures) in &generations.closures {
            let why = generations.needed.get(number).into_iter().flatten();
            for path in closures.iter().flatten() {
                by_path.entry(path).or_default().extend(why.clone());
            }
        }
        Self { by_path, untold: generations.closures.values().any(Option::is_none) }
    }

    fn why(&self, path: &StorePath) -> BTreeSet<Why> {
        let mut why = self.by_path.get(path).cloned().unwrap_or_default();
        why.extend(self.untold.then_some(Why::Untold));
        why
    }

    fn versions(&self, service: &ServiceName, all: &Versions, limits: Limits) -> Vec<Version> {
        let last = if all.current.is_some() { limits.versions } else { 0 };
        let recent = all.all.len().saturating_sub(last);
        let judge = |(at, (number, path)): (usize, (&u64, &StorePath))| {
            let mut kept = self.why(path);
            kept.extend((all.current.as_ref() == Some(path)).then_some(Why::Current));
            kept.extend((at >= recent).then_some(Why::Recent));
            (*number, path.clone(), kept)
        };
        let of = |(version, store_path, kept)| {
            let service = service.clone();
            Version { service, version, store_path, kept }
        };
        all.all.iter().enumerate().map(judge).map(of).collect()
    }
}

fn recent(needed: &BTreeMap<u64, BTreeSet<Why>>, limit: usize) -> Vec<Generation> {
    let old = needed.len().saturating_sub(limit);
    let judge = |(at, (number, why)): (usize, (&u64, &BTreeSet<Why>))| {
        let mut kept = why.clone();
        kept.extend((at >= old).then_some(Why::Recent));
        Generation { generation: *number, kept }
    };
    needed.iter().enumerate().map(judge).collect()
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::LastGood => "last good",
            Self::Booted => "booted",
            Self::Newest => "newest",
            Self::Unfinished => "without a verdict yet",
            Self::Recent => "recent",
            Self::Untold => "maybe needed by a generation that does not tell its closures",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        format!("/nix/store/{}-{name}", "0".repeat(32)).parse().unwrap()
    }

    fn profile(current: Option<&str>, versions: &[&str]) -> Versions {
        let all = (1..).zip(versions.iter().map(|name| path(name))).collect();
        Versions { current: current.map(path), all }
    }

    fn of(profiles: &[(&str, Versions)], roots: &[&str]) -> Held {
        let profiles = profiles.iter().map(|(name, all)| (name.parse().unwrap(), all.clone()));
        Held { profiles: profiles.collect(), roots: roots.iter().map(|name| path(name)).collect() }
    }

    /// A generation with its reasons and, where they are needed, its closures.
    type Told<'a> = (u64, &'a [Why], Option<&'a [&'a str]>);

    fn generations(all: &[Told<'_>]) -> Generations {
        let mut generations = Generations::default();
        for (number, why, closures) in all {
            generations.needed.insert(*number, why.iter().copied().collect());
            if let Some(closures) = closures {
                let closures = closures.iter().map(|name| path(name)).collect();
                generations.closures.insert(*number, Some(closures));
            }
        }
        generations
    }

    const LIMITS: Limits = Limits { versions: 2, generations: 2 };

    fn going(retention: &Retention) -> Vec<(String, u64)> {
        retention.going().map(|v| (v.service.to_string(), v.version)).collect()
    }

    #[test]
    fn the_last_few_are_kept_and_what_runs_however_old() {
        let known = generations(&[
            (1, &[Why::Booted], Some(&["b"])),
            (2, &[], None),
            (3, &[], None),
            (4, &[Why::Current, Why::LastGood], Some(&["a"])),
            (5, &[Why::Newest], None),
        ]);
        let held = of(&[("web", profile(Some("a"), &["a", "b", "c", "d", "e"]))], &[]);
        let retention = retention(&known, &held, LIMITS);
        assert_eq!(going(&retention), [("web".to_owned(), 3)]);
        assert_eq!(retention.versions[0].kept, [Why::Current, Why::LastGood].into());
        assert_eq!(retention.versions[1].kept, [Why::Booted].into());
        assert_eq!(retention.old().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_service_that_left_is_kept_only_while_a_generation_needs_it() {
        let known = generations(&[
            (1, &[Why::Booted], Some(&["web-1", "api-2"])),
            (2, &[Why::LastGood, Why::Newest], Some(&["web-1"])),
        ]);
        let left = ("api", profile(None, &["api-1", "api-2"]));
        let held = of(&[("web", profile(Some("web-1"), &["web-1"])), left], &[]);
        assert_eq!(going(&retention(&known, &held, LIMITS)), [("api".to_owned(), 1)]);
    }

    #[test]
    fn a_root_stays_until_its_generation_is_over_or_a_profile_holds_it() {
        let roots = ["web-2", "api-1", "old"];
        let held = of(&[("web", profile(Some("web-1"), &["web-1", "web-2"]))], &roots);
        let known = generations(&[
            (1, &[Why::LastGood], Some(&["web-1"])),
            (2, &[Why::Newest, Why::Unfinished], Some(&["web-2", "api-1"])),
        ]);
        let over = [path("web-2"), path("old")];
        let mut roots = retention(&known, &held, LIMITS).roots;
        roots.sort();
        assert_eq!(roots, BTreeSet::from(over).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn nothing_goes_from_the_store_while_a_needed_generation_does_not_tell_its_closures() {
        let mut known = generations(&[(1, &[Why::LastGood], None)]);
        known.closures.insert(1, None);
        let held = of(&[("web", profile(None, &["a", "b", "c"]))], &["a", "z"]);
        let retention = retention(&known, &held, LIMITS);
        assert_eq!(going(&retention), []);
        assert_eq!(retention.roots, [path("a")], "a version of the profile holds it");
    }
}
