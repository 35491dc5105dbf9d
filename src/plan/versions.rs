//! Which of two versions is the newer, as nix sees it (nix, `src/libstore/names.cc`, `compareVersions`).

use std::cmp::Ordering;

/// Compares versions part by part; parts are numbers or words, apart by `.` and `-`.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (a, rest_a) = part(one);
        let (b, rest_b) = part(other);
        if a.is_empty() && b.is_empty() {
            return Ordering::Equal;
        }
        match order(a, b) {
            Ordering::Equal => (one, other) = (rest_a, rest_b),
            unequal => return unequal,
        }
    }
}

/// The first part of a version, and what follows it.
fn part(version: &str) -> (&str, &str) {
    let version = version.trim_start_matches(['.', '-']);
    let digits = version.starts_with(|c: char| c.is_ascii_digit());
    let end = version.find(|c: char| matches!(c, '.' | '-') || c.is_ascii_digit() != digits);
    version.split_at(end.unwrap_or(version.len()))
}

fn order(one: &str, other: &str) -> Ordering {
    let number = |text: &str| text.parse::<u64>().ok();
    match (number(one), number(other)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ if one == other => Ordering::Equal,
        (None, Some(_)) if one.is_empty() => Ordering::Less,
        (Some(_), None) if other.is_empty() => Ordering::Greater,
        // `2.3pre1` comes before `2.3`.
        _ if one == "pre" => Ordering::Less,
        _ if other == "pre" => Ordering::Greater,
        // `2.3a` comes before `2.3.1`.
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of nix's own test (`tests/functional/lang/eval-okay-versions.nix`).
    #[test]
    fn versions_are_ordered_as_nix_orders_them() {
        for (older, newer) in [
            ("1.0", "2.3"),
            ("2.1", "2.3"),
            ("2.3", "2.3.1"),
            ("2.3pre1", "2.3"),
            ("2.3pre3", "2.3pre12"),
            ("2.3a", "2.3c"),
            ("2.3pre1", "2.3c"),
            ("2.3pre1", "2.3q"),
            ("9", "10"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(compare("2.3", "2.3"), Ordering::Equal);
    }
}
