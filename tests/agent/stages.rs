//! Commits that hosts which were away may not pass over.

use writ::next::Next;
use writ::verdict::Verdict;

use crate::forge::CHANNEL;
use crate::scene::{Scene, closure, word};
use crate::windows::opens_in;

const SIGNERS: &str = ".writ/allowed_signers";
const POLICY: &str = ".writ/policy.toml";
const MUST_PASS: &str = "a migration\n\nWrit-Must-Pass: yes\n";

/// A host on `web` 1 that was away while 2, 3 (both must pass), 4 and 5 were pushed.
async fn away() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.push_told("2", "", MUST_PASS);
    scene.push_told("3", "", MUST_PASS);
    scene.push_told("4", "", "passed over");
    scene.push_told("5", "", "the newest");
    scene
}

/// Each generation's version of `web`, by the manifest of its commit, and its verdict.
fn log(scene: &Scene) -> Vec<String> {
    let ledger = scene.ledger();
    let generation = |number: u64| {
        let generation = ledger.generation(number).unwrap();
        let path = format!("{}:manifests/services/web.toml", generation.record.commit);
        let text = String::from_utf8(scene.forge.git(["show", path.as_str()], b"")).unwrap();
        let version =
            (1..9).map(|v| v.to_string()).find(|v| text.contains(closure("web", v).as_str()));
        let word = generation.verdict.as_ref().map_or("accepted", Verdict::word);
        format!("{} {word}", version.unwrap())
    };
    ledger.numbers().unwrap().into_iter().map(generation).collect()
}

#[tokio::test]
async fn a_host_that_was_away_goes_through_each_commit_that_must_pass() {
    let scene = away().await;
    let report = scene.round().await;
    assert_eq!((word(&report), report.next), ("confirmed", Next::Settled));
    assert_eq!(log(&scene), ["1 confirmed", "2 confirmed", "3 confirmed", "5 confirmed"]);
    scene.assert_runs(&[("web", "5")]);
    let changes = scene.world.state().changes;
    scene.round().await;
    assert_eq!(scene.world.state().changes, changes);
}

#[tokio::test]
async fn a_new_host_goes_straight_to_the_newest() {
    let mut scene = Scene::new();
    scene.push_told("1", "", MUST_PASS);
    scene.push_told("2", "", "the newest");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(log(&scene), ["2 confirmed"]);
}

#[tokio::test]
async fn what_was_behind_a_commit_that_failed_is_refused_and_a_later_one_is_tried() {
    let mut scene = away().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    let report = scene.round().await;
    let Some(Verdict::Refused { reason, because, remedy, .. }) = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(reason, "must-pass");
    assert!(because[0].ends_with("had to pass first (generation 2) and did not"), "{because:?}");
    assert!(remedy.contains("writ show 2"), "{remedy}");
    assert_eq!(log(&scene), ["1 confirmed", "2 rolled-back", "3 refused", "5 refused"]);
    scene.assert_runs(&[("web", "1")]);
    assert_eq!(word(&scene.round().await), "refused", "it stays so");

    scene.push_service("web", "6");
    assert_eq!(word(&scene.round().await), "confirmed", "people have seen the failure");
    scene.assert_runs(&[("web", "6")]);
}

#[tokio::test]
async fn a_failure_goes_back_to_what_passed_last() {
    let scene = away().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "3"));
    });
    scene.round().await;
    assert_eq!(log(&scene), ["1 confirmed", "2 confirmed", "3 rolled-back", "5 refused"]);
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_commit_that_arrives_while_one_has_to_pass_waits_for_it() {
    let mut scene = away().await;
    scene.world.touch(|machine| {
        machine.cached.remove(&closure("web", "3"));
    });
    let report = scene.round().await;
    let Some(Verdict::Waiting { reasons, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(reasons[0].ends_with("has to pass first (generation 3)"), "{reasons:?}");
    assert!(report.waiting[0].contains("no cache has"), "{report:?}");
    scene.assert_runs(&[("web", "2")]);
    scene.push_service("web", "6");
    assert_eq!(word(&scene.round().await), "waiting");
    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "3"));
    });
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(
        log(&scene),
        ["1 confirmed", "2 confirmed", "3 confirmed", "5 waiting", "6 confirmed"],
        "5 gave way to 6"
    );
}

