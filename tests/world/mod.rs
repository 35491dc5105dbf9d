//! A strict machine that exists only in memory.
//!
//! It refuses what the real one would refuse (starting a unit that was never
//! written, switching to a path that was never fetched, a route change against
//! another configuration), and it can be told to fail or to freeze at its n-th
//! change.

#![allow(dead_code, reason = "each test program uses its own part of the machine")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

mod overrides;

use serde_json::Value;
use writ::fault::Fault;
use writ::manifest::service::{Artifact, Check};
use writ::names::{AbsolutePath, AccountName, ClosureDigest, ServiceName, StorePath, UnitName};
use writ::plan::environment::{self, ContentDigest, EnvFile, Environment};
use writ::plan::observed::{
    ObservedRoutes, ObservedStore, ObservedUnit, Override, Overrides, Pulse, UnitState, Vitals,
};
use writ::plan::programs::Flaw;
use writ::plan::retention::{Held, Retention, Version, Versions};
use writ::plan::routes::Features;
use writ::plan::site::{Site, Unfit};
use writ::plan::step::Aside;
use writ::world::{Facts, Foreign, Probes, Routes, Store, Units, Wanted, World};

#[derive(Default)]
pub(crate) struct SimWorld {
    machine: Mutex<Machine>,
    witness: Mutex<Option<Witness>>,
    hanging: Mutex<Option<Part>>,
}

/// Told after each change of the machine.
pub(crate) type Witness = Arc<dyn Fn() + Send + Sync>;

/// Everything there is on the machine.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    /// What the binary caches hold.
    pub(crate) cached: BTreeSet<StorePath>,
    /// The digests of those closures that a test asks for.
    pub(crate) digests: BTreeMap<StorePath, ClosureDigest>,
    /// Paths of which [`Store::fetch`] holds a root.
    pub(crate) fetched: BTreeSet<StorePath>,
    /// Closures with a link that leads out of them, and where it leads.
    pub(crate) leaking: BTreeMap<StorePath, String>,
    /// Sites that were looked through and may be served.
    pub(crate) inspected: BTreeSet<Site>,
    /// How many sites were looked through.
    pub(crate) inspections: usize,
    /// What was compared with a signed digest.
    pub(crate) verified: BTreeMap<StorePath, ClosureDigest>,
    /// Each profile's versions, oldest first, and which is current.
    pub(crate) profiles: BTreeMap<ServiceName, (Vec<StorePath>, usize)>,
    /// The versions of profiles that are gone.
    pub(crate) left: BTreeMap<ServiceName, Vec<StorePath>>,
    /// Paths that somebody took out of the store, with whatever kept them there.
    pub(crate) gone: BTreeSet<StorePath>,
    pub(crate) files: BTreeMap<UnitName, String>,
    pub(crate) loaded: BTreeMap<UnitName, Loaded>,
    /// What others put over units, and what of it was moved away.
    pub(crate) overrides: Overrides,
    pub(crate) aside: Vec<Override>,
    /// The units that systemd stops with a unit, by way of units of the host's own.
    pub(crate) dependents: BTreeMap<UnitName, BTreeSet<UnitName>>,
    /// Names that Caddy answers 502 for.
    pub(crate) unreachable: BTreeSet<String>,
    pub(crate) config: Value,
    pub(crate) config_version: u64,
    pub(crate) caddy_down: bool,
    pub(crate) accounts_missing: BTreeSet<AccountName>,
    pub(crate) files_missing: BTreeSet<AbsolutePath>,
    /// Programs that are not in their closure, or are none.
    pub(crate) flawed: BTreeMap<AbsolutePath, Flaw>,
    pub(crate) odd_env_files: BTreeMap<AbsolutePath, String>,
    /// Directories and ports of others.
    pub(crate) foreign: Foreign,
    /// What lies where manifests name an `envFile`; nothing, where it is left out.
    pub(crate) env_files: BTreeMap<AbsolutePath, String>,
    pub(crate) environments: BTreeMap<ServiceName, Environment>,
    /// Programs that end with status 1 as soon as they are started.
    pub(crate) crashing: BTreeSet<StorePath>,
    /// How units are that were not started long ago and left alone.
    pub(crate) vitals: BTreeMap<UnitName, Vitals>,
    /// Programs that have another unit fail when they are started.
    pub(crate) felling: BTreeMap<StorePath, UnitName>,
    /// Programs that run and never answer their check.
    pub(crate) sick: BTreeSet<StorePath>,
    /// How many more versions can be released; any number where it is left out.
    pub(crate) releasable: Option<usize>,
    pub(crate) downloads: usize,
    pub(crate) changes: usize,
    trouble: Option<Trouble>,
    journals: BTreeMap<UnitName, Vec<String>>,
    invocations: u32,
}

