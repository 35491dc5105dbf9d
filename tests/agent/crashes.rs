//! The agent is killed after every change that it makes, in all kinds of work.

use writ::ledger::pause::Pause;
use writ::source::repo::Repository;
use writ::trust::{self, HEAD, HeadStatement, RESET, ResetStatement};
use writ::verdict::Verdict;

use crate::crash::{NEW, OLD, push, quick, two_generations};
use crate::forge::CHANNEL;
use crate::scene::{Scene, closure, word};
use crate::tour::{End, Tour};
use crate::wreck::{Eye, Met};

const WEB: &str = "manifests/services/web.toml";
const WEB_1: End = End { word: "confirmed", runs: &[("web", "1")] };
const WEB_2: End = End { word: "confirmed", runs: &[("web", "2")] };

/// A host that runs `web` 1.
async fn web_1() -> Scene {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene
}

/// Kills and cuts the power after every change of the way to `end`.
async fn goes(what: &str, scene: &Scene, end: End) {
    let mut tour = Tour::of(scene);
    let wrecks = tour.watch().await;
    tour.each_comes_to(&wrecks, end).await;
    tour.each_boots_to(&wrecks, end).await;
    tour.tell(what);
}

#[tokio::test]
async fn one_service_that_changes_and_a_revert() {
    let mut scene = web_1().await;
    push(&mut scene, "web", "2");
    goes("one changed service", &scene, WEB_2).await;
    assert_eq!(word(&scene.round().await), "confirmed");
    let reverted = quick(&scene, "web", "1", "");
    scene.push(&[(WEB, Some(reverted))]);
    goes("a revert", &scene, WEB_1).await;
}

#[tokio::test]
async fn a_service_that_never_answers_its_check() {
    let mut scene = web_1().await;
    scene.world.touch(|machine| {
        machine.sick.insert(closure("web", "2"));
    });
    let text = quick(&scene, "web", "2", "").replace("\"2s\"", "\"20ms\"");
    scene.push(&[(WEB, Some(text))]);
    let end = End { word: "rolled-back", ..WEB_1 };
    goes("an unhealthy service", &scene, end).await;
}

#[tokio::test]
async fn a_first_generation_that_does_not_work() {
    let mut scene = Scene::new();
    push(&mut scene, "web", "1");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "1"));
    });
    let end = End { word: "rolled-back", runs: &[] };
    goes("a first generation that does not work", &scene, end).await;
}

#[tokio::test]
async fn a_manifest_that_is_refused() {
    let mut scene = web_1().await;
    scene.push(&[(WEB, Some("hosts = [\"biz\"\n".to_owned()))]);
    goes("a refused manifest", &scene, End { word: "refused", ..WEB_1 }).await;
}

/// Each host that was killed on its way to `web` 2 finds another commit when it starts
/// again: one that works, one that takes everything back, one that is invalid, and one
/// that nobody trusts.
#[tokio::test]
async fn a_newer_commit_after_the_crash() {
    let base = two_generations().await;
    quick(&base, "web", "3", "");
    let mut tour = Tour::of(&base);
    let wrecks = tour.watch().await;
    let after = |change: &dyn Fn(&mut Scene)| {
        let mut scene = base.twin();
        change(&mut scene);
        scene.head
    };
    let newer = after(&|scene| push(scene, "web", "3"));
    let invalid = after(&|scene| drop(scene.push(&[(WEB, Some("hosts = [".to_owned()))])));
    let back = after(&|scene| {
        let (old, web) = (quick(scene, "old", "1", ""), quick(scene, "web", "1", ""));
        let old = ("manifests/services/old.toml", Some(old));
        scene.push(&[old, ("manifests/services/new.toml", None), (WEB, Some(web))]);
    });
    let foreign = base.forge.commit("mallory").on(&base.head).make();

    base.point_main_at(&newer);
    let newest = End { word: "confirmed", runs: &[("new", "1"), ("web", "3")] };
    tour.each_comes_to(&wrecks, newest).await;
    base.point_main_at(&back);
    tour.each_comes_to(&wrecks, End { word: "confirmed", ..OLD }).await;
    base.point_main_at(&invalid);
    for wreck in &wrecks {
        let newest = wreck.found_by(&base).ledger().newest().unwrap().unwrap();
        let confirmed = matches!(newest.verdict, Some(Verdict::Confirmed { .. }));
        let runs = if confirmed && newest.number == 2 { NEW.runs } else { OLD.runs };
        tour.each_comes_to(std::slice::from_ref(wreck), End { word: "refused", runs }).await;
    }
    base.point_main_at(&foreign);
    for wreck in &wrecks {
        let anchor = wreck.found_by(&base).ledger().anchor().unwrap().unwrap();
        let runs = if anchor.commit == base.head { NEW.runs } else { OLD.runs };
        tour.each_comes_to(std::slice::from_ref(wreck), End { word: "confirmed", runs }).await;
    }
    tour.tell("a newer commit after the crash");
}

