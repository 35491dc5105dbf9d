//! What the host makes of a branch that it cannot see or does not obey.

use std::process::Command;

use writ::names::CommitId;
use writ::trust::Reason;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

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

#[tokio::test]
async fn a_branch_that_is_another_name_for_a_branch_is_told_and_not_followed() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let next = scene.push_service("web", "2");
    scene.forge.git(["update-ref", "refs/heads/trunk", next.as_str()], b"");
    scene.forge.git(["symbolic-ref", "refs/heads/main", "refs/heads/trunk"], b"");
    let report = scene.round().await;
    let (because, remedy) = (report.faults[0].to_string(), report.faults[0].remedy.clone());
    assert!(because.contains("`main` is another name for refs/heads/trunk"), "{because}");
    assert!(remedy.unwrap().contains("branch of its own"));
    scene.assert_runs(&[("web", "1")]);
    scene.forge.git(["symbolic-ref", "refs/heads/main", "refs/heads/nowhere"], b"");
    let because = scene.round().await.faults[0].to_string();
    assert!(because.contains("has no branch `main`"), "{because}");
    scene.forge.git(["symbolic-ref", "--delete", "refs/heads/main"], b"");
    scene.point_main_at(&next);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

/// `writ trust reset` as root runs it, beside the agent or without one.
fn reset(scene: &Scene, to: &CommitId) {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["trust", "reset", "--to", to.as_str(), "--config"])
        .arg(scene.config_path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_rewritten_branch_is_followed_once_root_says_so() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    let first = scene.web_on(&scene.root, "2");
    let second = scene.web_on(&first, "3");
    scene.point_main_at(&second);
    let report = agent.round().await;
    assert_eq!(report.refused.map(|r| r.reason), Some(Reason::Rollback));
    scene.assert_runs(&[("web", "1")]);
    // To a commit below the head that was refused.
    reset(&scene, &first);
    let report = agent.round().await;
    assert_eq!((report.refused, report.commit.as_ref()), (None, Some(&second)));
    scene.assert_runs(&[("web", "3")]);
}

/// The way back is cut off: the generation that failed is not tried again and again.
#[tokio::test]
async fn a_rollback_to_a_history_that_was_given_up_is_a_failure_and_no_loop() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    let first = scene.web_on(&scene.root, "2");
    scene.point_main_at(&first);
    reset(&scene, &first);
    let report = scene.agent().round().await;
    let Some(Verdict::Failed { rollback, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(rollback.because.contains("mainline"), "{rollback}");
    let changes = scene.world.state().changes;
    let report = scene.agent().round().await;
    assert_eq!(word(&report), "failed");
    assert!(!report.faults.is_empty(), "{report:?}");
    assert_eq!(scene.world.state().changes, changes);
    scene.head = first;
    scene.push_service("web", "3");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "3")]);
}
