//! The machine behind few verbs, one adapter a file; adapters never know each other.
//!
//! Each trait has one real implementation and one strict fake in `tests/world`,
//! and both keep the same contract (`tests/contract`). A verb is safe to repeat:
//! where the world is already as asked, it changes nothing and succeeds, unless
//! it was told what to expect and found something else.

pub mod archive;
pub mod bucket;
pub mod caddy;
pub mod certificate;
pub mod clock;
pub mod depot;
pub mod disk;
pub mod download;
mod env_file;
pub mod facts;
pub mod folder;
mod foreign;
pub mod http_shelf;
pub mod netrc;
pub mod nix;
pub mod owners;
pub mod parcel;
pub mod probes;
pub mod shelf;
pub mod stock;
pub mod stop;
pub mod systemd;
pub mod waits;
pub mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use crate::fault::Fault;
use crate::manifest::service::{Artifact, Check};
use crate::names::{AbsolutePath, AccountName, Literal, ServiceName, StorePath, UnitName};
use crate::plan::environment::{EnvFile, Environment};
use crate::plan::observed::{
    ObservedRoutes, ObservedStore, ObservedUnit, Overrides, Pulse, Vitals,
};
use crate::plan::programs::Flawed;
use crate::plan::retention::{Held, Retention};
use crate::plan::routes::RouteCheck;
use crate::plan::site::{Site, Unfit};
use crate::plan::step::Aside;
use download::{Away, Download};

/// The seams, bundled so that a function takes one parameter for all of them.
pub trait World: Sync {
    type Store: Store;
    type Units: Units;
    type Routes: Routes;
    type Probes: Probes + Visits;
    type Facts: Facts;

    fn store(&self) -> &Self::Store;
    fn units(&self) -> &Self::Units;
    fn routes(&self) -> &Self::Routes;
    fn probes(&self) -> &Self::Probes;
    fn facts(&self) -> &Self::Facts;
}

/// The Nix store and one nix profile per service.
pub trait Store: Sync {
    /// Reads the profiles; starts no nix process.
    fn observe(&self) -> impl Future<Output = Result<ObservedStore, Fault>> + Send;

    /// Realises closures from the host's binary caches, never by building, and
    /// holds a garbage-collector root on each until [`Store::release`].
    ///
    /// All or nothing: it returns `Ok` only once every closure is complete.
    fn fetch(&self, closures: &[Artifact]) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Which of these sites have a link that leads out of their closure, and where to;
    /// the others are remembered as inspected until their path is fetched again.
    ///
    /// # Errors
    /// A path is not there, or the disk does not answer in time.
    fn inspect(&self, sites: &BTreeSet<Site>) -> impl Future<Output = Result<Unfit, Fault>> + Send;

    /// How far [`Store::fetch`] is; `None` while nothing is downloaded.
    fn downloading(&self) -> Option<Download> {
        None
    }

    /// Caches that are left out for a while, since they did not answer.
    fn away(&self) -> Vec<Away> {
        Vec::new()
    }

