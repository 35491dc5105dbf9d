//! The agent is killed after every change while something holds a generation back:
//! a commit that has to pass first, a window, a plan that nobody has signed.

use crate::crash::{push, quick};
use crate::scene::{Scene, closure, word};
use crate::tour::{End, Tour};
use crate::windows::opens_in;

const WEB: &str = "manifests/services/web.toml";
const MUST_PASS: &str = "a migration\n\nWrit-Must-Pass: yes\n";
const URGENT: &str = "a fix\n\nWrit-Urgent: yes\n";

/// A host on `web` 1 that was away while 2, 3 (both must pass) and 4 were pushed.
async fn away() -> Scene {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    told(&mut scene, "2", "", MUST_PASS);
    told(&mut scene, "3", "", MUST_PASS);
    told(&mut scene, "4", "", "the newest");
    scene
}

/// As [`Scene::push_told`], with a service that is taken for healthy at once.
fn told(scene: &mut Scene, version: &str, host: &str, message: &str) {
    let text = quick(scene, "web", version, "");
    let draft = scene.forge.commit("alice").on(&scene.head).message(message);
    let draft = draft.file("manifests/hosts/biz.toml", host).file(WEB, text);
    scene.head = draft.make();
    scene.point_main_at(&scene.head);
}

#[tokio::test]
async fn a_commit_that_has_to_pass() {
    Tour::through("a commit that has to pass", &away().await, "confirmed").await;
}

#[tokio::test]
async fn a_commit_that_has_to_pass_and_does_not() {
    let scene = away().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    Tour::through("one that does not pass", &scene, "refused").await;
}

/// Whoever was killed while a window was closed waits on, and takes what is urgent.
#[tokio::test]
async fn a_window_that_is_closed() {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    told(&mut scene, "2", &opens_in(3), "a change");
    let wrecks = Tour::through("a closed window", &scene, "waiting").await;
    let held = scene.twin();
    told(&mut scene, "2", &opens_in(3), URGENT);
    let mut tour = Tour::of(&held);
    let end = End { word: "confirmed", runs: &[("web", "2")] };
    tour.each_comes_to(&wrecks, end).await;
    tour.tell("an urgent commit after the crash");
}

#[tokio::test]
async fn an_urgent_commit_in_a_closed_window() {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    told(&mut scene, "2", &opens_in(3), "a change");
    assert_eq!(word(&scene.round().await), "waiting");
    told(&mut scene, "3", &opens_in(3), URGENT);
    Tour::through("an urgent commit", &scene, "confirmed").await;
}

/// One that is not signed is not begun by any crash, and one that was begun is brought to
/// its end though the machine is on its way by then.
#[tokio::test]
async fn a_plan_that_has_to_be_signed() {
    let mut scene = Scene::requiring_plans().await;
    let good = scene.head.clone();
    let planned = scene.twin();
    push(&mut scene, "web", "2");
    Tour::through("a plan that nobody has signed", &scene, "waiting").await;
    for (what, verdict) in [("a signed plan", "confirmed"), ("one that fails", "rolled-back")] {
        let mut scene = planned.twin();
        scene.push_planned("web", "2", &good);
        if verdict == "rolled-back" {
            scene.world.touch(|machine| {
                machine.crashing.insert(closure("web", "2"));
            });
        }
        Tour::through(what, &scene, verdict).await;
    }
}
