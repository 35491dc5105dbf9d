//! Holds the files against each other, host by host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Claim, Gaps, Reading, SharedDomain, Spotted, Written, cycles};
use crate::manifest::problem::{Report, Spot, nearest};
use crate::manifest::service::{Https, Service, Work};
use crate::manifest::{HostSpec, Hosts};
use crate::names::{Domain, HostName, ServiceName, Tag};

/// Services by name, as far as they could be read.
pub(super) type Services<'s, 'a> = BTreeMap<&'s ServiceName, &'s Written<'a, Service>>;

/// Notes everything that is wrong between files.
pub(super) fn check(reading: &Reading<'_, '_>) {
    let services: Services<'_, '_> =
        reading.services.iter().map(|written| (&written.name, written)).collect();
    undeclared_tags(reading);
    unknown_dependencies(reading, &services);
    scheduled_dependencies(reading, &services);
    cycles::check(&services, reading.report);
    let mut told = Told::default();
    for name in known_hosts(reading) {
        let mut here = services.clone();
        here.retain(|_, written| runs_on(&written.hosts, name, &reading.hosts));
        let host = OnHost { name, here, report: reading.report };
        host.shared_claims(&mut told);
        host.shared_domains(&mut told);
        host.shared_state(&mut told);
        host.mixed_https(&mut told);
        host.absent_dependencies(&services, &mut told);
    }
}

/// Every host that is named, and `None` for those that are not: a host may be
/// known to its own agent alone, and still runs what is for every host.
fn known_hosts<'r>(reading: &'r Reading<'_, '_>) -> BTreeSet<Option<&'r HostName>> {
    let services = reading.services.iter().flat_map(|written| &written.hosts.names);
    services.chain(reading.hosts.keys()).map(Some).chain([None]).collect()
}

fn runs_on(hosts: &Hosts, host: Option<&HostName>, specs: &BTreeMap<HostName, HostSpec>) -> bool {
    match host {
        None => hosts.all,
        Some(name) => hosts.include(name, specs.get(name).map(|spec| &spec.tags)),
    }
}

fn undeclared_tags(reading: &Reading<'_, '_>) {
    if reading.gaps.host_file || reading.gaps.json {
        return;
    }
    let declared: BTreeSet<&Tag> = reading.hosts.values().flat_map(|spec| &spec.tags).collect();
    let words: Vec<&str> = declared.iter().map(|tag| tag.as_str()).collect();
    let services = reading.services.iter().flat_map(|written| &written.tags);
    let profiles = reading.profiles.iter().flat_map(|written| &written.tags);
    for Spotted { value: tag, at } in services.chain(profiles) {
        if declared.contains(tag) {
            continue;
        }
        let remedy = match nearest(tag.as_str(), &words) {
            Some(meant) => format!("did you mean \"tag:{meant}\"?"),
            None => format!("write tags = [\"{tag}\"] into a manifests/hosts/<host>.toml"),
        };
        reading.report.add(*at, format!("no host has the tag `{tag}`"), remedy);
    }
}

fn unknown_dependencies(reading: &Reading<'_, '_>, services: &Services<'_, '_>) {
    let Gaps { names, json, .. } = &reading.gaps;
    for (name, dependency) in dependencies(services) {
        let on = &dependency.value;
        if services.contains_key(on) || names.contains(on.as_str()) || *json {
            continue;
        }
        let others: Vec<&str> =
            services.keys().filter(|other| **other != name).map(|other| other.as_str()).collect();
        let (what, remedy) = if reading.names.contains_key(on) {
            let remedy = "remove it: only services wait for each other";
            (format!("`{on}` is a profile, not a service"), remedy.to_owned())
        } else if let Some(meant) = nearest(on.as_str(), &others) {
            (format!("there is no service `{on}`"), format!("did you mean \"{meant}\"?"))
        } else {
            let remedy = format!("add manifests/services/{on}.toml, or remove the dependency");
            (format!("there is no service `{on}`"), remedy)
        };
        reading.report.add(dependency.at, what, remedy);
    }
}

/// A job runs when its timer says so; systemd would start it with each dependent.
fn scheduled_dependencies(reading: &Reading<'_, '_>, services: &Services<'_, '_>) {
    for (_, dependency) in dependencies(services) {
        let on = services.get(&dependency.value).and_then(|written| written.content.as_ref());
        if on.is_some_and(|service| matches!(service.work, Work::Job { .. })) {
            let what =
                format!("`{}` is a job, which runs when its timer says so", dependency.value);
            let remedy = "remove the dependency, or make it a service with exec.type = \"oneshot\"";
            reading.report.add(dependency.at, what, remedy);
        }
    }
}

fn dependencies<'s, 'a>(
    services: &Services<'s, 'a>,
) -> impl Iterator<Item = (&'s ServiceName, &'s Spotted<'a, ServiceName>)> {
    services.iter().flat_map(|(name, written)| written.depends_on.iter().map(|d| (*name, d)))
}

/// Pairs of places that have been told of: once is enough, however many hosts
/// share them.
#[derive(Default)]
struct Told<'a>(BTreeSet<[(&'a str, Option<usize>); 2]>);

impl<'a> Told<'a> {
    /// Whether this pair is new.
    fn is_news(&mut self, one: Spot<'a>, other: Spot<'a>) -> bool {
        self.0.insert([one.key(), other.key()])
    }
}

