//! A service as it is meant: every field checked, every default filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::names::{
    AbsolutePath, AccountName, ClosureDigest, Domain, EnvName, Literal, ServiceName, StorePath,
    UnitName,
};

/// One service of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    pub artifact: Artifact,
    /// The source revision, free text.
    pub revision: Option<Literal>,
    pub work: Work,
    pub env: BTreeMap<EnvName, Literal>,
    /// An environment file on the host, out of band; only its path is in git.
    pub env_file: Option<AbsolutePath>,
    /// Services of the same host that are started and healthy before this one.
    pub depends_on: BTreeSet<ServiceName>,
    pub http: Vec<HttpRoute>,
    pub health: Health,
    pub update: Update,
    pub systemd: SystemdOptions,
    pub hardening: Hardening,
}

impl Service {
    /// The process whose user and group, where it names them, have to exist on the
    /// host; systemd makes a dynamic one.
    pub fn process_of_somebody(&self) -> Option<&Exec> {
        let exec = match &self.work {
            Work::Daemon { exec, .. } | Work::Oneshot { exec } | Work::Job { exec, .. } => exec,
            Work::Static { .. } => return None,
        };
        (!self.hardening.dynamic_user).then_some(exec)
    }
}

/// What nix realises for a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    pub store_path: StorePath,
    pub closure_digest: Option<ClosureDigest>,
    /// Bytes of the whole closure's NARs.
    pub closure_size: Option<u64>,
}

/// How a service does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A process that runs until it is stopped.
    Daemon { exec: Exec, notify: bool },
    /// A process that must end well once for each generation that changes it.
    Oneshot { exec: Exec },
    /// A process that a systemd timer starts.
    Job { exec: Exec, schedule: Schedule },
    /// No process at all: Caddy serves files out of the closure. The path is
    /// relative to the closure's root.
    Static { root: Literal },
}

/// The process of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Absolute, inside the closure.
    pub command: AbsolutePath,
    pub args: Vec<Literal>,
    pub user: Option<AccountName>,
    pub group: Option<AccountName>,
    pub working_directory: Option<AbsolutePath>,
    /// Absolute, inside the closure, with its arguments; or the main process is
    /// sent SIGHUP.
    pub reload: Option<Reload>,
}

/// How a running process takes new settings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// `reload = "SIGHUP"` or another signal's name.
    Signal(Literal),
    Command {
        command: AbsolutePath,
        args: Vec<Literal>,
    },
}

/// When a job runs: five cron fields (minute, hour, day of month, month, day of
/// week), as crontab(5) means them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As written.
    pub cron: Literal,
    /// The same as systemd.time(7) calendar events, time zone included; more than
    /// one where both days are restricted (cron's "or").
    pub calendar: Vec<String>,
}

/// One domain and path that Caddy routes to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    pub domain: Domain,
    /// Begins with `/`; holds only characters of RFC 3986 paths, no `*`.
    pub path: String,
    /// The loopback port; `None` for a static service.
    pub internal_port: Option<u16>,
    pub https: Https,
    pub staging_domain: Option<Domain>,
    pub redirect_from: Vec<Domain>,
    /// Response headers.
    pub headers: BTreeMap<String, Literal>,
    pub compress: bool,
}

/// Where a route's certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Https {
    /// Caddy's automatic HTTPS.
    Auto,
    /// Caddy's internal CA.
    Internal,
    /// Plain HTTP.
    Off,
}

/// When a service counts as healthy: its unit is active and the check holds
/// without a break for `healthy_for`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub check: Check,
    pub interval: Duration,
    /// The longest one check may take.
    pub timeout: Duration,
    pub healthy_for: Duration,
    pub deadline: Duration,
}

/// What is asked of a service beside its unit being active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the unit is active.
    Active,
    /// A GET on 127.0.0.1 answers with a status below 400, asked for by the name of
    /// `host`, or by the address where there is none.
    Http { port: u16, path: String, host: Option<Domain> },
    /// 127.0.0.1 accepts a connection.
    Tcp { port: u16 },
    /// A command of the closure ends with status 0.
    Command { command: AbsolutePath, args: Vec<Literal> },
}

