//! The sources of this host, asked side by side: who is being asked, what each showed
//! last, and how long one that is away is left alone.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;
use crate::names::CommitId;
use crate::next::jittered;
use crate::source::fetched::Statements;
use crate::source::pack_import::Delivered;
use crate::source::roads::{Order, Road};
use crate::trust::Refusal;

use super::dice;
use super::follow::settled;

/// How long a round waits for an answer before it goes on with what is accepted: drift
/// is healed while a server stalls. The answer makes a round of its own.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much longer others are waited for once one source has brought a new commit.
const GRACE: Duration = Duration::from_millis(500);
/// The longest that a source is left alone after failures.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// For how long a tip that was too large to look at is not looked at again: it may have
/// been this host that was slow.
const COSTLY: Duration = Duration::from_secs(3600);

/// Whom a round asks, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) ask: Ask,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Everybody, also those who are being asked already: something has changed.
    Anew,
    /// Those whose turn it is.
    Due,
    /// Nobody: an answer has arrived.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// As long as each source's own deadline.
    ForAll,
    Patiently,
}

impl Look {
    /// There is no later round.
    pub(super) const ONCE: Self = Self { ask: Ask::Anew, wait: Wait::ForAll };
    /// Somebody asks, or something moved.
    pub(super) const NOW: Self = Self { ask: Ask::Anew, wait: Wait::Patiently };
    /// The interval is over.
    pub(super) const TURN: Self = Self { ask: Ask::Due, wait: Wait::Patiently };
    /// An answer came between rounds.
    pub(super) const HEARD: Self = Self { ask: Ask::Nobody, wait: Wait::Patiently };

    /// The same without asking anybody again.
    pub(super) fn on(self) -> Self {
        Self { ask: Ask::Nobody, ..self }
    }
}

/// What a source's branch means to this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not been seen, or not judged.
    #[default]
    Unknown,
    /// It shows the accepted commit.
    Current,
    /// It shows one that was accepted before.
    Behind,
    Refused(Refusal),
}

/// One source and what is known of it while the agent runs.
pub(super) struct Lane {
    pub(super) name: String,
    road: Road,
    /// Since when it is being asked.
    asked: Option<Instant>,
    /// It is to be asked again at once: what it is about to say may be out of date.
    pub(super) again: bool,
    failures: u32,
    rests: Option<Instant>,
    /// When it last answered, RFC 3339.
    pub(super) seen: Option<String>,
    pub(super) tip: Option<CommitId>,
    pub(super) standing: Standing,
    /// Statements beside the branch that were looked at.
    pub(super) statements: Vec<CommitId>,
    pub(super) fault: Option<Fault>,
    /// What it shows costs too much to look at.
    too_large: Option<TooLarge>,
}

/// What is not looked at again for a while.
struct TooLarge {
    tip: CommitId,
    statements: Statements,
    fault: Fault,
    since: Instant,
}

/// A question to a source.
pub(super) struct Question {
    pub(super) lane: usize,
    /// With no base, the whole history is asked for, for a new copy of the repository.
    pub(super) order: Order,
}

/// Its answer.
pub(super) struct Heard {
    pub(super) lane: usize,
    pub(super) whole: bool,
    pub(super) outcome: Result<Delivered, Fault>,
}

/// All of them.
pub(super) struct Roads {
    pub(super) lanes: Vec<Lane>,
    under_way: JoinSet<Heard>,
    early: Vec<Heard>,
    /// When waiting ends because one source has brought something new.
    hurry: Option<Instant>,
    /// Whether a source was heard since somebody asked for a round.
    answered: bool,
    renewals: usize,
    /// Whether it goes on, so that a stick may be plugged in later.
    pub(super) resident: bool,
}

impl Roads {
    pub(super) fn new(roads: Vec<Road>) -> Self {
        let lanes = roads.into_iter().map(Lane::new).collect();
        let (under_way, early) = (JoinSet::new(), Vec::new());
        Self { lanes, under_way, early, hurry: None, answered: false, renewals: 0, resident: false }
    }

