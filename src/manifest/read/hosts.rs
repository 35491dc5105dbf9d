//! Reads which hosts a service runs on, and what a host's own file says.

use super::window;
use crate::manifest::problem::Report;
use crate::manifest::table::{Field, Spotted, Table, text};
use crate::manifest::tree::{Node, Value};
use crate::manifest::value::is_no;
use crate::manifest::{HostSpec, Hosts};
use crate::names::{HostName, Tag};
use crate::trust::HostKey;

/// One entry of `hosts`.
enum Pattern {
    All,
    Host(HostName),
    Tag(Tag),
}

impl Field for Pattern {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        let pattern = match text.strip_prefix("tag:") {
            Some(tag) => tag.parse().map(Self::Tag),
            None if text == "*" => Ok(Self::All),
            None => text.parse().map(Self::Host),
        };
        pattern
            .map_err(|bad| {
                let remedy =
                    "write a host's name (lowercase), \"tag:<tag>\", or \"*\" for every host";
                report.add(node.at, is_no(text, &bad), remedy);
            })
            .ok()
    }
}

/// Reads `hosts`; the tags with their places, as other files must declare them.
pub(super) fn read<'a>(table: &Table<'_, 'a>) -> (Hosts, Vec<Spotted<'a, Tag>>) {
    let remedy = "name the hosts: hosts = [\"biz\", \"tag:web\"], or [\"*\"] for all of them";
    match table.entry("hosts") {
        None => table.lacks("hosts", remedy),
        Some(entry) => {
            if let Value::List(nodes) = &entry.node.value
                && nodes.is_empty()
            {
                table.report.add(entry.node.at, "`hosts` names no host", remedy);
            }
        }
    }
    let (mut hosts, mut tags) = (Hosts::default(), Vec::new());
    for pattern in table.list::<Pattern>("hosts") {
        match pattern.value {
            Pattern::All => hosts.all = true,
            Pattern::Host(name) => {
                hosts.names.insert(name);
            }
            Pattern::Tag(tag) => {
                hosts.tags.insert(tag.clone());
                tags.push(Spotted { value: tag, at: pattern.at });
            }
        }
    }
    (hosts, tags)
}

/// Reads a host's own table.
pub(super) fn spec(table: &Table<'_, '_>) -> HostSpec {
    HostSpec {
        tags: table.list::<Tag>("tags").into_iter().map(|tag| tag.value).collect(),
        windows: window::read(table),
        report_key: table.value::<HostKey>("reportKey"),
    }
}

impl Field for HostKey {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        text.parse()
            .map_err(|why: String| {
                // A key is long, and a private one is nobody's to read.
                let what = format!("`reportKey` is not an SSH public key: {why}");
                let remedy =
                    "paste what `writ report key` prints on the host: \"ssh-ed25519 AAAA…\"";
                report.add(node.at, what, remedy);
            })
            .ok()
    }
}
