//! Decides what to do, and does nothing else.
//!
//! Rolling back is a plan like any other: the last good generation's wishes
//! against what is observed now. Only a plan made from a signed manifest can be
//! carried out:
//!
//! ```compile_fail,E0308
//! # use std::collections::BTreeMap;
//! # use writ::{converge::{converge, Quiet}, manifest::Manifest, plan::{observed::Observed, plan}, world::World};
//! # async fn preview(world: &impl World, observed: &Observed, files: &BTreeMap<String, Vec<u8>>) {
//! let draft = Manifest::draft(files).unwrap();
//! let desired = draft.desired(&"web".parse().unwrap());
//! converge(plan(&desired, observed), world, &mut Quiet).await;
//! # }
//! ```

pub mod ailing;
pub mod assume;
pub mod closure;
pub mod contents;
pub mod difference;
pub mod digest;
pub mod drift;
pub mod environment;
pub mod observed;
pub mod outlook;
mod overrides;
pub mod packages;
pub mod privileges;
pub mod programs;
mod recheck;
pub mod record;
pub mod retention;
pub mod routes;
pub mod site;
pub mod step;
pub mod unit;
mod versions;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::manifest::service::{Artifact, Service, Strategy, Work};
use crate::manifest::window::Windows;
use crate::manifest::{Desired, WorkingTree};
use crate::names::{AbsolutePath, AccountName, ClosureDigest, Literal, ServiceName, UnitName};
use environment::{EnvFile, EnvironmentChange};
use observed::{Observed, ObservedRoutes, ObservedStore, ObservedUnit, UnitState};
use privileges::PrivilegeChange;
pub use recheck::{rechecked, rechecked_again, resumed};
use step::{FileChange, ProfileMove, RouteChange, Step, UnitChange, UnitRemoval, Watch};
use unit::Impact;

/// The steps from what is to what should be, in the order they run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a plan that is neither shown nor converged changed nothing"]
pub struct Plan<Source> {
    #[serde(skip)]
    pub source: Source,
    pub steps: Vec<Step>,
    /// What has to be true of the host before a new generation may begin.
    pub waiting: Vec<Waiting>,
    /// What services gain and lose of the host, where somebody is to decide over it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub privileges: Vec<PrivilegeChange>,
    /// Services that were not up before, which this plan leaves as they are.
    #[serde(skip)]
    pub spared: BTreeSet<ServiceName>,
}

/// Something that only time or a person can bring about on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Waiting {
    Account {
        service: ServiceName,
        account: AccountName,
    },
    EnvFile {
        service: ServiceName,
        path: AbsolutePath,
        because: String,
    },
    /// A directory below /var/lib that was not made for the service.
    StateDirectory {
        service: ServiceName,
        directory: Literal,
        /// The service that it was made for, where it was one of ours.
        owner: Option<ServiceName>,
    },
    /// A port on which somebody else listens.
    Port {
        service: ServiceName,
        port: u16,
        by: String,
    },
    /// systemd would skip something in it.
    OddEnvFile {
        service: ServiceName,
        path: AbsolutePath,
        because: String,
    },
    Caddy {
        because: String,
    },
    /// A route of somebody else's where the service is to have one.
    ForeignRoute {
        service: ServiceName,
        /// The domain and path: `example.com/api`.
        route: String,
        because: String,
    },
    /// The host's next deploy window.
    Window {
        /// RFC 3339 in UTC.
        opens: String,
        /// As the host's people tell the time.
        local: String,
    },
    /// A file of others over the service's unit that stays where it is.
    Override {
        service: ServiceName,
        path: AbsolutePath,
    },
}

impl Waiting {
    /// For a closed window that opens then.
    pub fn window(windows: &Windows, opens: jiff::Timestamp) -> Self {
        Self::Window { opens: opens.to_string(), local: windows.told(opens) }
    }
}

