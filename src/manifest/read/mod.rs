//! Reads every file below `manifests/` and holds them against each other.

mod command;
mod cross;
mod cycles;
mod exec;
mod hardening;
mod health;
mod hosts;
mod http;
mod json;
mod place;
mod profile;
mod service;
mod systemd;
mod window;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problems, Report, Spot};
use super::profile::Profile;
use super::service::{Https, Service};
use super::table::{Spotted, Table, table};
use super::tree::{self, Node};
use super::{HostSpec, Hosts};
use crate::names::{Domain, HostName, Literal, ServiceName, Tag};
use crate::trust::privileges::is_note;
use place::Place;

/// All that the files say.
pub(super) struct Content {
    pub(super) services: BTreeMap<ServiceName, (Hosts, Service)>,
    pub(super) profiles: BTreeMap<ServiceName, (Hosts, Profile)>,
    pub(super) hosts: BTreeMap<HostName, HostSpec>,
}

/// A service or profile as far as it could be read, with the places of what is
/// held against other files.
struct Written<'a, T> {
    name: ServiceName,
    hosts: Hosts,
    tags: Vec<Spotted<'a, Tag>>,
    depends_on: Vec<Spotted<'a, ServiceName>>,
    claims: Vec<Spotted<'a, Claim>>,
    https: Vec<Spotted<'a, (Domain, Https)>>,
    domains: Vec<Spotted<'a, SharedDomain>>,
    /// Directories below /var/lib.
    state: Vec<Spotted<'a, String>>,
    /// `None` where something without which it is nothing is missing or wrong.
    content: Option<T>,
}

/// A domain of a service, and the services that may serve paths of it too.
#[derive(Clone, Debug)]
struct SharedDomain {
    domain: Domain,
    with: BTreeSet<ServiceName>,
}

/// What only one service of a host can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// A domain, and a path without a trailing slash.
    Route(String, String),
    Port(u16),
}

/// Everything read so far.
struct Reading<'a, 'r> {
    report: &'r Report,
    services: Vec<Written<'a, Service>>,
    profiles: Vec<Written<'a, Profile>>,
    hosts: BTreeMap<HostName, HostSpec>,
    /// Each name of a service or profile, and where it was first given.
    names: BTreeMap<ServiceName, Spot<'a>>,
    host_spots: BTreeMap<HostName, Spot<'a>>,
    gaps: Gaps,
}

/// What could not be read, so that its absence is not reported a second time.
#[derive(Default)]
struct Gaps {
    names: BTreeSet<String>,
    host_file: bool,
    json: bool,
}

/// Reads and checks all files.
pub(super) fn files(files: &BTreeMap<String, Vec<u8>>) -> Result<Content, Problems> {
    let report = Report::default();
    let mut reading = Reading::new(&report);
    let mut recognised = false;
    for (path, bytes) in files {
        recognised |= reading.file(path, bytes);
    }
    if !recognised && files.keys().all(|path| is_note(path)) {
        let remedy = "write manifests/services/<name>.toml; to run nothing at all, keep a manifests/hosts/<host>.toml";
        report.add(Spot::file("manifests", ""), "there is no manifest here", remedy);
    }
    cross::check(&reading);
    let content = reading.content();
    report.settle(content)?.ok_or_else(|| Problems(Vec::new()))
}

impl<'a, 'r> Reading<'a, 'r> {
    fn new(report: &'r Report) -> Self {
        Self {
            report,
            services: Vec::new(),
            profiles: Vec::new(),
            hosts: BTreeMap::new(),
            names: BTreeMap::new(),
            host_spots: BTreeMap::new(),
            gaps: Gaps::default(),
        }
    }

