//! What goes well by itself and may go wrong together: windows, commits that must pass, retention, drift, rollbacks.

use writ::config::OnDrift;
use writ::names::UnitName;
use writ::next::Next;
use writ::plan::observed::UnitState;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};
use crate::windows::opens_in;

/// A host on `web` 1 that keeps as little of its past as it may.
async fn forgetful() -> Scene {
    let mut scene = Scene::new();
    scene.more = "[retention]\nversions = 1\ngenerations = 1\n".to_owned();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene
}

fn words(scene: &Scene) -> Vec<(u64, &'static str)> {
    let ledger = scene.ledger();
    let word = |n| ledger.generation(n).unwrap().verdict.as_ref().map_or("none", Verdict::word);
    ledger.numbers().unwrap().into_iter().map(|n| (n, word(n))).collect()
}

#[tokio::test]
async fn a_commit_that_must_pass_is_not_forgotten_while_it_waits_for_its_window() {
    let mut scene = forgetful().await;
    let mut agent = scene.agent();
    scene.push_told("2", &opens_in(3), "a migration\n\nWrit-Must-Pass: yes\n");
    assert_eq!(word(&agent.round().await), "waiting");
    for version in ["3", "4"] {
        scene.push_told(version, &opens_in(3), "a change");
        assert_eq!(word(&agent.round().await), "waiting");
    }
    let fetched = scene.world.state().fetched;
    assert!(fetched.contains(&closure("web", "2")), "nor is what it fetched");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    scene.push_told("5", &opens_in(3), "a fix\n\nWrit-Urgent: yes\n");
    assert_eq!(word(&agent.round().await), "refused", "{:?}", words(&scene));
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn an_urgent_commit_is_not_forgotten_while_it_waits() {
    let mut scene = forgetful().await;
    scene.push_told("2", &opens_in(3), "a fix\n\nWrit-Urgent: yes\n");
    scene.world.touch(|machine| machine.cached.clear());
    assert_eq!(word(&scene.round().await), "waiting");
    scene.push_told("3", &opens_in(3), "a change");
    scene.world.touch(|machine| machine.cached.clear());
    assert_eq!(word(&scene.round().await), "waiting");
    let turn = scene.ledger().turn().unwrap().unwrap();
    let limits = scene.config().retention.limits();
    writ::retire::retire(&turn, &scene.ledger(), &*scene.world, limits).await.unwrap();
    drop(turn);
    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "3"));
    });
    assert_eq!(word(&scene.round().await), "confirmed", "{:?}", words(&scene));
}

/// `db` answers nobody any more, for a reason that lies outside of this host.
async fn with_a_sick_service() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("db", "1");
    scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| {
        machine.sick.insert(closure("db", "1"));
        machine.crashing.insert(closure("web", "2"));
    });
    scene
}

#[tokio::test]
async fn a_service_that_was_sick_before_does_not_block_what_comes_after_a_rollback() {
    let mut scene = with_a_sick_service().await;
    scene.push_service("web", "2");
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "failed", "the way back ends with a look at all");
    assert_eq!(word(&agent.round().await), "failed");
    scene.push_service("web", "3");
    let report = agent.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    scene.assert_runs(&[("db", "1"), ("web", "3")]);
}

#[tokio::test]
async fn a_rollback_that_waits_for_a_sick_service_is_over_once_that_is_well() {
    for must_pass in ["", "\n\nWrit-Must-Pass: yes\n"] {
        let mut scene = with_a_sick_service().await;
        scene.push_told("2", "", &format!("a change{must_pass}"));
        if !must_pass.is_empty() {
            scene.push_told("3", "", "behind it");
        }
        assert!(["failed", "waiting"].contains(&word(&scene.round().await)));
        for _ in 0..2 {
            scene.round().await;
            assert_eq!(words(&scene)[1].1, "failed", "{:?}", words(&scene));
        }
        scene.world.touch(|machine| machine.sick.clear());
        scene.round().await;
        assert_eq!(words(&scene)[1].1, "rolled-back", "{:?}", words(&scene));
    }
}

#[tokio::test]
async fn a_generation_that_was_never_begun_takes_nothing_back() {
    let mut scene = with_a_sick_service().await;
    let mut config = scene.config();
    config.drift = OnDrift::Report;
    let mut agent = scene.agent_with(config);
    agent.round().await;
    let unit: UnitName = "writ-web.service".parse().unwrap();
    scene.world.touch(|machine| {
        machine.loaded.get_mut(&unit).unwrap().state = UnitState::Inactive;
    });
    let digest = format!("closureDigest = \"sha256:{}\"\n", "a".repeat(64));
    let text = scene.service("web", "3", "").replace("[exec]", &format!("{digest}[exec]"));
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let changes = scene.world.state().changes;
    let report = agent.round().await;
    assert_eq!((word(&report), &report.next), ("rolled-back", &Next::WaitForCommit), "{report:?}");
    assert_eq!(scene.world.state().changes, changes);
    agent.round().await;
    assert_eq!(scene.world.state().changes, changes, "drift is told, and left");
}

