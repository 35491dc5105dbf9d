//! Every way that crashes can take through a scene, each to its end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use writ::agent::{Agent, Report};
use writ::events::{Events, Kind};
use writ::next::Next;
use writ::verdict::Verdict;

use crate::scene::{Scene, word};
use crate::world::SimWorld;
use crate::wreck::{Eye, Met, Wreck, files, key};

/// Rounds after the last crash, at most.
const ROUNDS: usize = 3;

/// Where a host has to be at last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The newest generation's verdict.
    pub(crate) word: &'static str,
    /// The services that run, each with its version.
    pub(crate) runs: &'static [(&'static str, &'static str)],
}

/// The hosts that were met so far.
pub(crate) struct Tour<'a> {
    base: &'a Scene,
    met: Met,
    quiet: BTreeSet<String>,
    /// What an agent that nobody killed has come to, where all have to come to that, and
    /// from which texts its units run.
    undisturbed: Option<(String, String)>,
    changes: usize,
    restarts: usize,
}

impl<'a> Tour<'a> {
    pub(crate) fn of(base: &'a Scene) -> Self {
        let quiet = BTreeSet::new();
        let undisturbed = None;
        Self { base, met: Met::default(), quiet, undisturbed, changes: 0, restarts: 0 }
    }

    /// The whole walk: whoever was killed, and whoever had a power cut, comes to where an
    /// agent comes that nobody disturbed, by the same generations.
    pub(crate) async fn through(what: &str, base: &'a Scene, word: &'static str) -> Vec<Wreck> {
        let mut tour = Self::of(base);
        let wrecks = tour.watch().await;
        let there = base.twin();
        settled(&mut there.agent(), &there).await;
        tour.undisturbed = Some((shape(&there), texts(&there)));
        let end = End { word, runs: &[] };
        tour.each_comes_to(&wrecks, end).await;
        tour.each_boots_to(&wrecks, end).await;
        tour.tell(what);
        wrecks
    }

    /// Lets an agent go its way undisturbed, and returns what a crash would have left at
    /// each moment of it.
    pub(crate) async fn watch(&mut self) -> Vec<Wreck> {
        let mut wrecks = vec![Wreck::of(self.base)];
        let (scene, met) = (self.base.twin(), Arc::clone(&self.met));
        wrecks.extend(self.watched(&scene, &met).await.1);
        wrecks
    }

    /// Starts an agent after each crash. Whichever it was, the host has to come to the
    /// same end.
    pub(crate) async fn each_comes_to(&mut self, wrecks: &[Wreck], end: End) {
        for wreck in wrecks {
            let scene = wreck.found_by(self.base);
            let report = settled(&mut scene.agent(), &scene).await;
            self.has_come_to(&scene, end, &report).await;
            if let Some((_, undisturbed)) = &self.undisturbed {
                assert_eq!(&texts(&scene), undisturbed);
            }
        }
    }

    /// The same, and crashes that agent at each change that it makes, starts another, and
    /// so on, until no host is met that was not met before.
    pub(crate) async fn all_come_to(&mut self, mut wrecks: Vec<Wreck>, end: End) {
        let met = Arc::clone(&self.met);
        while let Some(wreck) = wrecks.pop() {
            let scene = wreck.found_by(self.base);
            let (report, more) = self.watched(&scene, &met).await;
            self.has_come_to(&scene, end, &report).await;
            wrecks.extend(more);
        }
    }

    /// The same as [`Tour::each_comes_to`] after a power cut at each of these moments, with
    /// each kind of garbage in what was not flushed.
    pub(crate) async fn each_boots_to(&mut self, wrecks: &[Wreck], end: End) {
        let garbage = [&b""[..], b"{\"version\": 1, \"comm", &[0; 300]];
        for wreck in wrecks {
            let kinds = if wreck.is_half_written() { &garbage[..] } else { &garbage[..1] };
            for garbage in kinds {
                let scene = wreck.booted_by(self.base, garbage);
                let report = settled(&mut scene.agent(), &scene).await;
                self.has_come_to(&scene, end, &report).await;
            }
        }
    }

    async fn has_come_to(&mut self, scene: &Scene, end: End, report: &Report) {
        self.restarts += 1;
        assert_eq!(word(report), end.word, "{report:?}");
        match &self.undisturbed {
            Some((undisturbed, _)) => assert_eq!(&shape(scene), undisturbed),
            None => scene.assert_runs(end.runs),
        }
        agrees(scene, end);
        if self.quiet.insert(key(&scene.state(), &scene.world.state())) {
            stays(scene).await;
        }
    }

    async fn watched(&mut self, scene: &Scene, met: &Met) -> (Report, Vec<Wreck>) {
        let eye = Eye::on(scene, met);
        let mut agent = scene.agent_on(scene.config(), eye.ledger(scene));
        let report = settled(&mut agent, scene).await;
        let seen = eye.close();
        self.changes += seen.changes;
        (report, seen.wrecks)
    }

