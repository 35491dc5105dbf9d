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

/// Which lines are meant.
#[derive(Debug)]
pub(super) enum Which {
    Begun(Run),
    /// Of a run that another program began, or an agent before this one.
    Invocation(String),
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
    /// How journalctl(1) is asked.
    pub(super) fn matches(&self, unit: &UnitName) -> Vec<String> {
        match self {
            Self::Begun(_) => vec![format!("--unit={unit}")],
            // What it wrote itself, and what systemd said about it.
            Self::Invocation(id) => vec![
                format!("_SYSTEMD_INVOCATION_ID={id}"),
                "+".to_owned(),
                "_PID=1".to_owned(),
                format!("INVOCATION_ID={id}"),
            ],
        }
    }

    /// Whether an entry of the journal, as systemd's Journal JSON Format has it, is one.
    pub(super) fn has(&self, entry: &Value) -> bool {
        let Self::Begun(Run { since, before }) = self else { return true };
        let at = entry["__MONOTONIC_TIMESTAMP"].as_str().and_then(|at| at.parse().ok());
        let of = |field: &str| entry[field].as_str() == Some(before);
        let earlier = of("_SYSTEMD_INVOCATION_ID") || of("INVOCATION_ID");
        at.is_some_and(|at| Duration::from_micros(at) >= *since) && (before.is_empty() || !earlier)
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