#[tokio::test]
async fn what_waits_for_its_window_is_fetched_although_the_last_good_one_was_given_up() {
    let mut scene = Scene::new();
    let first = scene.push_service("web", "1");
    scene.round().await;
    // Another history over the same introduction.
    scene.head = scene.root.clone();
    scene.push_told("2", &opens_in(3), "another way");
    assert_ne!(scene.head, first);
    assert!(scene.trust_reset(&scene.head.clone()).status.success());
    let mut agent = scene.agent();
    let report = agent.round().await;
    assert_eq!(word(&report), "waiting", "{report:?}");
    assert!(matches!(report.next, Next::Later(_)), "{report:?}");
    assert!(scene.world.state().fetched.contains(&closure("web", "2")));
    assert!(!report.faults.is_empty(), "it is told that nothing can be kept whole");
    scene.assert_runs(&[("web", "1")]);
}

/// As an agent left it that knew neither retention nor commits that must pass.
fn forget_what_is_new(scene: &Scene) {
    for number in scene.ledger().numbers().unwrap() {
        let path = scene.state().join(format!("generations/{number}/closures.json"));
        let _ = std::fs::remove_file(path);
    }
    for name in ["lock", "agent.lock", "booted", "stages.json"] {
        let _ = std::fs::remove_file(scene.state().join(name));
    }
}

#[tokio::test]
async fn the_state_of_an_older_agent_loses_nothing_and_is_tidy_after_a_generation() {
    let mut scene = Scene::new();
    for version in ["1", "2", "3"] {
        scene.push_service("web", version);
        scene.round().await;
    }
    scene.more = "[retention]\nversions = 1\ngenerations = 1\n".to_owned();
    forget_what_is_new(&scene);
    let versions = |scene: &Scene| scene.world.state().profiles[&"web".parse().unwrap()].0.len();
    let report = scene.round().await;
    assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
    assert_eq!(versions(&scene), 3, "nobody can tell which of them are needed");

    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "4"));
    });
    scene.push_service("web", "4");
    assert_eq!(word(&scene.round().await), "rolled-back");
    scene.assert_runs(&[("web", "3")]);
    scene.push_service("web", "5");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "5")]);
    assert_eq!((versions(&scene), words(&scene)), (1, vec![(5, "confirmed")]));
}

#[tokio::test]
async fn what_an_older_agent_was_waiting_for_goes_on() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_service("web", "2");
    scene.world.touch(|machine| machine.cached.clear());
    assert_eq!(word(&scene.round().await), "waiting");
    forget_what_is_new(&scene);
    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "2"));
    });
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

/// A host that has nothing to do for days does nothing: no event, no file, no call that
/// changes something.
#[tokio::test]
async fn rounds_that_wait_or_look_write_nothing() {
    let mut held = forgetful().await;
    held.push_told("2", &opens_in(3), "a change");
    let mut must_pass = forgetful().await;
    must_pass.push_told("2", &opens_in(3), "a migration\n\nWrit-Must-Pass: yes\n");
    must_pass.push_told("3", &opens_in(3), "behind it");
    let reporting = forgetful().await;
    let unit: UnitName = "writ-web.service".parse().unwrap();
    for (name, scene) in [("held", held), ("must pass", must_pass), ("reporting", reporting)] {
        let mut config = scene.config();
        config.drift = OnDrift::Report;
        let mut agent = scene.agent_with(config);
        scene.world.touch(|machine| {
            machine.loaded.get_mut(&unit).unwrap().state = UnitState::Inactive;
        });
        for _ in 0..2 {
            agent.round().await;
        }
        let (before, changes) = (files(&scene.state()), scene.world.state().changes);
        for _ in 0..3 {
            agent.round().await;
        }
        assert_eq!(files(&scene.state()), before, "{name}");
        assert_eq!(scene.world.state().changes, changes, "{name}");
    }
}

/// Every file below a folder with the time it was changed.
fn files(folder: &std::path::Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
        if kind.is_dir() && path.file_name().unwrap() != "repo.git" {
            files.extend(self::files(&path));
        }
        let changed = std::fs::symlink_metadata(&path).unwrap().modified().unwrap();
        files.push((path, changed));
    }
    files.sort();
    files
}
