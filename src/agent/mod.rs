//! The host's agent: a round at start, then one whenever there is a reason to.

pub mod control;
pub mod drift;
pub mod host_state;
pub mod socket;
pub mod sources;
pub mod status;

mod ailing;
mod contested;
mod follow;
mod foreign;
mod fresh;
mod judging;
mod notify;
mod paused;
mod ready;
mod receipts;
pub mod reporting;
mod restart;
mod retention;
mod roads;
mod rollback;
mod round;
mod signed_plan;
mod stages;
mod telling;
mod weigh;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::rand::GetRandomFlags;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use crate::condition::{Health, Judgement};
use crate::config::Config;
use crate::events::Events;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::ledger::pause::Pause;
use crate::manifest::Desired;
use crate::names::{CommitId, ServiceName};
use crate::next::{Next, until};
use crate::plan::drift::Drift;
use crate::source::bundles::plugged;
use crate::source::roads::Road;
use crate::trust::{Anchor, Refusal, VerifiedCommit};
use crate::verdict::Verdict;
use crate::world::World;
use control::{Restart, SyncRequest};
use drift::Healed;
use roads::{Look, Roads};
use sources::SourceStatus;

/// One host's agent over some world.
pub struct Agent<W> {
    config: Config,
    ledger: Ledger,
    roads: Roads,
    world: Arc<W>,
    shared: Arc<Shared>,
    events: Events,
    memory: Memory,
}

/// What the agent shows while it works.
#[derive(Debug, Default)]
pub struct Shared {
    snapshot: Mutex<Snapshot>,
    /// For the one who reports what the snapshot and the ledger say.
    changed: Notify,
}

/// What only the running agent knows; the rest of the status is in the ledger and
/// on the host.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When the branch was last seen, RFC 3339.
    pub fetched: Option<String>,
    /// What keeps the agent from seeing the branch, or from following all its sources.
    pub source_fault: Option<Fault>,
    pub sources: Vec<SourceStatus>,
    /// Why nobody can tell whether what the server shows is the newest.
    pub stale: Option<Fault>,
    /// What keeps a confirmed generation from being whole.
    pub fault: Option<Fault>,
    pub waiting: Vec<String>,
    /// What is not as the generation that runs says, as of the last look.
    pub drift: Vec<Drift>,
    pub healed: Option<Healed>,
    /// How each service that runs is doing, as of the last look.
    pub services: BTreeMap<ServiceName, Health>,
    /// The routes of the generation that runs, by their `@id` in Caddy, each with a URL.
    pub routes: BTreeMap<String, String>,
    /// How often this agent had to start each service again since the last generation.
    pub revived: BTreeMap<ServiceName, u32>,
    /// When the deploy window opens that a generation waits for.
    pub opens: Option<jiff::Timestamp>,
    /// What keeps others from being told how this host is.
    pub report_fault: Option<Fault>,
    /// The step being taken: `restart web`.
    pub step: Option<String>,
    pub rounds: u64,
}

/// What was worked out once and stays true while the agent runs; all of it can be
/// forgotten at any time.
#[derive(Default)]
struct Memory {
    head: Option<Wish>,
    good: Option<Wish>,
    /// A commit that has to pass before the head.
    stage: Option<Wish>,
    /// What was signed for this host, for the commit it looked at last.
    expected: Option<signed_plan::Expected>,
    /// The generation whose closures are here and kept while it waits.
    prefetched: Option<u64>,
    refused: Option<Refusal>,
    /// The accepted commit as this agent knows it: root moves it too.
    followed: Option<Anchor>,
    pause: Option<Pause>,
    failures: u32,
    /// Whether objects were missing in the copy of the repository, or unreadable.
    copy_damaged: bool,
    /// When the copy was last fetched anew.
    renewed: Option<Instant>,
    tidy: retention::Tidy,
    /// The packs that an earlier agent left are gone.
    cleared: bool,
    /// What an earlier agent left half-written is gone.
    swept: bool,
    /// The generation whose verdict has been told again.
    told: Option<u64>,
}