/// Returns the steps that take `observed` to `desired`: none once they agree.
///
/// Everything new is fetched before anything that runs is stopped. Services
/// start in waves, each after the services it depends on are healthy.
pub fn plan<Source: Clone>(desired: &Desired<Source>, observed: &Observed) -> Plan<Source> {
    let changes: Vec<Change<'_>> =
        desired.services.values().map(|service| Change::of(service, observed)).collect();
    let mut waiting = lacking(desired, observed);
    waiting.extend(odd_env_files(&changes, observed));
    waiting.extend(overrides::fixed(desired, observed));
    let mut steps = Vec::new();
    steps.extend(fetch(desired, observed));
    steps.extend(site::inspect(desired, observed));
    steps.extend(overrides::aside(desired, observed));
    steps.extend(stop(desired, observed));
    steps.extend(switch(desired, observed));
    let mut waves = waves::waves(changes);
    let last = waves.pop().unwrap_or_default();
    for wave in waves {
        let watched = watch(&wave);
        steps.extend(apply(wave));
        steps.extend(watched);
    }
    let watched = watch(&last);
    steps.extend(apply(last));
    // The routes follow as soon as everything new listens, and before the last
    // watch, so that a service whose port changed is not cut off for its length.
    let (change, unrouted) = route(desired, observed);
    steps.extend(change);
    waiting.extend(unrouted);
    steps.extend(watched);
    steps.extend(retire(desired, observed));
    Plan {
        source: desired.source.clone(),
        steps,
        waiting,
        privileges: Vec::new(),
        spared: BTreeSet::new(),
    }
}

impl Plan<WorkingTree> {
    /// The same, for people: with what services gain and lose of the host on the way from
    /// `old`, or from a host that runs nothing of ours.
    pub fn from(mut self, old: Option<&Desired<WorkingTree>>, new: &Desired<WorkingTree>) -> Self {
        let nothing = Desired::nothing(new.host.clone(), WorkingTree);
        self.privileges = privileges::changes(old.unwrap_or(&nothing), new);
        self
    }
}

/// What a manifest asks for that this version of the program cannot carry out.
/// Such a generation is refused whole; nothing of it is applied.
pub fn unsupported<Source>(desired: &Desired<Source>) -> Vec<String> {
    let blue_green = desired
        .services
        .values()
        .filter(|service| service.update.strategy == Strategy::BlueGreen)
        .map(|service| {
            format!("service {}: update.strategy = \"blue-green\"; use \"restart\"", service.name)
        });
    let profiles = desired.profiles.keys().map(|name| {
        format!("profile {name}: profiles are not activated by this version; remove this host from its `hosts`")
    });
    blue_green.chain(profiles).collect()
}

/// What has to happen to one service, as its unit files tell.
struct Change<'a> {
    service: &'a Service,
    kind: ChangeKind,
    files: Vec<FileChange>,
    environment: Option<EnvironmentChange>,
}

/// In the order in which a wave goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ChangeKind {
    None,
    Write,
    Reload,
    Restart,
    Start,
}

impl ChangeKind {
    fn step(self, units: Vec<UnitChange>) -> Option<Step> {
        match self {
            Self::None => None,
            Self::Write => Some(Step::Write { units }),
            Self::Reload => Some(Step::Reload { units }),
            Self::Restart => Some(Step::Restart { units }),
            Self::Start => Some(Step::Start { units }),
        }
    }
}

impl<'a> Change<'a> {
    fn of(service: &'a Service, observed: &Observed) -> Self {
        let mut kind = ChangeKind::None;
        let mut files = Vec::new();
        for unit in unit::unit_files(service) {
            let old = observed.units.get(&unit.name).and_then(|unit| unit.file.as_deref());
            kind = kind.max(match old.map(|old| unit::impact(old, &unit.text)) {
                None | Some(Impact::Restart) => ChangeKind::Restart,
                Some(Impact::Reload) => ChangeKind::Reload,
                Some(Impact::Write) => ChangeKind::Write,
                Some(Impact::Same) => ChangeKind::None,
            });
            kind = kind.max(overrides::change(&unit, observed));
            if old != Some(&unit.text) {
                let expect = old.map(str::to_owned);
                files.push(FileChange { unit: unit.name, expect, text: unit.text });
            }
        }
        let environment = environment::change(service, observed);
        kind = kind.max(match &environment {
            Some(change) if change.begins_anew() => ChangeKind::Restart,
            // What it was started with is noted; its process has it already.
            Some(_) => ChangeKind::Write,
            None => ChangeKind::None,
        });
        if let Some(unit) = unit::started(service)
            && !runs(observed.units.get(&unit))
        {
            kind = ChangeKind::Start;
        }
        Self { service, kind, files, environment }
    }

