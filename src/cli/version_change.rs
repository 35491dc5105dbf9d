//! The change of a service's version, for the subject of a commit.

use crate::manifest::edit::written_release;
use crate::names::StorePath;

/// Characters of a store hash that tell two builds apart.
const HASH: usize = 7;
/// Characters of a source's revision, which is free text.
const REVISION: usize = 12;

/// What a service's file says of its closure.
struct Version {
    store_path: StorePath,
    revision: Option<String>,
}

/// From one text of a service's file to another: `1.2.3 -> 1.2.4`.
///
/// Where the closures have the same version, the revisions of their source or else their
/// store hashes tell them apart. A file without a closure, or with the placeholder of a
/// draft, has no version to come from.
pub(super) fn version_change(old: Option<&str>, new: &str) -> String {
    let Some(new) = Version::parse(new) else { return "no closure".to_owned() };
    let old = old.and_then(Version::parse).filter(|old| !is_placeholder(&old.store_path));
    let Some(old) = old.filter(|old| old.store_path != new.store_path) else {
        return new.with_revision();
    };
    if old.name() == new.name() {
        let [old, new_one] = match (&old.revision, &new.revision) {
            (Some(before), Some(now)) if before != now => [before.clone(), now.clone()],
            (Some(_) | None, Some(_) | None) => [short_hash(&old), short_hash(&new)],
        };
        return format!("{} ({old} -> {new_one})", new.name());
    }
    match old.store_path.package().1 {
        Some(before) => format!("{before} -> {}", new.with_revision()),
        None => new.with_revision(),
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (store_path, revision) = written_release(text)?;
        let revision = revision.as_deref().and_then(short_revision);
        Some(Self { store_path, revision })
    }

    /// The version, or the name of what has none.
    fn name(&self) -> &str {
        let (name, version) = self.store_path.package();
        version.unwrap_or(name)
    }

    fn with_revision(&self) -> String {
        match &self.revision {
            Some(revision) if revision != self.name() => format!("{} ({revision})", self.name()),
            Some(_) | None => self.name().to_owned(),
        }
    }
}

/// The first line, up to what a subject has room for.
fn short_revision(text: &str) -> Option<String> {
    let line: String = text.lines().next()?.trim().chars().take(REVISION).collect();
    Some(line).filter(|line| !line.is_empty())
}

fn short_hash(version: &Version) -> String {
    version.store_path.hash().chars().take(HASH).collect()
}

/// The store path of a draft that no closure was put into yet.
pub(super) fn is_placeholder(path: &StorePath) -> bool {
    path.hash().bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(hash: char, name: &str, revision: &str) -> String {
        let hash = hash.to_string().repeat(32);
        let revision = if revision.is_empty() {
            String::new()
        } else {
            format!("revision = \"{revision}\"\n")
        };
        format!("{revision}[artifact]\nstorePath = \"/nix/store/{hash}-{name}\"\n")
    }

    #[test]
    fn two_versions_are_told_apart() {
        let change = |old: &str, new: &str| version_change(Some(old), new);
        let (one, two) = (file('1', "web-1.2.3", ""), file('2', "web-1.2.4", ""));
        assert_eq!(change(&one, &two), "1.2.3 -> 1.2.4");
        assert_eq!(change(&two, &one), "1.2.4 -> 1.2.3");
        assert_eq!(change(&one, &file('2', "web-1.2.4", "abc")), "1.2.3 -> 1.2.4 (abc)");
        // The same name twice.
        assert_eq!(change(&one, &file('3', "web-1.2.3", "")), "1.2.3 (1111111 -> 3333333)");
        assert_eq!(
            change(&file('1', "web", ""), &file('2', "web", "")),
            "web (1111111 -> 2222222)"
        );
        let builds = change(&file('1', "web", "abc"), &file('2', "web", "def"));
        assert_eq!(builds, "web (abc -> def)");
        let rebuilt = change(&file('1', "web", "abc"), &file('2', "web", "abc"));
        assert_eq!(rebuilt, "web (1111111 -> 2222222)");
    }

    #[test]
    fn what_is_new_has_a_version_only() {
        let new = file('2', "web-1.2.4", "abc");
        assert_eq!(version_change(None, &new), "1.2.4 (abc)");
        assert_eq!(version_change(Some(&file('0', "web-0", "")), &new), "1.2.4 (abc)");
        assert_eq!(version_change(Some(&file('1', "web", "")), &new), "1.2.4 (abc)");
        assert_eq!(version_change(Some(&new), &new), "1.2.4 (abc)");
        assert_eq!(version_change(Some("hosts = []\n"), &new), "1.2.4 (abc)");
        assert_eq!(version_change(Some(&new), "hosts = []\n"), "no closure");
    }

    #[test]
    fn a_long_revision_leaves_room_for_the_rest() {
        let long = file('2', "web-1.2.4", "0123456789abcdef0123456789abcdef01234567-dirty");
        assert_eq!(version_change(None, &long), "1.2.4 (0123456789ab)");
    }
}