/// A verified commit and what it means for this host.
#[derive(Clone)]
struct Wish {
    commit: VerifiedCommit,
    desired: Result<Arc<Desired<VerifiedCommit>>, String>,
}

/// How a round ended.
#[derive(Clone, Debug)]
pub struct Report {
    pub next: Next,
    /// The branch's head, where it is a newer one that is not obeyed.
    pub refused: Option<Refusal>,
    pub generation: Option<u64>,
    pub commit: Option<CommitId>,
    pub verdict: Option<Verdict>,
    /// What a generation that was begun waits for; one that was not has it in its
    /// verdict.
    pub waiting: Vec<String>,
    /// Why nothing was changed on this host, where somebody paused it.
    pub paused: Option<Pause>,
    /// What is wrong beside the verdict: the source, drift that could not be healed.
    pub faults: Vec<Fault>,
    /// What all of this and the services come to.
    pub judgement: Judgement,
}

impl<W: World> Agent<W> {
    /// An agent that has done nothing yet.
    pub fn new(config: Config, ledger: Ledger, sources: Vec<Road>, world: Arc<W>) -> Self {
        let shared = Arc::new(Shared::default());
        let events = Events::at(ledger.events());
        let roads = Roads::new(sources);
        Self { config, ledger, roads, world, shared, events, memory: Memory::default() }
    }

    /// What the agent shows while it works.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Rounds until SIGTERM or SIGINT: after the interval, when a watched path
    /// changes, when something else `moved`, and when somebody asks.
    ///
    /// A round in progress is dropped by the signal, which is safe: the next start
    /// observes afresh.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub async fn run(
        mut self,
        mut asked: mpsc::Receiver<SyncRequest>,
        moved: Arc<Notify>,
    ) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let _watcher = notify::watch(&self.config.poll.watch, Arc::clone(&moved));
        self.roads.resident = true;
        let sticks = plugged::watch(self.roads.watched().collect(), Arc::clone(&moved));
        ready::tell("READY=1");
        tokio::select! {
            () = self.rounds(&mut asked, &moved) => {}
            never = sticks => match never {},
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        ready::tell("STOPPING=1");
        tracing::info!("the agent stops; services keep running");
        Ok(())
    }

    async fn rounds(&mut self, asked: &mut mpsc::Receiver<SyncRequest>, moved: &Notify) {
        let mut waiting: Vec<SyncRequest> = Vec::new();
        let mut look = Look::NOW;
        loop {
            self.restart_for(&mut waiting).await;
            let report = self.round_of(look).await;
            let heard = if self.roads.answered() { waiting.len() } else { 0 };
            for request in waiting.drain(..heard) {
                // Whoever asked may have gone.
                let _ = request.answer.send(report.clone());
            }
            let pause = until(&report.next, self.config.poll.interval, dice);
            look = tokio::select! {
                () = sleep(pause) => Look::TURN,
                () = notify::moved(moved) => Look::NOW,
                () = self.roads.arrived() => Look::HEARD,
                Some(request) = asked.recv() => {
                    waiting.push(request);
                    Look::NOW
                }
            };
            while let Ok(request) = asked.try_recv() {
                waiting.push(request);
                look = Look::NOW;
            }
        }
    }
}

impl<W: World> Agent<W> {
    /// Does what somebody wants to be done before the round that they wait for.
    async fn restart_for(&mut self, waiting: &mut [SyncRequest]) {
        for Restart { service, outcome } in
            waiting.iter_mut().filter_map(|request| request.restart.take())
        {
            // Whoever asked may have gone.
            let _ = outcome.send(self.restart(&service).await);
        }
    }
}

impl Shared {
    /// The snapshot as it is now.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// As [`Self::update`], in the middle of a round that will tell at its end.
    fn note(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// Two random bytes, to spread hosts; nothing depends on their quality.
fn dice() -> u16 {
    let mut bytes = [0; 2];
    match rustix::rand::getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(_) | Err(_) => u16::from_ne_bytes(bytes),
    }
}

/// Now, as the ledger writes times.
fn now() -> jiff::Timestamp {
    // To the second: nobody reads nanoseconds.
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}
