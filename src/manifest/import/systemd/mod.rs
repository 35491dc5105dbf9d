//! A service's file drafted from a systemd unit.
//!
//! What a manifest can say goes over; every other setting is left behind as a comment
//! that names it and says why. Secrets are not repeated anywhere.

mod draft;
mod environment;
mod exec;
mod hardening;
mod secret;
mod service;
mod span;
mod timer;
mod unit;
mod words;

use std::collections::BTreeMap;

use crate::names::{ServiceName, StorePath};
use draft::Draft;
use service::Kind;
use unit::{Unit, boolean};
use words::Names;

/// A unit and its drop-ins as they lie on disk, in the order they count.
#[derive(Clone, Debug, Default)]
pub struct UnitTexts {
    /// `web.service`
    pub name: String,
    pub texts: Vec<String>,
    /// Those of the timer that starts it, where there is one.
    pub timer: Option<Vec<String>>,
}

/// What the draft is to be of.
#[derive(Clone, Debug)]
pub struct Wish {
    pub name: ServiceName,
    /// Entries of `hosts`, as somebody typed them.
    pub hosts: Vec<String>,
}

/// The name that a service of this unit may have: `web@blue.service` is `web-blue`.
pub fn name_of(unit: &str) -> Option<ServiceName> {
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem).to_ascii_lowercase();
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    plain.trim_matches('-').parse().ok()
}

/// The text of a service's file.
pub fn from_unit(texts: &UnitTexts, wish: &Wish) -> String {
    let unit = Unit::read(texts.texts.iter().map(String::as_str));
    let timer = texts.timer.as_ref().map(|texts| Unit::read(texts.iter().map(String::as_str)));
    let names = Names { unit: texts.name.clone() };
    let mut draft = Draft::default();
    head(&mut draft, &unit, &names, wish);
    let values = environment::values(&unit, &names);
    let certain = environment::certain(&unit, &values);
    let closure = exec::write(&mut draft, &unit, &names, &certain);
    let kind = service::kind(&mut draft, &unit, timer.is_some());
    let root = service::account(&mut draft, &unit, &names);
    match kind {
        Kind::Daemon => exec::reload(&mut draft, &unit, &names, closure.as_ref()),
        Kind::Oneshot | Kind::Job => {}
    }
    environment::write(&mut draft, &unit, &names, &values, wish.name.as_str());
    hardening::write(&mut draft, &unit, &names, root);
    service::directory(&mut draft, &unit, &names);
    service::write(&mut draft, &unit, &names, kind);
    if let Some(timer) = &timer {
        timer::write(&mut draft, timer);
    }
    elsewhere(&mut draft, &values, closure.as_ref());
    leftovers(&mut draft, &unit);
    if kind == Kind::Daemon {
        suggestions(&mut draft, &unit, &values, wish);
    }
    draft.text()
}

fn head(draft: &mut Draft, unit: &Unit, names: &Names, wish: &Wish) {
    draft.remark(&format!("Drafted from {}. Look at every line.", names.unit));
    if let Some(description) = unit.last("Unit", "Description") {
        draft.remark(&names.expand(description).unwrap_or_else(|_| description.to_owned()));
    }
    for documentation in unit.list("Unit", "Documentation") {
        draft.remark(documentation);
    }
    if names.stem().contains('@') && names.instance().is_empty() {
        draft.remark("It is a template: name an instance to have %i filled in.");
    }
    draft.list("", "hosts", &wish.hosts);
    if wish.hosts.is_empty() {
        draft.note("", "hosts = [\"web-1\"]: say where it runs");
    }
}

/// Store paths in the environment that the closure may not hold.
fn elsewhere(draft: &mut Draft, values: &BTreeMap<String, String>, closure: Option<&StorePath>) {
    for (name, value) in values {
        let others = value.match_indices("/nix/store/").any(|(at, _)| {
            closure.is_none_or(|closure| !value[at..].starts_with(closure.as_str()))
        });
        if others && !secret::is_secret(name, value) {
            draft.note(
                "env",
                &format!(
                    "{name} names other store paths: have the closure of storePath refer to them"
                ),
            );
        }
    }
}

