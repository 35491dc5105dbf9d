//! A rewritten history is followed on the word of recovery keys, and on nobody else's
//! (rule T4).

use writ::names::CommitId;
use writ::trust::{RESET, Reason, ResetStatement};

use crate::forge::CHANNEL;
use crate::scene::{Scene, word};

const REF: &str = "refs/writ/reset/main";

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A host that runs web 1 and 2, and a branch that was rewritten after its
/// introduction: two of three keys can have the host follow.
fn rewritten() -> (Scene, CommitId) {
    let mut scene = Scene::new();
    let keys = ["safe-a", "safe-b", "safe-c"].map(|key| format!("{:?}", scene.forge.public(key)));
    scene.more = format!("recoveryKeys = [{}]\nrecoveryThreshold = 2\n", keys.join(", "));
    scene.push_service("web", "1");
    let lost = scene.head.clone();
    scene.head = scene.root.clone();
    (scene, lost)
}

fn statement(from: &CommitId, to: &CommitId, sequence: u64) -> ResetStatement {
    ResetStatement { from: from.clone(), to: to.clone(), sequence, expires: now() + 3600 }
}

#[tokio::test]
async fn enough_recovery_keys_have_a_host_follow_a_rewritten_history() {
    let (mut scene, lost) = rewritten();
    scene.point_main_at(&lost);
    assert_eq!(word(&scene.round().await), "confirmed");
    let to = scene.push_service("api", "1");
    let mut agent = scene.agent();
    let reason = |report: &writ::agent::Report| report.refused.as_ref().map(|r| r.reason);
    assert_eq!(reason(&agent.round().await), Some(Reason::Rollback));

    let good = statement(&lost, &to, 1);
    let other = statement(&scene.root, &to, 1);
    let late = ResetStatement { expires: now() - 1, ..good.clone() };
    let bad: [(&str, String, &[&str]); 9] = [
        (RESET, good.text(CHANNEL), &["safe-a"]),
        (RESET, good.text(CHANNEL), &["safe-a", "safe-a"]),
        (RESET, good.text(CHANNEL), &["safe-a", "alice"]),
        (RESET, good.text(CHANNEL), &[]),
        ("git", good.text(CHANNEL), &["safe-a", "safe-b"]),
        (RESET, good.text("acme-infra:test"), &["safe-a", "safe-b"]),
        (RESET, other.text(CHANNEL), &["safe-a", "safe-b"]),
        (RESET, late.text(CHANNEL), &["safe-a", "safe-b"]),
        (RESET, good.text(CHANNEL) + "more 1\n", &["safe-a", "safe-b"]),
    ];
    for (namespace, text, keys) in bad {
        scene.forge.state(REF, namespace, &text, keys);
        assert_eq!(reason(&agent.round().await), Some(Reason::Rollback), "{text} {keys:?}");
        scene.assert_runs(&[("web", "1")]);
    }
    scene.forge.state(REF, RESET, &good.text(CHANNEL), &["safe-c", "safe-a"]);
    let report = agent.round().await;
    assert_eq!((word(&report), reason(&report)), ("confirmed", None), "{report:?}");
    scene.assert_runs(&[("api", "1")]);
    assert_eq!(scene.ledger().recovered().unwrap(), 1);
}

#[tokio::test]
async fn a_statement_is_good_once_and_its_branch_may_have_gone_on() {
    let (mut scene, lost) = rewritten();
    scene.point_main_at(&lost);
    scene.round().await;
    let to = scene.push_service("api", "1");
    let newer = scene.push_service("api", "2");
    let there = statement(&lost, &to, 5).text(CHANNEL);
    scene.forge.state(REF, RESET, &there, &["safe-a", "safe-b"]);
    let report = scene.round().await;
    assert_eq!((word(&report), report.commit), ("confirmed", Some(newer.clone())));

    // Somebody shows the old branch again, with a statement of a lower sequence.
    scene.point_main_at(&lost);
    for (sequence, obeyed) in [(5, false), (6, true)] {
        let back = statement(&newer, &lost, sequence).text(CHANNEL);
        scene.forge.state(REF, RESET, &back, &["safe-a", "safe-b"]);
        assert_eq!(scene.round().await.refused.is_none(), obeyed, "sequence {sequence}");
    }
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_host_without_recovery_keys_follows_nobodys_statement() {
    let (mut scene, lost) = rewritten();
    scene.more.clear();
    scene.point_main_at(&lost);
    scene.round().await;
    let to = scene.push_service("api", "1");
    let text = statement(&lost, &to, 1).text(CHANNEL);
    scene.forge.state(REF, RESET, &text, &["safe-a", "safe-b"]);
    assert_eq!(scene.round().await.refused.unwrap().reason, Reason::Rollback);
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_bad_commit_on_top_of_a_recovered_history_leaves_the_host_on_the_good_one() {
    let (mut scene, lost) = rewritten();
    scene.point_main_at(&lost);
    scene.round().await;
    let to = scene.push_service("api", "1");
    let bad = scene.forge.commit("mallory").on(&to).make();
    scene.point_main_at(&bad);
    let text = statement(&lost, &to, 1).text(CHANNEL);
    scene.forge.state(REF, RESET, &text, &["safe-a", "safe-b"]);
    let mut agent = scene.agent();
    for _ in 0..2 {
        let report = agent.round().await;
        assert_eq!((word(&report), report.commit), ("confirmed", Some(to.clone())));
        assert_eq!(report.refused.unwrap().reason, Reason::UnknownKey);
    }
    scene.assert_runs(&[("api", "1")]);
}
