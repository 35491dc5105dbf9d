//! A service that had failed before a generation came, and the others beside it.

use writ::plan::observed::UnitState;
use writ::verdict::Verdict;

use crate::scene::{HOST, Scene, closure, word};
use crate::trouble::frozen;
use crate::world::How;

/// A host on `shop` 1 and `web` 1 whose `shop` has failed since, and fails whenever it
/// is started.
async fn ailing() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("shop", "1");
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    fail(&scene, "shop");
    scene
}

fn fail(scene: &Scene, name: &str) {
    scene.world.touch(|machine| {
        machine.crashing.insert(closure(name, "1"));
        let unit = format!("writ-{name}.service").parse().unwrap();
        machine.loaded.get_mut(&unit).unwrap().state = UnitState::Failed;
    });
}

fn cure(scene: &Scene) {
    scene.world.touch(|machine| {
        machine.crashing.remove(&closure("shop", "1"));
    });
}

#[tokio::test]
async fn a_generation_is_not_to_blame_for_what_had_failed_before() {
    let mut scene = ailing().await;
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert!(scene.runs("web").unwrap().contains("web-2"));
    let record = scene.ledger().recorded_plan(2).unwrap().unwrap();
    assert!(record.lines.contains(&"spares  shop, which was not up before".to_owned()));

    let report = scene.round().await;
    let told = report.faults.first().expect("it is told all the same").to_string();
    assert!(told.contains("see service shop healthy"), "{told}");
    cure(&scene);
    assert_eq!(scene.round().await.faults, []);
    scene.assert_runs(&[("shop", "1"), ("web", "2")]);
}

#[tokio::test]
async fn what_had_failed_before_does_not_bar_the_way_back() {
    let mut scene = ailing().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    scene.push_service("web", "2");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { fault, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(fault.doing.contains("web"), "{fault}");
    assert!(scene.runs("web").unwrap().contains("web-1"));
    cure(&scene);
    scene.round().await;
    scene.assert_runs(&[("shop", "1"), ("web", "1")]);
}

/// Also where the agent is killed at any change on the way.
#[tokio::test]
async fn what_had_failed_before_is_remembered_by_the_next_agent() {
    let mut base = ailing().await;
    base.push_service("web", "2");
    for n in 0.. {
        let scene = base.twin();
        scene.world.trouble_at(n, How::FreezesAfter);
        let mut agent = scene.agent();
        let killed = tokio::select! {
            _ = agent.round() => false,
            () = frozen(&scene) => true,
        };
        drop(agent);
        if !killed {
            break;
        }
        assert_eq!(word(&scene.round().await), "confirmed", "after {n} changes");
        assert!(scene.runs("web").unwrap().contains("web-2"));
    }
}

/// A command that cannot be run stops a plan where it stands.
#[tokio::test]
async fn what_cannot_be_started_keeps_no_route_from_being_put_back() {
    let mut scene = Scene::new();
    let path = closure("shop", "1");
    let command = format!(
        "hosts = [\"{HOST}\"]\n[artifact]\nstorePath = \"{path}\"\n[exec]\ncommand = \"run\"\ntype = \"oneshot\"\n"
    );
    scene.world.touch(|machine| {
        machine.cached.insert(path);
    });
    scene.push(&[("manifests/services/shop.toml", Some(command))]);
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    fail(&scene, "shop");
    let routes = scene.world.state().config;
    scene.world.touch(|machine| machine.config = serde_json::Value::Null);
    let report = scene.round().await;
    assert!(report.faults[0].doing.contains("start writ-shop.service"), "{report:?}");
    assert_eq!(scene.world.state().config, routes);
}

/// What fails after a generation was begun is judged as ever.
#[tokio::test]
async fn what_fails_only_now_is_the_generations_fault() {
    let mut scene = ailing().await;
    cure(&scene);
    scene.round().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("shop", "2"));
    });
    scene.push_service("shop", "2");
    assert_eq!(word(&scene.round().await), "rolled-back");
    scene.assert_runs(&[("shop", "1"), ("web", "1")]);
}

/// A service that the generation does not touch, and that falls over because of it.
#[tokio::test]
async fn a_generation_that_fells_another_service_is_taken_back() {
    let mut scene = Scene::new();
    scene.push_service("shop", "1");
    scene.push_service("web", "1");
    scene.round().await;
    let shop = "writ-shop.service".parse().unwrap();
    scene.world.touch(|machine| {
        machine.felling.insert(closure("web", "2"), shop);
    });
    scene.push_service("web", "2");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { fault, step, .. }) = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(
        fault.to_string(),
        "could not see service shop still up: it failed while this generation was applied"
    );
    assert!(step.contains("shop"), "{step}");
    assert!(!fault.evidence.is_empty());
    scene.assert_runs(&[("shop", "1"), ("web", "1")]);
    assert_eq!(scene.round().await.faults, []);
}
