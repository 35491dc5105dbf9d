//! Where a host ends up when going back is not easy.

use writ::next::Next;

use crate::scene::{Scene, closure, word};
use crate::world::How;

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

/// The world fails at each change of a rollback in turn: the host gets there in the
/// next round, and the verdict then says so.
#[tokio::test]
async fn a_rollback_that_the_world_hinders_is_finished_later() {
    for first in [false, true] {
        let mut base = Scene::new();
        if !first {
            base.push_service("web", "1");
            base.round().await;
        }
        base.world.touch(|machine| {
            machine.crashing.insert(closure("web", "2"));
        });
        base.push_service("web", "2");
        let mut failed = 0;
        for n in 0.. {
            let scene = base.twin();
            scene.world.trouble_at(n, How::Fails);
            let mut agent = scene.agent();
            let mut report = agent.round().await;
            if scene.world.trouble_is_ahead() {
                break;
            }
            failed += usize::from(word(&report) == "rolling-back");
            if matches!(report.next, Next::Again(_)) {
                report = agent.round().await;
            }
            assert_eq!(word(&report), "rolled-back", "after {n} changes: {report:?}");
            scene.assert_runs(if first { &[] } else { &[("web", "1")] });
            let ledger = scene.ledger();
            assert_eq!(ledger.current().unwrap(), ledger.last_good().unwrap());
        }
        assert!(failed >= 3, "only {failed} changes of the rollback failed");
    }
}