/// How a new version takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub strategy: Strategy,
    /// How long an old instance may finish its requests.
    pub drain: Duration,
}

/// Whether the old instance stops before the new one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Restart,
    BlueGreen,
}

/// systemd's own settings, checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SystemdOptions {
    pub after: Vec<UnitName>,
    pub requires: Vec<UnitName>,
    pub wants: Vec<UnitName>,
    pub restart: Restart,
    pub restart_sec: Option<Duration>,
    /// Names below /var/lib.
    pub state_directory: Vec<Literal>,
    pub memory_max: Option<Limit>,
    /// Percent of one core.
    pub cpu_quota: Option<u32>,
    pub tasks_max: Option<Limit>,
    pub limit_nofile: Option<u64>,
    pub watchdog_sec: Option<Duration>,
    pub notify_access: Option<NotifyAccess>,
}

/// systemd's `NotifyAccess=`: whose sd_notify it listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyAccess {
    Main,
    /// Also those of `exec.reload`.
    Exec,
    /// All processes of the service.
    All,
}

/// systemd's `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Restart {
    No,
    OnSuccess,
    #[default]
    OnFailure,
    OnAbnormal,
    OnAbort,
    OnWatchdog,
    Always,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes, or a count of tasks.
    Count(u64),
    Percent(u8),
    Infinity,
}

/// What the process may do. The default is closed; a manifest loosens exactly
/// what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    pub dynamic_user: bool,
    pub private_tmp: bool,
    pub protect_system: ProtectSystem,
    pub protect_home: ProtectHome,
    pub no_new_privileges: bool,
    /// The capabilities left to the process (`CAP_NET_BIND_SERVICE`, …).
    pub capabilities: Vec<Literal>,
    pub read_write_paths: Vec<AbsolutePath>,
    /// systemd's `SystemCallFilter=` items.
    pub system_call_filter: Vec<Literal>,
    pub private_network: bool,
    pub private_devices: bool,
    pub protect_kernel_tunables: bool,
    pub protect_kernel_modules: bool,
    pub protect_kernel_logs: bool,
    pub protect_control_groups: bool,
    pub protect_clock: bool,
    pub protect_hostname: bool,
    pub restrict_namespaces: bool,
    pub restrict_realtime: bool,
    pub restrict_suid_sgid: bool,
    pub lock_personality: bool,
    pub memory_deny_write_execute: bool,
    /// systemd's `RestrictAddressFamilies=` items.
    pub restrict_address_families: Vec<Literal>,
    pub umask: Option<u16>,
}

/// systemd's `ProtectSystem=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectSystem {
    No,
    Yes,
    Full,
    Strict,
}

/// systemd's `ProtectHome=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectHome {
    No,
    Yes,
    ReadOnly,
    Tmpfs,
}

impl Default for Hardening {
    /// The closed default of a service with a user of its own making.
    ///
    /// `MemoryDenyWriteExecute=` is left open because every just-in-time compiler
    /// (Node, Java, LuaJIT) needs it.
    fn default() -> Self {
        let literals = |words: &[&str]| words.iter().filter_map(|word| word.parse().ok()).collect();
        Self {
            dynamic_user: true,
            private_tmp: true,
            protect_system: ProtectSystem::Strict,
            protect_home: ProtectHome::Yes,
            no_new_privileges: true,
            capabilities: Vec::new(),
            read_write_paths: Vec::new(),
            system_call_filter: literals(&["@system-service"]),
            private_network: false,
            private_devices: true,
            protect_kernel_tunables: true,
            protect_kernel_modules: true,
            protect_kernel_logs: true,
            protect_control_groups: true,
            protect_clock: true,
            protect_hostname: true,
            restrict_namespaces: true,
            restrict_realtime: true,
            restrict_suid_sgid: true,
            lock_personality: true,
            memory_deny_write_execute: false,
            restrict_address_families: literals(&["AF_UNIX", "AF_INET", "AF_INET6"]),
            umask: None,
        }
    }
}