    /// Points the profile of `service` at `to`, keeping earlier versions for the
    /// way back; fails where it no longer points at `from`.
    fn switch(
        &self,
        service: &ServiceName,
        from: Option<&StorePath>,
        to: &StorePath,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Removes the profile of a service that is gone; fails where it no longer points
    /// at `from`. Its versions stay until [`Store::release`] is told to let them go.
    fn retire(
        &self,
        service: &ServiceName,
        from: &StorePath,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The versions of every profile and the roots of [`Store::fetch`]: files, and no
    /// nix process.
    fn held(&self) -> impl Future<Output = Result<Held, Fault>> + Send;

    /// Lets go of the versions and roots that have no reason to stay, but never of a
    /// version that its profile has come to point at.
    fn release(&self, what: &Retention) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The units systemd runs for this program (`writ-*.service`, `writ-*.timer`).
pub trait Units: Sync {
    /// Our unit files and what systemd has loaded of ours: one D-Bus call.
    fn observe(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<UnitName, ObservedUnit>, Fault>> + Send;

    /// What others have put over our units, and over units of which we have no file
    /// yet: a few folders are read, and systemd is not asked.
    fn overrides(&self) -> Result<Overrides, Fault>;

    /// The environments of services, also of those that are gone: small files in memory.
    fn environments(&self) -> Result<BTreeMap<ServiceName, Environment>, Fault>;

    /// Makes a service's environment so; what is not to be there is taken away.
    fn set_environment(
        &self,
        service: &ServiceName,
        to: &Environment,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Moves such files where systemd does not see them, none of them lost, and has
    /// systemd forget what it had read of them. A file that is gone is fine.
    fn set_aside(&self, files: &[Aside]) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Writes a unit file; fails where the file is not `expect` (`None`: absent).
    fn write(
        &self,
        unit: &UnitName,
        expect: Option<&str>,
        text: &str,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Removes a unit file; fails where it is neither `expect` nor gone.
    fn remove(
        &self,
        unit: &UnitName,
        expect: &str,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Starts a unit and waits for its job, first making sure that systemd will
    /// run what is on disk for `files` (the unit itself and those it triggers).
    ///
    /// A unit whose process fails at once is `Retry::NextCommit`.
    fn start(
        &self,
        unit: &UnitName,
        files: &[UnitName],
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Stops a unit, waits for its job and forgets a failed state, so that
    /// systemd unloads it.
    fn stop(&self, unit: &UnitName) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Has a running unit take its new file and settings in, and waits.
    fn reload(&self, unit: &UnitName) -> impl Future<Output = Result<(), Fault>> + Send;

    /// How units are doing right now.
    fn pulse(
        &self,
        units: &[UnitName],
    ) -> impl Future<Output = Result<BTreeMap<UnitName, Pulse>, Fault>> + Send;

    /// Since when units run, and how often systemd started them again by itself.
    fn vitals(
        &self,
        units: &[UnitName],
    ) -> impl Future<Output = Result<BTreeMap<UnitName, Vitals>, Fault>> + Send;

    /// Units of ours that were started less than `within` ago, by whomever: systemd is
    /// not asked, so that a quiet round costs it nothing.
    fn started_within(&self, within: Duration) -> BTreeSet<UnitName>;

    /// The unit's last journal lines, oldest first; empty where there are none.
    fn journal(&self, unit: &UnitName, lines: usize) -> impl Future<Output = Vec<String>> + Send;
}

/// Caddy's configuration.
pub trait Routes: Sync {
    /// The whole configuration and its ETag. A Caddy that cannot be reached is
    /// `ObservedRoutes::Down`, not a fault.
    fn observe(&self) -> impl Future<Output = ObservedRoutes> + Send;

    /// Replaces the whole configuration in one change; fails with `Retry::Soon`
    /// where it is no longer the one that `etag` names.
    fn apply(&self, etag: &str, config: &Value) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Questions asked of a running service.
pub trait Probes: Sync {
    /// Asks once; `Err` says what came back instead (status, body, refusal).
    fn ask(
        &self,
        service: &ServiceName,
        check: &Check,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Questions asked of Caddy as a visitor would.
pub trait Visits: Sync {
    /// Asks once, over the loopback interface; `Err` says what came back instead.
    ///
    /// Whatever the service behind the route says is an answer; a gateway's error
    /// is none. A certificate that Caddy does not have yet is Caddy's to get.
    fn visit(&self, route: &RouteCheck) -> impl Future<Output = Result<(), String>> + Send;
}

/// What a manifest takes for granted on a host.
pub trait Facts: Sync {
    /// Those of `users` and `groups` that the host does not know.
    fn unknown_accounts(
        &self,
        users: &BTreeSet<AccountName>,
        groups: &BTreeSet<AccountName>,
    ) -> impl Future<Output = Result<BTreeSet<AccountName>, Fault>> + Send;

    /// Those of the environment files that systemd would not take as they are meant, and
    /// why; without any of their values.
    fn odd_env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> impl Future<Output = Result<BTreeMap<AbsolutePath, String>, Fault>> + Send;

    /// What lies where manifests name an `envFile`. A file that has not changed is not
    /// read again.
    fn env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> impl Future<Output = Result<BTreeMap<AbsolutePath, EnvFile>, Fault>> + Send;

    /// Those of `programs` that cannot be run, and why.
    fn flawed_programs(
        &self,
        programs: &BTreeSet<AbsolutePath>,
    ) -> impl Future<Output = Result<Flawed, Fault>> + Send;

    /// What of the host somebody else has already.
    fn foreign(&self, wanted: &Wanted) -> impl Future<Output = Result<Foreign, Fault>> + Send;
}

/// What services are about to have for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Below /var/lib, each with the host's account that is to own it.
    pub directories: BTreeMap<Literal, Option<AccountName>>,
    /// Loopback ports that are to be published.
    pub ports: BTreeSet<u16>,
}

/// What of it is there and not theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// They exist, and belong to another account.
    pub directories: BTreeSet<Literal>,
    /// A process listens that is of no service of ours: which one.
    pub ports: BTreeMap<u16, String>,
}
