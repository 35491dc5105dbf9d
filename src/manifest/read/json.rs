//! Reads the version-1 JSON form: everything in one file.

use super::{Reading, hosts, profile, service};
use crate::manifest::problem::Report;
use crate::manifest::table::{Field, Table, table};
use crate::manifest::tree::{Entry, Node, Value};
use crate::names::{HostName, Literal, ServiceName};

impl<'a> Reading<'a, '_> {
    /// Reads the file.
    pub(super) fn json_file(&mut self, root: &Node<'a>) {
        if !is_version_one(root, self.report) {
            self.gaps.json = true;
            return;
        }
        table(root, "", self.report, |table| {
            table.entry("version");
            // When it was written: for people and for tools that compare it.
            table.value::<Literal>("generation");
            for node in table.nodes("services") {
                self.json_service(node);
            }
            for node in table.nodes("profiles") {
                self.json_profile(node);
            }
            for node in table.nodes("hosts") {
                self.json_host(node);
            }
        });
    }

    fn json_service(&mut self, node: &Node<'a>) {
        let read = table(node, "the service", self.report, |table| {
            let name = json_name(table);
            (name.is_some(), service::read(table, name.unwrap_or_else(unnamed)))
        });
        if let Some((true, written)) = read
            && self.claim_name(&written.name, node.at)
        {
            self.services.push(written);
        }
    }

    fn json_profile(&mut self, node: &Node<'a>) {
        let read = table(node, "the profile", self.report, |table| {
            let name = json_name(table);
            (name.is_some(), profile::read(table, name.unwrap_or_else(unnamed)))
        });
        if let Some((true, written)) = read
            && self.claim_name(&written.name, node.at)
        {
            self.profiles.push(written);
        }
    }

    fn json_host(&mut self, node: &Node<'a>) {
        let read = table(node, "the host", self.report, |table| {
            (json_name::<HostName>(table), hosts::spec(table))
        });
        if let Some((Some(name), spec)) = read {
            self.host(name, node.at, Some(spec));
        }
    }
}

fn json_name<N: Field>(table: &Table<'_, '_>) -> Option<N> {
    table.required("name", "give it a `name`")
}

/// The name under which the rest of a thing without one is checked.
fn unnamed() -> ServiceName {
    "unnamed".parse().expect("the rule of service names allows plain letters")
}

/// Another version may mean other things by the same keys, so nothing else of
/// it is read.
fn is_version_one(root: &Node<'_>, report: &Report) -> bool {
    let Value::Table(entries) = &root.value else {
        let what = format!("expected an object, found {}", root.value.kind());
        report.add(root.at, what, "write { \"version\": 1, \"services\": [ … ] }");
        return false;
    };
    match entries.iter().find(|entry| entry.key == "version") {
        Some(Entry { node: Node { value: Value::Integer(1), .. }, .. }) => true,
        Some(Entry { node, .. }) => {
            let remedy =
                "this writ reads \"version\": 1; update writ if the manifest is of a newer one";
            report.add(node.at, "unknown version of the manifest", remedy);
            false
        }
        None => {
            report.add(root.at, "the file lacks `version`", "write \"version\": 1");
            false
        }
    }
}
