//! Commands that end: before something else starts, or at their times.

use writ::plan::observed::UnitState;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

const WEB: &str = "manifests/services/web.toml";
const MIGRATE: &str = "manifests/services/migrate.toml";
const REPORT: &str = "manifests/services/report.toml";

fn command(scene: &Scene, name: &str, version: &str, more: &str) -> String {
    let text = scene.service(name, version, "");
    let (head, _) = text.split_once("[http]").unwrap();
    format!("{head}{more}")
}

/// `web` after the oneshot `migrate`, both of a version.
fn pushed(scene: &mut Scene, version: &str) {
    let web = scene.service("web", version, "dependsOn = [\"migrate\"]");
    let migrate = command(scene, "migrate", version, "type = \"oneshot\"\n");
    scene.push(&[(WEB, Some(web)), (MIGRATE, Some(migrate))]);
}

/// Which run of the unit this is, and whether it is active.
fn run(scene: &Scene, unit: &str) -> (String, bool) {
    let loaded = scene.world.state().loaded[&unit.parse().unwrap()].clone();
    (loaded.invocation, loaded.state == UnitState::Active)
}

#[tokio::test]
async fn a_oneshot_runs_once_for_each_change_of_it() {
    let mut scene = Scene::new();
    pushed(&mut scene, "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let first = run(&scene, "writ-migrate.service");
    scene.round().await;
    let web = scene.service("web", "2", "dependsOn = [\"migrate\"]");
    scene.push(&[(WEB, Some(web))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(run(&scene, "writ-migrate.service"), first, "web alone changed");
    pushed(&mut scene, "3");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_ne!(run(&scene, "writ-migrate.service"), first);
}

#[tokio::test]
async fn a_oneshot_that_fails_stops_what_depends_on_it_and_the_generation_goes_back() {
    let mut scene = Scene::new();
    pushed(&mut scene, "1");
    scene.round().await;
    let before = run(&scene, "writ-web.service");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("migrate", "2"));
    });
    pushed(&mut scene, "2");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { step, .. }) = &report.verdict else { panic!("{report:?}") };
    assert_eq!(step.split_whitespace().collect::<Vec<_>>(), ["restart", "migrate"]);
    assert_eq!(run(&scene, "writ-web.service"), before, "it was never touched");
    let text = scene.world.state().loaded[&"writ-migrate.service".parse().unwrap()].text.clone();
    assert!(text.contains(closure("migrate", "1").as_str()), "{text}");
    let current = scene.world.state().current();
    assert_eq!(current[&"web".parse().unwrap()], closure("web", "1"));
}

#[tokio::test]
async fn a_first_oneshot_that_fails_keeps_everything_after_it_from_starting() {
    let mut scene = Scene::new();
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("migrate", "1"));
    });
    pushed(&mut scene, "1");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { step, .. }) = &report.verdict else { panic!("{report:?}") };
    assert_eq!(step.split_whitespace().collect::<Vec<_>>(), ["start", "migrate"]);
    let machine = scene.world.state();
    assert!(machine.loaded.is_empty() && machine.files.is_empty());
}

#[tokio::test]
async fn another_schedule_restarts_the_timer_and_nothing_else() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let at = |hour: u8| format!("[schedule]\ncron = \"0 {hour} * * *\"\n");
    let first = command(&scene, "report", "1", &at(3));
    scene.push(&[(REPORT, Some(first))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    let (web, timer) = (run(&scene, "writ-web.service"), run(&scene, "writ-report.timer"));
    // As if it were running just now.
    scene.world.touch(|machine| {
        let running = machine.loaded[&"writ-web.service".parse().unwrap()].clone();
        machine.loaded.insert("writ-report.service".parse().unwrap(), running);
    });
    let second = command(&scene, "report", "1", &at(4));
    scene.push(&[(REPORT, Some(second))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(run(&scene, "writ-web.service"), web);
    assert_eq!(run(&scene, "writ-report.service"), web, "the run at hand goes on");
    assert_ne!(run(&scene, "writ-report.timer"), timer);
}