/// A unit that systemd has in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loaded {
    /// The text it was loaded from, which a later write does not change.
    pub(crate) text: String,
    pub(crate) state: UnitState,
    pub(crate) invocation: String,
    pub(crate) pid: u32,
    /// What it was started with: of the manifest, and of the host's file.
    pub(crate) environment: Option<String>,
}

/// What happens at the n-th change from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The change does not happen, and its caller is told to try later.
    Fails,
    /// The change does not happen, and its caller never returns: the program was
    /// killed just before.
    FreezesBefore,
    /// The change happens, and its caller never returns.
    FreezesAfter,
}

/// What a machine is asked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Store,
    Units,
    Routes,
}

#[derive(Clone, Copy)]
struct Trouble {
    left: usize,
    how: How,
}

impl SimWorld {
    /// A world around this machine.
    pub(crate) fn of(machine: Machine) -> Self {
        Self { machine: Mutex::new(machine), witness: Mutex::default(), hanging: Mutex::default() }
    }

    pub(crate) fn witnessed(&self, by: Option<Witness>) {
        *self.witness.lock().expect("no test panics while holding it") = by;
    }

    fn changed(&self) {
        let witness = self.witness.lock().expect("no test panics while holding it").clone();
        if let Some(witness) = witness {
            witness();
        }
    }

    /// The machine as it is.
    pub(crate) fn state(&self) -> Machine {
        self.lock().clone()
    }

    /// A hand on the machine, past every verb: a cache filled, a unit stopped by
    /// somebody, an account made.
    pub(crate) fn touch(&self, change: impl FnOnce(&mut Machine)) {
        change(&mut self.lock());
    }

    /// Lets `left` more changes pass, and has trouble at the next.
    pub(crate) fn trouble_at(&self, left: usize, how: How) {
        self.lock().trouble = Some(Trouble { left, how });
    }

    /// Has one part answer nothing any more, or all of them again.
    pub(crate) fn hangs(&self, part: Option<Part>) {
        *self.hanging.lock().expect("no test panics while holding it") = part;
    }

    async fn answers(&self, part: Part) {
        let hanging = *self.hanging.lock().expect("no test panics while holding it");
        if hanging == Some(part) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the trouble that was asked for has not come yet.
    pub(crate) fn trouble_is_ahead(&self) -> bool {
        self.lock().trouble.is_some()
    }

    pub(crate) fn heal(&self) {
        self.lock().trouble = None;
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().expect("no test panics while holding it")
    }

    async fn change(
        &self,
        doing: &str,
        apply: impl FnOnce(&mut Machine) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let trouble = self.lock().next_trouble();
        match trouble {
            None => {
                let done = self.lock().counted(apply);
                self.changed();
                done
            }
            Some(How::Fails) => Err(Fault::wait(doing, "the machine was told to fail here")),
            Some(How::FreezesBefore) => std::future::pending().await,
            Some(How::FreezesAfter) => {
                let _ = self.lock().counted(apply);
                std::future::pending().await
            }
        }
    }
}

impl Machine {
    fn next_trouble(&mut self) -> Option<How> {
        let trouble = self.trouble.as_mut()?;
        if trouble.left > 0 {
            trouble.left -= 1;
            return None;
        }
        let how = trouble.how;
        self.trouble = None;
        Some(how)
    }

