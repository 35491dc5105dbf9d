//! What a host keeps of its past, and what it lets go, on a simulated machine.

use writ::names::StorePath;
use writ::next::Next;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

/// The versions of `web` that a profile holds, as numbers.
fn versions(scene: &Scene) -> Vec<u32> {
    let machine = scene.world.state();
    let (paths, _) = &machine.profiles[&"web".parse().unwrap()];
    let label = |path: &StorePath| path.label().trim_start_matches("web-").parse().unwrap();
    paths.iter().map(label).collect()
}

/// A host that keeps `generations`, and ran these versions of `web` one after the other.
async fn after(limits: &str, all: std::ops::RangeInclusive<u32>) -> Scene {
    let mut scene = Scene::new();
    scene.more = format!("[retention]\n{limits}\n");
    for version in all {
        scene.push_service("web", &version.to_string());
        assert_eq!(word(&scene.round().await), "confirmed");
    }
    scene
}

#[tokio::test]
async fn the_last_versions_and_generations_are_kept_without_being_asked() {
    let scene = after("versions = 2\ngenerations = 3", 1..=6).await;
    assert_eq!(versions(&scene), [5, 6]);
    assert_eq!(scene.ledger().numbers().unwrap(), [4, 5, 6]);
    assert!(scene.world.state().fetched.is_empty(), "no root of a download is left");
    scene.assert_runs(&[("web", "6")]);
}

#[tokio::test]
async fn what_the_host_booted_with_is_kept_until_the_next_boot() {
    let mut scene = after("versions = 1\ngenerations = 1", 1..=1).await;
    scene.ledger().set_booted(Some(1)).unwrap();
    for version in ["2", "3"] {
        scene.push_service("web", version);
        scene.round().await;
    }
    assert_eq!(versions(&scene), [1, 3]);
    assert_eq!(scene.ledger().numbers().unwrap(), [1, 3]);
    scene.ledger().set_booted(Some(3)).unwrap();
    scene.round().await;
    assert_eq!(versions(&scene), [3]);
    assert_eq!(scene.ledger().numbers().unwrap(), [3]);
}

#[tokio::test]
async fn a_rollback_never_needs_what_was_let_go() {
    let mut scene = after("versions = 1\ngenerations = 1", 1..=1).await;
    for version in ["2", "3", "4"] {
        scene.world.touch(|machine| {
            machine.crashing.insert(closure("web", version));
        });
        scene.push_service("web", version);
        let downloads = scene.world.state().downloads;
        let report = scene.round().await;
        assert!(matches!(report.verdict, Some(Verdict::RolledBack { .. })), "{report:?}");
        assert_eq!(scene.world.state().downloads, downloads + 1, "only the new one");
        scene.assert_runs(&[("web", "1")]);
    }
    assert_eq!(scene.ledger().numbers().unwrap(), [1, 4], "the last good one and the newest");
    assert_eq!(versions(&scene), [1, 4]);
}

#[tokio::test]
async fn an_unfinished_generation_keeps_what_it_fetched_until_its_verdict() {
    let mut scene = after("versions = 1\ngenerations = 1", 1..=1).await;
    scene.push_service("web", "2");
    // Everything is fetched, and then the machine has trouble.
    scene.world.trouble_at(1, crate::world::How::Fails);
    scene.round().await;
    let fetched = || scene.world.state().fetched.contains(&closure("web", "2"));
    assert!(fetched());
    let turn = scene.ledger().turn().unwrap().unwrap();
    let limits = scene.config().retention.limits();
    writ::retire::retire(&turn, &scene.ledger(), &*scene.world, limits).await.unwrap();
    drop(turn);
    assert!(fetched(), "it has no verdict yet");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert!(!fetched());
}

#[tokio::test]
async fn what_cannot_be_retired_fails_no_generation_and_is_tried_again() {
    let mut scene = after("versions = 1\ngenerations = 1", 1..=1).await;
    scene.world.touch(|machine| machine.releasable = Some(0));
    scene.push_service("web", "2");
    let mut agent = scene.agent();
    for _ in 0..2 {
        let report = agent.round().await;
        assert_eq!((word(&report), &report.next), ("confirmed", &Next::Settled));
    }
    assert_eq!(versions(&scene), [1, 2]);
    scene.world.touch(|machine| machine.releasable = None);
    agent.round().await;
    assert_eq!(versions(&scene), [2]);
    assert_eq!(scene.ledger().numbers().unwrap(), [2]);
}

#[tokio::test]
async fn a_service_that_left_is_kept_while_the_booted_generation_needs_it() {
    let mut scene = after("versions = 5\ngenerations = 50", 1..=1).await;
    scene.push_service("api", "1");
    scene.round().await;
    scene.ledger().set_booted(Some(2)).unwrap();
    scene.push(&[("manifests/services/api.toml", None)]);
    scene.round().await;
    scene.assert_runs(&[("web", "1")]);
    let left = || scene.world.state().left;
    assert_eq!(left()[&"api".parse().unwrap()], [closure("api", "1")]);
    scene.ledger().set_booted(Some(1)).unwrap();
    scene.round().await;
    assert!(left().is_empty());
}

#[tokio::test]
async fn a_round_and_whoever_else_retires_take_turns() {
    let mut scene = after("versions = 5", 1..=1).await;
    scene.push_service("web", "2");
    let turn = scene.ledger().turn().unwrap().unwrap();
    let mut agent = scene.agent();
    let mut round = std::pin::pin!(agent.round());
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut round).await;
    assert!(early.is_err(), "nothing is begun meanwhile");
    scene.assert_runs(&[("web", "1")]);
    drop(turn);
    assert_eq!(word(&round.await), "confirmed");
}

#[tokio::test]
async fn a_host_that_is_paused_keeps_everything() {
    let mut scene = after("versions = 5\ngenerations = 50", 1..=3).await;
    scene.more = "[retention]\nversions = 1\ngenerations = 1\n".to_owned();
    let pause = writ::ledger::pause::Pause {
        since: String::new(),
        by: "root".parse().unwrap(),
        reason: None,
    };
    scene.ledger().pause(&pause).unwrap();
    scene.round().await;
    assert_eq!((versions(&scene), scene.ledger().numbers().unwrap().len()), (vec![1, 2, 3], 3));
    scene.ledger().resume().unwrap();
    scene.round().await;
    assert_eq!((versions(&scene), scene.ledger().numbers().unwrap().len()), (vec![3], 1));
}

/// Cut short after each removal there is: what is needed is there, and the rest goes later.
#[tokio::test]
async fn wherever_it_is_cut_short_nothing_needed_is_lost() {
    let scene = after("versions = 9", 1..=5).await;
    scene.ledger().set_booted(Some(2)).unwrap();
    for released in 0..=3 {
        let mut scene = scene.twin();
        scene.point_main_at(&scene.head);
        scene.more = "[retention]\nversions = 1\ngenerations = 1\n".to_owned();
        scene.world.touch(|machine| machine.releasable = Some(released));
        scene.round().await;
        let left = versions(&scene);
        assert_eq!(left.len(), 5 - released);
        assert!(left.contains(&2) && left.contains(&5), "{released}: {left:?}");
        scene.world.touch(|machine| machine.releasable = None);
        let downloads = scene.world.state().downloads;
        scene.round().await;
        assert_eq!(versions(&scene), [2, 5]);
        assert_eq!(scene.ledger().numbers().unwrap(), [2, 5]);
        scene.push_service("web", "2");
        assert_eq!(word(&scene.round().await), "confirmed");
        assert_eq!(scene.world.state().downloads, downloads, "what was booted needs no download");
    }
}
