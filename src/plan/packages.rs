//! How two closures differ, package by package.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::closure::PathInfo;
use super::step::human_bytes;
use super::versions;
use crate::names::StorePath;

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
    pub change: PackageMove,
    /// Versions of the paths that only the one closure has; a path may have none.
    pub from: Vec<String>,
    pub to: Vec<String>,
    /// How many such paths there are.
    pub gone: usize,
    pub new: usize,
    /// Bytes more than before.
    pub growth: i64,
}

/// What becomes of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageMove {
    Added,
    Removed,
    Upgraded,
    Downgraded,
    /// The same versions, built anew.
    Rebuilt,
}

impl PackageMove {
    /// By the newest version of each side.
    pub fn between<'a>(
        from: impl Iterator<Item = &'a str>,
        to: impl Iterator<Item = &'a str>,
    ) -> Self {
        let newest = |a: &&str, b: &&str| versions::compare(a, b);
        let (from, to) = (from.max_by(newest), to.max_by(newest));
        match versions::compare(from.unwrap_or_default(), to.unwrap_or_default()) {
            Ordering::Less => Self::Upgraded,
            Ordering::Equal => Self::Rebuilt,
            Ordering::Greater => Self::Downgraded,
        }
    }

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Rebuilt => "rebuilt",
        }
    }
}

/// Compares closures by the names and versions in their store paths.
pub fn packages<'a>(
    from: impl IntoIterator<Item = &'a PathInfo>,
    to: impl IntoIterator<Item = &'a PathInfo>,
) -> Packages {
    fn sized(info: &PathInfo) -> (&StorePath, u64) {
        (&info.path, info.nar_size)
    }
    compared(from.into_iter().map(sized), to.into_iter().map(sized))
}

/// The same of paths with the bytes of their archives.
pub fn compared<'a>(
    from: impl IntoIterator<Item = (&'a StorePath, u64)>,
    to: impl IntoIterator<Item = (&'a StorePath, u64)>,
) -> Packages {
    let (old, new): (Side<'a>, Side<'a>) = (from.into_iter().collect(), to.into_iter().collect());
    let size = |side: &Side<'_>| side.values().sum();
    let mut packages = Packages { from_size: size(&old), to_size: size(&new), changes: Vec::new() };
    let (gone, fresh) = (by_name(&old, &new), by_name(&new, &old));
    let names: BTreeSet<&str> = gone.keys().chain(fresh.keys()).copied().collect();
    let none = Vec::new();
    for name in names {
        let (gone, fresh) = (gone.get(name).unwrap_or(&none), fresh.get(name).unwrap_or(&none));
        let (from, to) = (versions_of(gone), versions_of(fresh));
        packages.changes.push(PackageChange {
            name: name.to_owned(),
            change: moved(gone, fresh, &from, &to),
            from,
            to,
            gone: gone.len(),
            new: fresh.len(),
            growth: bytes(fresh).saturating_sub(bytes(gone)),
        });
    }
    packages
}

type Side<'a> = BTreeMap<&'a StorePath, u64>;
type Paths<'a> = Vec<(&'a StorePath, u64)>;

/// The paths that only `side` has, by the names of their packages.
fn by_name<'a>(side: &Side<'a>, other: &Side<'_>) -> BTreeMap<&'a str, Paths<'a>> {
    let mut found: BTreeMap<&str, Paths<'_>> = BTreeMap::new();
    for (path, size) in side.iter().filter(|(path, _)| !other.contains_key(*path)) {
        found.entry(path.package().0).or_default().push((*path, *size));
    }
    found
}

fn moved(gone: &Paths<'_>, fresh: &Paths<'_>, from: &[String], to: &[String]) -> PackageMove {
    match (gone.is_empty(), fresh.is_empty()) {
        (true, _) => PackageMove::Added,
        (_, true) => PackageMove::Removed,
        (false, false) => {
            PackageMove::between(from.iter().map(String::as_str), to.iter().map(String::as_str))
        }
    }
}

fn versions_of(paths: &Paths<'_>) -> Vec<String> {
    let versions: BTreeSet<&str> = paths.iter().filter_map(|(path, _)| path.package().1).collect();
    versions.into_iter().map(str::to_owned).collect()
}

fn bytes(paths: &Paths<'_>) -> i64 {
    let sum: u64 = paths.iter().map(|(_, size)| size).sum();
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
        let Self { name, change, from, to, gone, new, growth } = self;
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
        if *change == PackageMove::Downgraded {
            f.write_str(", downgraded")?;
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
