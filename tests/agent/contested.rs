//! A site of somebody else's for a domain of a service: the others have their routes, and it is told.

use serde_json::{Value, json};
use writ::agent::status::{Status, gather};
use writ::condition::Condition;
use writ::config::{Config, OnDrift};
use writ::plan::drift::What;
use writ::plan::routes::owned;

use crate::scene::{HOST, Scene, word};
use crate::world::SimWorld;

type Agent = writ::agent::Agent<SimWorld>;

async fn base(change: impl FnOnce(Config) -> Config) -> (Scene, Agent) {
    let mut scene = Scene::new();
    scene.push_service("api", "1");
    scene.push_service("web", "1");
    let mut agent = scene.agent_with(change(scene.config()));
    assert_eq!(word(&agent.round().await), "confirmed");
    (scene, agent)
}

/// Caddy is started again with a Caddyfile that has a site for `web`.
fn restart_with_a_site_for_web(scene: &Scene) {
    let site = json!({ "match": [{ "host": ["web.example.org"] }], "handle": [] });
    let theirs = json!({ "theirs": { "listen": [":80"], "routes": [site] } });
    scene.world.touch(|machine| {
        machine.config = json!({ "apps": { "http": { "servers": theirs } } });
        machine.config_version += 1;
    });
}

fn routes(scene: &Scene) -> Vec<String> {
    owned(&scene.world.state().config).into_keys().collect()
}

async fn status(scene: &Scene, agent: &Agent) -> Status {
    let snapshot = Some(agent.shared().snapshot());
    gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, snapshot).await.unwrap()
}

async fn assert_told(scene: &Scene, agent: &Agent) {
    let found = status(scene, agent).await;
    assert_eq!(found.judgement.condition, Condition::NotReady, "{found}");
    let [drift] = &found.drift[..] else { panic!("{found}") };
    assert_eq!((drift.what, drift.expected.as_str()), (What::RouteContested, "web.example.org/"));
    assert!(drift.found.contains("apps/http/servers/theirs/routes/"), "{drift}");
    assert!(found.waiting.is_empty(), "it is told once: {found}");
}

#[tokio::test]
async fn the_others_come_back_and_a_commit_for_them_goes_on() {
    let (mut scene, mut agent) = base(|config| config).await;
    restart_with_a_site_for_web(&scene);
    let report = agent.round().await;
    assert_eq!(report.judgement.condition, Condition::NotReady, "{report:?}");
    assert_eq!(routes(&scene), ["writ-api-1"]);
    assert_told(&scene, &agent).await;

    scene.push_service("api", "2");
    scene.push_service("web", "2");
    let report = agent.round().await;
    assert_eq!((word(&report), report.judgement.condition), ("confirmed", Condition::NotReady));
    assert!(scene.runs("api").unwrap().contains("api-2"));
    assert!(scene.runs("web").unwrap().contains("web-2"));
    assert_told(&scene, &agent).await;
    agent.round().await;
    assert_told(&scene, &agent).await;

    scene.world.touch(|machine| machine.config = Value::Null);
    assert_eq!(agent.round().await.judgement.condition, Condition::Fine);
    scene.assert_runs(&[("api", "2"), ("web", "2")]);
    assert_eq!(agent.round().await.judgement.condition, Condition::Fine);
}

#[tokio::test]
async fn also_where_drift_is_only_told() {
    let (scene, mut agent) = base(|config| Config { drift: OnDrift::Report, ..config }).await;
    restart_with_a_site_for_web(&scene);
    agent.round().await;
    assert_eq!(routes(&scene), ["writ-api-1"]);
    assert_told(&scene, &agent).await;
}

/// What a commit itself brings is waited for, as ever.
#[tokio::test]
async fn a_commit_that_brings_a_contested_route_waits() {
    let (mut scene, mut agent) = base(|config| config).await;
    restart_with_a_site_for_web(&scene);
    agent.round().await;
    let moved =
        scene.service("web", "2", "").replace("https = \"off\"", "https = \"off\"\npath = \"/x\"");
    scene.push(&[("manifests/services/web.toml", Some(moved))]);
    let report = agent.round().await;
    assert_eq!(word(&report), "waiting", "{report:?}");
    assert!(scene.runs("web").unwrap().contains("web-1"));
}

/// Each change of Caddy's configuration replaces all handlers.
#[tokio::test]
async fn a_new_version_behind_the_same_route_changes_nothing_in_caddy() {
    let (mut scene, mut agent) = base(|config| config).await;
    let before = scene.world.state().config_version;
    scene.push_service("web", "2");
    assert_eq!(word(&agent.round().await), "confirmed");
    assert!(scene.runs("web").unwrap().contains("web-2"));
    assert_eq!(scene.world.state().config_version, before);
}
