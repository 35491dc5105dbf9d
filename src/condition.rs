//! The judgement of how a host is doing, for exit codes, status, doctor, reports and the fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Retry};
use crate::names::ServiceName;
use crate::plan::drift::{Drift, What};
use crate::plan::observed::{UnitState, Vitals};
use crate::trust::Refusal;
use crate::verdict::Verdict;

/// Automatic restarts from which on a service that was started again lately counts as
/// one that crashes in a loop.
const LOOP: u32 = 3;
/// How long a process has to run before its service counts as up again.
pub const SETTLED: Duration = Duration::from_secs(300);

/// How a host is doing, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It runs the head of the branch, whole.
    Fine,
    /// Something is missing that time, or somebody on the host, can bring about.
    #[default]
    NotReady,
    /// The head was refused or rolled back, or a service has failed.
    Failed,
}

/// A condition with everything that speaks against a better one, the gravest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// An agent of an older version does not say.
    #[serde(default)]
    pub condition: Condition,
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// One thing that is not in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub condition: Condition,
    pub about: Subject,
    pub text: String,
}

/// What a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Agent,
    /// The newest head of the branch, which is not obeyed.
    Head,
    /// How the newest generation ended.
    Verdict,
    Service,
    Routes,
    Fault,
    Waiting,
    Drift,
}

/// Everything that a host is judged by: the ledger's view and what was observed.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub agent: AgentState,
    /// Of the newest generation.
    pub verdict: Option<&'a Verdict>,
    pub refused: Option<&'a Refusal>,
    pub faults: Vec<&'a Fault>,
    pub waiting: &'a [String],
    pub drift: &'a [Drift],
    pub services: BTreeMap<ServiceName, Health>,
    pub routes: RoutesState,
}

/// Who follows the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    Running,
    /// A single round was asked for.
    Once,
    Absent,
}

/// The routes that the running generation has, and Caddy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutesState {
    /// They are there, or there are none.
    Served,
    /// Caddy does not say, and why.
    Unknown(String),
    /// Caddy answers and does not have these.
    Missing(Vec<String>),
}

/// How one service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Up,
    /// On its way up or down, or in the pause before it is started again.
    Changing(UnitState),
    Stopped,
    Failed(Option<String>),
    /// systemd keeps starting it again.
    CrashLoop(Vitals),
}

/// Judges a host.
pub fn judge(view: &View<'_>) -> Judgement {
    let mut reasons: Vec<Reason> = Vec::new();
    let found = of_agent(view.agent)
        .into_iter()
        .chain(view.refused.map(|refusal| failed(Subject::Head, refusal)))
        .chain(of_verdict(view.verdict))
        .chain(view.services.iter().filter_map(|(name, health)| of_service(name, health)))
        .chain(of_routes(&view.routes))
        .chain(view.faults.iter().map(|fault| of_fault(fault)))
        .chain(view.waiting.iter().map(|reason| not_ready(Subject::Waiting, reason)))
        .chain(view.drift.iter().filter_map(|drift| of_drift(drift, &view.services)));
    for reason in found {
        // A verdict and the agent may wait for the same.
        if !reasons.iter().any(|known| known.text == reason.text) {
            reasons.push(reason);
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.condition));
    let condition = reasons.first().map_or(Condition::Fine, |reason| reason.condition);
    Judgement { condition, reasons }
}

/// How a service is doing whose unit is in `state`.
pub fn health(state: UnitState, failure: Option<&str>, vitals: Vitals) -> Health {
    let lately = vitals.uptime.is_none_or(|uptime| uptime < SETTLED);
    match state {
        UnitState::Failed => Health::Failed(failure.map(str::to_owned)),
        UnitState::Active
        | UnitState::Reloading
        | UnitState::Activating
        | UnitState::Deactivating
            if vitals.restarts >= LOOP && lately =>
        {
            Health::CrashLoop(vitals)
        }
        UnitState::Active | UnitState::Reloading => Health::Up,
        UnitState::Activating | UnitState::Deactivating => Health::Changing(state),
        UnitState::Inactive => Health::Stopped,
    }
}

fn of_agent(agent: AgentState) -> Option<Reason> {
    match agent {
        AgentState::Running | AgentState::Once => None,
        AgentState::Absent => {
            Some(not_ready(Subject::Agent, "no agent is running: nothing follows the branch"))
        }
    }
}

