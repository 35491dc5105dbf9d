//! Several sources: the furthest verified head wins, whoever shows it, and one that is
//! away, out of date or lies is told by its name and holds nobody up.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, oneshot};
use writ::agent::control::SyncRequest;
use writ::agent::sources::SourceState;
use writ::agent::{Agent, Report, Shared};
use writ::events::{Events, Kind};
use writ::names::CommitId;
use writ::trust::{HEAD, HeadStatement, Reason};

use crate::forge::CHANNEL;
use crate::scene::{Scene, word};
use crate::world::{Machine, SimWorld};

/// Another place that has the branch, as of some time.
struct Mirror {
    dir: TempDir,
}

impl Mirror {
    fn of(scene: &Scene) -> Self {
        let mirror = Self { dir: tempfile::tempdir().unwrap() };
        git(&["init", "--quiet", "--bare", &mirror.path()]);
        mirror.update(scene);
        mirror
    }

    fn path(&self) -> String {
        self.dir.path().join("deploy.git").display().to_string()
    }

    /// Has what the forge shows now.
    fn update(&self, scene: &Scene) {
        let forge = scene.forge.git_dir().display().to_string();
        git(&["-C", &self.path(), "fetch", "--quiet", "--prune", &forge, "+refs/*:refs/*"]);
    }

    /// Has a commit that the forge shows nowhere.
    fn takes(&self, scene: &Scene, commit: &CommitId) {
        let forge = scene.forge.git_dir().display().to_string();
        git(&["-C", &self.path(), "fetch", "--quiet", &forge, commit.as_str()]);
    }

    /// Shows another commit, which it has.
    fn shows(&self, commit: &CommitId) {
        git(&["-C", &self.path(), "update-ref", "refs/heads/main", commit.as_str()]);
    }

    fn table(&self, name: &str) -> String {
        format!("[[source]]\nname = \"{name}\"\nurl = \"file://{}\"\n", self.path())
    }
}

fn git(args: &[&str]) {
    let done = Command::new("git").args(args).status().unwrap();
    assert!(done.success(), "git {args:?}");
}

/// A host with the forge and one mirror, which is up to date.
async fn two() -> (Scene, Mirror, Agent<SimWorld>) {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let mirror = Mirror::of(&scene);
    scene.more = mirror.table("mirror");
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    (scene, mirror, agent)
}

fn states(shared: &Shared) -> Vec<SourceState> {
    shared.snapshot().sources.iter().map(|source| source.state).collect()
}

/// What was told of a source: the kinds of events, the newest last.
fn told(scene: &Scene, source: &str) -> Vec<Kind> {
    let events = Events::at(scene.ledger().events()).read().unwrap();
    events.iter().filter(|e| e.source.as_deref() == Some(source)).map(|e| e.kind).collect()
}

/// Nothing is wrong with the host as a whole.
#[track_caller]
fn is_well(report: &Report) {
    assert_eq!((word(report), &report.faults[..], &report.refused), ("confirmed", &[][..], &None));
}

/// The same commit, its signature written in lines of another length.
fn resigned(scene: &Scene, width: usize) -> CommitId {
    let text = scene.forge.git(["cat-file", "commit", scene.head.as_str()], b"");
    let text = String::from_utf8(text).unwrap();
    let (begin, end) = ("-----BEGIN SSH SIGNATURE-----\n", "\n -----END SSH SIGNATURE-----");
    let from = text.find(begin).unwrap() + begin.len();
    let to = text.find(end).unwrap();
    let base64: Vec<char> = text[from..to].chars().filter(|c| !c.is_whitespace()).collect();
    let lines: Vec<String> =
        base64.chunks(width).map(|line| format!(" {}", line.iter().collect::<String>())).collect();
    let text = format!("{}{}{}", &text[..from], lines.join("\n"), &text[to..]);
    let hash = ["hash-object", "-t", "commit", "-w", "--stdin"];
    String::from_utf8(scene.forge.git(hash, text.as_bytes())).unwrap().trim().parse().unwrap()
}

/// Whoever serves a commit can write its signature in as many ways as they like.
#[tokio::test]
async fn another_spelling_of_the_accepted_commit_makes_no_generation() {
    let (scene, mirror, mut agent) = two().await;
    let (number, packs) = (scene.ledger().newest().unwrap().unwrap().number, packs(&scene));
    for width in [40, 50, 60] {
        let twin = resigned(&scene, width);
        mirror.update(&scene);
        mirror.takes(&scene, &twin);
        mirror.shows(&twin);
        is_well(&agent.round().await);
        assert_eq!(agent.shared().snapshot().sources[1].tip, Some(twin));
        assert_eq!(scene.ledger().anchor().unwrap().unwrap().commit, scene.head);
    }
    assert_eq!(scene.ledger().newest().unwrap().unwrap().number, number);
    assert_eq!(self::packs(&scene), packs, "none is kept");
}

