//! One change small enough to be seen to have happened or not, and how it reads to a person.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::environment::EnvironmentChange;
use super::programs::Program;
use super::routes::{RouteCheck, RouteLine};
use super::site::ServedSite;
use super::{Plan, Waiting};
use crate::manifest::service::{Artifact, Check, Health};
use crate::names::{AbsolutePath, ServiceName, StorePath, UnitName};

/// How many items of a step fit into one line.
const SHOWN: usize = 4;

/// A step; what it acts on may run side by side inside of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Closures that no profile keeps alive yet, all or none.
    Fetch { closures: Vec<Artifact> },
    /// Files that Caddy is to serve, looked through for links that lead out of their
    /// closure.
    Inspect { sites: Vec<ServedSite> },
    /// Programs that are about to be run, looked for in their closures. It is in no plan: it
    /// comes between what arrives and what changes.
    Check { programs: Vec<Program> },
    /// Files of others over our units, moved where systemd does not see them.
    Aside { files: Vec<Aside> },
    /// Units that left the manifest.
    Stop { units: Vec<UnitRemoval> },
    /// Profiles that point at another closure.
    Switch { profiles: Vec<ProfileMove> },
    /// New unit text that concerns nothing that runs.
    Write { units: Vec<UnitChange> },
    /// New unit text that the running process takes in.
    Reload { units: Vec<UnitChange> },
    /// Stop, write and start, one unit after the other in this order, units side
    /// by side.
    Restart { units: Vec<UnitChange> },
    /// Write and start units that do not run.
    Start { units: Vec<UnitChange> },
    /// One conditional change of Caddy's configuration.
    Route(RouteChange),
    /// Healthy without a break for as long as each service asks.
    Watch { watches: Vec<Watch> },
    /// Routes that have to answer.
    Ask { routes: Vec<RouteCheck> },
    /// Profiles of services that left the manifest.
    Retire { profiles: Vec<(ServiceName, StorePath)> },
}

/// A file that changes what a unit of ours is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aside {
    pub unit: UnitName,
    pub path: AbsolutePath,
    /// Whether the unit's process ends first, since it is to begin anew without the
    /// file: a crash in between leaves a stopped unit, which the next round starts.
    pub stop: bool,
}

/// A unit to stop and forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitRemoval {
    pub unit: UnitName,
    /// The file's text; `None` where only systemd still knows the unit.
    #[serde(skip)]
    pub expect: Option<String>,
    /// Whether the environment of its service goes, too.
    #[serde(skip)]
    pub environment: bool,
}

/// A profile from one store path to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProfileMove {
    pub service: ServiceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<StorePath>,
    pub to: StorePath,
}

/// What happens to one service's unit, with the files that change for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitChange {
    pub unit: UnitName,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentChange>,
}

/// New text of a unit file, and the text it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    pub unit: UnitName,
    #[serde(skip)]
    pub expect: Option<String>,
    pub text: String,
}

/// Caddy's whole new configuration, if it is still the one that `etag` names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteChange {
    #[serde(skip)]
    pub etag: String,
    #[serde(skip)]
    pub config: Value,
    pub lines: Vec<RouteLine>,
}

/// A service whose health decides over the generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watch {
    pub service: ServiceName,
    pub unit: UnitName,
    #[serde(skip)]
    pub health: Health,
    /// Whether health has to hold for `healthy_for`, or once is enough.
    #[serde(skip)]
    pub settle: bool,
}

impl Step {
    /// The unit changes of a step that has some.
    pub fn units(&self) -> &[UnitChange] {
        match self {
            Self::Write { units }
            | Self::Reload { units }
            | Self::Restart { units }
            | Self::Start { units } => units,
            Self::Fetch { .. }
            | Self::Inspect { .. }
            | Self::Check { .. }
            | Self::Aside { .. }
            | Self::Stop { .. }
            | Self::Switch { .. }
            | Self::Route(_)
            | Self::Watch { .. }
            | Self::Ask { .. }
            | Self::Retire { .. } => &[],
        }
    }

    /// Whether it brings and looks through what is new, and changes nothing that runs.
    pub fn only_arrives(&self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::Inspect { .. } | Self::Check { .. })
    }

    /// One word for what the step does.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Inspect { .. } => "inspect",
            Self::Check { .. } => "check",
            Self::Aside { .. } => "aside",
            Self::Stop { .. } => "stop",
            Self::Switch { .. } => "switch",
            Self::Write { .. } => "write",
            Self::Reload { .. } => "reload",
            Self::Restart { .. } => "restart",
            Self::Start { .. } => "start",
            Self::Route(_) => "route",
            Self::Watch { .. } => "watch",
            Self::Ask { .. } => "ask",
            Self::Retire { .. } => "retire",
        }
    }

    /// What the step acts on, a line each.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Fetch { closures } => closures.iter().map(closure_line).collect(),
            Self::Inspect { sites } => sites.iter().map(site_line).collect(),
            Self::Check { programs } => {
                programs.iter().map(|p| format!("{}  {}", p.service, p.path)).collect()
            }
            Self::Aside { files } => files.iter().map(aside_line).collect(),
            Self::Stop { units } => units.iter().map(|u| unit_line(&u.unit)).collect(),
            Self::Switch { profiles } => profiles.iter().map(profile_line).collect(),
            Self::Write { units }
            | Self::Reload { units }
            | Self::Restart { units }
            | Self::Start { units } => units.iter().map(change_line).collect(),
            Self::Route(change) => change.lines.iter().map(ToString::to_string).collect(),
            Self::Watch { watches } => watches.iter().map(watch_line).collect(),
            Self::Ask { routes } => routes.iter().map(RouteCheck::url).collect(),
            Self::Retire { profiles } => {
                profiles.iter().map(|(service, _)| service.to_string()).collect()
            }
        }
    }
}

