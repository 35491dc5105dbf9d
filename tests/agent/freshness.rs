//! Statements about where the branch stands (rules F1 to F3).

use writ::agent::Report;
use writ::names::CommitId;
use writ::source::repo::Repository;
use writ::trust::{HEAD, HeadStatement, Reason};

use crate::forge::CHANNEL;
use crate::scene::{Scene, word};

const REF: &str = "refs/writ/head/main";
const DAY: i64 = 86_400;

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A host that follows nothing without a statement, and a policy with a herald.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.more = "requireHead = true\n".to_owned();
    let herald = scene.forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    // A key that may sign commits may not speak of the head as well.
    let both = scene.forge.signers(&["both"]).replace("\"git\"", "\"git,writ-head\"");
    let signers = scene.forge.signers(&["alice"]) + &herald + &both;
    scene.push(&[(".writ/allowed_signers", Some(signers))]);
    scene
}

fn statement(commit: &CommitId, sequence: u64) -> HeadStatement {
    let issued = now() - 60;
    HeadStatement { commit: commit.clone(), sequence, issued, expires: issued + DAY, by: None }
}

fn publish(scene: &Scene, statement: &HeadStatement) {
    scene.forge.state(REF, HEAD, &statement.text(CHANNEL), &["herald"]);
}

fn reason(report: &Report) -> Option<Reason> {
    report.refused.as_ref().map(|refusal| refusal.reason)
}

fn alarm(report: &Report) -> bool {
    report.faults.iter().any(|fault| fault.doing.contains("fresh"))
}

#[tokio::test]
async fn a_commit_is_followed_once_somebody_states_that_it_is_the_head() {
    let mut scene = scene();
    let first = scene.push_service("web", "1");
    let mut agent = scene.agent();
    let report = agent.round().await;
    assert_eq!(reason(&report), Some(Reason::Stale), "{report:?}");
    assert!(alarm(&report) && report.generation.is_none());
    publish(&scene, &statement(&first, 1));
    let report = agent.round().await;
    assert_eq!((word(&report), reason(&report)), ("confirmed", None), "{report:?}");
    assert!(!alarm(&report));
    scene.assert_runs(&[("web", "1")]);

    let second = scene.push_service("web", "2");
    let report = agent.round().await;
    assert_eq!(reason(&report), Some(Reason::Stale), "the statement is about another commit");
    scene.assert_runs(&[("web", "1")]);
    publish(&scene, &statement(&second, 2));
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
    let (fetched, changes) = (agent.shared().snapshot().rounds, scene.world.state().changes);
    assert_eq!(reason(&agent.round().await), None);
    assert_eq!(scene.world.state().changes, changes, "round {fetched} changes nothing");
}

#[tokio::test]
async fn statements_that_do_not_count_are_told_why() {
    let mut scene = scene();
    let tip = scene.push_service("web", "1");
    let mut agent = scene.agent();
    let good = statement(&tip, 1);
    let text = |change: &dyn Fn(&mut HeadStatement)| {
        let mut other = good.clone();
        change(&mut other);
        other.text(CHANNEL)
    };
    let bad: [(&str, String, &[&str], &str); 10] = [
        (HEAD, good.text(CHANNEL), &["alice"], "lists its key not at all"),
        (HEAD, good.text(CHANNEL), &["mallory"], "lists its key not at all"),
        (HEAD, good.text(CHANNEL), &["both"], "lists its key not at all"),
        (HEAD, good.text(CHANNEL), &["herald", "alice"], "more than one signature"),
        (HEAD, good.text(CHANNEL), &[], "it is not signed"),
        ("git", good.text(CHANNEL), &["herald"], "another namespace"),
        (HEAD, good.text("acme-infra:test"), &["herald"], "for the channel"),
        (HEAD, text(&|s| s.expires = s.issued - 1), &["herald"], "more than seven days"),
        (HEAD, text(&|s| s.expires = s.issued + 8 * DAY), &["herald"], "more than seven days"),
        (HEAD, text(&|s| s.issued = now() + 3600), &["herald"], "ahead of this host's clock"),
    ];
    for (namespace, text, keys, why) in bad {
        scene.forge.state(REF, namespace, &text, keys);
        let report = agent.round().await;
        let because = &report.refused.as_ref().unwrap().because;
        assert!(because.contains(why), "{why}: {because}");
    }
    publish(&scene, &HeadStatement { expires: now() - 1, issued: now() - DAY, ..good.clone() });
    assert!(agent.round().await.refused.unwrap().because.contains("has expired"));
    publish(&scene, &HeadStatement { sequence: 2, ..good });
    assert_eq!(word(&agent.round().await), "confirmed");
}