    /// Reads one file; whether it is one that could say something.
    fn file(&mut self, path: &'a str, bytes: &'a [u8]) -> bool {
        let whole = Spot::file(path, "");
        let place = place::of(path);
        match place {
            Place::Stranger if is_note(path) => return false,
            Place::Stranger => {
                self.report.add(whole, "this file means nothing to writ", place::remedy(path));
                return false;
            }
            Place::Service(_) | Place::Profile(_) | Place::Host(_) | Place::Json => {}
        }
        let text = tree::text(path, bytes, self.report);
        let root = text.and_then(|text| match place {
            Place::Json => tree::json(path, text, self.report),
            _ => tree::toml(path, text, self.report),
        });
        match (place, root) {
            (Place::Service(stem) | Place::Profile(stem), None) => {
                self.gaps.names.insert(stem.to_owned());
            }
            (Place::Host(_), None) => self.gaps.host_file = true,
            (Place::Json, None) => self.gaps.json = true,
            (Place::Service(stem), Some(root)) => self.service_file(stem, whole, &root),
            (Place::Profile(stem), Some(root)) => self.profile_file(stem, whole, &root),
            (Place::Host(stem), Some(root)) => self.host_file(stem, whole, &root),
            (Place::Json, Some(root)) => self.json_file(&root),
            (Place::Stranger, _) => {}
        }
        true
    }

    fn service_file(&mut self, stem: &'a str, whole: Spot<'a>, root: &Node<'a>) {
        let Some(name) = self.stem::<ServiceName>(stem, whole) else { return };
        let written = table(root, "", self.report, |table| {
            same_name(table, stem);
            service::read(table, name.clone())
        });
        if self.claim_name(&name, whole) {
            self.services.extend(written);
        }
    }

    fn profile_file(&mut self, stem: &'a str, whole: Spot<'a>, root: &Node<'a>) {
        let Some(name) = self.stem::<ServiceName>(stem, whole) else { return };
        let written = table(root, "", self.report, |table| {
            same_name(table, stem);
            profile::read(table, name.clone())
        });
        if self.claim_name(&name, whole) {
            self.profiles.extend(written);
        }
    }

    fn host_file(&mut self, stem: &'a str, whole: Spot<'a>, root: &Node<'a>) {
        let Some(name) = self.stem::<HostName>(stem, whole) else { return };
        let spec = table(root, "", self.report, |table| {
            same_name(table, stem);
            hosts::spec(table)
        });
        self.host(name, whole, spec);
    }

    fn host(&mut self, name: HostName, at: Spot<'a>, spec: Option<HostSpec>) {
        match self.host_spots.get(&name) {
            Some(first) => {
                let what = format!("the host `{name}` is described at {} already", first.brief());
                self.report.add(at, what, "keep one of the two descriptions");
            }
            None => {
                self.host_spots.insert(name.clone(), at);
                self.hosts.extend(spec.map(|spec| (name, spec)));
            }
        }
    }

    /// A name taken from a file's name.
    fn stem<N: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        stem: &str,
        whole: Spot<'a>,
    ) -> Option<N> {
        let lower = stem.to_ascii_lowercase();
        match stem.parse() {
            Ok(name) => Some(name),
            Err(bad) => {
                let remedy = match lower.parse::<N>() {
                    Ok(_) => format!("rename the file to {lower}.toml"),
                    Err(_) => "rename the file".to_owned(),
                };
                self.report.add(whole, format!("the file's name: {bad}"), remedy);
                self.gaps.names.insert(stem.to_owned());
                self.gaps.names.insert(lower);
                None
            }
        }
    }

    /// Whether the name was still free.
    fn claim_name(&mut self, name: &ServiceName, at: Spot<'a>) -> bool {
        if let Some(first) = self.names.get(name) {
            let what = format!("the name `{name}` is taken by {} already", first.brief());
            let remedy = "services and profiles share their names: rename or remove one of the two";
            self.report.add(at, what, remedy);
            return false;
        }
        self.names.insert(name.clone(), at);
        true
    }

    /// What was read, where nothing is missing.
    fn content(self) -> Option<Content> {
        fn whole<T>(written: Vec<Written<'_, T>>) -> Option<BTreeMap<ServiceName, (Hosts, T)>> {
            written.into_iter().map(|w| Some((w.name, (w.hosts, w.content?)))).collect()
        }
        let (services, profiles) = (whole(self.services)?, whole(self.profiles)?);
        Some(Content { services, profiles, hosts: self.hosts })
    }
}

/// A TOML file's own `name` may only repeat the file's.
fn same_name(table: &Table<'_, '_>, stem: &str) {
    if let Some(name) = table.spotted::<Literal>("name")
        && name.value.as_str() != stem
    {
        let what =
            format!("`name` is {:?}, but the file's name says `{stem}`", name.value.as_str());
        table.report.add(name.at, what, "leave `name` out: the file's name is the name");
    }
}
