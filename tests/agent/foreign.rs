//! What somebody else has on the host is no service's to take.

use std::process::Command;

use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

/// One version of a service with a state directory.
fn with_state(scene: &Scene, name: &str, version: &str, directory: &str) -> (String, String) {
    let text = scene.service(name, version, "");
    let text = format!("{text}[systemd]\nstateDirectory = \"{directory}\"\n");
    (format!("manifests/services/{name}.toml"), text)
}

fn push(scene: &mut Scene, (path, text): (String, String)) {
    scene.push(&[(&path, Some(text))]);
}

async fn reasons(scene: &Scene) -> String {
    match scene.round().await.verdict {
        Some(Verdict::Waiting { reasons, .. }) => reasons.join("\n"),
        other => panic!("{other:?}"),
    }
}

fn exists(scene: &Scene, directory: &str) {
    scene.world.touch(|machine| {
        machine.foreign.directories.insert(directory.parse().unwrap());
    });
}

#[tokio::test]
async fn a_directory_that_was_not_made_for_the_service_is_waited_for_before_anything_stops() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    exists(&scene, "caddy");
    let asked = with_state(&scene, "web", "2", "caddy");
    push(&mut scene, asked);
    let told = reasons(&scene).await;
    assert!(told.contains("/var/lib/caddy exists and was not made for it"), "{told}");
    assert!(scene.runs("web").unwrap().contains(closure("web", "1").as_str()));
    // Root says that it is meant.
    scene.config();
    let adopted = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["adopt", "web", "--directory", "caddy", "--config"])
        .arg(scene.config_path())
        .output()
        .unwrap();
    assert!(adopted.status.success(), "{adopted:?}");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert!(scene.runs("web").unwrap().contains("StateDirectory=caddy"));
}

/// The directory is there from the first start on, whatever became of that.
#[tokio::test]
async fn a_service_that_failed_finds_its_own_directory_again() {
    let mut scene = Scene::new();
    let bad = with_state(&scene, "web", "1", "web");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "1"));
    });
    push(&mut scene, bad);
    assert_eq!(word(&scene.round().await), "rolled-back");
    exists(&scene, "web");
    let good = with_state(&scene, "web", "2", "web");
    push(&mut scene, good);
    assert_eq!(word(&scene.round().await), "confirmed");
    // It goes, and comes again.
    scene.push(&[("manifests/services/web.toml", None)]);
    assert_eq!(word(&scene.round().await), "confirmed");
    let back = with_state(&scene, "web", "2", "web");
    push(&mut scene, back);
    assert_eq!(word(&scene.round().await), "confirmed");
}

#[tokio::test]
async fn what_a_service_left_behind_is_not_the_next_ones() {
    let mut scene = Scene::new();
    let db = with_state(&scene, "db", "1", "db");
    push(&mut scene, db);
    assert_eq!(word(&scene.round().await), "confirmed");
    exists(&scene, "db");
    let (path, text) = with_state(&scene, "web", "1", "db");
    scene.push(&[("manifests/services/db.toml", None), (&path, Some(text))]);
    let told = reasons(&scene).await;
    assert!(told.contains("/var/lib/db was made for the service db"), "{told}");
    scene.assert_runs(&[("db", "1")]);
}

#[tokio::test]
async fn a_port_of_somebody_else_is_not_published() {
    let mut scene = Scene::new();
    scene.push_service("db", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let text = scene.service("web", "1", "");
    let port = text.lines().find_map(|line| line.strip_prefix("internalPort = ")).unwrap();
    let port: u16 = port.parse().unwrap();
    scene.world.touch(|machine| {
        machine.foreign.ports.insert(port, "postgres (PID 7)".to_owned());
    });
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let told = reasons(&scene).await;
    assert!(told.contains(&format!("port {port} is taken by postgres (PID 7)")), "{told}");
    scene.assert_runs(&[("db", "1")]);
    scene.world.touch(|machine| machine.foreign.ports.clear());
    assert_eq!(word(&scene.round().await), "confirmed");
    // What Caddy leads to already is not looked at again: its own process listens there.
    scene.world.touch(|machine| {
        machine.foreign.ports.insert(port, "web (PID 8)".to_owned());
    });
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
}
