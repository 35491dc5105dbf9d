//! Hosts that follow one source, in virtual time: when each of them asks is decided by
//! the agent's own functions, and what a visit takes is given, measured or assumed.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use writ::next::{Next, pause, until};

/// What one look at the source takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// When each of its requests reaches the server, from its beginning.
    pub(crate) requests: Vec<Duration>,
    /// Bytes from the host to the server, with all headers, and back.
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// What visits take. Of several that were measured, each host draws one.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    /// Nothing is new.
    pub(crate) idle: Vec<Visit>,
    /// One commit is.
    pub(crate) news: Vec<Visit>,
    /// The host has nothing.
    pub(crate) first: Vec<Visit>,
    /// The server is in trouble.
    pub(crate) failed: Vec<Visit>,
}

/// How the hosts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// They have run for long, and have a commit.
    Running,
    /// They start in the same second, and have a commit.
    Boot,
    /// They start in the same second, and have nothing.
    Fresh,
}

#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) hosts: usize,
    pub(crate) interval: Duration,
    pub(crate) begin: Begin,
    /// When a commit is pushed.
    pub(crate) push: Option<Duration>,
    /// While the server is in trouble.
    pub(crate) trouble: Range<Duration>,
    pub(crate) length: Duration,
}

/// What the server saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests in each second.
    pub(crate) requests: Vec<u32>,
    pub(crate) up: u64,
    pub(crate) down: u64,
    /// When each host had the newest commit, from the beginning.
    pub(crate) arrived: Vec<Duration>,
}

impl Tally {
    /// The most requests that came in one second of these.
    pub(crate) fn peak(&self, seconds: Range<usize>) -> u32 {
        self.requests[seconds].iter().copied().max().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> u64 {
        self.requests.iter().map(|count| u64::from(*count)).sum()
    }

    /// When so many percent of the hosts had the newest commit.
    pub(crate) fn share(&mut self, hosts: usize, percent: usize) -> Option<Duration> {
        self.arrived.sort_unstable();
        let needed = (hosts * percent).div_ceil(100);
        self.arrived.get(needed.checked_sub(1)?).copied()
    }
}

/// Lets the hosts live through a story.
pub(crate) fn live(story: &Story, costs: &Costs) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let seconds = usize::try_from(story.length.as_secs()).expect("a short story");
    let tally = Tally { requests: vec![0; seconds], ..Tally::default() };
    let fleet =
        Rc::new(Fleet { story: story.clone(), costs: costs.clone(), tally: RefCell::new(tally) });
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        let began = Instant::now();
        for number in 0..story.hosts {
            let host = Host::new(Rc::clone(&fleet), number, began);
            tokio::task::spawn_local(host.live());
        }
        sleep_until(began + story.length).await;
    }));
    drop(local);
    Rc::into_inner(fleet).expect("every host has ended").tally.into_inner()
}

struct Fleet {
    story: Story,
    costs: Costs,
    tally: RefCell<Tally>,
}

struct Host {
    fleet: Rc<Fleet>,
    began: Instant,
    dice: Dice,
    /// The commits it has: none, the first, the first and the pushed one.
    commits: u8,
    /// Rounds that ended in waiting, as the agent counts them.
    failures: u32,
}

impl Host {
    fn new(fleet: Rc<Fleet>, number: usize, began: Instant) -> Self {
        let dice = Dice(number as u64 + 1);
        let commits = u8::from(fleet.story.begin != Begin::Fresh);
        Self { fleet, began, dice, commits, failures: 0 }
    }

    async fn live(mut self) {
        let interval = self.fleet.story.interval;
        if self.fleet.story.begin == Begin::Running {
            sleep(self.rest()).await;
        }
        loop {
            self.visit().await;
            // As a round ends: without a commit to obey it tries again, and with one it
            // keeps the host whole, whatever became of the source.
            let next = match self.commits {
                0 => Next::Again(pause(self.failures)),
                _ => Next::Settled,
            };
            self.failures = if self.commits == 0 { self.failures + 1 } else { 0 };
            sleep(until(&next, interval, || self.dice.roll())).await;
        }
    }

    /// What is left of a pause that one looks into at any moment.
    fn rest(&mut self) -> Duration {
        let interval = self.fleet.story.interval;
        loop {
            let rest = 2 * interval.mul_f64(f64::from(self.dice.roll()) / 65536.0);
            // A long pause is met more often.
            if rest < until(&Next::Settled, interval, || self.dice.roll()) {
                return rest;
            }
        }
    }

    /// One look, judged by how the server is at its beginning.
    async fn visit(&mut self) {
        let at = self.began.elapsed();
        let fleet = Rc::clone(&self.fleet);
        let (story, costs) = (&fleet.story, &fleet.costs);
        let newest = 1 + u8::from(story.push.is_some_and(|push| push <= at));
        let (visits, commits) = match (story.trouble.contains(&at), self.commits) {
            (true, own) => (&costs.failed, own),
            (false, own) if own == newest => (&costs.idle, own),
            (false, 0) => (&costs.first, newest),
            (false, _) => (&costs.news, newest),
        };
        let visit = &visits[usize::from(self.dice.roll()) % visits.len()];
        fleet.count(at, visit);
        sleep(visit.requests.last().copied().unwrap_or_default()).await;
        if commits != self.commits && commits == 1 + u8::from(story.push.is_some()) {
            fleet.tally.borrow_mut().arrived.push(self.began.elapsed());
        }
        self.commits = commits;
    }
}

impl Fleet {
    fn count(&self, at: Duration, visit: &Visit) {
        let mut tally = self.tally.borrow_mut();
        tally.up += visit.up;
        tally.down += visit.down;
        for request in &visit.requests {
            let second = usize::try_from((at + *request).as_secs()).unwrap_or(usize::MAX);
            if let Some(count) = tally.requests.get_mut(second) {
                *count += 1;
            }
        }
    }
}

/// Numbers that are the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u16 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 48) as u16
    }
}