fn packs(scene: &Scene) -> usize {
    fs::read_dir(scene.state().join("repo.git/objects/pack")).unwrap().count()
}

#[tokio::test]
async fn the_furthest_head_wins_wherever_it_is_shown() {
    let (mut scene, mirror, mut agent) = two().await;
    // The mirror is first with the next commit, the forge with the one after it.
    let old = scene.head.clone();
    let second = scene.push_service("web", "2");
    mirror.update(&scene);
    scene.point_main_at(&old);
    let report = agent.round().await;
    is_well(&report);
    assert_eq!(report.commit, Some(second));
    assert_eq!(states(&agent.shared()), [SourceState::Behind, SourceState::Current]);
    let third = scene.push_service("web", "3");
    let report = agent.round().await;
    is_well(&report);
    assert_eq!(report.commit, Some(third));
    assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Behind]);
    scene.assert_runs(&[("web", "3")]);
    mirror.update(&scene);
    is_well(&agent.round().await);
    assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Current]);
}

#[tokio::test]
async fn a_source_that_lags_behind_is_no_fault_and_costs_no_pack() {
    let (mut scene, _mirror, mut agent) = two().await;
    for version in ["2", "3", "4"] {
        scene.push_service("web", version);
        is_well(&agent.round().await);
    }
    let quiet = written(&scene);
    for _ in 0..3 {
        is_well(&agent.round().await);
    }
    assert_eq!(written(&scene), quiet, "a quiet round writes");
    assert_eq!(told(&scene, "mirror"), []);
    // So it is for an agent that has just started.
    let mut agent = scene.agent();
    is_well(&agent.round().await);
    assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Behind]);
}

/// Every file of the host's state, and when it was written.
fn written(scene: &Scene) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut left = vec![scene.state()];
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push((path.clone(), fs::symlink_metadata(&path).unwrap().modified().unwrap()));
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_fork_is_told_by_the_source_that_shows_it_and_the_others_are_followed() {
    let (mut scene, mirror, mut agent) = two().await;
    let base = scene.head.clone();
    let good = scene.push_service("web", "2");
    // Signed by the same person, on the same parent: another branch.
    let other = scene.forge.commit("alice").on(&base).file("x", "another").make();
    mirror.update(&scene);
    mirror.takes(&scene, &other);
    mirror.shows(&good);
    is_well(&agent.round().await);
    mirror.shows(&other);
    for _ in 0..2 {
        let report = agent.round().await;
        assert_eq!((word(&report), &report.refused), ("confirmed", &None), "{report:?}");
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("mirror") && faults[0].contains(other.short()), "{faults:?}");
        assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Refused]);
    }
    assert_eq!(told(&scene, "mirror"), [Kind::Refused]);
    let third = scene.push_service("web", "3");
    assert_eq!(agent.round().await.commit, Some(third), "the forge is followed");
    scene.assert_runs(&[("web", "3")]);
    mirror.update(&scene);
    is_well(&agent.round().await);
    assert_eq!(told(&scene, "mirror"), [Kind::Refused, Kind::Obeyed]);
}

#[tokio::test]
async fn a_source_that_goes_back_on_its_own_word_is_refused() {
    let (mut scene, mirror, mut agent) = two().await;
    let old = scene.head.clone();
    scene.push_service("web", "2");
    mirror.update(&scene);
    is_well(&agent.round().await);
    mirror.shows(&old);
    let report = agent.round().await;
    assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Refused], "{report:?}");
    let refusal = agent.shared().snapshot().sources[1].refusal.clone().unwrap();
    assert_eq!(refusal.reason, Reason::Rollback);
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn what_no_source_shows_rightly_is_refused_as_with_one() {
    let (mut scene, mirror, mut agent) = two().await;
    let stranger = scene.forge.commit("mallory").on(&scene.head).file("x", "y").make();
    scene.point_main_at(&stranger);
    mirror.update(&scene);
    let report = agent.round().await;
    assert_eq!(report.refused.map(|refusal| refusal.reason), Some(Reason::UnknownKey));
    let head = scene.head.clone();
    scene.point_main_at(&head);
    let report = agent.round().await;
    assert_eq!(report.refused, None, "one that is right is enough");
    scene.push_service("web", "2");
    mirror.update(&scene);
    is_well(&agent.round().await);
}