    /// Whether a process begins anew, so that its health has to be watched.
    fn begins(&self) -> bool {
        self.kind >= ChangeKind::Reload
    }

    fn unit_change(self) -> Option<UnitChange> {
        let unit = unit::started(self.service)?;
        Some(UnitChange { unit, files: self.files, environment: self.environment })
    }
}

/// A unit in its restart pause counts as running: systemd is at work on it, and
/// interfering each round would only defeat its rate limit.
fn runs(unit: Option<&ObservedUnit>) -> bool {
    match unit.map(|unit| unit.state) {
        Some(UnitState::Active | UnitState::Activating | UnitState::Reloading) => true,
        Some(UnitState::Inactive | UnitState::Deactivating | UnitState::Failed) | None => false,
    }
}

/// What no profile keeps, and what was never compared with the digest it is signed
/// with: a path may have come here before anybody signed one.
fn fetch<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let closures: BTreeSet<_> = desired
        .services
        .values()
        .map(|service| &service.artifact)
        .filter(|artifact| !here(artifact, &observed.store))
        .cloned()
        .collect();
    (!closures.is_empty()).then(|| Step::Fetch { closures: closures.into_iter().collect() })
}

fn here(artifact: &Artifact, store: &ObservedStore) -> bool {
    let path = &artifact.store_path;
    let compared = |digest: &ClosureDigest| store.verified.get(path) == Some(digest);
    store.rooted.contains(path) && artifact.closure_digest.as_ref().is_none_or(compared)
}

/// Artifacts without a digest, for a policy that requires one (rule C1): whoever
/// holds a cache's key could change what they are.
pub fn undigested<Source>(desired: &Desired<Source>) -> Vec<String> {
    let bare = |service: &&Service| service.artifact.closure_digest.is_none();
    let told = |service: &Service| {
        format!("{}: the policy requires artifact.closureDigest, and there is none", service.name)
    };
    desired.services.values().filter(bare).map(told).collect()
}

/// Units of ours that no desired service has, and daemons that are to be jobs.
fn stop<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let wanted: BTreeSet<UnitName> = desired.services.values().flat_map(unit::unit_names).collect();
    let gone =
        |service: &ServiceName| desired.services.get(service).and_then(unit::started).is_none();
    // Environments without a unit.
    let left_behind = observed
        .environments
        .keys()
        .filter(|service| gone(service) && !observed.units.contains_key(&service.unit()))
        .map(|service| UnitRemoval { unit: service.unit(), expect: None, environment: true });
    let units: Vec<_> = observed
        .units
        .iter()
        .filter(|(name, _)| !wanted.contains(name))
        .map(|(name, unit)| UnitRemoval {
            unit: name.clone(),
            expect: unit.file.clone(),
            environment: name.service().is_some_and(|s| *name == s.unit() && gone(&s)),
        })
        .chain(left_behind)
        .chain(desired.services.values().filter_map(|service| outlived(service, observed)))
        .collect();
    (!units.is_empty()).then_some(Step::Stop { units })
}

/// A process that goes on as if its service were still a daemon: the timer that
/// follows would find its unit running and never start it.
fn outlived(service: &Service, observed: &Observed) -> Option<UnitRemoval> {
    let Work::Job { .. } = service.work else { return None };
    let unit = service.name.unit();
    let found = observed.units.get(&unit)?;
    let daemon = found.file.as_deref().is_some_and(|text| !unit::is_job(text));
    (daemon && runs(Some(found))).then_some(UnitRemoval { unit, expect: None, environment: false })
}

fn switch<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let current = |service: &Service| observed.store.current.get(&service.name);
    let profiles: Vec<_> = desired
        .services
        .values()
        .filter(|service| current(service) != Some(&service.artifact.store_path))
        .map(|service| ProfileMove {
            service: service.name.clone(),
            from: current(service).cloned(),
            to: service.artifact.store_path.clone(),
        })
        .collect();
    (!profiles.is_empty()).then_some(Step::Switch { profiles })
}

