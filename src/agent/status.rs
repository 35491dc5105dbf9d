//! What a person asks of a host: which commit, which verdict, every service and route, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::Snapshot;
use super::drift::Healed;
use super::judging::{self, LedgerView};
use super::sources::SourceStatus;
use crate::condition::{AgentState, Health, Judgement, judge};
use crate::fault::Fault;
use crate::ledger::pause::Pause;
use crate::ledger::{Generation, Ledger, LedgerError, RefusedHead};
use crate::names::{CommitId, HostName, ServiceName, StorePath, UnitName};
use crate::plan::drift::Drift;
use crate::plan::observed::{ObservedRoutes, ObservedUnit, UnitState};
use crate::plan::routes::{self, RouteText};
use crate::report::moment::length;
use crate::verdict::Verdict;
use crate::world::download::{Away, Download};
use crate::world::{Routes as _, Store as _, Units as _, World, waits};

/// How long a part of the host may take to say how it is; whoever asks waits 20 seconds.
const WITHIN: Duration = Duration::from_secs(5);

/// A host's status at one moment; the JSON of `writ status --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub host: HostName,
    /// Whether an agent is running; without one nothing follows the branch.
    pub agent: bool,
    /// What everything below comes to, and why.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The newest accepted commit, the head of the branch where nothing is refused.
    pub commit: Option<CommitId>,
    pub subject: Option<String>,
    pub signer: Option<String>,
    pub generation: Option<u64>,
    pub verdict: Option<Verdict>,
    /// The generation that runs, where that is not the newest.
    pub running: Option<Running>,
    /// A newer head that this host does not obey.
    pub refused: Option<RefusedHead>,
    /// When the branch was last seen.
    pub fetched: Option<String>,
    /// Each place where the branch is looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceStatus>,
    pub step: Option<String>,
    /// How far closures are downloaded, while they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<Download>,
    /// Caches that do not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches_away: Vec<Away>,
    /// A pause that is in force: nothing on the host is changed.
    pub paused: Option<Pause>,
    pub waiting: Vec<String>,
    /// What is not as the generation that runs says, as of the last look.
    #[serde(default)]
    pub drift: Vec<Drift>,
    /// What was put back last, and when.
    #[serde(default)]
    pub healed: Option<Healed>,
    pub faults: Vec<Fault>,
    /// What keeps others from being told how this host is; the host itself is none the
    /// worse for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_fault: Option<Fault>,
    pub services: BTreeMap<ServiceName, ServiceStatus>,
    pub routes: Vec<RouteText>,
    /// Why the routes cannot be told.
    pub caddy: Option<String>,
}

/// A confirmed generation that is not the newest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    pub generation: u64,
    pub commit: CommitId,
}

/// One service of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// `active`, `failed`, `crash-loop`, …; `static` for one without a process, `scheduled` for
    /// an armed timer.
    pub state: String,
    pub store_path: StorePath,
    pub pid: Option<u32>,
    /// For how long its process has been running.
    #[serde(default)]
    pub uptime_seconds: Option<u64>,
    /// How often it was started again, by systemd or by a round, since somebody or a
    /// generation started it.
    #[serde(default)]
    pub restarts: u32,
    pub failure: Option<String>,
}