#[tokio::test]
async fn a_head_that_must_pass_does_not_give_way_to_a_newer_one() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_told("2", "", MUST_PASS);
    scene.world.touch(|machine| {
        machine.cached.remove(&closure("web", "2"));
    });
    assert_eq!(word(&scene.round().await), "waiting");
    scene.push_service("web", "3");
    scene.round().await;
    scene.assert_runs(&[("web", "1")]);
    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "2"));
    });
    scene.round().await;
    assert_eq!(log(&scene), ["1 confirmed", "2 confirmed", "3 confirmed"]);
}

#[tokio::test]
async fn an_invalid_commit_that_must_pass_bars_what_follows() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_told("2", "surprise = 1\n", MUST_PASS);
    scene.push_told("3", "", "the newest");
    assert_eq!(word(&scene.round().await), "refused");
    assert_eq!(log(&scene), ["1 confirmed", "2 refused", "3 refused"]);
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn each_of_them_waits_for_the_window_unless_one_is_urgent() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let closed = opens_in(3);
    scene.push_told("2", &closed, MUST_PASS);
    scene.push_told("3", &closed, "the newest");
    let report = scene.round().await;
    assert!(matches!(report.next, Next::Later(_)), "{report:?}");
    assert_eq!(log(&scene), ["1 confirmed", "2 waiting", "3 waiting"]);
    scene.push_told("4", &closed, "a fix\n\nWrit-Urgent: yes\n");
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(log(&scene), ["1 confirmed", "2 confirmed", "3 waiting", "4 confirmed"]);
}

/// A thief has bob's key, and signs what can never be applied and may not be skipped.
#[tokio::test]
async fn what_a_thief_lets_hosts_wait_for_ends_with_the_revocation() {
    for (seen_before, message) in [(true, MUST_PASS), (false, MUST_PASS), (true, "a change")] {
        let mut scene = Scene::new();
        scene.push_service("web", "1");
        let rights = |more: &str| {
            format!(
                "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n{more}"
            )
        };
        let bob = rights("[principals.bob]\nmay = \"everything\"\ngrants = [\"**\"]\n");
        let signers = scene.forge.signers(&["alice", "bob"]);
        let good = scene.push(&[(SIGNERS, Some(signers)), (POLICY, Some(bob))]);
        assert_eq!(word(&scene.round().await), "confirmed");
        let mut agent = scene.agent();
        let text = scene.service("web", "2", "");
        scene.world.touch(|machine| {
            machine.cached.remove(&closure("web", "2"));
        });
        let thief = scene.forge.commit("bob").on(&scene.head).message(message);
        scene.head = thief.file("manifests/services/web.toml", text).make();
        scene.point_main_at(&scene.head);
        if seen_before {
            assert_eq!(word(&agent.round().await), "waiting");
        }
        scene.push_told("3", "", "what came before is taken back");
        if seen_before {
            agent.round().await;
        }
        let key = scene.forge.fingerprint("bob");
        let gone = rights(&format!("[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{good}\"\n"));
        scene.push(&[(SIGNERS, Some(scene.forge.signers(&["alice"]))), (POLICY, Some(gone))]);
        let report = agent.round().await;
        if seen_before {
            assert_eq!(word(&report), "confirmed", "{report:?}");
            scene.assert_runs(&[("web", "3")]);
            assert_eq!(word(&scene.round().await), "confirmed", "after a restart");
        } else {
            let refused = report.refused.as_ref().map(|refusal| refusal.rule.as_str());
            assert_eq!(refused, Some("K3"), "{report:?}");
            scene.assert_runs(&[("web", "1")]);
        }
    }
}