    fn counted(&mut self, apply: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        apply(self)?;
        self.changes += 1;
        Ok(())
    }

    fn rooted(&self) -> BTreeSet<StorePath> {
        let profiles = self.profiles.values().map(|(versions, _)| versions);
        let versions = profiles.chain(self.left.values()).flatten();
        versions.filter(|path| !self.gone.contains(path)).cloned().collect()
    }

    pub(crate) fn current(&self) -> BTreeMap<ServiceName, StorePath> {
        let current = |(name, (versions, at)): (&ServiceName, &(Vec<StorePath>, usize))| {
            (name.clone(), versions[*at].clone())
        };
        self.profiles.iter().map(current).collect()
    }

    /// A reboot: what systemd and Caddy had in memory is gone, and these units are
    /// started; of a job it is the timer.
    pub(crate) fn reboot(
        &mut self,
        units: BTreeMap<UnitName, String>,
        environments: BTreeMap<ServiceName, String>,
    ) {
        let restored = |(name, text)| (name, Environment { text: Some(text), started_with: None });
        self.environments = environments.into_iter().map(restored).collect();
        self.config = Value::Null;
        self.config_version += 1;
        self.loaded.clear();
        let timed = |unit: &UnitName| {
            let timer = unit.service().map(|service| service.timer());
            timer.is_some_and(|timer| *unit != timer && units.contains_key(&timer))
        };
        for (unit, text) in units.iter().filter(|(unit, _)| !timed(unit)) {
            let (invocation, pid) = self.invocation();
            let (text, state) = (text.clone(), UnitState::Active);
            let environment = self.environment_of(unit, &text).expect("its file was restored");
            let unit = unit.clone();
            self.loaded.insert(unit, Loaded { text, state, invocation, pid, environment });
        }
        self.files = units;
    }

    /// What systemd reads for a unit; it starts nothing whose file is not there.
    pub(crate) fn environment_of(
        &self,
        unit: &UnitName,
        text: &str,
    ) -> Result<Option<String>, Fault> {
        let Some(service) = unit.service().filter(|service| *unit == service.unit()) else {
            return Ok(None);
        };
        if !text.contains(&format!("EnvironmentFile={}\n", environment::path(&service))) {
            return Ok(None);
        }
        match self.environments.get(&service).and_then(|found| found.text.clone()) {
            Some(text) => Ok(Some(text)),
            None => {
                Err(Fault::refuse(format!("start {unit}"), "its environment file is not there"))
            }
        }
    }

    /// Everything that can be observed of the machine, without its counters.
    pub(crate) fn key(&self) -> String {
        let loaded: BTreeMap<_, _> = self
            .loaded
            .iter()
            .map(|(name, unit)| (name, (&unit.text, unit.state, &unit.environment)))
            .collect();
        let Self { fetched, profiles, left, files, environments, config, .. } = self;
        let started: Vec<_> = environments.values().map(|e| e.started_with.map(|d| d.0)).collect();
        format!(
            "{fetched:?} {profiles:?} {left:?} {files:?} {environments:?} {started:?} {config} {loaded:?}"
        )
    }

    /// The units that run, each with the text it runs from.
    pub(crate) fn running(&self) -> BTreeMap<UnitName, String> {
        let active = |(name, unit): (&UnitName, &Loaded)| {
            (unit.state == UnitState::Active).then(|| (name.clone(), unit.text.clone()))
        };
        self.loaded.iter().filter_map(active).collect()
    }

    fn invocation(&mut self) -> (String, u32) {
        self.invocations += 1;
        (format!("{:032x}", self.invocations), self.invocations)
    }

