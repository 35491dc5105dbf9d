//! How two closures differ, package by package.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::closure::PathInfo;
use super::step::human_bytes;

/// What differs between two closures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packages {
    /// Bytes of all archives of the closures.
    pub from_size: u64,
    pub to_size: u64,
    pub changes: Vec<PackageChange>,
}

/// One package whose store paths are not the same in both closures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageChange {
    pub name: String,
    /// Versions of the paths that only the one closure has; a path may have none.
    pub from: Vec<String>,
    pub to: Vec<String>,
    /// How many such paths there are.
    pub gone: usize,
    pub new: usize,
    /// Bytes more than before.
    pub growth: i64,
}

/// Compares closures by the names and versions in their store paths.
pub fn packages<'a>(
    from: impl IntoIterator<Item = &'a PathInfo>,
    to: impl IntoIterator<Item = &'a PathInfo>,
) -> Packages {
    let (old, new) = (by_path(from), by_path(to));
    let size = |side: &Side<'_>| side.values().map(|info| info.nar_size).sum();
    let mut packages = Packages { from_size: size(&old), to_size: size(&new), changes: Vec::new() };
    let (gone, fresh) = (by_name(&old, &new), by_name(&new, &old));
    let names: BTreeSet<&str> = gone.keys().chain(fresh.keys()).copied().collect();
    let none = Vec::new();
    for name in names {
        let (gone, fresh) = (gone.get(name).unwrap_or(&none), fresh.get(name).unwrap_or(&none));
        packages.changes.push(PackageChange {
            name: name.to_owned(),
            from: versions(gone),
            to: versions(fresh),
            gone: gone.len(),
            new: fresh.len(),
            growth: bytes(fresh).saturating_sub(bytes(gone)),
        });
    }
    packages
}

type Side<'a> = BTreeMap<&'a str, &'a PathInfo>;

fn by_path<'a>(paths: impl IntoIterator<Item = &'a PathInfo>) -> Side<'a> {
    paths.into_iter().map(|info| (info.path.as_str(), info)).collect()
}

/// The paths that only `side` has, by the names of their packages.
fn by_name<'a>(side: &Side<'a>, other: &Side<'_>) -> BTreeMap<&'a str, Vec<&'a PathInfo>> {
    let mut found: BTreeMap<&str, Vec<&PathInfo>> = BTreeMap::new();
    for (path, info) in side.iter().filter(|(path, _)| !other.contains_key(*path)) {
        debug_assert_eq!(*path, info.path.as_str());
        found.entry(info.path.package().0).or_default().push(info);
    }
    found
}

fn versions(paths: &[&PathInfo]) -> Vec<String> {
    let versions: BTreeSet<&str> = paths.iter().filter_map(|info| info.path.package().1).collect();
    versions.into_iter().map(str::to_owned).collect()
}

fn bytes(paths: &[&PathInfo]) -> i64 {
    let sum: u64 = paths.iter().map(|info| info.nar_size).sum();
    i64::try_from(sum).unwrap_or(i64::MAX)
}

impl fmt::Display for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} → {}", human_bytes(self.from_size), human_bytes(self.to_size))?;
        self.changes.iter().try_for_each(|change| writeln!(f, "    {change}"))
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, from, to, gone, new, growth } = self;
        let (from, to) = (from.join(", "), to.join(", "));
        match (gone, new) {
            (0, _) => write!(f, "+ {}", joined(name, &to))?,
            (_, 0) => write!(f, "- {}", joined(name, &from))?,
            _ if from == to => write!(f, "~ {}, built anew", joined(name, &to))?,
            _ => {
                let told = |versions: String| {
                    if versions.is_empty() { "none".to_owned() } else { versions }
                };
                write!(f, "~ {name} {} → {}", told(from), told(to))?;
            }
        }
        let sign = if *growth < 0 { '-' } else { '+' };
        match growth.unsigned_abs() {
            0 => Ok(()),
            more => write!(f, ", {sign}{}", human_bytes(more)),
        }
    }
}

fn joined(name: &str, versions: &str) -> String {
    if versions.is_empty() { name.to_owned() } else { format!("{name} {versions}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(paths: &[(char, &str, u64)]) -> Vec<PathInfo> {
        let info = |(hash, label, nar_size): &(char, &str, u64)| PathInfo {
            path: format!("/nix/store/{}-{label}", hash.to_string().repeat(32)).parse().unwrap(),
            nar_hash: [0; 32],
            nar_size: *nar_size,
            references: BTreeSet::new(),
        };
        paths.iter().map(info).collect()
    }

    #[test]
    fn packages_come_go_move_on_and_are_built_anew() {
        let old = closure(&[
            ('1', "glibc-2.40", 100),
            ('2', "openssl-3.0.1", 2048),
            ('3', "web-1", 10),
            ('4', "zlib-1.3", 50),
            ('5', "script", 7),
        ]);
        let new = closure(&[
            ('1', "glibc-2.40", 100),
            ('6', "openssl-3.0.2", 1024),
            ('7', "web-2", 10),
            ('8', "curl-8.9", 500),
            ('9', "script", 7),
        ]);
        insta::assert_snapshot!(packages(&old, &new), @r"
        2.2 KiB → 1.6 KiB
            + curl 8.9, +500 B
            ~ openssl 3.0.1 → 3.0.2, -1.0 KiB
            ~ script, built anew
            ~ web 1 → 2
            - zlib 1.3, -50 B
        ");
        assert_eq!(packages(&old, &old).changes, []);
    }
}