/// What runs on one host.
struct OnHost<'s, 'a, 'r> {
    name: Option<&'s HostName>,
    here: Services<'s, 'a>,
    report: &'r Report,
}

impl<'a> OnHost<'_, 'a, '_> {
    fn shared_claims(&self, told: &mut Told<'a>) {
        let mut taken: BTreeMap<&Claim, (&ServiceName, Spot<'a>)> = BTreeMap::new();
        for (name, written) in &self.here {
            for claim in &written.claims {
                let (owner, first) = *taken.entry(&claim.value).or_insert((name, claim.at));
                let same_place = first.key() == claim.at.key();
                // A route and a health check of one service may well share a port.
                let own_port = owner == *name && matches!(claim.value, Claim::Port(_));
                if !same_place && !own_port && told.is_news(first, claim.at) {
                    self.note_clash(claim, (owner != *name).then_some(owner), first);
                }
            }
        }
    }

    /// `owner` is another service, or else it is one service twice.
    fn note_clash(&self, claim: &Spotted<'_, Claim>, owner: Option<&ServiceName>, first: Spot<'_>) {
        let place = first.brief();
        let (what, remedy) = match owner {
            Some(owner) => (
                format!("{} is taken by `{owner}` already, at {place}", claim.value),
                format!("both run on {self}: change one of the two"),
            ),
            None => (
                format!("{} is given twice, first at {place}", claim.value),
                "remove one of the two".to_owned(),
            ),
        };
        self.report.add(claim.at, what, remedy);
    }

    /// A domain is one service's, with every path below it: what is served on one of them
    /// reads the cookies of all. Two services share it where the files of both say so; in
    /// one file (the JSON form) one hand wrote both.
    fn shared_domains(&self, told: &mut Told<'a>) {
        let mut users: BTreeMap<&Domain, Vec<(&ServiceName, &Spotted<'a, SharedDomain>)>> =
            BTreeMap::new();
        for (name, written) in &self.here {
            for shared in &written.domains {
                users.entry(&shared.value.domain).or_default().push((name, shared));
            }
        }
        for (domain, users) in users {
            for (place, (name, first)) in users.iter().enumerate() {
                for (other, second) in users[place + 1..].iter().filter(|(other, _)| other != name)
                {
                    let one_file = first.at.key().0 == second.at.key().0;
                    let agreed =
                        first.value.with.contains(*other) && second.value.with.contains(*name);
                    if !one_file && !agreed && told.is_news(first.at, second.at) {
                        let place = first.at.brief();
                        let what = format!("{domain} is the domain of `{name}`, at {place}");
                        let remedy = format!(
                            "choose another domain, or have both share it: sharedWith = [\"{name}\"] here, and sharedWith = [\"{other}\"] there"
                        );
                        self.report.add(second.at, what, remedy);
                    }
                }
            }
        }
    }

    /// A state directory, with all below it, is one service's: systemd gives it to the user
    /// of whoever starts last.
    fn shared_state(&self, told: &mut Told<'a>) {
        let owners: BTreeMap<&str, (&ServiceName, Spot<'a>)> = self
            .here
            .iter()
            .rev() // of two, the first keeps it
            .flat_map(|(name, written)| {
                written.state.iter().map(move |state| (state.value.as_str(), (*name, state.at)))
            })
            .collect();
        for (name, written) in &self.here {
            for state in &written.state {
                let path = state.value.as_str();
                let above = path.match_indices('/').map(|(end, _)| &path[..end]);
                for (owner, at) in above.chain([path]).filter_map(|dir| owners.get(dir)) {
                    if owner != name && told.is_news(*at, state.at) {
                        let what =
                            format!("/var/lib/{path} is the state of `{owner}`, at {}", at.brief());
                        let remedy = "choose a directory named after the service";
                        self.report.add(state.at, what, remedy);
                    }
                }
            }
        }
    }

    /// Caddy has one policy per domain, so two kinds of certificate cannot be meant.
    fn mixed_https(&self, told: &mut Told<'a>) {
        let mut modes: BTreeMap<&Domain, &Spotted<'a, (Domain, Https)>> = BTreeMap::new();
        for mode in self.here.values().flat_map(|written| &written.https) {
            let (domain, https) = &mode.value;
            let first = *modes.entry(domain).or_insert(mode);
            if first.value.1 != *https && told.is_news(mode.at, first.at) {
                let place = first.at.brief();
                let what = format!("{domain} has another `https` here than at {place}");
                self.report.add(
                    mode.at,
                    what,
                    "write the same `https` for every route of a domain",
                );
            }
        }
    }

    fn absent_dependencies(&self, services: &Services<'_, 'a>, told: &mut Told<'a>) {
        for (name, dependency) in dependencies(&self.here) {
            let on = &dependency.value;
            let absent = !self.here.contains_key(on) && services.contains_key(on);
            if absent && told.is_news(dependency.at, dependency.at) {
                let what = format!("`{name}` runs on {self}, where its dependency `{on}` does not");
                let remedy = format!("add the host to `hosts` of `{on}`, or remove the dependency");
                self.report.add(dependency.at, what, remedy);
            }
        }
    }
}

impl fmt::Display for OnHost<'_, '_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "`{name}`"),
            None => f.write_str("every host"),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(domain, path) if path.is_empty() => write!(f, "{domain}/"),
            Self::Route(domain, path) => write!(f, "{domain}{path}"),
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}