    fn is_program_in(set: &BTreeSet<StorePath>, text: &str) -> bool {
        set.iter().any(|path| text.contains(path.as_str()))
    }
}

impl World for SimWorld {
    type Store = Self;
    type Units = Self;
    type Routes = Self;
    type Probes = Self;
    type Facts = Self;

    fn store(&self) -> &Self {
        self
    }

    fn units(&self) -> &Self {
        self
    }

    fn routes(&self) -> &Self {
        self
    }

    fn probes(&self) -> &Self {
        self
    }

    fn facts(&self) -> &Self {
        self
    }
}

impl Store for SimWorld {
    async fn observe(&self) -> Result<ObservedStore, Fault> {
        self.answers(Part::Store).await;
        let machine = self.lock();
        let rooted = machine.rooted();
        let verified = machine
            .verified
            .clone()
            .into_iter()
            .filter(|(path, _)| rooted.contains(path))
            .collect();
        let inspected = machine.inspected.clone();
        Ok(ObservedStore { current: machine.current(), rooted, verified, inspected })
    }

    async fn fetch(&self, closures: &[Artifact]) -> Result<(), Fault> {
        let doing = "fetch closures";
        self.change(doing, |machine| {
            let absent = closures.iter().find(|c| !machine.cached.contains(&c.store_path));
            if let Some(absent) = absent {
                let because = format!("no cache has {}", absent.store_path);
                return Err(Fault::wait(doing, because));
            }
            for closure in closures {
                let found = machine.digests.get(&closure.store_path);
                if closure.closure_digest.as_ref().is_some_and(|digest| Some(digest) != found) {
                    let found = found.map_or_else(|| "unknown".to_owned(), ToString::to_string);
                    let because = format!("{} has the digest {found}", closure.store_path);
                    return Err(Fault::refuse(doing, because));
                }
            }
            machine.downloads += closures.len();
            machine
                .inspected
                .retain(|site| closures.iter().all(|c| c.store_path != site.store_path));
            machine.verified.retain(|path, _| closures.iter().all(|c| c.store_path != *path));
            let digested = closures
                .iter()
                .filter_map(|c| Some((c.store_path.clone(), c.closure_digest.clone()?)));
            machine.verified.extend(digested);
            machine.gone.retain(|path| closures.iter().all(|c| c.store_path != *path));
            machine.fetched.extend(closures.iter().map(|c| c.store_path.clone()));
            Ok(())
        })
        .await
    }

    async fn inspect(&self, sites: &BTreeSet<Site>) -> Result<Unfit, Fault> {
        let mut machine = self.lock();
        let mut unfit = Unfit::new();
        for site in sites {
            if !machine.fetched.contains(&site.store_path)
                && !machine.rooted().contains(&site.store_path)
            {
                return Err(Fault::wait("look through a site", "its path is not there"));
            }
            machine.inspections += 1;
            match machine.leaking.get(&site.store_path) {
                Some(why) => drop(unfit.insert(site.clone(), why.clone())),
                None => drop(machine.inspected.insert(site.clone())),
            }
        }
        Ok(unfit)
    }

    async fn switch(
        &self,
        service: &ServiceName,
        from: Option<&StorePath>,
        to: &StorePath,
    ) -> Result<(), Fault> {
        let doing = format!("switch {service}");
        self.change(&doing, |machine| {
            if machine.current().get(service) == Some(to) {
                return Ok(());
            }
            if machine.current().get(service) != from {
                return Err(Fault::wait(&doing, "it moved meanwhile"));
            }
            if !machine.fetched.contains(to) && !machine.rooted().contains(to) {
                return Err(Fault::refuse(&doing, format!("{to} was never fetched")));
            }
            let left = machine.left.remove(service).unwrap_or_default();
            let (versions, at) = machine.profiles.entry(service.clone()).or_insert((left, 0));
            *at = versions.iter().position(|path| path == to).unwrap_or_else(|| {
                versions.push(to.clone());
                versions.len() - 1
            });
            Ok(())
        })
        .await
    }

