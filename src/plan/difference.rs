//! What two commits ask differently of one host: services, closures, units, routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::packages::Packages;
use super::routes::{self, Features, RouteLine};
use super::step::human_bytes;
use super::{environment, unit};
use crate::manifest::Desired;
use crate::manifest::service::{Artifact, Service};
use crate::names::{ServiceName, StorePath, UnitName};

/// Lines around a change of a unit.
const CONTEXT: usize = 3;

/// From one commit's wishes to another's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub added: Vec<ServiceName>,
    pub removed: Vec<ServiceName>,
    /// In both, and not the same.
    pub changed: Vec<Changed>,
    pub closures: Vec<ClosureLine>,
    pub units: Vec<UnitDiff>,
    pub routes: Vec<RouteLine>,
}

/// A service that both ask for, and the tables of its manifest that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    pub service: ServiceName,
    pub what: Vec<&'static str>,
}

/// What becomes of one service's closure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosureLine {
    pub service: ServiceName,
    pub from: Option<Closure>,
    pub to: Option<Closure>,
    /// What differs inside, where both closures are at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Packages>,
}

/// A closure as its store path tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Closure {
    pub store_path: StorePath,
    pub name: String,
    pub version: Option<String>,
    /// Bytes of the whole closure, where the manifest tells.
    pub size: Option<u64>,
}

/// One unit file's change, as `diff -u` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitDiff {
    pub unit: UnitName,
    pub diff: String,
}

/// Compares wishes; what the host really runs is for [`super::plan`].
pub fn difference<A, B>(from: &Desired<A>, to: &Desired<B>) -> Difference {
    let (old, new) = (&from.services, &to.services);
    Difference {
        added: new.keys().filter(|name| !old.contains_key(name)).cloned().collect(),
        removed: old.keys().filter(|name| !new.contains_key(name)).cloned().collect(),
        changed: new
            .iter()
            .filter_map(|(name, new)| Some((old.get(name)?, new)))
            .filter(|(old, new)| old != new)
            .map(|(old, new)| Changed { service: new.name.clone(), what: tables(old, new) })
            .collect(),
        closures: closures(from, to),
        units: units(from, to),
        routes: route_lines(from, to),
    }
}

/// Which tables of a service's manifest differ; every field is in one of them.
fn tables(old: &Service, new: &Service) -> Vec<&'static str> {
    let Service {
        name: _,
        artifact,
        revision,
        work,
        env,
        env_file,
        depends_on,
        http,
        health,
        update,
        systemd,
        hardening,
    } = old;
    let differs = [
        ("artifact", *artifact != new.artifact),
        ("revision", *revision != new.revision),
        ("exec", *work != new.work),
        ("env", *env != new.env),
        ("envFile", *env_file != new.env_file),
        ("dependsOn", *depends_on != new.depends_on),
        ("http", *http != new.http),
        ("health", *health != new.health),
        ("update", *update != new.update),
        ("systemd", *systemd != new.systemd),
        ("hardening", *hardening != new.hardening),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(table, _)| table).collect()
}

fn closures<A, B>(from: &Desired<A>, to: &Desired<B>) -> Vec<ClosureLine> {
    let closure = |artifact: &Artifact| Closure::of(artifact);
    let (old, new) = (&from.services, &to.services);
    let names: BTreeSet<&ServiceName> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .map(|name| ClosureLine {
            service: name.clone(),
            from: old.get(name).map(|service| closure(&service.artifact)),
            to: new.get(name).map(|service| closure(&service.artifact)),
            packages: None,
        })
        .filter(|line| path_of(&line.from) != path_of(&line.to))
        .collect()
}

fn path_of(closure: &Option<Closure>) -> Option<&StorePath> {
    closure.as_ref().map(|closure| &closure.store_path)
}

