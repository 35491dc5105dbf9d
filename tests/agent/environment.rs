//! Environments: their values are in no unit, and what changes in them restarts their service alone.

use writ::agent::status::gather;
use writ::config::{Config, OnDrift};
use writ::names::UnitName;
use writ::plan::environment::Environment;

use crate::scene::{HOST, Scene, word};

const PATH: &str = "manifests/services/web.toml";
const FILE: &str = "/run/agenix/web.env";

fn with(scene: &Scene, top: &str, env: &str) -> String {
    scene.service("web", "1", top) + env
}

fn unit(name: &str) -> UnitName {
    format!("writ-{name}.service").parse().unwrap()
}

fn pid(scene: &Scene, name: &str) -> u32 {
    scene.world.state().loaded[&unit(name)].pid
}

fn given(scene: &Scene) -> Option<String> {
    scene.world.state().loaded[&unit("web")].environment.clone()
}

fn content(scene: &Scene, text: &str) {
    scene.world.touch(|machine| {
        machine.env_files.insert(FILE.parse().unwrap(), text.to_owned());
    });
}

/// `api`, and `web` with what is asked for.
async fn running(top: &str, env: &str) -> Scene {
    let mut scene = Scene::new();
    scene.push_service("api", "1");
    content(&scene, "TOKEN=one");
    let text = with(&scene, top, env);
    scene.push(&[(PATH, Some(text))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene
}

async fn following_a_file() -> Scene {
    running(&format!("envFile = \"{FILE}\""), "").await
}

#[tokio::test]
async fn values_are_given_to_the_process_and_stand_in_no_unit_plan_or_event() {
    let mut scene = running("", "[env]\nTOKEN = \"hunter2\"\n").await;
    assert_eq!(given(&scene).as_deref(), Some("TOKEN=\"hunter2\"\n"));
    let (web, api) = (pid(&scene, "web"), pid(&scene, "api"));
    let text = with(&scene, "", "[env]\nTOKEN = \"hunter3\"\nAREA = \"live\"\n");
    scene.push(&[(PATH, Some(text))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(given(&scene).as_deref(), Some("AREA=\"live\"\nTOKEN=\"hunter3\"\n"));
    assert_ne!(pid(&scene, "web"), web);
    assert_eq!(pid(&scene, "api"), api, "nobody else is restarted");

    let machine = scene.world.state();
    assert!(machine.files.values().all(|text| !text.contains("hunter")), "{:?}", machine.files);
    for number in scene.ledger().numbers().unwrap() {
        let folder = scene.state().join(format!("generations/{number}"));
        let plan = std::fs::read_to_string(folder.join("plan.json")).unwrap_or_default();
        assert!(!plan.contains("hunter"), "{plan}");
    }
    let events = std::fs::read_to_string(scene.ledger().events()).unwrap();
    assert!(!events.contains("hunter"), "{events}");
}

#[tokio::test]
async fn an_environment_that_somebody_changed_is_put_back_and_told_by_its_names() {
    let scene = running("", "[env]\nAREA = \"live\"\nTOKEN = \"hunter2\"\n").await;
    let mut agent = scene.agent();
    let api = pid(&scene, "api");
    for edit in ["AREA=\"live\"\nTOKEN=\"theirs\"\n", ""] {
        scene.world.touch(|machine| {
            let text = (!edit.is_empty()).then(|| edit.to_owned());
            let found = Environment { text, started_with: None };
            machine.environments.insert("web".parse().unwrap(), found);
        });
        agent.round().await;
        assert_eq!(given(&scene).as_deref(), Some("AREA=\"live\"\nTOKEN=\"hunter2\"\n"));
        let healed = agent.shared().snapshot().healed.unwrap();
        let told = healed.drift[0].to_string();
        assert!(told.starts_with("web: environment, expected what the manifest says"), "{told}");
        assert!(!told.contains("hunter") && !told.contains("theirs"), "{told}");
        assert_eq!(told.contains("found TOKEN changed"), !edit.is_empty(), "{told}");
    }
    assert_eq!(pid(&scene, "api"), api);
}

#[tokio::test]
async fn a_file_of_the_host_that_has_changed_restarts_its_service_and_is_told_as_that() {
    let scene = following_a_file().await;
    let mut agent = scene.agent();
    agent.round().await;
    let (web, api, changes) = (pid(&scene, "web"), pid(&scene, "api"), scene.world.state().changes);
    agent.round().await;
    assert_eq!(scene.world.state().changes, changes, "a file that is the same changes nothing");

    content(&scene, "TOKEN=two");
    agent.round().await;
    assert_ne!(pid(&scene, "web"), web);
    assert_eq!(pid(&scene, "api"), api);
    let snapshot = agent.shared().snapshot();
    let healed: Vec<_> = snapshot.healed.unwrap().drift.iter().map(ToString::to_string).collect();
    assert_eq!(healed, [format!("web: its envFile {FILE} has changed")]);
    let changes = scene.world.state().changes;
    agent.round().await;
    scene.round().await;
    assert_eq!(scene.world.state().changes, changes, "and that is all");
    let (ledger, snapshot) = (scene.ledger(), agent.shared().snapshot());
    let status = gather(&HOST.parse().unwrap(), &ledger, &*scene.world, Some(snapshot)).await;
    let shown = serde_json::to_string(&status.unwrap()).unwrap();
    assert!(!shown.contains("TOKEN"), "{shown}");
}

#[tokio::test]
async fn it_is_restarted_also_where_changes_by_hand_are_left() {
    let scene = following_a_file().await;
    let mut agent = scene.agent_with(Config { drift: OnDrift::Report, ..scene.config() });
    agent.round().await;
    let (web, api) = (pid(&scene, "web"), pid(&scene, "api"));
    content(&scene, "TOKEN=two");
    scene.world.touch(|machine| {
        machine.files.get_mut(&unit("api")).unwrap().push_str("Nice=5\n");
        machine.files.get_mut(&unit("web")).unwrap().push_str("Nice=5\n");
    });
    agent.round().await;
    assert_ne!(pid(&scene, "web"), web);
    assert_eq!(pid(&scene, "api"), api);
    let machine = scene.world.state();
    assert!(machine.files.values().all(|text| text.contains("Nice=5")), "edits are left");
}

#[tokio::test]
async fn what_was_started_at_boot_is_followed_and_not_started_again() {
    let scene = following_a_file().await;
    let ledger = scene.ledger();
    let good = ledger.last_good().unwrap().unwrap();
    let (units, own) = (ledger.units(good).unwrap(), ledger.environments(good).unwrap());
    scene.world.touch(|machine| machine.reboot(units, own));
    let web = pid(&scene, "web");
    let mut agent = scene.agent();
    agent.round().await;
    assert_eq!(pid(&scene, "web"), web);
    content(&scene, "TOKEN=two");
    agent.round().await;
    assert_ne!(pid(&scene, "web"), web);
}

#[tokio::test]
async fn a_file_that_is_gone_stops_nothing_and_one_that_comes_back_the_same_neither() {
    let scene = following_a_file().await;
    let mut agent = scene.agent();
    let web = pid(&scene, "web");
    scene.world.touch(|machine| {
        machine.files_missing.insert(FILE.parse().unwrap());
    });
    let report = agent.round().await;
    assert!(report.waiting[0].contains(FILE), "{report:?}");
    scene.world.touch(|machine| machine.files_missing.clear());
    agent.round().await;
    assert_eq!(pid(&scene, "web"), web);
}

#[tokio::test]
async fn nothing_is_left_of_a_service_that_goes() {
    let mut scene = running(&format!("envFile = \"{FILE}\""), "[env]\nA = \"1\"\n").await;
    assert!(!scene.world.state().environments.is_empty());
    scene.push(&[(PATH, None)]);
    assert_eq!(word(&scene.round().await), "confirmed");
    assert!(scene.world.state().environments.is_empty());
    // By hand, without a unit.
    scene.world.touch(|machine| {
        let found = Environment { text: Some("A=1".to_owned()), started_with: None };
        machine.environments.insert("ghost".parse().unwrap(), found);
    });
    scene.round().await;
    assert!(scene.world.state().environments.is_empty());
}