    async fn retire(&self, service: &ServiceName, from: &StorePath) -> Result<(), Fault> {
        let doing = format!("retire {service}");
        self.change(&doing, |machine| match machine.current().get(service) {
            None => Ok(()),
            Some(current) if current == from => {
                let gone = machine.profiles.remove(service).expect("it has a current version");
                machine.left.insert(service.clone(), gone.0);
                Ok(())
            }
            Some(_) => Err(Fault::wait(&doing, "it moved meanwhile")),
        })
        .await
    }

    async fn held(&self) -> Result<Held, Fault> {
        let machine = self.lock();
        let current = machine.current();
        let profiles = machine.profiles.iter().map(|(name, (versions, _))| (name, versions));
        let versions = |(name, versions): (&ServiceName, &Vec<StorePath>)| {
            let all = (1..).zip(versions.iter().cloned()).collect();
            (name.clone(), Versions { current: current.get(name).cloned(), all })
        };
        let profiles = profiles.chain(&machine.left).map(versions).collect();
        Ok(Held { profiles, roots: machine.fetched.clone() })
    }

    async fn release(&self, what: &Retention) -> Result<(), Fault> {
        let mut machine = self.lock();
        let current = machine.current();
        machine.fetched.retain(|path| !what.roots.contains(path));
        for Version { service, store_path, .. } in what.going() {
            if current.get(service) == Some(store_path) {
                continue;
            }
            match &mut machine.releasable {
                Some(0) => {
                    return Err(Fault::wait("release", "the machine was told to fail here"));
                }
                left => *left = left.map(|left| left - 1),
            }
            if let Some(versions) = machine.left.get_mut(service) {
                versions.retain(|path| path != store_path);
            }
            if let Some((versions, at)) = machine.profiles.get_mut(service) {
                versions.retain(|path| path != store_path);
                *at = versions.iter().position(|path| *path == current[service]).unwrap_or(0);
            }
        }
        machine.left.retain(|_, versions| !versions.is_empty());
        drop(machine);
        self.changed();
        Ok(())
    }
}

impl Units for SimWorld {
    async fn observe(&self) -> Result<BTreeMap<UnitName, ObservedUnit>, Fault> {
        self.answers(Part::Units).await;
        let machine = self.lock();
        let names: BTreeSet<_> = machine.files.keys().chain(machine.loaded.keys()).collect();
        let unit = |name: &UnitName| ObservedUnit {
            file: machine.files.get(name).cloned(),
            state: machine.loaded.get(name).map(|unit| unit.state).unwrap_or_default(),
        };
        Ok(names.into_iter().map(|name| (name.clone(), unit(name))).collect())
    }

    fn overrides(&self) -> Result<Overrides, Fault> {
        Ok(self.lock().overrides.clone())
    }

    fn environments(&self) -> Result<BTreeMap<ServiceName, Environment>, Fault> {
        Ok(self.lock().environments.clone())
    }

    async fn set_environment(&self, service: &ServiceName, to: &Environment) -> Result<(), Fault> {
        self.change("write an environment", |machine| {
            match *to == Environment::default() {
                true => drop(machine.environments.remove(service)),
                false => drop(machine.environments.insert(service.clone(), to.clone())),
            }
            Ok(())
        })
        .await
    }

    async fn set_aside(&self, files: &[Aside]) -> Result<(), Fault> {
        let doing = "move files of others away";
        files.iter().try_for_each(|file| ours(&file.unit, doing))?;
        self.change(doing, |machine| files.iter().try_for_each(|file| machine.set_aside(file)))
            .await
    }

