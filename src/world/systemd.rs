//! Runs services as systemd units, over D-Bus, without a daemon-reload where it can be avoided.
//!
//! systemd reads a unit's file when it loads the unit, and unloads a unit that
//! is inactive and that no loaded unit names. So a unit that was stopped, or
//! never started, runs what is on disk; only where systemd itself says that a
//! loaded unit is older than its file are all files read again.

pub mod boot;
mod bus;
pub mod ended;
mod environments;
mod files;
mod journal;
mod outcome;
mod overrides;
mod properties;
mod refusal;
mod runs;
mod vitals;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;
use tokio::try_join;

use crate::fault::Fault;
use crate::names::{ServiceName, UnitName};
use crate::plan::environment::{self, Environment};
use crate::plan::observed::{ObservedUnit, Overrides, Pulse, UnitState, Vitals};
use crate::plan::step::Aside;
use crate::world::Units;
use bus::{Bus, BusError, ListedUnit, UNIT};
use environments::Environments;
use files::{UnitFiles, is_ours};
use outcome::meaning_of_job;
use overrides::Foreign;
use properties::{
    ASKED_AT_ONCE, any_outdated, began, ending, invocation, pulse_of, start_limit, state,
    stop_limit,
};
use refusal::{lost, only_ours, plain_fault, refused};
use runs::{Last, Runs, Which};
use vitals::{started_within, vitals_of};

const FOLDER: &str = "/run/systemd/system";
/// Where files of others go that were over our units.
const ASIDE: &str = "/var/lib/writ/drift";
/// Journal lines that go with a unit that could not be started.
const EVIDENCE_LINES: usize = 20;

/// The systemd of this host.
#[derive(Debug)]
pub struct Systemd {
    files: UnitFiles,
    environments: Environments,
    foreign: Foreign,
    bus: Mutex<Option<Arc<Bus>>>,
    /// Held while systemd reads its files again, so that one pass serves all who
    /// need one.
    rereading: Mutex<()>,
    runs: Runs,
}

impl Default for Systemd {
    fn default() -> Self {
        Self::new()
    }
}

impl Systemd {
    /// Connects once it is asked for something.
    pub fn new() -> Self {
        Self {
            files: UnitFiles::in_folder(FOLDER),
            environments: Environments::in_folder(environment::FOLDER),
            foreign: Foreign::keeping_in(ASIDE),
            bus: Mutex::new(None),
            rereading: Mutex::new(()),
            runs: Runs::default(),
        }
    }

    /// Has files of others that were over our units moved to `folder`.
    #[must_use]
    pub fn keeping_in(self, folder: impl Into<PathBuf>) -> Self {
        Self { foreign: Foreign::keeping_in(folder), ..self }
    }

    /// The connection, made anew where it was lost.
    async fn bus(&self) -> Result<Arc<Bus>, BusError> {
        let mut slot = self.bus.lock().await;
        match slot.as_ref() {
            Some(bus) if !bus.is_lost() => Ok(Arc::clone(bus)),
            Some(_) | None => {
                let bus = Arc::new(Bus::connect().await?);
                *slot = Some(Arc::clone(&bus));
                Ok(bus)
            }
        }
    }

    async fn try_observe(&self) -> Result<Vec<(UnitName, UnitState)>, BusError> {
        let bus = self.bus().await?;
        let (any_state, patterns) = (Vec::<&str>::new(), vec!["writ-*.service", "writ-*.timer"]);
        let listed: Vec<ListedUnit> =
            bus.call("ListUnitsByPatterns", &(any_state, patterns)).await?;
        let named = listed.into_iter().filter_map(|row| {
            let unit: UnitName = row.name.parse().ok()?;
            is_ours(&unit).then(|| (unit, state(&row.active_state)))
        });
        Ok(named.collect())
    }

    /// Whether a unit that runs without a file of ours once had one.
    async fn lost_its_file(&self, unit: &UnitName) -> Result<bool, BusError> {
        let path: String = self.bus().await?.property(unit, UNIT, "FragmentPath").await?;
        Ok(path.is_empty() || self.files.path(unit).as_os_str() == path.as_str())
    }

    /// Makes systemd read its files again where it holds one of `units` in an
    /// older form than the one on disk.
    async fn make_current(&self, bus: &Bus, units: &[UnitName]) -> Result<(), BusError> {
        if !any_outdated(bus, units).await? {
            return Ok(());
        }
        let _turn = self.rereading.lock().await;
        // Another may have done it meanwhile.
        if any_outdated(bus, units).await? {
            tracing::debug!(?units, "daemon-reload: systemd holds these in an older form");
            bus.call::<_, ()>("Reload", &()).await?;
        }
        Ok(())
    }