/// What nobody asked for, but for what systemd or writ does anyway.
fn leftovers(draft: &mut Draft, unit: &Unit) {
    const USUAL: [(&str, &str); 9] = [
        ("WantedBy", "multi-user.target"),
        ("KillMode", "control-group"),
        ("KillSignal", "SIGTERM"),
        ("StandardOutput", "journal"),
        ("StandardError", "journal"),
        ("StandardError", "inherit"),
        ("TimeoutStopSec", "30"),
        ("TimeoutStopSec", "30s"),
        ("DefaultDependencies", "yes"),
    ];
    for (section, key, value) in unit.strangers() {
        let usual = USUAL.contains(&(key, value)) || section.starts_with("X-");
        if !usual && !value.is_empty() {
            draft.lost(key, value, why(section, key, value));
        }
    }
}

fn why(section: &str, key: &str, value: &str) -> &'static str {
    match key {
        "ExecStartPre" | "ExecCondition" => {
            "make it a service of its own, oneshot, and name that in dependsOn; or a wrapper in the closure"
        }
        "ExecStartPost" | "ExecStop" | "ExecStopPost" => "a service has one command",
        "ExecReload" => "a process that is meant to end has nothing to reload",
        "LoadCredential"
        | "LoadCredentialEncrypted"
        | "SetCredential"
        | "SetCredentialEncrypted"
        | "ImportCredential" => "secrets come by envFile",
        "PassEnvironment" | "UnsetEnvironment" => "the environment is env and envFile alone",
        "RuntimeDirectory" | "CacheDirectory" | "LogsDirectory" | "ConfigurationDirectory" => {
            "stateDirectory is the only one; or readWritePaths with a folder that is there"
        }
        "TimeoutStartSec" | "TimeoutSec" => "[health] has a deadline instead",
        "TimeoutStopSec" => "it is always 30 seconds",
        "Slice" => "every service is in writ.slice",
        "RemainAfterExit" if boolean(value) == Some(false) => {
            "a oneshot that has ended well stays so"
        }
        _ if section == "Install" => "every service starts with the host",
        _ => "a manifest has no such setting",
    }
}

/// What a unit never says: routes and health.
fn suggestions(draft: &mut Draft, unit: &Unit, values: &BTreeMap<String, String>, wish: &Wish) {
    let name = &wish.name;
    let port = port(unit, values).unwrap_or(8000);
    draft.suggest("Behind Caddy, first under a name of its own:");
    draft.suggest("[http]");
    draft.suggest(&format!("domain = \"{name}.example.org\""));
    draft.suggest(&format!("stagingDomain = \"{name}-next.example.org\""));
    draft.suggest(&format!("internalPort = {port}"));
    draft.suggest("");
    draft.suggest("[health]");
    draft.suggest("path = \"/health\"");
}

/// A port that the process seems to listen on.
fn port(unit: &Unit, values: &BTreeMap<String, String>) -> Option<u16> {
    let by_name = values.iter().find(|(name, _)| name.to_ascii_uppercase().ends_with("PORT"));
    if let Some(port) = by_name.and_then(|(_, value)| value.parse().ok()) {
        return Some(port);
    }
    let starts = unit.list("Service", "ExecStart");
    let words: Vec<&str> = starts.iter().flat_map(|line| line.split_whitespace()).collect();
    let behind = |pair: &[&str]| pair[0].contains("port").then(|| pair[1].parse().ok()).flatten();
    let listed = |word: &&str| word.rsplit_once([':', '=']).and_then(|(_, port)| port.parse().ok());
    words.windows(2).find_map(behind).or_else(|| words.iter().find_map(listed))
}