#[tokio::test]
async fn two_statements_for_one_sequence_are_found_between_sources() {
    let mut scene = Scene::new();
    let herald = scene.forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    let signers = scene.forge.signers(&["alice"]) + &herald;
    scene.push(&[(".writ/allowed_signers", Some(signers))]);
    let first = scene.push_service("web", "1");
    let mirror = Mirror::of(&scene);
    scene.more = mirror.table("mirror");
    let state = |commit: &CommitId| {
        let issued = jiff::Timestamp::now().as_second() - 60;
        let said = HeadStatement {
            commit: commit.clone(),
            sequence: 1,
            issued,
            expires: issued + 86_400,
            by: None,
        };
        scene.forge.state("refs/writ/head/main", HEAD, &said.text(CHANNEL), &["herald"]);
    };
    state(&first);
    mirror.update(&scene);
    let mut agent = scene.agent();
    is_well(&agent.round().await);
    // The forge says that the branch stood elsewhere at that time; the mirror lags.
    state(&scene.root);
    let report = agent.round().await;
    assert_eq!(states(&agent.shared()), [SourceState::Refused, SourceState::Current]);
    let refusal = agent.shared().snapshot().sources[0].refusal.clone().unwrap();
    assert_eq!(refusal.reason, Reason::Equivocation, "{report:?}");
}

#[tokio::test]
async fn a_dead_source_is_told_once_and_found_again() {
    let (mut scene, mirror, mut agent) = two().await;
    let gone = format!("{}.gone", mirror.path());
    fs::rename(mirror.path(), &gone).unwrap();
    for version in ["2", "3"] {
        scene.push_service("web", version);
        is_well(&agent.round().await);
    }
    assert_eq!(states(&agent.shared()), [SourceState::Current, SourceState::Lost]);
    assert_eq!(told(&scene, "mirror"), [Kind::SourceLost]);
    fs::rename(&gone, mirror.path()).unwrap();
    mirror.update(&scene);
    is_well(&agent.round().await);
    assert_eq!(told(&scene, "mirror"), [Kind::SourceLost, Kind::SourceFound]);
    // Where none can be seen, that is the host's own fault to tell.
    let forge = scene.forge.git_dir();
    fs::rename(&forge, forge.with_extension("gone")).unwrap();
    fs::rename(mirror.path(), &gone).unwrap();
    let report = agent.round().await;
    assert_eq!((word(&report), report.faults.len()), ("confirmed", 1), "{report:?}");
    fs::rename(forge.with_extension("gone"), &forge).unwrap();
}

/// A server that takes connections and says nothing.
struct Silent {
    port: u16,
}

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let taken: Vec<_> = listener.incoming().collect();
            drop(taken);
        });
        Self { port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/deploy.git", self.port)
    }
}

pub(crate) fn stopped(machine: &mut Machine) {
    machine.loaded.remove(&"writ-web.service".parse().unwrap());
}

/// An agent at work, as a service.
pub(crate) struct Running {
    pub shared: Arc<Shared>,
    asked: mpsc::Sender<SyncRequest>,
}

impl Running {
    /// Plays `work` beside the agent, which ends with it.
    pub(crate) async fn beside<F: Future<Output = ()>>(
        agent: Agent<SimWorld>,
        work: impl FnOnce(Self) -> F,
    ) {
        let (asked, requests) = mpsc::channel(8);
        let running = Self { shared: agent.shared(), asked };
        tokio::select! {
            ended = agent.run(requests, Arc::new(Notify::new())) => panic!("it ended: {ended:?}"),
            () = work(running) => {}
        }
    }

