//! Path patterns of the policy: `*` within a name, `**` for any number of names.

use serde::Deserialize;

/// A pattern over paths from the repository's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Glob {
    parts: Vec<Part>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// `**`: any number of names; in the last place at least one.
    Any,
    /// One name; `*` stands for any characters.
    Name(String),
}

impl TryFrom<String> for Glob {
    type Error = String;

    /// Refuses every spelling that other tools read in another way: character
    /// classes, braces, negation, escapes, absolute paths, a `**` within a name.
    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("{text:?} is not a path pattern: {why}"));
        if text.chars().any(|c| c.is_control() || "[]{}!?\\".contains(c)) {
            return bad("only the wildcards `*` and `**` exist");
        }
        let mut parts = Vec::new();
        for name in text.split('/') {
            match name {
                "" | "." | ".." => return bad("it has an empty name, `.` or `..`"),
                "**" => parts.push(Part::Any),
                _ if name.contains("**") => return bad("`**` stands for whole names only"),
                _ => parts.push(Part::Name(name.to_owned())),
            }
        }
        Ok(Self { parts, text })
    }
}

impl Glob {
    pub(super) fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        // `open[n]`: the parts read so far match the first n names.
        let mut open = vec![false; names.len() + 1];
        open[0] = true;
        for (place, part) in self.parts.iter().enumerate() {
            open = match part {
                Part::Any => after_any(&open, place + 1 == self.parts.len()),
                Part::Name(pattern) => after_name(&open, pattern, &names),
            };
        }
        open[names.len()]
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn after_any(open: &[bool], last: bool) -> Vec<bool> {
    let mut reached = false;
    let skip = usize::from(last);
    let mut next = vec![false; open.len()];
    for (place, &is_open) in open.iter().enumerate() {
        reached |= is_open;
        if reached && place + skip < open.len() {
            next[place + skip] = true;
        }
    }
    next
}

fn after_name(open: &[bool], pattern: &str, names: &[&str]) -> Vec<bool> {
    let mut next = vec![false; open.len()];
    for (place, name) in names.iter().enumerate() {
        next[place + 1] = open[place] && name_matches(pattern, name);
    }
    next
}

/// Matches one name; the last `*` seen is the only one that has to be tried again.
pub(super) fn name_matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(found) = rest.find(piece) else { return false };
        rest = &rest[found + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::try_from(pattern.to_owned()).unwrap().matches(path)
    }

    #[test]
    fn wildcards_stay_within_their_reach() {
        for (pattern, path, expected) in [
            ("manifests/services/web*.toml", "manifests/services/web.toml", true),
            ("manifests/services/web*.toml", "manifests/services/web-2.toml", true),
            ("manifests/services/web*.toml", "manifests/services/api.toml", false),
            ("manifests/services/web*.toml", "manifests/services/web/x.toml", false),
            ("manifests/services/web*.toml", "manifests/services/web.toml/x", false),
            ("manifests/**", "manifests/a/b/c", true),
            ("manifests/**", "manifests", false),
            ("manifests/**", "manifests2/a", false),
            ("**", "anything/at/all", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/b/y", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/**", "a/x", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("ab*b", "ab", false),
            ("README.md", "README.md", true),
            ("README.md", "README_md", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn spellings_that_other_tools_read_differently_are_refused() {
        for bad in
            ["", "/a", "a/", "a//b", "./a", "../a", "[ab]", "{a,b}", "!a", "a?", "a\\*", "a**"]
        {
            assert!(Glob::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_wildcards_do_not_make_matching_slow() {
        let pattern = format!("{}x", "**/".repeat(200));
        assert!(!matches(&pattern, &["a"; 200].join("/")));
        assert!(!matches(&"*a".repeat(200), &"a".repeat(190)));
    }
}