    /// With `cargo test -- --nocapture`.
    #[expect(clippy::print_stdout, reason = "how much was tried is worth a line")]
    pub(crate) fn tell(&self, what: &str) {
        println!(
            "{what}: {} changes watched, {} restarts after a kill or a power cut",
            self.changes, self.restarts
        );
    }
}

/// Rounds until the host has nothing more to do.
async fn settled(agent: &mut Agent<SimWorld>, scene: &Scene) -> Report {
    let mut report = agent.round().await;
    for _ in 1..ROUNDS {
        let again = matches!(report.next, Next::Again(_));
        if !again && scene.ledger().runs_last_good().unwrap() {
            break;
        }
        report = agent.round().await;
    }
    report
}

/// Ledger, units, routes, profiles and roots tell of one and the same generation.
fn agrees(scene: &Scene, end: End) {
    let (machine, ledger) = (scene.world.state(), scene.ledger());
    // One that waits keeps what it has fetched.
    let kept = if end.word == "waiting" { usize::MAX } else { 0 };
    assert!(machine.fetched.len() <= kept, "roots of downloads are left: {:?}", machine.fetched);
    let good = ledger.last_good().unwrap();
    assert_eq!(ledger.current().unwrap(), good, "the links differ");
    let kept = good.map(|good| ledger.units(good).unwrap()).unwrap_or_default();
    assert_eq!(kept, machine.files, "the units for the next boot");
    let kept = good.map(|good| ledger.environments(good).unwrap()).unwrap_or_default();
    let own = machine.environments.into_iter().filter_map(|(name, own)| Some((name, own.text?)));
    assert_eq!(kept, own.collect(), "the environments for the next boot");
    let told = Events::at(ledger.events()).read().unwrap();
    let verdicts = [Kind::Confirmed, Kind::RolledBack, Kind::Waiting, Kind::Refused];
    let last = told.iter().rev().find(|e| e.generation.is_some() && verdicts.contains(&e.kind));
    assert_eq!(last.map(|event| event.kind.word()), Some(end.word), "{told:?}");
    for path in files(&scene.state()) {
        let name = path.strip_prefix(scene.state()).unwrap().to_str().unwrap().to_owned();
        assert!(!is_half_made(&name), "{name} was left behind");
    }
}

/// Units, profiles, routes and roots of the machine, and every generation's verdict.
fn shape(scene: &Scene) -> String {
    let (machine, ledger) = (scene.world.state(), scene.ledger());
    let mut shape = format!("{:#?}\n{:#}\n", machine.current(), machine.config);
    for (unit, text) in &machine.files {
        let loaded = machine.loaded.get(unit).map(|loaded| loaded.state);
        shape += &format!("{unit} {loaded:?}\n{text}");
    }
    let units = machine.loaded.keys().filter(|unit| !machine.files.contains_key(*unit));
    shape += &format!("{:?} {:?}\n", units.collect::<Vec<_>>(), machine.fetched);
    for number in ledger.numbers().unwrap() {
        let generation = ledger.generation(number).unwrap();
        let verdict = generation.verdict.as_ref().map(Verdict::word);
        shape += &format!("{number} {} {verdict:?}\n", generation.record.commit);
    }
    shape
}

/// What each unit runs from. A boot starts all of them from their files.
fn texts(scene: &Scene) -> String {
    scene.world.state().running().iter().map(|(unit, text)| format!("{unit}\n{text}")).collect()
}

fn is_half_made(name: &str) -> bool {
    let signs = [".new", ".tmp", ".gone", "incoming.", "repo.fresh", "repo.old"];
    signs.iter().any(|sign| name.contains(sign))
}

/// One more start of the agent changes nothing and writes nothing.
async fn stays(scene: &Scene) {
    let before = (written(scene), scene.world.state());
    let report = scene.round().await;
    let (files, machine) = (written(scene), scene.world.state());
    assert_eq!((files, machine.key()), (before.0, before.1.key()), "{report:?}");
    // While it waits, an agent asks for the closures once, here or not.
    let asked = usize::from(word(&report) == "waiting" && !machine.fetched.is_empty());
    assert_eq!(machine.changes, before.1.changes + asked, "{report:?}");
}

/// Every file with what changes when it is written.
fn written(scene: &Scene) -> Vec<(PathBuf, u64, i64, i64)> {
    let stamp = |path: PathBuf| {
        let told = fs::symlink_metadata(&path).unwrap();
        (path, told.ino(), told.mtime(), told.mtime_nsec())
    };
    files(&scene.state()).into_iter().filter(|path| !path.is_dir()).map(stamp).collect()
}
