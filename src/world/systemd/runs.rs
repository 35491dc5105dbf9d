//! Which lines of a unit's journal tell of the run that this program began last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::names::UnitName;

/// What this program knows of the runs of its units.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<BTreeMap<UnitName, Run>>);

/// A run, with the restarts that systemd made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// By the clock that nobody sets, as the journal has it.
    since: Duration,
    /// The invocation before; its last words may reach the journal later.
    before: String,
}

/// The last run of a unit, as systemd knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) invocation: String,
    /// By the clock that nobody sets.
    pub(super) since: Duration,
}

/// Which lines are meant.
#[derive(Debug)]
pub(super) enum Which {
    Begun(Run),
    /// Of a run that another program began, or an agent before this one.
    Last(Last),
}

impl Runs {
    /// A unit is stopped or started: what ran as `invocation` is over.
    pub(super) fn ends(&self, unit: &UnitName, invocation: String) {
        let mut runs = self.lock();
        let run = runs.entry(unit.clone()).or_default();
        run.since = now();
        // systemd forgets it with the unit, between a stop and a start.
        if !invocation.is_empty() {
            run.before = invocation;
        }
    }

    /// The same process takes something new in.
    pub(super) fn goes_on(&self, unit: &UnitName) {
        self.lock().entry(unit.clone()).or_default().since = now();
    }

    pub(super) fn of(&self, unit: &UnitName) -> Option<Run> {
        self.lock().get(unit).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UnitName, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Which {
    /// Whether an entry of the unit's journal, as systemd's Journal JSON Format has it,
    /// is one.
    pub(super) fn has(&self, entry: &Value) -> bool {
        let at = entry["__MONOTONIC_TIMESTAMP"].as_str().and_then(|at| at.parse().ok());
        let after = |since| at.is_some_and(|at| Duration::from_micros(at) >= since);
        // What it wrote itself, and what systemd said about it.
        let fields = ["_SYSTEMD_INVOCATION_ID", "INVOCATION_ID"];
        let told: Vec<&str> = fields.iter().filter_map(|field| entry[field].as_str()).collect();
        match self {
            Self::Begun(Run { since, before }) => {
                after(*since) && (before.is_empty() || !told.contains(&before.as_str()))
            }
            // The last words of a process that is gone when the journal reads them tell
            // their unit, and no run.
            Self::Last(Last { since, .. }) if told.is_empty() => after(*since),
            Self::Last(Last { invocation, .. }) => told.contains(&invocation.as_str()),
        }
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