fn of_verdict(verdict: Option<&Verdict>) -> Vec<Reason> {
    let about = Subject::Verdict;
    match verdict {
        None => vec![not_ready(about, "no generation has a verdict yet")],
        Some(Verdict::Confirmed { .. }) => Vec::new(),
        Some(Verdict::Applying { .. }) => vec![not_ready(about, "a generation is being applied")],
        Some(Verdict::RollingBack { fault, .. }) => {
            vec![not_ready(about, format!("the newest generation is being rolled back: {fault}"))]
        }
        Some(Verdict::Waiting { reasons, .. }) => {
            reasons.iter().map(|reason| not_ready(Subject::Waiting, reason)).collect()
        }
        Some(Verdict::RolledBack { fault, .. }) => {
            vec![failed(about, format!("the newest generation was rolled back: {fault}"))]
        }
        Some(Verdict::Refused { rule, reason, because, .. }) => {
            let because = because.first().map_or("", String::as_str);
            let text = format!("the newest generation was refused ({rule}, {reason}): {because}");
            vec![failed(about, text)]
        }
        Some(Verdict::Failed { fault, rollback, .. }) => {
            let text = format!(
                "the newest generation failed: {fault}; the rollback failed as well: {rollback}"
            );
            vec![failed(about, text)]
        }
    }
}

fn of_service(name: &ServiceName, health: &Health) -> Option<Reason> {
    let about = Subject::Service;
    match health {
        Health::Up => None,
        Health::Failed(_) | Health::CrashLoop(_) => {
            Some(failed(about, format!("service {name}: {health}")))
        }
        Health::Changing(_) | Health::Stopped => {
            Some(not_ready(about, format!("service {name}: {health}")))
        }
    }
}

fn of_routes(routes: &RoutesState) -> Option<Reason> {
    match routes {
        RoutesState::Served => None,
        RoutesState::Unknown(because) => {
            Some(not_ready(Subject::Routes, format!("the routes are unknown: {because}")))
        }
        RoutesState::Missing(urls) => {
            Some(not_ready(Subject::Routes, format!("Caddy does not route {}", urls.join(", "))))
        }
    }
}

fn of_fault(fault: &Fault) -> Reason {
    match fault.retry {
        Retry::Soon => not_ready(Subject::Fault, fault),
        Retry::NextCommit => failed(Subject::Fault, fault),
    }
}

/// A unit that has failed was not changed by anybody.
fn of_drift(drift: &Drift, services: &BTreeMap<ServiceName, Health>) -> Option<Reason> {
    let known = drift.service.as_ref().and_then(|name| services.get(name));
    match (drift.what, known) {
        (What::UnitFailed, Some(Health::Failed(_) | Health::CrashLoop(_))) => None,
        (What::UnitFailed, _) => Some(failed(Subject::Service, drift)),
        _ => Some(not_ready(Subject::Drift, drift)),
    }
}

fn not_ready(about: Subject, text: impl fmt::Display) -> Reason {
    Reason { condition: Condition::NotReady, about, text: text.to_string() }
}

fn failed(about: Subject, text: impl fmt::Display) -> Reason {
    Reason { condition: Condition::Failed, about, text: text.to_string() }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "fine",
            Self::NotReady => "not ready",
            Self::Failed => "failed",
        })
    }
}

/// `failed: service web: failed (exit-code, status 1) (and 2 more)`.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.condition)?;
        let Some((first, others)) = self.reasons.split_first() else { return Ok(()) };
        write!(f, ": {}", first.text.lines().next().unwrap_or_default())?;
        if others.is_empty() { Ok(()) } else { write!(f, " (and {} more)", others.len()) }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("active"),
            Self::Changing(state) => write!(f, "{state}"),
            Self::Stopped => f.write_str("inactive"),
            Self::Failed(None) => f.write_str("failed"),
            Self::Failed(Some(failure)) => write!(f, "failed ({failure})"),
            Self::CrashLoop(Vitals { restarts, uptime }) => {
                write!(f, "crash loop, systemd started it again {restarts} times")?;
                match uptime {
                    Some(uptime) => write!(f, ", last {} s ago", uptime.as_secs()),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "condition/tests.rs"]
mod tests;
