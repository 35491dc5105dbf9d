//! A generation that a newer commit overtakes before it has a verdict.

use std::time::Duration;

use writ::next::Next;
use writ::verdict::Verdict;

use crate::scene::{HOST, Scene, closure, word};
use crate::trouble::frozen;
use crate::world::How;

/// A host on `web` 1, killed while it watched `web` 2, which never answers its check.
async fn killed_while_watching() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.world.touch(|machine| {
        machine.sick.insert(closure("web", "2"));
    });
    scene.push_service("web", "2");
    let mut agent = scene.agent();
    let watching = async {
        while !scene.runs("web").is_some_and(|text| text.contains(closure("web", "2").as_str())) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        report = agent.round() => panic!("it was to be killed: {report:?}"),
        () = watching => {}
    }
    scene
}

#[tokio::test]
async fn a_half_applied_generation_is_not_taken_for_good_by_a_newer_commit() {
    let mut scene = killed_while_watching().await;
    let other = scene.service("far", "1", "").replace(HOST, "elsewhere");
    scene.push(&[
        ("manifests/hosts/elsewhere.toml", Some(String::new())),
        ("manifests/services/far.toml", Some(other)),
    ]);
    let report = scene.round().await;
    assert_eq!(word(&report), "rolled-back", "{report:?}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_newer_commit_whose_closure_is_away_does_not_hide_a_half_applied_generation() {
    let mut scene = killed_while_watching().await;
    scene.push_service("api", "1");
    scene.world.touch(|machine| {
        machine.cached.remove(&closure("api", "1"));
    });
    assert_eq!(word(&scene.round().await), "waiting");
    scene.world.touch(|machine| {
        machine.cached.insert(closure("api", "1"));
    });
    let report = scene.round().await;
    assert_eq!(word(&report), "rolled-back", "{report:?}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn an_invalid_newer_commit_takes_a_half_applied_generation_back() {
    let mut scene = killed_while_watching().await;
    scene.push(&[("manifests/services/web.toml", Some("hosts = [\"biz\"\n".to_owned()))]);
    let report = scene.round().await;
    assert_eq!(word(&report), "refused", "{report:?}");
    scene.round().await;
    scene.assert_runs(&[("web", "1")]);
    let ledger = scene.ledger();
    assert_eq!(ledger.current().unwrap(), ledger.last_good().unwrap());
}

#[tokio::test]
async fn a_waiting_generation_gives_way_to_a_newer_commit() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_service("web", "2");
    scene.world.touch(|machine| {
        machine.cached.remove(&closure("web", "2"));
    });
    let report = scene.round().await;
    assert!(matches!(report.verdict, Some(Verdict::Waiting { .. })), "{report:?}");
    let ledger = scene.ledger();
    assert_eq!(ledger.current().unwrap(), Some(1), "nothing of it was begun");
    scene.push_service("web", "1");
    let changes = scene.world.state().changes;
    let report = scene.round().await;
    assert_eq!((word(&report), report.next), ("confirmed", Next::Settled));
    assert_eq!(scene.world.state().changes, changes, "back to what runs is nothing to do");
}

/// The reload is lost with the agent, wherever it is killed, unless it is made up for.
#[tokio::test]
async fn a_reload_is_not_lost_with_the_agent() {
    let mut base = Scene::new();
    let text = |signal: &str| {
        let reload = format!("command = \"run\"\nreload = \"{signal}\"");
        base.service("web", "1", "").replace("command = \"run\"", &reload)
    };
    let (first, second) = (text("SIGHUP"), text("SIGUSR1"));
    base.push(&[("manifests/services/web.toml", Some(first))]);
    assert_eq!(word(&base.round().await), "confirmed");
    base.push(&[("manifests/services/web.toml", Some(second))]);
    for how in [How::FreezesBefore, How::FreezesAfter, How::Fails] {
        for n in 0.. {
            let scene = base.twin();
            scene.world.trouble_at(n, how);
            let mut agent = scene.agent();
            let hit = tokio::select! {
                _ = agent.round() => !scene.world.trouble_is_ahead(),
                () = frozen(&scene), if how != How::Fails => true,
            };
            drop(agent);
            if !hit {
                assert!(n >= 2, "a write and a reload were to be tried");
                break;
            }
            assert_eq!(word(&scene.round().await), "confirmed");
            let runs = scene.runs("web").unwrap();
            assert!(runs.contains("USR1"), "{how:?} after {n} changes:\n{runs}");
        }
    }
}
