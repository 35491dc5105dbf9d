//! `Environment=` and `EnvironmentFile=`: values go over, secrets never do.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::secret::is_secret;
use super::unit::Unit;
use super::words::{Names, texts};
use crate::names::{AbsolutePath, EnvName, Literal};

/// The variables that the unit gives values to, in the order of their names.
pub(super) fn values(unit: &Unit, names: &Names) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in unit.list("Service", "Environment") {
        for word in texts(line).unwrap_or_default() {
            if let Some((name, value)) = word.split_once('=')
                && let Ok(value) = names.expand(value)
            {
                values.insert(name.to_owned(), value);
            }
        }
    }
    values
}

/// Those of them that are what a program sees for certain: an environment file may
/// say otherwise, and a secret is not to be put anywhere.
pub(super) fn certain(unit: &Unit, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if !unit.list("Service", "EnvironmentFile").is_empty() {
        return BTreeMap::new();
    }
    let open = values.iter().filter(|(name, value)| !is_secret(name, value));
    open.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Writes `envFile` and `[env]`.
pub(super) fn write(
    draft: &mut Draft,
    unit: &Unit,
    names: &Names,
    values: &BTreeMap<String, String>,
    service: &str,
) {
    let secrets: Vec<&str> = values
        .iter()
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, _)| name.as_str())
        .collect();
    let file = env_file(draft, unit, names);
    let told = file.clone().unwrap_or_else(|| format!("/var/lib/secrets/{service}.env"));
    match (&file, secrets.is_empty()) {
        (Some(file), _) => draft.set("", "envFile", file.as_str()),
        (None, true) => {}
        (None, false) => {
            draft.set_because("", "envFile", &told, "make it on the host, readable for root alone");
        }
    }
    for name in &secrets {
        draft.note(
            "env",
            &format!("{name}: looks like a secret; its value belongs in envFile, {told}"),
        );
    }
    for (name, value) in values.iter().filter(|(name, _)| !secrets.contains(&name.as_str())) {
        match (name.parse::<EnvName>(), value.parse::<Literal>()) {
            (Ok(_), Ok(_)) => draft.set("env", name, value.as_str()),
            (_, Err(_)) => draft.lost("Environment", name, "its value has control characters"),
            (Err(_), _) => draft.lost(
                "Environment",
                name,
                "the name has other characters than letters, digits and _",
            ),
        }
    }
    unread(draft, unit, names);
}

/// The one file that a manifest can name.
fn env_file(draft: &mut Draft, unit: &Unit, names: &Names) -> Option<String> {
    let mut found = None;
    for written in unit.list("Service", "EnvironmentFile") {
        let path = names.expand(written.trim_start_matches('-')).ok();
        let path =
            path.filter(|p| p.parse::<AbsolutePath>().is_ok() && !p.contains(['*', '?', '[']));
        match path {
            None => draft.lost("EnvironmentFile", written, "envFile is one plain absolute path"),
            Some(_) if found.is_some() => {
                draft.lost("EnvironmentFile", written, "there is one envFile: put its lines there");
            }
            Some(path) => {
                if written.starts_with('-') {
                    draft.lost("EnvironmentFile", written, "`-`: envFile has to be there");
                }
                found = Some(path);
            }
        }
    }
    found
}

/// What of `Environment=` could not be read.
fn unread(draft: &mut Draft, unit: &Unit, names: &Names) {
    for line in unit.list("Service", "Environment") {
        let Some(words) = texts(line) else {
            draft.lost("Environment", "…", "a quote is left open");
            continue;
        };
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            if let Err(why) = names.expand(value) {
                draft.lost("Environment", &format!("{name}=…"), &why);
            }
        }
    }
}