fn units<A, B>(from: &Desired<A>, to: &Desired<B>) -> Vec<UnitDiff> {
    let (old, new) = (unit_texts(from), unit_texts(to));
    let names: BTreeSet<&UnitName> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(name) != new.get(name))
        .map(|name| UnitDiff {
            unit: name.clone(),
            diff: unified(name, old.get(name), new.get(name)),
        })
        .collect()
}

fn unit_texts<S>(desired: &Desired<S>) -> BTreeMap<UnitName, String> {
    let mut texts = BTreeMap::new();
    for service in desired.services.values() {
        texts.extend(unit::unit_files(service).into_iter().map(|file| (file.name, file.text)));
        let environment = environment::text(service);
        if let (Some(unit), Some(environment)) = (texts.get_mut(&service.name.unit()), environment)
        {
            unit.push_str(&format!("\n# {}\n{environment}", environment::path(&service.name)));
        }
    }
    texts
}

fn unified(name: &UnitName, old: Option<&String>, new: Option<&String>) -> String {
    let side = |text: Option<&String>| text.map_or("/dev/null", |_| name.as_str());
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    TextDiff::from_lines(&text(old), &text(new))
        .unified_diff()
        .context_radius(CONTEXT)
        .header(side(old), side(new))
        .to_string()
}

/// Of a Caddy that has nothing but our routes.
fn route_lines<A, B>(from: &Desired<A>, to: &Desired<B>) -> Vec<RouteLine> {
    let features = Features::default();
    let before = routes::merge(&Value::Null, from.services.values(), features).config;
    let before = before.unwrap_or(Value::Null);
    routes::merge(&before, to.services.values(), features).lines
}

impl Closure {
    fn of(artifact: &Artifact) -> Self {
        let (name, version) = artifact.store_path.package();
        Self {
            store_path: artifact.store_path.clone(),
            name: name.to_owned(),
            version: version.map(str::to_owned),
            size: artifact.closure_size,
        }
    }

    fn hash(&self) -> &str {
        &self.store_path.hash()[..8]
    }
}

impl Difference {
    /// Whether the commits ask the same of the host.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.routes.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no difference");
        }
        writeln!(f, "services")?;
        for (sign, names) in [('+', &self.added), ('-', &self.removed)] {
            names.iter().try_for_each(|name| writeln!(f, "  {sign} {name}"))?;
        }
        for Changed { service, what } in &self.changed {
            writeln!(f, "  ~ {service}  ({})", what.join(", "))?;
        }
        if !self.closures.is_empty() {
            writeln!(f, "closures")?;
        }
        self.closures.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if !self.routes.is_empty() {
            writeln!(f, "routes")?;
        }
        self.routes.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if !self.units.is_empty() {
            writeln!(f, "units")?;
        }
        self.units.iter().try_for_each(|unit| f.write_str(&unit.diff))
    }
}

impl fmt::Display for ClosureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.service)?;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from.name == to.name && from.version != to.version => {
                let version = |c: &Closure| c.version.clone().unwrap_or_else(|| "none".to_owned());
                write!(f, "{} {} → {}", to.name, version(from), version(to))
            }
            (Some(from), Some(to)) if from.name == to.name => {
                write!(f, "{} ({} → {})", to.store_path.label(), from.hash(), to.hash())
            }
            (Some(from), Some(to)) => {
                write!(f, "{} → {}", from.store_path.label(), to.store_path.label())
            }
            (None, Some(to)) => write!(f, "+ {}", to.store_path.label()),
            (Some(from), None) => write!(f, "- {}", from.store_path.label()),
            (None, None) => Ok(()),
        }?;
        if let Some(packages) = &self.packages {
            return write!(f, ", {}", packages.to_string().trim_end());
        }
        let size = |closure: &Option<Closure>| closure.as_ref()?.size.map(human_bytes);
        match (size(&self.from), size(&self.to)) {
            (Some(from), Some(to)) if from != to => write!(f, ", {from} → {to}"),
            (_, Some(size)) | (Some(size), None) => write!(f, ", {size}"),
            (None, None) => Ok(()),
        }
    }
}