    async fn write(&self, unit: &UnitName, expect: Option<&str>, text: &str) -> Result<(), Fault> {
        let doing = format!("write {unit}");
        ours(unit, &doing)?;
        self.change(&doing, |machine| {
            let found = machine.files.get(unit).map(String::as_str);
            if found != expect && found != Some(text) {
                return Err(Fault::wait(&doing, "somebody else changed it"));
            }
            machine.files.insert(unit.clone(), text.to_owned());
            Ok(())
        })
        .await
    }

    async fn remove(&self, unit: &UnitName, expect: &str) -> Result<(), Fault> {
        let doing = format!("remove {unit}");
        ours(unit, &doing)?;
        self.change(&doing, |machine| match machine.files.get(unit).map(String::as_str) {
            None => Ok(()),
            Some(found) if found == expect => {
                machine.files.remove(unit);
                Ok(())
            }
            Some(_) => Err(Fault::wait(&doing, "somebody else changed it")),
        })
        .await
    }

    async fn start(&self, unit: &UnitName, _files: &[UnitName]) -> Result<(), Fault> {
        let doing = format!("start {unit}");
        ours(unit, &doing)?;
        self.change(&doing, |machine| machine.begin(unit, &doing)).await
    }

    async fn stop(&self, unit: &UnitName) -> Result<(), Fault> {
        let doing = format!("stop {unit}");
        ours(unit, &doing)?;
        self.change(&doing, |machine| {
            machine.end(unit);
            Ok(())
        })
        .await
    }

    async fn reload(&self, unit: &UnitName) -> Result<(), Fault> {
        let doing = format!("reload {unit}");
        ours(unit, &doing)?;
        self.change(&doing, |machine| {
            let text = machine.files.get(unit).cloned();
            match (machine.loaded.get_mut(unit), text) {
                (Some(loaded), Some(text)) if loaded.state == UnitState::Active => {
                    loaded.text = text;
                    Ok(())
                }
                _ => Err(Fault::refuse(&doing, "it does not run")),
            }
        })
        .await
    }