/// A pause holds wherever the agent was killed, and its end is a way on.
#[tokio::test]
async fn a_pause_over_a_half_applied_generation() {
    let base = two_generations().await;
    let mut tour = Tour::of(&base);
    let mut resumed = Vec::new();
    for wreck in tour.watch().await {
        let scene = wreck.found_by(&base);
        let (machine, met) = (scene.world.state().key(), Met::default());
        let pause = Pause { since: String::new(), by: "root".parse().unwrap(), reason: None };
        let eye = Eye::on(&scene, &met);
        eye.ledger(&scene).pause(&pause).unwrap();
        let torn = eye.close().wrecks;
        assert!(scene.round().await.paused.is_some());
        assert_eq!(scene.world.state().key(), machine, "the host was changed");
        let eye = Eye::on(&scene, &met);
        eye.ledger(&scene).resume().unwrap();
        resumed.extend(eye.close().wrecks);
        for half in torn {
            // A pause that was not on disk was never there.
            if half.found_by(&base).ledger().paused().unwrap().is_none() {
                resumed.push(half);
            }
        }
    }
    tour.each_comes_to(&resumed, NEW).await;
    tour.tell("a pause and its end");
}

/// Root resets the anchor to an earlier commit, and is killed at it.
#[tokio::test]
async fn a_reset_of_trust() {
    let mut scene = web_1().await;
    let first = scene.head.clone();
    push(&mut scene, "web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.point_main_at(&first);
    let repository = Repository::open(&scene.ledger().repository()).unwrap();
    let now = jiff::Timestamp::now();
    let pins = scene.config().pins();
    let commit = trust::verify(&repository, &pins, None, &first, now.as_second()).unwrap();
    let mut tour = Tour::of(&scene);
    let done = scene.twin();
    let eye = Eye::on(&done, &Met::default());
    eye.ledger(&done).reset(&commit, &now.to_string()).unwrap();
    for wreck in eye.close().wrecks {
        let moved = wreck.found_by(&scene).ledger().anchor().unwrap().unwrap().commit == first;
        let end = if moved { WEB_1 } else { WEB_2 };
        tour.each_comes_to(std::slice::from_ref(&wreck), end).await;
        tour.each_boots_to(std::slice::from_ref(&wreck), end).await;
    }
    tour.tell("a reset of trust");
}

#[tokio::test]
async fn a_statement_about_the_head() {
    let mut scene = Scene::new();
    scene.more = "requireHead = true\n".to_owned();
    let herald = scene.forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    let signers = scene.forge.signers(&["alice"]) + &herald;
    scene.push(&[(".writ/allowed_signers", Some(signers))]);
    push(&mut scene, "web", "1");
    let (commit, issued) = (scene.head.clone(), jiff::Timestamp::now().as_second() - 60);
    let statement =
        HeadStatement { commit, sequence: 1, issued, expires: issued + 86_400, by: None };
    scene.forge.state("refs/writ/head/main", HEAD, &statement.text(CHANNEL), &["herald"]);
    goes("a statement about the head", &scene, WEB_1).await;
    assert_eq!(word(&scene.round().await), "confirmed");
    let known = scene.ledger().freshness().unwrap().unwrap();
    assert_eq!((known.commit, known.sequence), (statement.commit, 1));
}

#[tokio::test]
async fn a_history_that_recovery_keys_have_moved() {
    let mut scene = Scene::new();
    let keys = ["safe-a", "safe-b"].map(|key| format!("{:?}", scene.forge.public(key)));
    scene.more = format!("recoveryKeys = [{}]\nrecoveryThreshold = 2\n", keys.join(", "));
    push(&mut scene, "web", "1");
    let lost = scene.head.clone();
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.head = scene.root.clone();
    push(&mut scene, "web", "2");
    let expires = jiff::Timestamp::now().as_second() + 3600;
    let moved = ResetStatement { from: lost, to: scene.head.clone(), sequence: 1, expires };
    scene.forge.state("refs/writ/reset/main", RESET, &moved.text(CHANNEL), &["safe-a", "safe-b"]);
    goes("a rewritten history", &scene, WEB_2).await;
}