fn site_line(served: &ServedSite) -> String {
    format!("{}  {}", served.service, served.site.root.as_str())
}

fn aside_line(aside: &Aside) -> String {
    format!("{}  {}", unit_line(&aside.unit), aside.path)
}

fn closure_line(artifact: &Artifact) -> String {
    match artifact.closure_size {
        Some(bytes) => format!("{} ({})", artifact.store_path, human_bytes(bytes)),
        None => artifact.store_path.to_string(),
    }
}

/// Bytes as a person reads them, in powers of 1024.
pub fn human_bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 {
            let digits = if unit == "B" { 0 } else { 1 };
            return format!("{amount:.digits$} {unit}");
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}

/// A service's unit by the service's name, a timer as what it is.
fn unit_line(unit: &UnitName) -> String {
    match unit.service() {
        Some(service) if unit.as_str().ends_with(".timer") => format!("{service} (timer)"),
        Some(service) => service.to_string(),
        None => unit.to_string(),
    }
}

/// With the reason, where no commit gives it.
fn change_line(change: &UnitChange) -> String {
    let line = unit_line(&change.unit);
    match change.environment.as_ref().and_then(|environment| environment.env_file.as_ref()) {
        Some(path) => format!("{line}  ({path} has changed)"),
        None => line,
    }
}

fn profile_line(step: &ProfileMove) -> String {
    match &step.from {
        Some(from) if from.label() != step.to.label() => {
            format!("{}  {} → {}", step.service, from.label(), step.to.label())
        }
        Some(from) => format!(
            "{}  {} ({} → {})",
            step.service,
            step.to.label(),
            &from.hash()[..8],
            &step.to.hash()[..8]
        ),
        None => format!("{}  {}", step.service, step.to.label()),
    }
}

fn watch_line(watch: &Watch) -> String {
    let check = match &watch.health.check {
        Check::Active => "unit active".to_owned(),
        Check::Http { port, path, .. } => format!("GET http://127.0.0.1:{port}{path}"),
        Check::Tcp { port } => format!("port {port} accepts"),
        Check::Command { command, .. } => format!("{command} succeeds"),
    };
    if watch.settle {
        format!("{}  {check} for {:?}", watch.service, watch.health.healthy_for)
    } else {
        format!("{}  {check}", watch.service)
    }
}

/// In one line, for logs and the status: the plan itself shows everything.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let (shown, left) = lines.split_at(lines.len().min(SHOWN));
        write!(f, "{:<8}{}", self.verb(), shown.join(", "))?;
        if left.is_empty() { Ok(()) } else { write!(f, " and {} more", left.len()) }
    }
}

impl<Source> fmt::Display for Plan<Source> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.privileges.iter().try_for_each(|change| writeln!(f, "{change}"))?;
        for waiting in &self.waiting {
            writeln!(f, "{:<8}{waiting}", "waits")?;
        }
        for service in &self.spared {
            writeln!(f, "{:<8}{service}, which was not up before", "spares")?;
        }
        if self.steps.is_empty() && self.waiting.is_empty() && self.privileges.is_empty() {
            return writeln!(f, "nothing to do");
        }
        for step in &self.steps {
            for (i, line) in step.lines().iter().enumerate() {
                writeln!(f, "{:<8}{line}", if i == 0 { step.verb() } else { "" })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { service, account } => write!(
                f,
                "service {service}: the user or group `{account}` does not exist on this host; create it, or drop exec.user for a dynamic one"
            ),
            Self::EnvFile { service, path, because } => {
                write!(f, "service {service}: its envFile {path} {because}")
            }
            Self::StateDirectory { service, directory, owner: Some(owner) } => write!(
                f,
                "service {service}: /var/lib/{directory} was made for the service {owner}; choose a directory named after the service, or give it away on this host: writ adopt {service}"
            ),
            Self::StateDirectory { service, directory, owner: None } => write!(
                f,
                "service {service}: /var/lib/{directory} exists and was not made for it; if it is meant for this service, run on this host: writ adopt {service}"
            ),
            Self::Port { service, port, by } => write!(
                f,
                "service {service}: port {port} is taken by {by}; choose another port, or stop that process"
            ),
            Self::OddEnvFile { service, path, because } => {
                write!(
                    f,
                    "service {service}: its envFile {path} is not as systemd reads it: {because}"
                )
            }
            Self::Caddy { because } => write!(f, "Caddy: {because}"),
            Self::ForeignRoute { because, .. } => f.write_str(because),
            Self::Window { local, .. } => write!(f, "the deploy window opens {local}"),
            Self::Override { service, path } => write!(
                f,
                "service {service}: {path} changes its unit and cannot be moved away; take it out where it comes from"
            ),
        }
    }
}