/// Gathers a status from the ledger and the host itself.
///
/// Where systemd or the profiles cannot tell of the services, that is a fault among the
/// others: the verdict is told all the same.
///
/// # Errors
/// The ledger cannot be read.
pub async fn gather(
    host: &HostName,
    ledger: &Ledger,
    world: &impl World,
    agent: Option<Snapshot>,
) -> Result<Status, LedgerError> {
    let Recorded { newest, running, refused, paused } = recorded(ledger).await?;
    let snapshot = agent.clone().unwrap_or_default();
    let ((seen, unseen), observed) =
        tokio::join!(services_in_time(world, &snapshot.revived), routes_in_time(world));
    let unseen = unseen.filter(|fault| snapshot.fault.as_ref() != Some(fault));
    let record = newest.as_ref().map(|generation| &generation.record);
    let judged = LedgerView {
        verdict: newest.as_ref().and_then(|generation| generation.verdict.as_ref()),
        refused: refused.as_ref().map(|refused| &refused.refusal),
    };
    let state = if agent.is_some() { AgentState::Running } else { AgentState::Absent };
    let mut view = judging::view(state, judged, &snapshot);
    view.faults.extend(&unseen);
    view.services = seen.health;
    view.routes = judging::routes_state(&snapshot.routes, &observed);
    let judgement = judge(&view);
    let known = [&snapshot.source_fault, &snapshot.stale, &snapshot.fault, &unseen];
    let faults = known.into_iter().flatten().cloned().collect();
    let (routes, caddy) = match observed {
        ObservedRoutes::Up { config, .. } => (routes::listed(&config), None),
        ObservedRoutes::Down { because } => (Vec::new(), Some(because)),
    };
    Ok(Status {
        judgement,
        host: host.clone(),
        agent: agent.is_some(),
        commit: record.map(|record| record.commit.clone()),
        subject: record.map(|record| record.subject.clone()),
        signer: record.map(|record| record.signer.to_string()),
        generation: newest.as_ref().map(|generation| generation.number),
        running: running
            .filter(|running| newest.as_ref().is_none_or(|n| n.number != running.generation)),
        verdict: newest.as_ref().and_then(|generation| generation.verdict.clone()),
        refused,
        fetched: snapshot.fetched,
        sources: snapshot.sources,
        step: snapshot.step,
        download: world.store().downloading(),
        caches_away: world.store().away(),
        paused,
        waiting: snapshot.waiting,
        drift: snapshot.drift,
        healed: snapshot.healed,
        faults,
        report_fault: snapshot.report_fault,
        services: seen.services,
        routes,
        caddy,
    })
}

/// What the ledger knows.
struct Recorded {
    newest: Option<Generation>,
    running: Option<Running>,
    refused: Option<RefusedHead>,
    paused: Option<Pause>,
}

/// Whoever asks how the host is hears of a disk that hangs, and does not hang with it.
async fn recorded(ledger: &Ledger) -> Result<Recorded, LedgerError> {
    let own = ledger.clone();
    let read = move || {
        Ok(Recorded {
            newest: own.newest()?,
            running: running(&own)?,
            refused: own.refused_head()?,
            paused: own.paused()?,
        })
    };
    let folder = ledger.path();
    waits::in_time(folder, WITHIN, read).await.unwrap_or_else(|source| {
        Err(LedgerError::Io { doing: "read", path: folder.to_owned(), source })
    })
}

async fn services_in_time(
    world: &impl World,
    revived: &BTreeMap<ServiceName, u32>,
) -> (Seen, Option<Fault>) {
    let seen = timeout(WITHIN, services(world, revived)).await.unwrap_or_else(|_| {
        let because = format!("systemd has not answered within {WITHIN:?}");
        Err(Fault::wait("see the services", because)
            .remedy("see what keeps it busy: systemctl list-jobs, busctl status"))
    });
    match seen {
        Ok(seen) => (seen, None),
        Err(fault) => (Seen::default(), Some(fault)),
    }
}

async fn routes_in_time(world: &impl World) -> ObservedRoutes {
    let late = || ObservedRoutes::Down { because: format!("no answer within {WITHIN:?}") };
    timeout(WITHIN, world.routes().observe()).await.unwrap_or_else(|_| late())
}

fn running(ledger: &Ledger) -> Result<Option<Running>, LedgerError> {
    let Some(number) = ledger.current()? else { return Ok(None) };
    let generation = ledger.generation(number)?;
    Ok(Some(Running { generation: number, commit: generation.record.commit }))
}

/// The services of the host and how they are doing.
#[derive(Default)]
struct Seen {
    services: BTreeMap<ServiceName, ServiceStatus>,
    health: BTreeMap<ServiceName, Health>,
}

async fn services(world: &impl World, revived: &BTreeMap<ServiceName, u32>) -> Result<Seen, Fault> {
    let profiles = world.store().observe().await?.current;
    let units = world.units().observe().await?;
    let names: Vec<UnitName> = units.keys().cloned().collect();
    let pulses = world.units().pulse(&names).await?;
    let vitals = world.units().vitals(&names).await?;
    let mut seen = Seen::default();
    for (name, path) in profiles {
        let unit = name.unit();
        let pulse = pulses.get(&unit).cloned().unwrap_or_default();
        let mut vitals = vitals.get(&unit).copied().unwrap_or_default();
        vitals.restarts += revived.get(&name).copied().unwrap_or_default();
        let health = judging::service_health(&name, &units, Some(&pulse), vitals);
        let status = ServiceStatus {
            state: state(&name, &units, health.as_ref()),
            store_path: path,
            pid: pulse.main_pid,
            uptime_seconds: vitals.uptime.map(|uptime| uptime.as_secs()),
            restarts: vitals.restarts,
            failure: pulse.failure,
        };
        seen.services.insert(name.clone(), status);
        seen.health.extend(health.map(|health| (name, health)));
    }
    Ok(seen)
}

