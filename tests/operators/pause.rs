//! A paused host, on a simulated machine: followed, verified, and left alone.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use writ::agent::status::gather;
use writ::next::Next;

use crate::desk::{text, writ};
use crate::kinds;
use crate::scene::{HOST, Scene, word};
use crate::world::How;

#[tokio::test]
async fn a_paused_host_follows_the_branch_and_changes_nothing() {
    let mut scene = running().await;
    pause(&scene);
    let changes = scene.world.state().changes;
    let commit = scene.push_service("web", "2");
    scene.world.touch(|machine| machine.loaded.clear());
    for _ in 0..2 {
        let report = scene.round().await;
        assert_eq!((report.next, report.commit), (Next::Settled, Some(commit.clone())));
        assert_eq!(report.paused.unwrap().reason.unwrap().as_str(), "the cellar is flooded");
    }
    assert_eq!(scene.world.state().changes, changes, "neither begun nor healed");
    assert_eq!(scene.ledger().newest().unwrap().unwrap().verdict, None);

    let told = gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, None).await;
    let told = told.unwrap().to_string();
    assert!(told.contains("paused since") && told.contains("the cellar is flooded"), "{told}");
    assert!(told.contains("writ resume") && told.contains("runs generation 1"), "{told}");

    let output = writ(&scene, &["resume"]);
    assert!(text(&output.stdout).contains("the cellar is flooded"), "{output:?}");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_paused_host_refuses_what_it_would_refuse_anyway() {
    let scene = running().await;
    pause(&scene);
    let stranger = scene.forge.commit("mallory").on(&scene.head).file("a", "b").make();
    scene.point_main_at(&stranger);
    assert!(scene.round().await.refused.is_some());
    assert!(scene.ledger().refused_head().unwrap().is_some());
}

/// A pause between an agent's death and its next start.
#[tokio::test]
async fn an_interrupted_generation_waits_for_the_end_of_the_pause() {
    let mut scene = running().await;
    scene.push_service("web", "2");
    scene.world.trouble_at(2, How::FreezesBefore);
    let mut agent = scene.agent();
    tokio::select! {
        report = agent.round() => panic!("it should have frozen: {report:?}"),
        () = frozen(&scene) => {}
    }
    drop(agent);
    pause(&scene);
    let changes = scene.world.state().changes;
    assert_eq!(word(&scene.round().await), "applying");
    assert_eq!(scene.world.state().changes, changes);
    writ(&scene, &["resume"]);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_pause_that_cannot_be_read_changes_nothing_and_says_how_to_mend_it() {
    let scene = running().await;
    pause(&scene);
    std::fs::write(scene.state().join("pause.json"), "{").unwrap();
    scene.world.touch(|machine| machine.loaded.clear());
    let changes = scene.world.state().changes;
    let report = scene.round().await;
    assert!(report.faults[0].because.contains("pause.json is damaged"), "{report:?}");
    assert!(report.faults[0].remedy.as_ref().unwrap().contains("writ resume"));
    assert_eq!(scene.world.state().changes, changes);
    assert_eq!(writ(&scene, &["resume"]).status.code(), Some(0));
    scene.round().await;
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn pause_and_resume_are_told_once_as_events() {
    let scene = running().await;
    let known = kinds(&scene).len();
    scene.round().await;
    pause(&scene);
    scene.round().await;
    scene.round().await;
    writ(&scene, &["resume"]);
    let output = writ(&scene, &["resume"]);
    assert_eq!(text(&output.stdout), "this host was not paused\n");
    scene.round().await;
    scene.round().await;
    assert_eq!(kinds(&scene)[known..], ["paused", "resumed"]);
}

/// Otherwise nothing happens until the agent looks by itself.
#[tokio::test]
async fn the_end_of_a_pause_wakes_the_agent() {
    let scene = running().await;
    pause(&scene);
    let socket = writ::agent::socket::path(&scene.state().with_file_name("run"));
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let heard = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(listener.accept().unwrap().0).read_line(&mut line).unwrap();
        line
    });
    let output = writ(&scene, &["resume"]);
    assert!(text(&output.stdout).contains("the agent goes on now"), "{output:?}");
    assert_eq!(heard.join().unwrap(), "{\"verb\":\"sync\"}\n");
    // Nobody listens any more.
    pause(&scene);
    let output = writ(&scene, &["resume"]);
    assert!(text(&output.stdout).contains("no agent runs here"), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

async fn running() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene
}

fn pause(scene: &Scene) {
    let output = writ(scene, &["pause", "--reason", "the cellar is flooded"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

async fn frozen(scene: &Scene) {
    while scene.world.trouble_is_ahead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
