//! Reads a profile.

use std::time::Duration;

use super::command::{self, Closure};
use super::{Written, health, hosts};
use crate::manifest::problem::Report;
use crate::manifest::profile::{Confirm, Kind, Mode, Profile};
use crate::manifest::service::Check;
use crate::manifest::table::{Table, choice, table};
use crate::manifest::tree::{Node, Value};
use crate::manifest::value::Built;
use crate::names::{AbsolutePath, AccountName, ServiceName};

/// `kind`, before its command is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Nixos,
    HomeManager,
    NixDarwin,
    DeployRs,
    Custom,
    Noop,
}

/// Reads the table of a profile.
pub(super) fn read<'a>(table: &Table<'_, 'a>, name: ServiceName) -> Written<'a, Profile> {
    let (hosts, tags) = hosts::read(table);
    let remedy = "paste the path that `nix build --print-out-paths` shows";
    let store_path = table.required::<Built>("storePath", remedy).map(|built| built.0);
    let kind = kind(table, store_path.as_ref());
    let mode = table.entry("mode").and_then(|entry| {
        let words = [
            ("auto", Mode::Auto),
            ("switch", Mode::Switch),
            ("boot", Mode::Boot),
            ("test", Mode::Test),
        ];
        choice(&entry.node, table.report, &words)
    });
    let (closure_digest, revision) = (table.value("closureDigest"), table.value("revision"));
    let confirm = confirm(table, store_path.as_ref());
    let user = table.value::<AccountName>("user").or_else(|| "root".parse().ok());
    let content = match (store_path, kind, user) {
        (Some(store_path), Some(kind), Some(user)) => Some(Profile {
            name: name.clone(),
            store_path,
            closure_digest,
            revision,
            user,
            kind,
            mode: mode.unwrap_or_default(),
            confirm,
        }),
        _ => None,
    };
    let (depends_on, claims, https) = (Vec::new(), Vec::new(), Vec::new());
    let (domains, state) = (Vec::new(), Vec::new());
    Written { name, hosts, tags, depends_on, claims, https, domains, state, content }
}

fn kind(table: &Table<'_, '_>, closure: Closure<'_>) -> Option<Kind> {
    let words = [
        ("nixos", Word::Nixos),
        ("home-manager", Word::HomeManager),
        ("nix-darwin", Word::NixDarwin),
        ("deploy-rs", Word::DeployRs),
        ("custom", Word::Custom),
        ("noop", Word::Noop),
    ];
    let activate = table.entry("activate");
    let Some(entry) = table.entry("kind") else {
        table.lacks("kind", "say what it is: kind = \"nixos\", \"home-manager\", \"custom\", …");
        return None;
    };
    let word = choice(&entry.node, table.report, &words)?;
    if let (Some(activate), true) = (activate, word != Word::Custom) {
        let what = "`activate` has no effect: only a custom profile names its own command";
        table.report.add(activate.at, what, "remove `activate`, or write kind = \"custom\"");
    }
    Some(match word {
        Word::Nixos => Kind::Nixos,
        Word::HomeManager => Kind::HomeManager,
        Word::NixDarwin => Kind::NixDarwin,
        Word::DeployRs => Kind::DeployRs,
        Word::Noop => Kind::Noop,
        Word::Custom => {
            if activate.is_none() {
                table.lacks(
                    "activate",
                    "name the command inside the closure: activate = \"bin/activate\"",
                );
            }
            Kind::Custom { activate: activation(&activate?.node, closure, table.report)? }
        }
    })
}

/// A path from the closure's root, as deploy tools write it, or an absolute one.
fn activation(node: &Node<'_>, closure: Closure<'_>, report: &Report) -> Option<AbsolutePath> {
    match &node.value {
        Value::Text(text) if !text.starts_with('/') => {
            let relative = command::relative(node, report)?;
            format!("{}/{}", closure?, relative.as_str()).parse().ok()
        }
        _ => command::program(node, closure, report),
    }
}

fn confirm(table: &Table<'_, '_>, closure: Closure<'_>) -> Confirm {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let read = |table: &Table<'_, '_>| Confirm {
        timeout: table.value("timeout").unwrap_or(TIMEOUT),
        probes: table
            .nodes("probes")
            .iter()
            .filter_map(|node| probe(node, closure, table.report))
            .collect(),
    };
    let usual = || Confirm { timeout: TIMEOUT, probes: Vec::new() };
    table.table("confirm", "[confirm]", read).unwrap_or_else(usual)
}

/// A check as in a service's `[health]`.
fn probe(node: &Node<'_>, closure: Closure<'_>, report: &Report) -> Option<Check> {
    table(node, "[[confirm.probes]]", report, |table| {
        let named = ["path", "port", "command"].map(|key| table.entry(key).is_some());
        if named == [false; 3] {
            table.report.add(
                table.at(),
                "the probe asks nothing",
                "write { port = 22 }, { port = 80, path = \"/\" } or { command = \"…\" }",
            );
        }
        health::check(table, closure, health::Asked::default())
    })?
}
