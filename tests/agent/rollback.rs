//! Where a host ends up when going back is not easy.

use writ::next::Next;

use crate::scene::{Scene, closure, word};

#[tokio::test]
async fn a_verdict_without_its_links_is_the_last_good_one_all_the_same() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_service("web", "2");
    scene.round().await;
    // Killed after the verdict and before the links.
    for link in ["last-good", "current"] {
        std::fs::remove_file(scene.state().join(link)).unwrap();
        std::os::unix::fs::symlink("generations/1", scene.state().join(link)).unwrap();
    }
    assert_eq!(scene.round().await.next, Next::Settled);
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "3"));
    });
    scene.push_service("web", "3");
    assert_eq!(word(&scene.round().await), "rolled-back");
    scene.assert_runs(&[("web", "2")]);
}