fn state(
    name: &ServiceName,
    units: &BTreeMap<UnitName, ObservedUnit>,
    health: Option<&Health>,
) -> String {
    let armed = units.get(&name.timer()).is_some_and(|timer| timer.state == UnitState::Active);
    match (units.get(&name.unit()), health) {
        (None, _) => "static".to_owned(),
        (Some(_), Some(Health::CrashLoop(_))) => "crash-loop".to_owned(),
        (Some(unit), _) if armed && unit.state == UnitState::Inactive => "scheduled".to_owned(),
        (Some(unit), _) => unit.state.to_string(),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.host, self.judgement)?;
        match (&self.commit, self.generation) {
            (Some(commit), Some(generation)) => {
                let (subject, signer) = (self.subject.as_deref(), self.signer.as_deref());
                writeln!(f, "generation {generation}, commit {}", commit.short())?;
                writeln!(f, "  {}", subject.unwrap_or_default())?;
                writeln!(f, "  signed by {}", signer.unwrap_or_default())?;
            }
            _ => writeln!(f, "nothing was accepted yet")?,
        }
        if let Some(verdict) = &self.verdict {
            writeln!(f, "{verdict}")?;
        }
        if let Some(running) = &self.running {
            writeln!(
                f,
                "runs generation {}, commit {}",
                running.generation,
                running.commit.short()
            )?;
        }
        if let Some(RefusedHead { at, refusal }) = &self.refused {
            writeln!(f, "the branch's head is refused since {at}:\n  {refusal}")?;
            writeln!(f, "  hint     {}", refusal.remedy)?;
        }
        if let Some(pause) = &self.paused {
            writeln!(f, "{pause}\n  hint     nothing is changed on this host until: writ resume")?;
        }
        if let Some(step) = &self.step {
            writeln!(f, "now        {step}")?;
        }
        self.downloads(f)?;
        let told = match &self.verdict {
            Some(Verdict::Waiting { reasons, .. }) => reasons.as_slice(),
            Some(_) | None => &[],
        };
        for reason in self.waiting.iter().filter(|reason| !told.contains(reason)) {
            writeln!(f, "waits for  {reason}")?;
        }
        if self.sources.len() > 1 {
            self.sources.iter().try_for_each(|source| writeln!(f, "source     {source}"))?;
        }
        self.differences(f)?;
        for fault in self.faults.iter().chain(&self.report_fault) {
            writeln!(f, "fault      {fault}")?;
            if let Some(remedy) = &fault.remedy {
                writeln!(f, "  hint     {remedy}")?;
            }
        }
        self.tables(f)
    }
}

impl Status {
    fn downloads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.download.iter().try_for_each(|download| writeln!(f, "fetched    {download}"))?;
        for away in &self.caches_away {
            writeln!(f, "no cache   {away}")?;
            away.remedy.iter().try_for_each(|remedy| writeln!(f, "  hint     {remedy}"))?;
        }
        Ok(())
    }

    fn differences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drift.iter().try_for_each(|drift| writeln!(f, "drift      {drift}"))?;
        let healed =
            self.healed.iter().flat_map(|healed| healed.drift.iter().map(|d| (&healed.at, d)));
        for (at, drift) in healed {
            writeln!(f, "healed     {drift} (at {at})")?;
        }
        Ok(())
    }

    fn tables(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.services.is_empty() {
            writeln!(f, "services")?;
        }
        for (name, service) in &self.services {
            write!(f, "  {name:<20} {:<10} {}", service.state, service.store_path.label())?;
            if let Some(pid) = service.pid {
                write!(f, "  pid {pid}")?;
            }
            if let Some(uptime) = service.uptime_seconds {
                write!(f, "  up {}", length(i64::try_from(uptime).unwrap_or(i64::MAX)))?;
            }
            match service.restarts {
                0 => {}
                1 => write!(f, "  1 restart")?,
                many => write!(f, "  {many} restarts")?,
            }
            if let Some(failure) = &service.failure {
                write!(f, "  ({failure})")?;
            }
            writeln!(f)?;
        }
        if !self.routes.is_empty() {
            writeln!(f, "routes")?;
        }
        self.routes.iter().try_for_each(|route| writeln!(f, "  {route}"))?;
        self.caddy.iter().try_for_each(|because| writeln!(f, "Caddy      {because}"))
    }
}
