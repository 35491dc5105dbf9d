//! The agent is killed after every change that it makes, on disk and on the machine, and
//! again after every change that the next one makes: in the end the host is on the new
//! generation or on the last good one, and everything agrees.

use crate::scene::{Scene, closure, word};
use crate::tour::{End, Tour};

pub(crate) const OLD: End = End { word: "rolled-back", runs: &[("old", "1"), ("web", "1")] };
pub(crate) const NEW: End = End { word: "confirmed", runs: &[("new", "1"), ("web", "2")] };

/// A host on `old` 1 and `web` 1, and a branch with `web` 2, no `old`, and a `new` 1 that
/// starts after `web`.
pub(crate) async fn two_generations() -> Scene {
    let mut scene = Scene::new();
    for name in ["old", "web"] {
        push(&mut scene, name, "1");
    }
    assert_eq!(word(&scene.round().await), "confirmed");
    let new = quick(&scene, "new", "1", "dependsOn = [\"web\"]");
    let web = quick(&scene, "web", "2", "");
    scene.push(&[
        ("manifests/services/old.toml", None),
        ("manifests/services/new.toml", Some(new)),
        ("manifests/services/web.toml", Some(web)),
    ]);
    scene
}

/// A service that is taken for healthy at once.
pub(crate) fn quick(scene: &Scene, name: &str, version: &str, more: &str) -> String {
    scene.service(name, version, more).replace("50ms", "1ms")
}

pub(crate) fn push(scene: &mut Scene, name: &str, version: &str) {
    let text = quick(scene, name, version, "");
    scene.push(&[(&format!("manifests/services/{name}.toml"), Some(text))]);
}

#[tokio::test]
async fn a_first_generation() {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    let mut tour = Tour::of(&scene);
    let wrecks = tour.watch().await;
    let end = End { word: "confirmed", runs: &[("web", "1")] };
    tour.each_boots_to(&wrecks, end).await;
    tour.all_come_to(wrecks, end).await;
    tour.tell("a first generation");
}

#[tokio::test]
async fn a_generation_that_works() {
    let scene = two_generations().await;
    let mut tour = Tour::of(&scene);
    let wrecks = tour.watch().await;
    tour.each_boots_to(&wrecks, NEW).await;
    tour.all_come_to(wrecks, NEW).await;
    tour.tell("a generation that works");
}

#[tokio::test]
async fn a_generation_that_does_not_work() {
    let scene = two_generations().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("new", "1"));
    });
    let mut tour = Tour::of(&scene);
    let wrecks = tour.watch().await;
    tour.each_boots_to(&wrecks, OLD).await;
    tour.all_come_to(wrecks, OLD).await;
    tour.tell("a generation that does not work");
}