#[tokio::test]
async fn an_expired_statement_is_an_alarm_and_stops_nothing() {
    let mut scene = scene();
    scene.more.push_str("maxStaleness = \"1h\"\n");
    let first = scene.push_service("web", "1");
    publish(&scene, &statement(&first, 1));
    assert_eq!(word(&scene.round().await), "confirmed");
    let old = HeadStatement { issued: now() - 2 * 3600, ..statement(&first, 2) };
    publish(&scene, &old);
    let report = scene.round().await;
    assert!(alarm(&report) && reason(&report).is_none(), "{report:?}");
    assert_eq!(word(&report), "confirmed");
    scene.assert_runs(&[("web", "1")]);
    publish(&scene, &statement(&first, 3));
    assert!(!alarm(&scene.round().await));
}

#[tokio::test]
async fn an_old_statement_played_again_does_not_take_back_a_newer_one() {
    let mut scene = scene();
    let first = scene.push_service("web", "1");
    publish(&scene, &statement(&first, 1));
    scene.round().await;
    let second = scene.push_service("web", "2");
    publish(&scene, &statement(&second, 2));
    scene.round().await;
    publish(&scene, &statement(&first, 1));
    let report = scene.round().await;
    assert_eq!((word(&report), reason(&report)), ("confirmed", None));
    assert_eq!(scene.ledger().freshness().unwrap().unwrap().sequence, 2);
    // Nor does a server that holds the branch back.
    scene.point_main_at(&first);
    assert_eq!(reason(&scene.round().await), Some(Reason::Rollback));
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn one_sequence_for_two_commits_is_a_loud_alarm_until_there_is_a_newer_one() {
    let mut scene = scene();
    let first = scene.push_service("web", "1");
    publish(&scene, &statement(&first, 1));
    scene.round().await;
    let second = scene.push_service("web", "2");
    publish(&scene, &statement(&second, 1));
    let mut agent = scene.agent();
    for _ in 0..2 {
        assert_eq!(reason(&agent.round().await), Some(Reason::Equivocation));
    }
    scene.assert_runs(&[("web", "1")]);
    publish(&scene, &statement(&second, 2));
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_server_cannot_fill_the_disk_with_statements() {
    let mut scene = scene();
    let tip = scene.push_service("web", "1");
    publish(&scene, &statement(&tip, 1));
    scene.round().await;
    let copy =
        || Repository::open(&scene.ledger().repository()).unwrap().pack_sizes().unwrap().len();
    let before = copy();
    let mut agent = scene.agent();
    for n in 0..3 {
        scene.forge.state(REF, HEAD, &format!("junk {n}"), &[]);
        let report = agent.round().await;
        assert_eq!((word(&report), reason(&report)), ("confirmed", None));
        assert_eq!(copy(), before);
    }
    publish(&scene, &statement(&tip, 2));
    agent.round().await;
    assert_eq!(scene.ledger().freshness().unwrap().unwrap().sequence, 2);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_does_not_silence_the_alarm() {
    let mut scene = scene();
    let tip = scene.push_service("web", "1");
    publish(&scene, &statement(&tip, 1));
    assert!(!alarm(&scene.round().await));
    // The statement is a minute old, and now that is too old.
    scene.more.push_str("maxStaleness = \"30s\"\n");
    std::fs::rename(scene.forge.git_dir(), scene.forge.path().join("away")).unwrap();
    assert!(alarm(&scene.round().await));
    scene.assert_runs(&[("web", "1")]);
}