/// The steps that bring the unit changes of one wave about.
fn apply(wave: Vec<Change<'_>>) -> Vec<Step> {
    let mut units: BTreeMap<ChangeKind, Vec<UnitChange>> = BTreeMap::new();
    for change in wave.into_iter().filter(|change| change.kind != ChangeKind::None) {
        let of_its_kind = units.entry(change.kind).or_default();
        of_its_kind.extend(change.unit_change());
    }
    units.retain(|_, units| !units.is_empty());
    units.into_iter().filter_map(|(kind, units)| kind.step(units)).collect()
}

fn watch(wave: &[Change<'_>]) -> Option<Step> {
    let watches: Vec<_> =
        wave.iter().filter(|change| change.begins()).filter_map(|c| watch_of(c.service)).collect();
    (!watches.is_empty()).then_some(Step::Watch { watches })
}

fn watch_of(service: &Service) -> Option<Watch> {
    Some(Watch {
        service: service.name.clone(),
        unit: unit::started(service)?,
        health: service.health.clone(),
        // A timer that is armed and a command that has ended well stay so.
        settle: matches!(service.work, Work::Daemon { .. }),
    })
}

/// The change of Caddy's configuration, and what keeps it from being all that is wanted.
fn route<Source>(desired: &Desired<Source>, observed: &Observed) -> (Option<Step>, Vec<Waiting>) {
    match &observed.routes {
        ObservedRoutes::Up { etag, config, features } => {
            let merged = routes::merge(config, site::servable(desired, observed), *features);
            let lines = merged.lines;
            let step = merged
                .config
                .map(|config| Step::Route(RouteChange { etag: etag.clone(), config, lines }));
            let contested = merged.contested.into_iter().map(|conflict| Waiting::ForeignRoute {
                because: conflict.to_string(),
                service: conflict.service,
                route: conflict.route,
            });
            (step, contested.collect())
        }
        ObservedRoutes::Down { because } => {
            let wanted = desired.services.values().any(|service| !service.http.is_empty());
            let waiting = wanted.then(|| Waiting::Caddy { because: because.clone() });
            (None, waiting.into_iter().collect())
        }
    }
}

fn retire<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let profiles: Vec<_> = observed
        .store
        .current
        .iter()
        .filter(|(service, _)| !desired.services.contains_key(service))
        .map(|(service, from)| (service.clone(), from.clone()))
        .collect();
    (!profiles.is_empty()).then_some(Step::Retire { profiles })
}

/// Environment files that would not be taken as they are meant, of processes that begin:
/// one that runs is not stopped for it.
fn odd_env_files(changes: &[Change<'_>], observed: &Observed) -> Vec<Waiting> {
    let odd = |change: &Change<'_>| {
        let path = change.service.env_file.clone()?;
        let because = observed.odd_env_files.get(&path)?.clone();
        Some(Waiting::OddEnvFile { service: change.service.name.clone(), path, because })
    };
    changes.iter().filter(|change| change.begins()).filter_map(odd).collect()
}

/// What the desired services take for granted and the host does not have.
fn lacking<Source>(desired: &Desired<Source>, observed: &Observed) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for service in desired.services.values() {
        for account in accounts(service).filter(|a| observed.unknown_accounts.contains(a)) {
            waiting.push(Waiting::Account { service: service.name.clone(), account });
        }
        if let Some(path) = &service.env_file
            && let Some(EnvFile::Unusable(because)) = observed.env_files.get(path)
        {
            let (path, because) = (path.clone(), because.clone());
            waiting.push(Waiting::EnvFile { service: service.name.clone(), path, because });
        }
    }
    waiting
}

/// The accounts that have to exist before the service starts.
fn accounts(service: &Service) -> impl Iterator<Item = AccountName> {
    service
        .process_of_somebody()
        .into_iter()
        .flat_map(|exec| [exec.user.clone(), exec.group.clone()])
        .flatten()
}
