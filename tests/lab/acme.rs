//! A small company: one admin's key, a deploy repository that trusts it, and services to deploy.

use std::sync::Arc;

use super::fleet::Fleet;
use super::site::{Config, Site};
use super::workshop::{Key, Workshop};

/// The company's workshop and who may change its hosts.
#[derive(Debug)]
pub(crate) struct Acme {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) workshop: Workshop,
    /// May change everything.
    pub(crate) alice: Key,
    /// The first commit, where the history of trust begins.
    pub(crate) introduction: String,
}

/// A web service as the manifest has it.
#[derive(Clone, Debug)]
pub(crate) struct Web<'a> {
    pub(crate) name: &'a str,
    pub(crate) store_path: &'a str,
    pub(crate) port: u16,
    pub(crate) hosts: &'a str,
    /// More lines of TOML, tables among them.
    pub(crate) more: &'a str,
}

const POLICY: &str = "channel = \"acme-infra:main\"\n\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n";

impl Acme {
    /// Opens the workshop and pushes the first commit.
    pub(crate) fn found() -> Self {
        let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
        let workshop = Workshop::open(&fleet);
        let alice = workshop.key("alice");
        let signers = format!("alice namespaces=\"git\" {}\n", alice.public);
        workshop.write(".writ/allowed_signers", &signers);
        workshop.write(".writ/policy.toml", POLICY);
        workshop.write("manifests/hosts/biz.toml", "tags = [\"front\"]\n");
        let introduction = workshop.release(Some(&alice), "Found the repository");
        Self { fleet, workshop, alice, introduction }
    }

    /// The config of an agent that shares the workshop's disk.
    pub(crate) fn config(&self) -> Config {
        let Self { workshop, alice, introduction, .. } = self;
        Config::local(introduction, &alice.fingerprint, &workshop.cache_key)
    }

    /// Boots a host whose agent follows this repository, not yet running.
    pub(crate) fn site(&self, name: &str) -> Site {
        Site::open(&self.fleet, name, self.config())
    }

    /// Commits what was written, as Alice, and pushes.
    pub(crate) fn release(&self, message: &str) -> String {
        self.workshop.release(Some(&self.alice), message)
    }

    /// Builds and caches one version of a web service, and writes its manifest.
    pub(crate) fn publish(&self, name: &str, version: &str, port: u16, args: &str) -> String {
        let path = self.workshop.server(name, version, args);
        self.web(&Web { name, store_path: &path, port, hosts: "\"*\"", more: "" });
        path
    }

    /// Writes the manifest of a web service, reached as `<name>.acme.example`.
    pub(crate) fn web(&self, web: &Web<'_>) {
        self.workshop.write(&format!("manifests/services/{}.toml", web.name), &web.toml());
    }
}

impl Web<'_> {
    pub(crate) fn toml(&self) -> String {
        let Self { name, store_path, port, hosts, more } = self;
        format!(
            "hosts = [{hosts}]\nrevision = \"{name}\"\n\n\
             [artifact]\ntype = \"nix-closure\"\nstorePath = \"{store_path}\"\n\n\
             [exec]\ncommand = \"{name}\"\n\n\
             [env]\nPORT = \"{port}\"\n\n\
             [http]\ndomain = \"{name}.acme.example\"\npath = \"/\"\ninternalPort = {port}\nhttps = \"off\"\n\n\
             [health]\npath = \"/health\"\ninterval = \"100ms\"\nhealthyFor = \"1s\"\ndeadline = \"15s\"\n\
             {more}"
        )
    }
}
