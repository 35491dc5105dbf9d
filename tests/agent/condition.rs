//! How a host is doing: no exit code of 0, no report of a good host, where it is not.

use std::time::Duration;

use writ::agent::host_state::host_state;
use writ::agent::status::{Status, gather};
use writ::condition::{Condition, Subject};
use writ::names::UnitName;
use writ::plan::observed::{UnitState, Vitals};

use crate::scene::{HOST, Scene, closure, word};
use crate::world::SimWorld;

type Agent = writ::agent::Agent<SimWorld>;

async fn base() -> (Scene, Agent) {
    let mut scene = Scene::new();
    scene.push_service("api", "1");
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    let report = agent.round().await;
    assert_eq!((word(&report), report.judgement.condition), ("confirmed", Condition::Fine));
    (scene, agent)
}

async fn status(scene: &Scene, agent: Option<&Agent>) -> Status {
    let snapshot = agent.map(|agent| agent.shared().snapshot());
    gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, snapshot).await.unwrap()
}

fn web() -> UnitName {
    "writ-web.service".parse().unwrap()
}

/// The judgement as status, sync and `agent --once` give it.
async fn told(scene: &Scene, agent: &Agent) -> String {
    status(scene, Some(agent)).await.judgement.to_string()
}

#[tokio::test]
async fn a_dead_caddy_is_not_fine() {
    let (scene, mut agent) = base().await;
    scene.world.touch(|machine| {
        machine.caddy_down = true;
        machine.config = serde_json::Value::Null;
    });
    let before = "not ready: the routes are unknown: connection refused";
    assert_eq!(told(&scene, &agent).await, before, "before the next round");
    let report = agent.round().await;
    assert_eq!(report.judgement.condition, Condition::NotReady, "{report:?}");
    scene.world.touch(|machine| machine.caddy_down = false);
    let missing = "not ready: Caddy does not route api.example.org/, web.example.org/ (and 1 more)";
    assert_eq!(told(&scene, &agent).await, missing);
    assert_eq!(agent.round().await.judgement.condition, Condition::Fine);
    assert_eq!(told(&scene, &agent).await, "fine");
}

#[tokio::test]
async fn a_head_that_was_rolled_back_is_a_failure() {
    let (mut scene, mut agent) = base().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    scene.push_service("web", "2");
    let report = agent.round().await;
    assert_eq!((word(&report), report.judgement.condition), ("rolled-back", Condition::Failed));
    let found = status(&scene, Some(&agent)).await;
    assert_eq!(found.judgement.condition, Condition::Failed);
    assert_eq!(found.judgement.reasons[0].about, Subject::Verdict);
}

#[tokio::test]
async fn without_an_agent_nothing_is_fine() {
    let (scene, _) = base().await;
    let judgement = status(&scene, None).await.judgement;
    assert_eq!(judgement.to_string(), "not ready: no agent is running: nothing follows the branch");
}

#[tokio::test]
async fn a_service_that_failed_is_a_failure_and_was_changed_by_nobody() {
    let (scene, mut agent) = base().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "1"));
        machine.loaded.get_mut(&web()).unwrap().state = UnitState::Failed;
    });
    let before = "failed: service web: failed (exit-code, status 1)";
    assert_eq!(told(&scene, &agent).await, before);
    let report = agent.round().await;
    assert_eq!(report.judgement.condition, Condition::Failed, "{report:?}");
    let state = host_state(&scene.ledger(), &agent.shared().snapshot(), false).unwrap();
    assert_eq!((state.condition, state.drift), (Some(Condition::Failed), 0));
    assert_eq!(state.services[&"web".parse().unwrap()], "failed (exit-code, status 1)");
}

#[tokio::test]
async fn a_crash_loop_is_told_as_that() {
    let (scene, mut agent) = base().await;
    scene.world.touch(|machine| {
        let vitals = Vitals { restarts: 10, uptime: Some(Duration::from_secs(2)) };
        machine.vitals.insert(web(), vitals);
    });
    let report = agent.round().await;
    assert_eq!(report.judgement.condition, Condition::Failed);
    let found = status(&scene, Some(&agent)).await;
    let web = &found.services[&"web".parse().unwrap()];
    assert_eq!((web.state.as_str(), web.restarts, web.uptime_seconds), ("crash-loop", 10, Some(2)));
    assert!(found.drift.is_empty() && found.healed.is_none());
    let text = found.to_string();
    assert!(text.contains("up 2s  10 restarts"), "{text}");
    let state = host_state(&scene.ledger(), &agent.shared().snapshot(), false).unwrap();
    assert_eq!(state.services[&"web".parse().unwrap()], "crash loop");
}

/// Where systemd does not start a service again, each round does.
#[tokio::test]
async fn a_service_that_rounds_keep_starting_crashes_in_a_loop() {
    let (scene, mut agent) = base().await;
    for _ in 0..3 {
        assert_eq!(agent.round().await.judgement.condition, Condition::Fine);
        scene.world.touch(|machine| {
            machine.loaded.get_mut(&web()).unwrap().state = UnitState::Failed;
            let young = Vitals { restarts: 0, uptime: Some(Duration::from_secs(2)) };
            machine.vitals.insert(web(), young);
        });
    }
    agent.round().await;
    let found = status(&scene, Some(&agent)).await;
    assert_eq!(found.services[&"web".parse().unwrap()].restarts, 3);
    assert_eq!(found.judgement.condition, Condition::Failed, "{found}");
}