    /// Whether there are several, so that one can be out of date without harm.
    pub(super) fn several(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Begins a round: the sources to ask now.
    pub(super) fn due(&mut self, ask: Ask) -> Vec<usize> {
        self.hurry = None;
        self.answered &= ask == Ask::Nobody;
        let now = Instant::now();
        let seen = self.lanes.iter().any(|lane| lane.fault.is_none() && lane.seen.is_some());
        let mut due = Vec::new();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            // Where none can be seen, each is as good as the others.
            let rests = seen && lane.rests.is_some_and(|until| until > now);
            match (ask, lane.asked) {
                (Ask::Anew, Some(_)) => lane.again = true,
                (Ask::Anew, None) => due.push(number),
                (Ask::Due, None) if !rests => due.push(number),
                (Ask::Due, _) | (Ask::Nobody, _) => {}
            }
        }
        due
    }

    /// A source that may have the whole history: another one each time, those that
    /// answer first.
    pub(super) fn for_the_whole(&mut self) -> Option<usize> {
        let count = self.lanes.len();
        let turn = self.renewals;
        let idle =
            (0..count).map(|n| (n + turn) % count).filter(|n| self.lanes[*n].asked.is_none());
        let chosen = idle.min_by_key(|n| self.lanes[*n].fault.is_some());
        self.renewals += usize::from(chosen.is_some());
        chosen
    }

    pub(super) fn ask(&mut self, question: Question) {
        let Question { lane: number, order } = question;
        let lane = &mut self.lanes[number];
        lane.asked = Some(Instant::now());
        let road = lane.road.clone();
        self.under_way.spawn(async move {
            let outcome = road.deliver(&order).await;
            Heard { lane: number, whole: order.base.is_none(), outcome }
        });
    }

    /// The next answer that is worth waiting for.
    pub(super) async fn next(&mut self, look: Look) -> Option<Heard> {
        let heard = match self.early.pop() {
            Some(heard) => heard,
            None => match self.under_way.try_join_next() {
                Some(joined) => joined.ok()?,
                None => self.wait(look).await?,
            },
        };
        self.lanes[heard.lane].asked = None;
        Some(heard)
    }

    async fn wait(&mut self, look: Look) -> Option<Heard> {
        let patient = match look.wait {
            Wait::ForAll => None,
            // One that has kept an earlier round waiting keeps no other.
            Wait::Patiently => {
                Some(self.lanes.iter().filter_map(|lane| lane.asked).max()? + PATIENCE)
            }
        };
        let until = patient.into_iter().chain(self.hurry).min();
        let joined = match until {
            Some(until) => timeout_at(until, self.under_way.join_next()).await.ok()?,
            None => self.under_way.join_next().await,
        };
        match joined {
            Some(joined) => joined.ok(),
            None => {
                // One that ended without an answer can be asked again.
                self.lanes.iter_mut().for_each(|lane| lane.asked = None);
                None
            }
        }
    }