    async fn pulse(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Pulse>, Fault> {
        let machine = self.lock();
        let pulse = |name: &UnitName| match machine.loaded.get(name) {
            Some(unit) => Pulse {
                state: unit.state,
                invocation: unit.invocation.clone(),
                failure: (unit.state == UnitState::Failed)
                    .then(|| "exit-code, status 1".to_owned()),
                main_pid: (unit.state == UnitState::Active).then_some(unit.pid),
            },
            None => Pulse::default(),
        };
        Ok(units.iter().map(|name| (name.clone(), pulse(name))).collect())
    }

    async fn vitals(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Vitals>, Fault> {
        let machine = self.lock();
        let vitals = |unit: &UnitName| {
            let runs = machine.loaded.get(unit).is_some_and(|u| u.state == UnitState::Active);
            let calm =
                Vitals { restarts: 0, uptime: runs.then_some(Duration::from_secs(3 * 3600)) };
            machine.vitals.get(unit).copied().unwrap_or(calm)
        };
        Ok(units.iter().map(|unit| (unit.clone(), vitals(unit))).collect())
    }

    fn started_within(&self, within: Duration) -> BTreeSet<UnitName> {
        let machine = self.lock();
        let young =
            |(_, vitals): &(_, &Vitals)| vitals.uptime.is_some_and(|uptime| uptime < within);
        machine.vitals.iter().filter(young).map(|(unit, _)| unit.clone()).collect()
    }

    async fn journal(&self, unit: &UnitName, _lines: usize) -> Vec<String> {
        self.lock().journals.get(unit).cloned().unwrap_or_default()
    }
}

/// Units of others are none of this program's business.
fn ours(unit: &UnitName, doing: &str) -> Result<(), Fault> {
    match unit.service() {
        Some(_) => Ok(()),
        None => Err(Fault::refuse(doing, "it is not one of ours")),
    }
}

impl Routes for SimWorld {
    async fn observe(&self) -> ObservedRoutes {
        self.answers(Part::Routes).await;
        let machine = self.lock();
        if machine.caddy_down {
            return ObservedRoutes::Down { because: "connection refused".to_owned() };
        }
        let etag = format!("\"/config/ {}\"", machine.config_version);
        let features = Features { stream_close_delay: true };
        ObservedRoutes::Up { etag, config: machine.config.clone(), features }
    }

    async fn apply(&self, etag: &str, config: &Value) -> Result<(), Fault> {
        let doing = "change Caddy's routes";
        self.change(doing, |machine| {
            if machine.caddy_down {
                return Err(Fault::wait(doing, "connection refused"));
            }
            if etag != format!("\"/config/ {}\"", machine.config_version) {
                return Err(Fault::wait(doing, "somebody else changed the configuration"));
            }
            if let Some(address) = claimed_twice(config) {
                return Err(Fault::refuse(doing, format!("{address} is claimed twice")));
            }
            if machine.config != *config {
                machine.config = config.clone();
                machine.config_version += 1;
            }
            Ok(())
        })
        .await
    }
}

/// An address that two servers of a configuration listen on, which Caddy refuses.
fn claimed_twice(config: &Value) -> Option<String> {
    let servers = config.pointer("/apps/http/servers")?.as_object()?;
    let mut claimed = BTreeSet::new();
    let listen = servers.values().filter_map(|server| server["listen"].as_array()).flatten();
    listen.map(ToString::to_string).find(|address| !claimed.insert(address.clone()))
}

impl Probes for SimWorld {
    async fn ask(
        &self,
        service: &ServiceName,
        check: &Check,
        _timeout: Duration,
    ) -> Result<(), String> {
        let machine = self.lock();
        let unit = machine.loaded.get(&service.unit());
        match check {
            Check::Active => Ok(()),
            Check::Http { .. } | Check::Tcp { .. } | Check::Command { .. } => match unit {
                Some(unit) if Machine::is_program_in(&machine.sick, &unit.text) => {
                    Err("500 Internal Server Error: sick".to_owned())
                }
                Some(_) => Ok(()),
                None => Err("connection refused".to_owned()),
            },
        }
    }
}

impl Facts for SimWorld {
    async fn unknown_accounts(
        &self,
        users: &BTreeSet<AccountName>,
        groups: &BTreeSet<AccountName>,
    ) -> Result<BTreeSet<AccountName>, Fault> {
        let missing = &self.lock().accounts_missing;
        Ok(users.union(groups).filter(|name| missing.contains(name)).cloned().collect())
    }

    async fn odd_env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeMap<AbsolutePath, String>, Fault> {
        let odd = &self.lock().odd_env_files;
        Ok(odd.clone().into_iter().filter(|(path, _)| files.contains(path)).collect())
    }

    async fn env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeMap<AbsolutePath, EnvFile>, Fault> {
        let machine = self.lock();
        let look = |path: &AbsolutePath| {
            if machine.files_missing.contains(path) {
                return EnvFile::Unusable("is not there; put it there".to_owned());
            }
            let text = machine.env_files.get(path).map(String::as_str).unwrap_or_default();
            let mut digest = [0; 32];
            digest.iter_mut().zip(text.bytes()).for_each(|(digest, byte)| *digest = byte);
            EnvFile::Usable(ContentDigest(digest))
        };
        Ok(files.iter().map(|path| (path.clone(), look(path))).collect())
    }

    async fn flawed_programs(
        &self,
        programs: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeMap<AbsolutePath, Flaw>, Fault> {
        let mut flawed = self.lock().flawed.clone();
        flawed.retain(|path, _| programs.contains(path));
        Ok(flawed)
    }

    async fn foreign(&self, wanted: &Wanted) -> Result<Foreign, Fault> {
        let mut foreign = self.lock().foreign.clone();
        foreign.directories.retain(|directory| wanted.directories.contains_key(directory));
        foreign.ports.retain(|port, _| wanted.ports.contains(port));
        Ok(foreign)
    }
}
