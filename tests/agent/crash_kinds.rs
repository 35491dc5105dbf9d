//! The agent is killed after every change on the way from one generation to the next, in
//! which there is a service of each kind and a step of each kind.

use writ::plan::observed::{Override, OverrideKind};

use crate::crash::quick;
use crate::scene::{Scene, closure, word};
use crate::tour::Tour;

/// A command that ends, in a version of its closure.
fn command(scene: &Scene, name: &str, version: &str, more: &str) -> String {
    let text = quick(scene, name, version, "");
    let (head, _) = text.split_once("[http]").unwrap();
    format!("{head}{more}")
}

fn job(scene: &Scene, name: &str, version: &str, hour: u8) -> String {
    command(scene, name, version, &format!("[schedule]\ncron = \"0 {hour} * * *\"\n"))
}

fn files(scene: &Scene, name: &str, version: &str) -> String {
    let text = quick(scene, name, version, "");
    let (head, _) = text.split_once("[exec]").unwrap();
    format!(
        "{head}[static]\nroot = \"share\"\n[http]\ndomain = \"{name}.example.org\"\nhttps = \"off\"\n"
    )
}

fn daemon(scene: &Scene, name: &str, reload: &str) -> String {
    let reload = format!("command = \"run\"\n{reload}");
    quick(scene, name, "1", "").replace("command = \"run\"", &reload)
}

fn of(name: &str) -> String {
    format!("manifests/services/{name}.toml")
}

/// A host with a migration, a daemon after it, jobs, a static site and a daemon that
/// takes in its settings; and a commit that changes each, adds one, and drops one.
async fn each_kind() -> Scene {
    let mut scene = Scene::new();
    let after = "dependsOn = [\"migrate\"]";
    let first = [
        ("api", daemon(&scene, "api", "reload = \"SIGHUP\"")),
        ("docs", files(&scene, "docs", "1")),
        ("mail", daemon(&scene, "mail", "reload = \"SIGHUP\"")),
        ("migrate", command(&scene, "migrate", "1", "type = \"oneshot\"\n")),
        ("report", job(&scene, "report", "1", 3)),
        ("sweep", job(&scene, "sweep", "1", 3) + "[env]\nA = \"1\"\n"),
        ("trim", job(&scene, "trim", "1", 3) + "[env]\nA = \"1\"\n"),
        ("web", quick(&scene, "web", "1", after) + "[env]\nA = \"1\"\n"),
    ];
    push(&mut scene, first.map(|(name, text)| (name, Some(text))).to_vec());
    assert_eq!(word(&scene.round().await), "confirmed");
    let second = vec![
        ("api", Some(daemon(&scene, "api", "reload = \"SIGUSR1\""))),
        ("docs", Some(files(&scene, "docs", "2"))),
        ("mail", Some(daemon(&scene, "mail", ""))),
        ("migrate", Some(command(&scene, "migrate", "2", "type = \"oneshot\"\n"))),
        ("nightly", Some(job(&scene, "nightly", "1", 3))),
        ("report", Some(job(&scene, "report", "1", 4))),
        ("sweep", Some(job(&scene, "sweep", "2", 3))),
        ("trim", None),
        ("web", Some(quick(&scene, "web", "2", after) + "[env]\nA = \"2\"\n")),
    ];
    push(&mut scene, second);
    scene
}

fn push(scene: &mut Scene, services: Vec<(&str, Option<String>)>) {
    let paths: Vec<_> = services.into_iter().map(|(name, text)| (of(name), text)).collect();
    let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    scene.push(&files);
}

/// Which steps a generation's plan has.
fn steps(scene: &Scene, number: u64) -> Vec<String> {
    let plan = scene.state().join(format!("generations/{number}/plan.json"));
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(plan).unwrap()).unwrap();
    let steps = plan["steps"].as_array().unwrap_or_else(|| panic!("{plan}"));
    steps.iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_of_each_kind_changes() {
    let scene = each_kind().await;
    Tour::through("each kind", &scene, "confirmed").await;
    assert_eq!(word(&scene.round().await), "confirmed");
    let all = ["fetch", "stop", "switch", "write", "reload", "restart", "start", "route"];
    let seen = steps(&scene, 2);
    assert_eq!(all.iter().find(|step| !seen.iter().any(|seen| seen == *step)), None, "{seen:?}");
}

#[tokio::test]
async fn a_service_of_each_kind_goes_back() {
    let scene = each_kind().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    Tour::through("each kind goes back", &scene, "rolled-back").await;
}

#[tokio::test]
async fn a_migration_that_fails() {
    let scene = each_kind().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("migrate", "2"));
    });
    Tour::through("a migration that fails", &scene, "rolled-back").await;
}

/// What somebody put over a unit is moved away while the unit changes.
#[tokio::test]
async fn what_others_changed_is_put_back_on_the_way() {
    let mut scene = Scene::new();
    let first = quick(&scene, "web", "1", "");
    push(&mut scene, vec![("web", Some(first))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    let over = Override {
        path: "/etc/systemd/system/writ-web.service.d/mine.conf".parse().unwrap(),
        kind: OverrideKind::DropIn,
        text: "[Service]\nNice=5\n".to_owned(),
        movable: true,
    };
    scene.world.touch(|machine| {
        machine.overrides.insert("writ-web.service".parse().unwrap(), vec![over]);
        machine.config = serde_json::Value::Null;
    });
    Tour::through("drift", &scene, "confirmed").await;
    let next = quick(&scene, "web", "2", "");
    push(&mut scene, vec![("web", Some(next))]);
    Tour::through("drift and a new generation", &scene, "confirmed").await;
}
