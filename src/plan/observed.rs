//! What a round found on the host, and what a commit is taken to look like once applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::environment::{EnvFile, Environment};
use super::routes::Features;
use super::site::{Site, Unfit};
use crate::names::{AbsolutePath, AccountName, ClosureDigest, ServiceName, StorePath, UnitName};

/// A snapshot of the parts of the host this program manages.
///
/// It may be stale by the time a plan made from it runs, so each step states
/// what it expects to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub store: ObservedStore,
    pub units: BTreeMap<UnitName, ObservedUnit>,
    pub overrides: Overrides,
    pub routes: ObservedRoutes,
    pub unknown_accounts: BTreeSet<AccountName>,
    /// Environment files of which systemd would skip something, and why.
    pub odd_env_files: BTreeMap<AbsolutePath, String>,
    /// By service; those of services that are gone among them.
    pub environments: BTreeMap<ServiceName, Environment>,
    pub env_files: BTreeMap<AbsolutePath, EnvFile>,
    /// Files that are not served, whoever asks for them, and why.
    pub unfit: Unfit,
}

/// The profiles below `/nix/var/nix/profiles/writ`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedStore {
    /// What each service's profile points at.
    pub current: BTreeMap<ServiceName, StorePath>,
    /// Every path that a version of any profile keeps alive, so that nothing has
    /// to be fetched to go there.
    pub rooted: BTreeSet<StorePath>,
    /// Those among them that were compared on this host with a signed digest, each
    /// with that digest.
    pub verified: BTreeMap<StorePath, ClosureDigest>,
    /// Sites whose files were looked through and may be served.
    pub inspected: BTreeSet<Site>,
}

/// One unit of ours: its file, and what systemd makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedUnit {
    pub file: Option<String>,
    pub state: UnitState,
}

/// What others have put over units of ours, and over units that could be ours.
pub type Overrides = BTreeMap<UnitName, Vec<Override>>;

/// A file that systemd reads instead of a unit's own, or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub path: AbsolutePath,
    pub kind: OverrideKind,
    pub text: String,
    /// Whether it can be moved away: not from a disk that is read-only, nor out of
    /// the Nix store.
    pub movable: bool,
}

/// What a file does to the unit it is put over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideKind {
    /// The unit cannot be started: a link to `/dev/null`, or an empty file.
    Mask,
    /// The unit is another one.
    Replacement,
    /// The unit has more settings (`<unit>.d/*.conf`).
    DropIn,
}

/// systemd's ActiveState, as far as this program tells states apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// Not loaded, or loaded and not running.
    #[default]
    Inactive,
    Activating,
    Active,
    Reloading,
    Deactivating,
    Failed,
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
        })
    }
}

/// Caddy's configuration at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum ObservedRoutes {
    Up { etag: String, config: Value, features: Features },
    Down { because: String },
}

/// How a unit is doing while its health is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    pub state: UnitState,
    /// systemd's InvocationID: another one means that the process was started
    /// again in between.
    pub invocation: String,
    /// systemd's Result where it is not `success`, with the exit status: `exit-code, status 3`.
    pub failure: Option<String>,
    pub main_pid: Option<u32>,
}

/// How long a unit's process has been running, and how often systemd started it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Automatic restarts since it was started by somebody (systemd's `NRestarts`).
    pub restarts: u32,
    /// None while it does not run.
    pub uptime: Option<Duration>,
}

impl Default for ObservedRoutes {
    fn default() -> Self {
        Self::Up { etag: String::new(), config: Value::Null, features: Features::default() }
    }
}
