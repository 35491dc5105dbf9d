//! Trouble at every change in turn: the world fails, or the agent is killed.

use std::time::Duration;

use writ::next::Next;

use crate::scene::{Scene, closure, word};
use crate::world::How;

/// The world fails at each change in turn: nothing is rolled back for that, and as
/// soon as it works the generation is there.
#[tokio::test]
async fn a_world_that_fails_at_any_change_is_waited_for() {
    let base = two_generations().await;
    let mut later = base.twin();
    let third = later.push_service("web", "3");
    for n in 0.. {
        let scene = base.twin();
        scene.point_main_at(&scene.head);
        scene.world.trouble_at(n, How::Fails);
        let report = scene.round().await;
        if scene.world.trouble_is_ahead() {
            assert!(n >= 8, "only {n} changes were tried");
            break;
        }
        assert!(matches!(report.next, Next::Again(_)), "after {n} changes: {report:?}");
        assert_eq!(word(&scene.round().await), "confirmed", "stuck after {n} changes");
        scene.assert_runs(&[("new", "1"), ("web", "2")]);
        scene.world.touch(|machine| {
            machine.cached.insert(closure("web", "3"));
        });
        scene.point_main_at(&third);
        assert_eq!(word(&scene.round().await), "confirmed");
    }
}

/// The agent is killed before and after each change in turn: the next start ends in
/// the new generation, with every unit, profile and route agreeing.
#[tokio::test]
async fn an_agent_killed_at_any_change_goes_on_where_it_was() {
    let base = two_generations().await;
    each_killed_ends(&base, "confirmed", &[("new", "1"), ("web", "2")]).await;
}

/// The same for a generation that does not work: wherever the agent is killed, the
/// next start ends on the last good one.
#[tokio::test]
async fn an_agent_killed_while_rolling_back_ends_on_the_last_good_generation() {
    let base = two_generations().await;
    base.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    each_killed_ends(&base, "rolled-back", &[("old", "1"), ("web", "1")]).await;
}

async fn each_killed_ends(base: &Scene, verdict: &str, runs: &[(&str, &str)]) {
    for how in [How::FreezesBefore, How::FreezesAfter] {
        for n in 0.. {
            let scene = base.twin();
            if !killed_at(&scene, n, how).await {
                assert!(n > 6, "only {n} changes");
                break;
            }
            let report = scene.round().await;
            assert_eq!(word(&report), verdict, "{how:?} after {n} changes: {report:?}");
            scene.assert_runs(runs);
        }
    }
}

/// Starts an agent and kills it at the n-th change that it makes to the machine; whether
/// it made that many.
pub(crate) async fn killed_at(scene: &Scene, n: usize, how: How) -> bool {
    scene.world.trouble_at(n, how);
    let mut agent = scene.agent();
    let killed = tokio::select! {
        _ = agent.round() => false,
        () = frozen(scene) => true,
    };
    scene.world.heal();
    killed
}

/// A host on `old` 1 and `web` 1, and a branch with `web` 2, `new` 1 and no `old`.
async fn two_generations() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("old", "1");
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let (new, web) = (scene.service("new", "1", ""), scene.service("web", "2", ""));
    scene.push(&[
        ("manifests/services/old.toml", None),
        ("manifests/services/new.toml", Some(new)),
        ("manifests/services/web.toml", Some(web)),
    ]);
    scene
}

/// Returns once the machine has frozen, so that the agent can be dropped in the
/// middle of its call.
pub(crate) async fn frozen(scene: &Scene) {
    while scene.world.trouble_is_ahead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
