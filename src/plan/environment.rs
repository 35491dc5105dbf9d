//! A service's environment: a file of its own that only root reads, and never its unit.
//!
//! Unit files, `systemctl show` and what systemd keeps are open to every process of a
//! host. systemd reads an `EnvironmentFile=` as root, before the service's user comes in.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::observed::Observed;
use crate::manifest::service::{Service, Work};
use crate::names::{AbsolutePath, ServiceName};

/// The folder of these files, in memory and root's alone.
pub const FOLDER: &str = "/run/writ-env";

/// What a service's process gets, as it is on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The text of its file; none where the manifest says nothing.
    pub text: Option<String>,
    /// The content of its `envFile` when its process was started last.
    pub started_with: Option<ContentDigest>,
}

/// SHA-256 of what may be a secret: it is compared and never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentDigest(pub [u8; 32]);

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentDigest(…)")
    }
}

/// What was found where a manifest names an `envFile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvFile {
    Usable(ContentDigest),
    /// Why it cannot be used, and what to do.
    Unusable(String),
}

/// What becomes of an environment before its process begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentChange {
    /// The variables that come, go or change; their values are not shown.
    pub variables: Vec<String>,
    /// The `envFile` that has changed since the process was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_file: Option<AbsolutePath>,
    #[serde(skip)]
    pub to: Environment,
    /// Whether the file itself is written, and not only what is remembered of `envFile`.
    #[serde(skip)]
    pub rewrites: bool,
}

impl EnvironmentChange {
    /// Whether the process has to begin anew to have it.
    pub(super) fn begins_anew(&self) -> bool {
        !self.variables.is_empty() || self.env_file.is_some()
    }
}

/// The path of a service's file.
pub fn path(service: &ServiceName) -> String {
    format!("{FOLDER}/{service}.env")
}

/// The text of a service's file: a line each, quoted as systemd reads them
/// (`parse_env_file_internal`: within double quotes a backslash makes `"`, `\`, `` ` ``
/// and `$` themselves, and nothing else has a meaning).
pub fn text(service: &Service) -> Option<String> {
    if matches!(service.work, Work::Static { .. }) || service.env.is_empty() {
        return None;
    }
    Some(service.env.iter().map(|(name, value)| line(name.as_str(), value.as_str())).collect())
}

fn line(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(c);
    }
    line + "\"\n"
}

/// What has to happen to a service's environment; none where it is as it should be.
pub(super) fn change(service: &Service, observed: &Observed) -> Option<EnvironmentChange> {
    let found = observed.environments.get(&service.name).cloned().unwrap_or_default();
    let content = content(service, observed);
    let to = Environment { text: text(service), started_with: content.or(found.started_with) };
    // What is not asked about any more is not remembered.
    let to = match follows(service) {
        Some(_) => to,
        None => Environment { started_with: None, ..to },
    };
    let changed = found.started_with.is_some() && to.started_with != found.started_with;
    (to != found).then(|| EnvironmentChange {
        variables: variables(found.text.as_deref(), to.text.as_deref()),
        env_file: follows(service).filter(|_| changed).cloned(),
        rewrites: to.text != found.text,
        to,
    })
}

/// The `envFile` whose change restarts a service: a daemon reads it once, and a job or
/// a oneshot reads it each time that it runs.
fn follows(service: &Service) -> Option<&AbsolutePath> {
    match service.work {
        Work::Daemon { .. } => service.env_file.as_ref(),
        Work::Oneshot { .. } | Work::Job { .. } | Work::Static { .. } => None,
    }
}

fn content(service: &Service, observed: &Observed) -> Option<ContentDigest> {
    match observed.env_files.get(follows(service)?) {
        Some(EnvFile::Usable(digest)) => Some(*digest),
        Some(EnvFile::Unusable(_)) | None => None,
    }
}

/// The names whose lines differ.
pub(super) fn variables(old: Option<&str>, new: Option<&str>) -> Vec<String> {
    let lines = |text: Option<&str>| -> BTreeMap<String, String> {
        let lines = text.unwrap_or_default().lines();
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (old, new) = (lines(old), lines(new));
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| old.get(name) != new.get(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_and_four_characters_are_escaped() {
        assert_eq!(line("A", "a b # c;d"), "A=\"a b # c;d\"\n");
        assert_eq!(line("A", r#"a"b\c`d$e'f"#), "A=\"a\\\"b\\\\c\\`d\\$e'f\"\n");
        assert_eq!(line("A", ""), "A=\"\"\n");
    }

    #[test]
    fn variables_that_differ_are_named_and_never_their_values() {
        let names = |old, new| variables(Some(old), Some(new));
        assert_eq!(names("A=\"1\"\nB=\"2\"\n", "A=\"1\"\nB=\"3\"\nC=\"4\"\n"), ["B", "C"]);
        assert_eq!(variables(Some("A=\"1\"\n"), None), ["A"]);
    }

    #[test]
    fn a_digest_shows_nothing() {
        let digest = format!("{:?}", ContentDigest([7; 32]));
        assert!(!digest.contains('7'), "{digest}");
    }
}
