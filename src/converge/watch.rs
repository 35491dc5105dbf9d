//! Watches services until each has been healthy for as long as it asks, or one cannot be any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::fault::Fault;
use crate::names::UnitName;
use crate::plan::observed::{Pulse, UnitState};
use crate::plan::step::Watch;
use crate::world::{Probes as _, Units as _, World};

/// How long systemd is left alone between two looks at the units that are still
/// being watched, each one pipelined burst of calls for all of them. Looks come
/// quickly at first, when most services show whether they work.
const BEATS: std::ops::Range<Duration> = Duration::from_millis(10)..Duration::from_millis(200);

/// A service that systemd had to start again this often is not going to settle;
/// waiting for its deadline would only make the outage longer.
const RESTARTS_TOLERATED: u32 = 4;

const JOURNAL_LINES: usize = 20;

/// Returns once every service is healthy, or at the first that is beyond hope.
pub(super) async fn watch(watches: &[Watch], world: &impl World) -> Result<(), Fault> {
    let began = Instant::now();
    let mut vigils: Vec<Vigil<'_>> = watches.iter().map(|watch| Vigil::new(watch, began)).collect();
    loop {
        let looked = Instant::now();
        let units: BTreeSet<UnitName> =
            vigils.iter().map(|vigil| vigil.watch.unit.clone()).collect();
        let units: Vec<_> = units.into_iter().collect();
        let pulses = world.units().pulse(&units).await?;
        let looks = vigils.iter_mut().map(|vigil| vigil.look(&pulses, world));
        let verdicts = join_all(looks).await;
        let mut watching = Vec::new();
        for (vigil, verdict) in vigils.into_iter().zip(verdicts) {
            match verdict {
                Look::Healthy => {}
                Look::NotYet => watching.push(vigil),
                Look::Hopeless(why) => return Err(vigil.fault(why, world).await),
            }
        }
        if watching.is_empty() {
            return Ok(());
        }
        vigils = watching;
        // A look at a thousand units keeps systemd busy; it has the same time for itself.
        let beat = (began.elapsed() / 4).clamp(BEATS.start, BEATS.end);
        sleep(beat.max(looked.elapsed())).await;
    }
}

/// What one look at a service told.
enum Look {
    Healthy,
    NotYet,
    Hopeless(String),
}

/// What is remembered of one service between two looks.
struct Vigil<'a> {
    watch: &'a Watch,
    began: Instant,
    asked: Option<Instant>,
    healthy_since: Option<Instant>,
    invocation: Option<String>,
    restarts: u32,
    /// What the check last answered instead of success.
    complaint: Option<String>,
}

impl<'a> Vigil<'a> {
    fn new(watch: &'a Watch, began: Instant) -> Self {
        Self {
            watch,
            began,
            asked: None,
            healthy_since: None,
            invocation: None,
            restarts: 0,
            complaint: None,
        }
    }

    async fn look(&mut self, pulses: &BTreeMap<UnitName, Pulse>, world: &impl World) -> Look {
        let pulse = pulses.get(&self.watch.unit).cloned().unwrap_or_default();
        self.count_restart(&pulse);
        if let Some(why) = self.beyond_hope(&pulse) {
            return Look::Hopeless(why);
        }
        if pulse.state == UnitState::Active {
            self.ask(world).await;
        } else {
            self.healthy_since = None;
        }
        if self.settled() {
            return Look::Healthy;
        }
        if self.began.elapsed() >= self.watch.health.deadline {
            return Look::Hopeless(format!(
                "it was not healthy for {:?} without a break within {:?}",
                self.watch.health.healthy_for, self.watch.health.deadline
            ));
        }
        Look::NotYet
    }

    /// A process that was started again begins its healthy time anew.
    fn count_restart(&mut self, pulse: &Pulse) {
        if pulse.invocation.is_empty() || self.invocation.as_ref() == Some(&pulse.invocation) {
            return;
        }
        if self.invocation.is_some() {
            self.restarts += 1;
        }
        self.invocation = Some(pulse.invocation.clone());
        self.healthy_since = None;
    }

    fn beyond_hope(&self, pulse: &Pulse) -> Option<String> {
        let failure = || pulse.failure.clone().unwrap_or_else(|| "no reason given".to_owned());
        match pulse.state {
            UnitState::Failed => Some(format!("it failed ({})", failure())),
            UnitState::Inactive if self.watch.settle => {
                Some(format!("it ended by itself ({})", failure()))
            }
            UnitState::Inactive
            | UnitState::Activating
            | UnitState::Active
            | UnitState::Reloading
            | UnitState::Deactivating => (self.restarts > RESTARTS_TOLERATED).then(|| {
                format!("it was started again {} times and did not settle", self.restarts)
            }),
        }
    }

    /// Asks the service's check where its interval is over.
    async fn ask(&mut self, world: &impl World) {
        let health = &self.watch.health;
        if self.asked.is_some_and(|asked| asked.elapsed() < health.interval)
            && self.healthy_since.is_some()
        {
            return;
        }
        self.asked = Some(Instant::now());
        match world.probes().ask(&self.watch.service, &health.check, health.timeout).await {
            Ok(()) => {
                self.healthy_since.get_or_insert_with(Instant::now);
            }
            Err(complaint) => {
                self.healthy_since = None;
                self.complaint = Some(complaint);
            }
        }
    }

    fn settled(&self) -> bool {
        let enough = if self.watch.settle { self.watch.health.healthy_for } else { Duration::ZERO };
        self.healthy_since.is_some_and(|since| since.elapsed() >= enough)
    }

    async fn fault(&self, why: String, world: &impl World) -> Fault {
        let journal = world.units().journal(&self.watch.unit, JOURNAL_LINES).await;
        let complaint = self.complaint.iter().map(|answer| format!("last probe: {answer}"));
        let fault = Fault::refuse(format!("see service {} healthy", self.watch.service), why);
        // The unit's own words say most.
        fault.evidence(journal.into_iter().map(|line| format!("journal: {line}")).chain(complaint))
    }
}
