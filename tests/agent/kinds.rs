//! A service that becomes another kind of service, or goes by another name.

use writ::names::UnitName;
use writ::plan::observed::UnitState;

use crate::scene::{Scene, closure, word};

const PATH: &str = "manifests/services/web.toml";

fn job(scene: &Scene) -> String {
    let daemon = scene.service("web", "1", "");
    let (head, _) = daemon.split_once("[http]").unwrap();
    format!("{head}[schedule]\ncron = \"0 4 * * *\"\n")
}

fn fixed(scene: &Scene) -> String {
    let daemon = scene.service("web", "1", "");
    let (head, _) = daemon.split_once("[exec]").unwrap();
    format!(
        "{head}[static]\nroot = \"share\"\n[http]\ndomain = \"web.example.org\"\nhttps = \"off\"\n"
    )
}

fn state(scene: &Scene, unit: &str) -> Option<UnitState> {
    let unit: UnitName = unit.parse().unwrap();
    scene.world.state().loaded.get(&unit).map(|unit| unit.state)
}

#[tokio::test]
async fn a_daemon_that_becomes_a_job_is_stopped() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let job = job(&scene);
    scene.push(&[(PATH, Some(job))]);
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    assert_eq!(state(&scene, "writ-web.timer"), Some(UnitState::Active));
    assert_eq!(state(&scene, "writ-web.service"), None, "the daemon does not run on");
    let changes = scene.world.state().changes;
    scene.round().await;
    assert_eq!(scene.world.state().changes, changes, "and that is all there is to do");
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_daemon_that_becomes_static_and_comes_back_leaves_no_unit() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let fixed = fixed(&scene);
    scene.push(&[(PATH, Some(fixed))]);
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    let machine = scene.world.state();
    assert!(machine.loaded.is_empty() && machine.files.is_empty());
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_service_goes_by_another_name_on_the_same_port_and_back() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let web = scene.service("web", "1", "");
    scene.push(&[(PATH, None), ("manifests/services/site.toml", Some(web.clone()))]);
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    assert!(scene.runs("web").is_none());
    assert!(scene.runs("site").unwrap().contains(closure("web", "1").as_str()));
    scene.push(&[(PATH, Some(web)), ("manifests/services/site.toml", None)]);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_unit_whose_file_vanished_gets_it_back() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| machine.files.clear());
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_failing_first_wave_keeps_the_second_from_starting() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.push_service("base", "1");
    scene.round().await;
    let web = scene.service("web", "2", "dependsOn = [\"base\"]");
    let base = scene.service("base", "2", "");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("base", "2"));
    });
    let invocation =
        |scene: &Scene| scene.world.state().loaded[&"writ-web.service".parse().unwrap()].clone();
    let before = invocation(&scene);
    scene.push(&[(PATH, Some(web)), ("manifests/services/base.toml", Some(base))]);
    let report = scene.round().await;
    assert_eq!(word(&report), "rolled-back", "{report:?}");
    scene.assert_runs(&[("base", "1"), ("web", "1")]);
    assert_eq!(invocation(&scene), before, "it was never touched");
}
