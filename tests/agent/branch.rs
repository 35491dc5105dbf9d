//! What the host makes of a branch that it cannot see or does not obey.

use writ::trust::Reason;

use crate::scene::{Scene, word};

#[tokio::test]
async fn unsigned_and_foreign_commits_change_nothing_and_the_branch_recovers() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let changes = scene.world.state().changes;
    let evil = scene.service("web", "2", "");
    let path = "manifests/services/web.toml";
    let unsigned = scene.forge.unsigned().on(&scene.head).file(path, &evil).make();
    let stranger = scene.forge.commit("mallory").on(&scene.head).file(path, &evil).make();
    for (commit, reason) in [(unsigned, Reason::Unsigned), (stranger, Reason::UnknownKey)] {
        scene.point_main_at(&commit);
        let report = scene.round().await;
        assert_eq!(report.refused.as_ref().map(|r| r.reason), Some(reason), "{report:?}");
        assert_eq!(word(&report), "confirmed", "the old generation's verdict stands");
        scene.assert_runs(&[("web", "1")]);
        assert_eq!(scene.world.state().changes, changes);
        assert!(scene.ledger().refused_head().unwrap().is_some());
    }
    scene.push_service("web", "3");
    let report = scene.round().await;
    assert_eq!((report.refused, report.verdict.map(|v| v.word())), (None, Some("confirmed")));
    assert!(scene.ledger().refused_head().unwrap().is_none());
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_branch_that_goes_back_is_refused() {
    let mut scene = Scene::new();
    let old = scene.push_service("web", "1");
    scene.push_service("web", "2");
    scene.round().await;
    scene.point_main_at(&old);
    let report = scene.round().await;
    assert_eq!(report.refused.map(|r| r.reason), Some(Reason::Rollback));
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_host_that_cannot_reach_its_source_keeps_and_heals_what_it_has() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let (real, away) = (scene.forge.git_dir(), scene.forge.git_dir().with_extension("away"));
    std::fs::rename(&real, &away).unwrap();
    scene.world.touch(|machine| machine.loaded.clear());
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed");
    assert!(report.faults[0].doing.contains("fetch main"), "{:?}", report.faults);
    scene.assert_runs(&[("web", "1")]);
    std::fs::rename(&away, &real).unwrap();
    assert!(scene.round().await.faults.is_empty());
}