    /// Waits for an answer between rounds; for ever where nobody was asked.
    pub(super) async fn arrived(&mut self) {
        match self.under_way.join_next().await {
            Some(Ok(heard)) => self.early.push(heard),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// One source has brought a new commit: it is not held up for long.
    pub(super) fn hurry(&mut self) {
        self.hurry.get_or_insert_with(|| Instant::now() + GRACE);
    }

    /// Takes note of an answer that was looked at; whether the source is to be asked
    /// again at once.
    pub(super) fn note(
        &mut self,
        number: usize,
        outcome: &Result<(), Fault>,
        now: String,
        interval: Duration,
    ) -> bool {
        let lane = &mut self.lanes[number];
        match outcome {
            Ok(()) => {
                lane.seen = Some(now);
                (lane.failures, lane.rests, lane.fault) = (0, None, None);
            }
            // It costs nothing to look for it, and it is there when it is plugged in.
            Err(fault) if lane.is_unplugged() => {
                (lane.failures, lane.rests, lane.fault) = (0, None, Some(fault.clone()));
            }
            Err(fault) => {
                lane.failures += 1;
                let rest = interval.saturating_mul(1 << lane.failures.min(10));
                lane.rests = Some(Instant::now() + jittered(rest.min(LONGEST_REST), dice()));
                lane.fault = Some(fault.clone());
            }
        }
        let again = std::mem::take(&mut lane.again);
        self.answered |= outcome.is_ok() && !again;
        again
    }

    /// Whether whoever asked for a round can be answered: a source was seen, or all
    /// that there is to hear was heard.
    pub(super) fn answered(&self) -> bool {
        self.answered || self.lanes.iter().all(|lane| lane.asked.is_none())
    }

    /// Whether each of these statements was looked at, wherever it came from.
    pub(super) fn has_read(&self, statements: &Statements) -> bool {
        statements.ids().all(|id| self.lanes.iter().any(|lane| lane.statements.contains(id)))
    }

    /// A commit was accepted: those who showed the one before are behind until they
    /// answer again.
    pub(super) fn fall_behind(&mut self, accepted: &CommitId) {
        let current = |lane: &&mut Lane| lane.standing == Standing::Current;
        for lane in self.lanes.iter_mut().filter(current) {
            if lane.tip.as_ref() != Some(accepted) {
                lane.standing = Standing::Behind;
            }
        }
    }

    /// Everything that they showed is to be judged again.
    pub(super) fn forget(&mut self) {
        for lane in &mut self.lanes {
            (lane.standing, lane.tip) = (Standing::Unknown, None);
            lane.statements.clear();
        }
    }

    /// Folders whose change is a reason to look at once.
    pub(super) fn watched(&self) -> impl Iterator<Item = PathBuf> {
        self.lanes.iter().flat_map(|lane| lane.road.source.watched())
    }
}

impl Lane {
    fn new(road: Road) -> Self {
        Self {
            name: road.name.clone(),
            road,
            asked: None,
            again: false,
            failures: 0,
            rests: None,
            seen: None,
            tip: None,
            standing: Standing::Unknown,
            statements: Vec::new(),
            fault: None,
            too_large: None,
        }
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match &self.standing {
            Standing::Refused(refusal) => Some(refusal),
            Standing::Unknown | Standing::Current | Standing::Behind => None,
        }
    }

    /// Takes note of what it shows.
    pub(super) fn shows(&mut self, tip: &CommitId, statements: &Statements, standing: Standing) {
        self.tip = Some(tip.clone());
        self.statements = statements.ids().cloned().collect();
        self.standing = standing;
    }

    /// What needs not be sent again: a tip that was judged for good, and statements.
    pub(super) fn known(&self) -> impl Iterator<Item = &CommitId> {
        let judged = match &self.standing {
            Standing::Refused(refusal) => settled(refusal.reason),
            Standing::Behind => true,
            Standing::Current | Standing::Unknown => false,
        };
        let costly = self.too_large.iter().filter(|it| it.since.elapsed() < COSTLY);
        let costly = costly.flat_map(|it| std::iter::once(&it.tip).chain(it.statements.ids()));
        self.tip.iter().filter(move |_| judged).chain(&self.statements).chain(costly)
    }

    /// Takes note that looking at what it shows was given up.
    pub(super) fn is_too_large(&mut self, tip: CommitId, statements: Statements, fault: Fault) {
        self.too_large = Some(TooLarge { tip, statements, fault, since: Instant::now() });
    }

    /// Why nobody looks at this tip, where it was too large at the last look.
    pub(super) fn too_large(&self, tip: &CommitId) -> Option<&Fault> {
        self.too_large.as_ref().filter(|it| it.tip == *tip).map(|it| &it.fault)
    }

    /// Where it stood when it was behind: a commit that was accepted before, so that its
    /// history is here.
    pub(super) fn passed(&self) -> Option<&CommitId> {
        self.tip.as_ref().filter(|_| self.standing == Standing::Behind)
    }

    /// Whether it is a stick that is not plugged in.
    pub(super) fn is_unplugged(&self) -> bool {
        self.road.source.is_unplugged()
    }

    /// Whether it can be seen and shows the accepted commit.
    pub(super) fn is_good(&self) -> bool {
        self.fault.is_none() && self.standing == Standing::Current
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::source::access::Access;
    use crate::source::git::GitSource;
    use crate::source::pack_import::PackImport;
    use crate::source::roads::Source;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn roads(names: &[&str]) -> Roads {
        let import = PackImport { program: "/bin/false".into(), deadline: INTERVAL };
        let road = |name: &&str| Road {
            name: (*name).to_owned(),
            import: import.clone(),
            source: Source::Git(GitSource {
                url: format!("file:///{name}").parse().unwrap(),
                access: Access::Open,
                branch: "main".parse().unwrap(),
                deadline: INTERVAL,
                program: "/bin/false".into(),
            }),
        };
        Roads::new(names.iter().map(road).collect())
    }

    fn answers(roads: &mut Roads, lane: usize, outcome: Result<(), Fault>) {
        roads.note(lane, &outcome, "2026-01-01T00:00:00Z".to_owned(), INTERVAL);
    }

    fn away() -> Result<(), Fault> {
        Err(Fault::wait("fetch", "away"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_away_is_asked_less_and_less_often_beside_another() {
        let mut roads = roads(&["here", "away"]);
        let mut asked = Vec::new();
        for round in 0..120 {
            let due = roads.due(Ask::Due);
            assert!(due.contains(&0), "the other one is asked in each round");
            answers(&mut roads, 0, Ok(()));
            if due.contains(&1) {
                asked.push(round);
                answers(&mut roads, 1, away());
            }
            advance(INTERVAL).await;
        }
        assert!((6..=16).contains(&asked.len()), "in an hour: {asked:?}");
        assert!(asked.windows(2).all(|two| two[1] - two[0] <= 26), "10 minutes at most: {asked:?}");
        assert_eq!(roads.due(Ask::Anew), [0, 1], "whoever asks is not put off");
        answers(&mut roads, 1, Ok(()));
        assert_eq!(roads.due(Ask::Due), [0, 1], "once found, in each round");
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_is_seen_each_is_asked_in_each_round() {
        let mut roads = roads(&["a", "b"]);
        for _ in 0..20 {
            assert_eq!(roads.due(Ask::Due), [0, 1]);
            answers(&mut roads, 0, away());
            answers(&mut roads, 1, away());
            advance(INTERVAL).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_history_is_asked_in_turn_of_those_that_answer() {
        let mut roads = roads(&["a", "b", "c"]);
        answers(&mut roads, 1, away());
        let turns: Vec<_> = (0..4).filter_map(|_| roads.for_the_whole()).collect();
        assert_eq!(turns, [0, 2, 2, 0]);
    }

    #[test]
    fn whoever_was_not_heard_keeps_nobody_waiting_for_an_answer() {
        let mut roads = roads(&["a", "b"]);
        roads.due(Ask::Anew);
        assert!(roads.answered(), "nobody is being asked");
        roads.lanes[1].asked = Some(Instant::now());
        assert!(!roads.answered());
        answers(&mut roads, 0, Ok(()));
        assert!(roads.answered(), "one was seen, the other may take its time");
        roads.due(Ask::Anew);
        assert!(!roads.answered() && roads.lanes[1].again);
        answers(&mut roads, 1, Ok(()));
        assert!(!roads.answered(), "that was asked before");
    }
}