    pub(crate) async fn sync(&self) -> Report {
        let (answer, report) = oneshot::channel();
        self.asked.send(SyncRequest { answer, restart: None }).await.unwrap();
        report.await.unwrap()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            let waited = begun.elapsed();
            assert!(waited < Duration::from_secs(60), "{what}: {:?}", self.shared.snapshot());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_source_that_stalls_holds_up_neither_a_new_commit_nor_healing() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let silent = Silent::new();
    scene.more = format!(
        "[[source]]\nname = \"silent\"\nurl = \"{}\"\n[poll]\ndeadline = \"50s\"\ninterval = \"1s\"\n",
        silent.url()
    );
    let begun = Instant::now();
    let agent = scene.agent();
    let world = Arc::clone(&scene.world);
    let (second, text) = (scene.push_service("web", "2"), crate::scene::closure("web", "2"));
    Running::beside(agent, async |agent| {
        let report = agent.sync().await;
        assert_eq!((report.commit.as_ref(), word(&report)), (Some(&second), "confirmed"));
        world.touch(stopped);
        let runs = || world.state().running().values().any(|unit| unit.contains(text.as_str()));
        agent.until("it is healed", runs).await;
        assert!(begun.elapsed() < Duration::from_secs(45), "somebody waited for the silent one");
        let states = states(&agent.shared);
        assert_eq!(states, [SourceState::Current, SourceState::Unknown], "it is still being asked");
    })
    .await;
}

#[tokio::test]
async fn drift_is_healed_while_the_only_source_stalls() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let mut config = scene.config();
    config.repository.url = Some(Silent::new().url().parse().unwrap());
    config.poll.deadline = Duration::from_secs(20);
    let begun = Instant::now();
    let world = Arc::clone(&scene.world);
    world.touch(stopped);
    Running::beside(scene.agent_with(config), async |agent| {
        agent.until("it is healed", || !world.state().running().is_empty()).await;
        assert!(begun.elapsed() < Duration::from_secs(18), "it waited for the server");
        // Whoever asks for the branch is told that it cannot be seen, and not before.
        let report = agent.sync().await;
        assert_eq!(report.faults.len(), 1, "{report:?}");
        assert!(begun.elapsed() >= Duration::from_secs(20), "{report:?}");
    })
    .await;
}

#[tokio::test]
async fn a_month_of_commits_comes_in_one_go_from_a_mirror() {
    let (mut scene, mirror, mut agent) = two().await;
    for version in 2..40 {
        scene.push_service("web", &version.to_string());
    }
    mirror.update(&scene);
    let forge = scene.forge.git_dir();
    fs::rename(&forge, forge.with_extension("gone")).unwrap();
    is_well(&agent.round().await);
    scene.assert_runs(&[("web", "39")]);
    assert_eq!(states(&agent.shared()), [SourceState::Lost, SourceState::Current]);
}

/// The clock of a host was wrong when it booted: what is ahead of it waits, and is
/// there once the clock is right.
#[tokio::test]
async fn a_commit_from_the_future_waits_and_goes_on_by_itself() {
    let (mut scene, mirror, mut agent) = two().await;
    // Ten minutes are let pass (rule K1).
    let ahead = jiff::Timestamp::now().as_second() + 600 + 6;
    let text = scene.service("web", "2", "");
    let path = "manifests/services/web.toml";
    scene.head = scene.forge.commit("alice").on(&scene.head).file(path, text).at(ahead).make();
    scene.point_main_at(&scene.head);
    mirror.update(&scene);
    let report = agent.round().await;
    if jiff::Timestamp::now().as_second() < ahead - 600 {
        assert_eq!(report.refused.map(|refusal| refusal.reason), Some(Reason::Clock));
        scene.assert_runs(&[("web", "1")]);
    }
    let begun = Instant::now();
    while report_of(&mut agent).await.commit.as_ref() != Some(&scene.head) {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    is_well(&agent.round().await);
    scene.assert_runs(&[("web", "2")]);
}

async fn report_of(agent: &mut Agent<SimWorld>) -> Report {
    agent.round().await
}

#[tokio::test]
async fn a_lost_copy_comes_back_from_whoever_has_it() {
    let (mut scene, mirror, mut agent) = two().await;
    fs::remove_dir_all(scene.state().join("repo.git")).unwrap();
    let forge = scene.forge.git_dir();
    scene.push_service("web", "2");
    mirror.update(&scene);
    fs::rename(&forge, forge.with_extension("gone")).unwrap();
    is_well(&agent.round().await);
    scene.assert_runs(&[("web", "2")]);
}

/// A push to a repository of this machine is seen when it happens.
#[tokio::test]
async fn a_push_to_a_repository_on_this_machine_makes_a_round_at_once() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.more = "[poll]\ninterval = \"1h\"\n".to_owned();
    let agent = scene.agent();
    let ledger = scene.ledger();
    let accepted = || ledger.newest().unwrap().map(|generation| generation.record.commit);
    Running::beside(agent, async |agent| {
        agent.sync().await;
        let mut wanted = None;
        // Until the watch is there, nothing is seen of what happens; so it happens again.
        for version in 2..60 {
            wanted = Some(scene.push_service("web", &version.to_string()));
            let patience = tokio::time::sleep(Duration::from_secs(1));
            tokio::select! {
                () = patience => {}
                () = agent.until("it is seen", || accepted() == wanted) => break,
            }
        }
        agent.until("it is seen", || accepted() == wanted).await;
    })
    .await;
}