    async fn try_start(&self, unit: &UnitName, files: &[UnitName]) -> Result<Started, BusError> {
        let bus = self.bus().await?;
        let mut units = files.to_vec();
        if !units.contains(unit) {
            units.push(unit.clone());
        }
        self.make_current(&bus, &units).await?;
        let (before, within) = try_join!(invocation(&bus, unit), start_limit(&bus, unit))?;
        self.runs.ends(unit, before);
        forget_failure(&bus, unit).await?;
        let Some(result) = bus.job("StartUnit", unit, within).await? else {
            return Ok(Started::No(format!("it has not started within {within:?}")));
        };
        verdict(&bus, unit, &result).await
    }

    async fn try_stop(&self, unit: &UnitName) -> Result<Option<String>, BusError> {
        let bus = self.bus().await?;
        let (run, within) = try_join!(invocation(&bus, unit), stop_limit(&bus, unit))?;
        self.runs.ends(unit, run);
        let result = match bus.job("StopUnit", unit, within).await {
            Err(error) if error.is_no_such_unit() => return Ok(None),
            other => other?,
        };
        forget_failure(&bus, unit).await?;
        Ok(match result.as_deref() {
            Some("done") => None,
            Some(result) => Some(meaning_of_job(result).to_owned()),
            None => Some(format!("it has not stopped within {within:?}")),
        })
    }

    async fn try_reload(&self, unit: &UnitName) -> Result<Started, BusError> {
        let bus = self.bus().await?;
        self.make_current(&bus, std::slice::from_ref(unit)).await?;
        let within = start_limit(&bus, unit).await?;
        self.runs.goes_on(unit);
        match bus.job("ReloadUnit", unit, within).await?.as_deref() {
            Some("done") => Ok(Started::Yes),
            Some(result @ ("canceled" | "invalid")) => Ok(Started::NotNow(meaning_of_job(result))),
            Some(result) => Ok(Started::No(meaning_of_job(result).to_owned())),
            None => Ok(Started::No(format!("it has not reloaded within {within:?}"))),
        }
    }

