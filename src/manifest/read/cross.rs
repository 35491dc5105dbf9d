//! Holds the files against each other, host by host.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claim, Gaps, Reading, Spotted, Written};
use crate::manifest::problem::{Report, nearest};
use crate::manifest::service::Service;
use crate::manifest::{HostSpec, Hosts};
use crate::names::{HostName, ServiceName, Tag};

type Services<'a> = BTreeMap<ServiceName, &'a Written<'a, Service>>;

/// Notes everything that is wrong between files.
pub(super) fn check(reading: &Reading<'_, '_>) {
    let services: Services<'_> =
        reading.services.iter().map(|written| (written.name.clone(), written)).collect();
    undeclared_tags(reading);
    unknown_dependencies(reading, &services);
    cycles(reading.report, &services);
    let mut clashes = Clashes::default();
    for host in known_hosts(reading) {
        let on_host = |hosts: &Hosts| runs_on(hosts, host, &reading.hosts);
        let here: Services<'_> = services
            .iter()
            .filter(|(_, written)| on_host(&written.hosts))
            .map(|(name, written)| (name.clone(), *written))
            .collect();
        clashes.look(host, &here, reading.report);
        absent_dependencies(host, &here, &services, &mut clashes.told, reading.report);
    }
}

/// Every host that is named, and `None` for those that are not: a host may be
/// known to its own agent alone, and still runs what is for every host.
fn known_hosts<'r>(reading: &'r Reading<'_, '_>) -> BTreeSet<Option<&'r HostName>> {
    let services = reading.services.iter().flat_map(|written| &written.hosts.names);
    let files = reading.hosts.keys();
    services.chain(files).map(Some).chain([None]).collect()
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

fn unknown_dependencies(reading: &Reading<'_, '_>, services: &Services<'_>) {
    let Gaps { names, json, .. } = &reading.gaps;
    let words: Vec<&str> = services.keys().map(ServiceName::as_str).collect();
    for (name, dependency) in dependencies(services) {
        let on = &dependency.value;
        if services.contains_key(on) || names.contains(on.as_str()) || *json {
            continue;
        }
        let others: Vec<&str> =
            words.iter().copied().filter(|word| *word != name.as_str()).collect();
        let remedy = match nearest(on.as_str(), &others) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("add manifests/services/{on}.toml, or remove it from `dependsOn`"),
        };
        let what = match reading.names.contains_key(on) {
            true => format!("`{on}` is a profile, not a service"),
            false => format!("there is no service `{on}`"),
        };
        reading.report.add(dependency.at, what, remedy);
    }
}

fn dependencies<'s>(
    services: &'s Services<'_>,
) -> impl Iterator<Item = (&'s ServiceName, &'s Spotted<'s, ServiceName>)> {
    services.iter().flat_map(|(name, written)| written.depends_on.iter().map(move |d| (name, d)))
}

/// Names every cycle once, from its first service in the alphabet.
fn cycles(report: &Report, services: &Services<'_>) {
    let mut open: BTreeMap<&ServiceName, BTreeMap<&ServiceName, &Spotted<'_, ServiceName>>> =
        services.keys().map(|name| (name, BTreeMap::new())).collect();
    for (name, dependency) in dependencies(services) {
        if services.contains_key(&dependency.value) {
            open.entry(name).or_default().insert(&dependency.value, dependency);
        }
    }
    loop {
        prune(&mut open);
        let Some(start) = open.keys().next().copied() else { return };
        let mut path = vec![start];
        // Everything left depends on something left, so this walk must meet itself.
        while let Some((next, _)) = path.last().and_then(|last| open[last].first_key_value()) {
            if let Some(again) = path.iter().position(|name| name == next) {
                path.drain(..again);
                break;
            }
            path.push(next);
        }
        let first = path.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
        path.rotate_left(first);
        let names: Vec<&str> = path.iter().chain(path.first()).map(|name| name.as_str()).collect();
        let next = path.get(1).copied().unwrap_or(path[0]);
        let what = format!("a cycle of `dependsOn`: {}", names.join(" → "));
        report.add(open[path[0]][next].at, what, "remove one of these dependencies");
        for name in path {
            open.remove(name);
        }
    }
}

/// Removes what depends on nothing left, again and again.
fn prune<V>(open: &mut BTreeMap<&ServiceName, BTreeMap<&ServiceName, V>>) {
    loop {
        let left: BTreeSet<ServiceName> = open.keys().map(|name| (*name).clone()).collect();
        open.values_mut().for_each(|on| on.retain(|name, _| left.contains(*name)));
        let before = open.len();
        open.retain(|_, on| !on.is_empty());
        if open.len() == before {
            return;
        }
    }
}

/// What two services of one host both claim, each pair told once however many
/// hosts they share.
#[derive(Default)]
struct Clashes {
    told: BTreeSet<(String, String)>,
}

impl Clashes {
    fn look(&mut self, host: Option<&HostName>, here: &Services<'_>, report: &Report) {
        let mut taken: BTreeMap<&Claim, (&ServiceName, &Spotted<'_, Claim>)> = BTreeMap::new();
        for (name, written) in here {
            for claim in &written.claims {
                let Some((owner, first)) = taken.get(&claim.value) else {
                    taken.insert(&claim.value, (name, claim));
                    continue;
                };
                let own = *owner == name;
                // A route and a health check of one service may well share a port.
                if own && matches!(claim.value, Claim::Port(_)) {
                    continue;
                }
                let what =
                    format!("{} is taken by `{owner}` ({}) already", claim.value, first.at.brief());
                if self.told.insert((claim.at.brief(), what.clone())) {
                    let remedy = match (own, host) {
                        (true, _) => "remove one of the two".to_owned(),
                        (false, Some(host)) => {
                            format!("both run on `{host}`: change one of the two")
                        }
                        (false, None) => "both run on every host: change one of the two".to_owned(),
                    };
                    report.add(claim.at, what, remedy);
                }
            }
        }
    }
}

fn absent_dependencies(
    host: Option<&HostName>,
    here: &Services<'_>,
    services: &Services<'_>,
    told: &mut BTreeSet<(String, String)>,
    report: &Report,
) {
    for (name, dependency) in dependencies(here) {
        let on = &dependency.value;
        if here.contains_key(on) || !services.contains_key(on) {
            continue;
        }
        if told.insert((name.to_string(), on.to_string())) {
            let place = host.map_or_else(|| "every host".to_owned(), |host| format!("`{host}`"));
            let what = format!("`{name}` runs on {place}, where its dependency `{on}` does not");
            report.add(
                dependency.at,
                what,
                format!("add the host to `hosts` of `{on}`, or remove the dependency"),
            );
        }
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Route(domain, path) => {
                write!(f, "{domain}{}", if path.is_empty() { "/" } else { path })
            }
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}