    async fn try_pulse(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Pulse>, BusError> {
        let bus = self.bus().await?;
        let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
        // One row for each name, in the order of the names; it loads what is not loaded.
        let rows: Vec<ListedUnit> = bus.call("ListUnitsByNames", &(names,)).await?;
        if rows.len() != units.len() {
            return Err(BusError::Lost("systemd did not list every unit it was asked for".into()));
        }
        let states = rows.iter().map(|row| state(&row.active_state));
        let asked: Vec<_> =
            units.iter().zip(states).map(|(unit, state)| pulse_of(&bus, unit, state)).collect();
        let pulses: Vec<Pulse> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
        Ok(units.iter().cloned().zip(pulses).collect())
    }

    async fn try_vitals(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Vitals>, BusError> {
        let bus = self.bus().await?;
        let asked: Vec<_> = units.iter().map(|unit| vitals_of(&bus, unit)).collect();
        let vitals: Vec<Vitals> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
        Ok(units.iter().cloned().zip(vitals).collect())
    }

    /// What became of a job that a unit was to be started or reloaded by.
    async fn settle(
        &self,
        doing: String,
        unit: &UnitName,
        done: Result<Started, BusError>,
    ) -> Result<(), Fault> {
        let fault = match done {
            Ok(Started::Yes) => return Ok(()),
            Ok(Started::NotNow(because)) => return Err(Fault::wait(doing, because)),
            Ok(Started::No(because)) => Fault::refuse(doing, because)
                .remedy(format!("`journalctl --unit {unit}` has the whole story")),
            Err(BusError::Lost(because)) => return Err(lost(doing, &because)),
            Err(BusError::Refused { name, message }) => refused(doing, unit, &name, message),
        };
        Err(fault.evidence(self.last_words(unit, EVIDENCE_LINES).await))
    }

    /// Of the run at hand alone: what an earlier one said explains nothing.
    async fn last_words(&self, unit: &UnitName, lines: usize) -> Vec<String> {
        let which = match self.runs.of(unit) {
            Some(run) => Which::Begun(run),
            None => match self.last_run(unit).await {
                Ok(last) if !last.invocation.is_empty() => Which::Last(last),
                Ok(_) | Err(_) => return Vec::new(),
            },
        };
        journal::last_lines(unit, lines, &which).await
    }

    async fn last_run(&self, unit: &UnitName) -> Result<Last, BusError> {
        let bus = self.bus().await?;
        let (invocation, since) = try_join!(invocation(&bus, unit), began(&bus, unit))?;
        Ok(Last { invocation, since })
    }
}

impl Units for Systemd {
    async fn observe(&self) -> Result<BTreeMap<UnitName, ObservedUnit>, Fault> {
        let mut units: BTreeMap<UnitName, ObservedUnit> = BTreeMap::new();
        for (unit, text) in self.files.read_all()? {
            units.insert(unit, ObservedUnit { file: Some(text), state: UnitState::Inactive });
        }
        let doing = "list units";
        for (unit, state) in self.try_observe().await.map_err(|e| plain_fault(doing, e))? {
            if let Some(known) = units.get_mut(&unit) {
                known.state = state;
            } else if state != UnitState::Inactive
                && self.lost_its_file(&unit).await.map_err(|e| plain_fault(doing, e))?
            {
                units.insert(unit, ObservedUnit { file: None, state });
            }
        }
        Ok(units)
    }

    fn overrides(&self) -> Result<Overrides, Fault> {
        self.foreign.find()
    }

    fn environments(&self) -> Result<BTreeMap<ServiceName, Environment>, Fault> {
        self.environments.read_all()
    }

    async fn set_environment(&self, service: &ServiceName, to: &Environment) -> Result<(), Fault> {
        self.environments.set(service, to)
    }

    async fn set_aside(&self, files: &[Aside]) -> Result<(), Fault> {
        for file in files {
            only_ours("clear", &file.unit)?;
            self.foreign.set_aside(file)?;
        }
        let units: Vec<UnitName> = files.iter().map(|file| file.unit.clone()).collect();
        let reread = async { self.make_current(&*self.bus().await?, &units).await };
        reread.await.map_err(|error| plain_fault("have systemd read its units again", error))
    }

    async fn write(&self, unit: &UnitName, expect: Option<&str>, text: &str) -> Result<(), Fault> {
        only_ours("write", unit)?;
        self.files.write(unit, expect, text)
    }

    async fn remove(&self, unit: &UnitName, expect: &str) -> Result<(), Fault> {
        only_ours("remove", unit)?;
        self.files.remove(unit, expect)
    }

    async fn start(&self, unit: &UnitName, files: &[UnitName]) -> Result<(), Fault> {
        only_ours("start", unit)?;
        let done = self.try_start(unit, files).await;
        self.settle(format!("start {unit}"), unit, done).await
    }

    async fn stop(&self, unit: &UnitName) -> Result<(), Fault> {
        only_ours("stop", unit)?;
        let doing = format!("stop {unit}");
        match self.try_stop(unit).await {
            Ok(None) => Ok(()),
            Ok(Some(because)) => Err(Fault::wait(doing, because)),
            Err(error) => Err(plain_fault(doing, error)),
        }
    }

    async fn reload(&self, unit: &UnitName) -> Result<(), Fault> {
        only_ours("reload", unit)?;
        let done = self.try_reload(unit).await;
        self.settle(format!("reload {unit}"), unit, done).await
    }

    async fn pulse(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Pulse>, Fault> {
        self.try_pulse(units).await.map_err(|error| plain_fault("ask how units are doing", error))
    }

    async fn vitals(&self, units: &[UnitName]) -> Result<BTreeMap<UnitName, Vitals>, Fault> {
        self.try_vitals(units).await.map_err(|error| plain_fault("ask since when units run", error))
    }

    fn started_within(&self, within: Duration) -> BTreeSet<UnitName> {
        started_within(within)
    }

    async fn journal(&self, unit: &UnitName, lines: usize) -> Vec<String> {
        self.last_words(unit, lines).await
    }
}

/// Whether a unit took up what it was asked to.
enum Started {
    Yes,
    /// Another job took this one's place, or the unit changed its state meanwhile.
    NotNow(&'static str),
    No(String),
}

/// A job that is done says little of a process that has ended since.
async fn verdict(bus: &Bus, unit: &UnitName, result: &str) -> Result<Started, BusError> {
    let (state, sub_state) = try_join!(
        bus.property::<String>(unit, UNIT, "ActiveState"),
        bus.property::<String>(unit, UNIT, "SubState"),
    )?;
    let failed = state == "failed" || sub_state.starts_with("auto-restart");
    let because = match result {
        "done" if !failed => return Ok(Started::Yes),
        "canceled" | "invalid" => return Ok(Started::NotNow(meaning_of_job(result))),
        "done" => "its process ended at once",
        other => meaning_of_job(other),
    };
    let ending = ending(bus, unit).await?;
    Ok(Started::No(ending.explain().unwrap_or_else(|| because.to_owned())))
}

/// Forgets a failed state and the count of recent starts.
async fn forget_failure(bus: &Bus, unit: &UnitName) -> Result<(), BusError> {
    match bus.call("ResetFailedUnit", &(unit.as_str(),)).await {
        Err(error) if error.is_no_such_unit() => Ok(()),
        other => other,
    }
}
