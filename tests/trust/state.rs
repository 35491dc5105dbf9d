//! What a host remembers: no way back, twins, pins, clocks and revocations (rules T1,
//! T2, K1 to K3), and the rollback that is allowed.

use writ::names::CommitId;
use writ::trust::Reason::{Clock, Expired, NotAuthorized, Revoked, Rollback};
use writ::trust::{Anchor, Pins, Refusal, recall};

use crate::forge::{EPOCH, Forge, NOW};
use crate::scene::{API, POLICY, SIGNERS, Scene, TEAM, WEB, rules};

fn because(result: Result<impl std::fmt::Debug, Refusal>) -> (String, writ::trust::Reason) {
    let refusal = result.unwrap_err();
    (refusal.rule, refusal.reason)
}

fn t1() -> (String, writ::trust::Reason) {
    ("T1".to_owned(), Rollback)
}

#[test]
fn the_branch_goes_forward_only() {
    let scene = Scene::new();
    let first = scene.next("alice").file(WEB, "a = 1\n").make();
    let second = scene.forge.commit("alice").on(&first).file(WEB, "a = 2\n").make();
    let anchor = scene.accept(&second);
    let judge = |head: &CommitId| scene.verify_from(Some(&anchor), head);
    assert_eq!(because(judge(&first)), t1());
    assert_eq!(because(judge(&scene.root)), t1());
    let rewritten = scene.forge.commit("alice").on(&first).file(WEB, "a = 3\n").make();
    assert_eq!(because(judge(&rewritten)), t1());
    let reverted = scene.forge.commit("alice").on(&second).tree_of(&first).make();
    assert_eq!(judge(&reverted).unwrap().files()[WEB], b"a = 1\n");
}

#[test]
fn a_merge_cannot_swap_the_mainline() {
    let scene = Scene::new();
    let main = scene.next("dave").file(API, "a = 2\n").make();
    let anchor = scene.accept(&main);
    let branch = scene.next("alice").file(WEB, "a = 2\n").make();
    let swapped = scene.forge.commit("alice").on(&branch).on(&main).make();
    assert_eq!(because(scene.verify_from(Some(&anchor), &swapped)), t1());
    let proper = scene.forge.commit("alice").on(&main).on(&branch).file(WEB, "a = 2\n").make();
    assert!(scene.verify_from(Some(&anchor), &proper).is_ok());
}

#[test]
fn a_branch_that_left_before_the_anchor_can_be_merged() {
    let scene = Scene::new();
    let one = scene.next("alice").make();
    let two = scene.forge.commit("alice").on(&one).file(API, "a = 2\n").make();
    let anchor = scene.accept(&two);
    let branch = scene.next("bob").file(WEB, "a = 3\n").make();
    let merge = scene.forge.commit("bob").on(&two).on(&branch).file(WEB, "a = 3\n").make();
    let step = scene.verify_from(Some(&anchor), &merge).unwrap();
    assert_eq!(step.anchor(), scene.verify_from(None, &merge).unwrap().anchor());
    let stranger = scene.next("mallory").file(WEB, "a = 3\n").make();
    let merge = scene.forge.commit("bob").on(&two).on(&stranger).make();
    assert_eq!(scene.verify_from(Some(&anchor), &merge).unwrap_err().commit, stranger);
}

/// Signs a commit's payload a second time: the same content under another id.
pub(crate) fn twin(scene: &Scene, signer: &str, commit: &CommitId) -> CommitId {
    let twin = scene.forge.raw_signed(signer, &scene.forge.payload(commit));
    assert_ne!(twin, *commit, "an ECDSA signature differs every time");
    twin
}

#[test]
fn a_resigned_twin_of_the_anchor_continues_the_history() {
    let forge = Forge::new();
    forge.make_key("alice", &["-t", "ecdsa"]);
    let scene = Scene::with(forge, "");
    let real = scene.next("alice").file(WEB, "a = 2\n").make();
    let served = twin(&scene, "alice", &real);
    let anchor = scene.accept(&served);
    // The honest branch goes on from the commit the host has never seen.
    let next = scene.forge.commit("bob").on(&real).file(WEB, "a = 3\n").make();
    let accepted = scene.verify_from(Some(&anchor), &next).unwrap();
    assert_eq!(accepted.anchor(), scene.verify_from(None, &next).unwrap().anchor());
    // Nothing but the very content continues it.
    let other = scene.next("alice").file(WEB, "a = 2 \n").make();
    let next = scene.forge.commit("bob").on(&other).file(WEB, "a = 3\n").make();
    assert_eq!(because(scene.verify_from(Some(&anchor), &next)), t1());
}

#[test]
fn a_host_that_was_shown_a_twin_finds_its_way_back_to_it() {
    let forge = Forge::new();
    forge.make_key("alice", &["-t", "ecdsa"]);
    let scene = Scene::with(forge, "");
    let real = scene.next("alice").file(WEB, "a = 2\n").make();
    let [served, forged] = ["alice", "mallory"].map(|who| twin(&scene, who, &real));
    let next = scene.forge.commit("bob").on(&real).file(WEB, "a = 3\n").make();
    let anchor = scene.accept(&next);
    for shown in [&served, &forged, &real] {
        let back = recall(&scene.repo, &scene.pins, &anchor, shown, NOW).unwrap();
        assert_eq!(back.id(), &real, "what the branch has, whatever was shown");
    }
    let other = scene.next("alice").file(WEB, "a = 4\n").make();
    assert_eq!(because(recall(&scene.repo, &scene.pins, &anchor, &other, NOW)), t1());
}

#[test]
fn a_twin_whose_signature_is_broken_is_refused() {
    let forge = Forge::new();
    forge.make_key("alice", &["-t", "ecdsa"]);
    let scene = Scene::with(forge, "");
    let real = scene.next("alice").file(WEB, "a = 2\n").make();
    let anchor = scene.accept(&real);
    let forged = twin(&scene, "mallory", &real);
    let refusal = scene.verify_from(Some(&anchor), &forged).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.commit), ("G3", forged));
}

#[test]
fn a_record_that_does_not_fit_its_commit_is_refused() {
    let scene = Scene::new();
    let damaged = Anchor { payload: "0".repeat(64), ..scene.anchor.clone() };
    let (rule, reason) = because(scene.verify_from(Some(&damaged), &scene.root));
    assert_eq!((rule.as_str(), reason), ("T2", Rollback));
}

#[test]
fn a_new_introduction_in_the_config_is_verified_afresh() {
    let scene = Scene::new();
    let next = scene.next("dave").file(WEB, "a = 2\n").make();
    let head = scene.forge.commit("alice").on(&next).file(WEB, "a = 3\n").make();
    let anchor = scene.accept(&next);
    let mut pins = scene.forge.pins(&next, "alice");
    let judge = |pins: &Pins| writ::trust::verify(&scene.repo, pins, Some(&anchor), &head, NOW);
    assert_eq!(judge(&pins).unwrap_err().rule, "G1", "dave has signed it, not alice");
    pins.introducer = scene.forge.fingerprint("dave");
    assert_eq!(judge(&pins).unwrap().anchor().introduction, next);
}

#[test]
fn the_minimum_commit_of_the_config_is_kept() {
    let scene = Scene::new();
    let one = scene.next("alice").make();
    let two = scene.forge.commit("alice").on(&one).make();
    let three = scene.forge.commit("alice").on(&two).make();
    let mut pins = scene.pins.clone();
    pins.minimum = Some(two.clone());
    let judge = |anchor, head| writ::trust::verify(&scene.repo, &pins, anchor, head, NOW);
    assert_eq!(because(judge(None, &one)), t1());
    assert!(judge(None, &two).is_ok());
    assert!(judge(None, &three).is_ok());
    let anchor = scene.accept(&three);
    let four = scene.forge.commit("alice").on(&three).make();
    assert!(judge(Some(&anchor), &four).is_ok(), "the minimum lies below the anchor");
    let early = scene.accept(&one);
    let side = scene.forge.commit("alice").on(&one).message("side").make();
    assert_eq!(because(judge(Some(&early), &side)), t1());
}

#[test]
fn a_commit_from_the_future_waits_for_the_clock() {
    let scene = Scene::new();
    let ahead = scene.next("alice").at(NOW + 601).make();
    let refusal = scene.verify(&ahead).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("K1", Clock));
    assert!(refusal.remedy.contains("clock"));
    let near = scene.next("alice").at(NOW + 600).make();
    assert!(scene.verify(&near).is_ok());
    let below = scene.forge.commit("alice").on(&ahead).at(EPOCH).make();
    assert_eq!(scene.verify(&below).unwrap_err().commit, ahead);
}

/// alice and temp, whose key is valid during 2023-11-16 UTC only.
pub(crate) fn scene_with_window() -> Scene {
    let forge = Forge::new();
    let window = "valid-after=\"20231116Z\",valid-before=\"20231117Z\"";
    let signers = format!("{}temp {window} {}\n", forge.signers(&TEAM), forge.public("temp"));
    let policy = rules() + "[principals.temp]\nmay = \"everything\"\nroles = [\"admin\"]\n";
    Scene::introduce(forge, &signers, &policy)
}

/// 2023-11-16 12:00 UTC.
pub(crate) const INSIDE: i64 = 1_700_136_000;
pub(crate) const DAY: i64 = 86_400;

#[test]
fn a_key_counts_within_its_window() {
    let mut scene = scene_with_window();
    let by_temp = |scene: &Scene, time| scene.next("temp").at(time).make();
    scene.now = INSIDE + 60;
    assert!(scene.verify(&by_temp(&scene, INSIDE)).is_ok());
    let early = because(scene.verify(&by_temp(&scene, INSIDE - DAY)));
    assert_eq!(early, ("K2".to_owned(), NotAuthorized));
    scene.now = INSIDE + 2 * DAY;
    let late = because(scene.verify(&by_temp(&scene, INSIDE + DAY)));
    assert_eq!(late, ("K2".to_owned(), Expired));
}

#[test]
fn an_expired_key_cannot_date_a_commit_back() {
    let mut scene = scene_with_window();
    scene.now = INSIDE + 2 * DAY;
    // Seen for the first time after the key's end: the date does not help.
    let dated_back = scene.next("temp").at(INSIDE).make();
    let expired = ("K2".to_owned(), Expired);
    assert_eq!(because(scene.verify(&dated_back)), expired);
    // On top of a later commit the later time counts, below a head that is good.
    let later = scene.next("alice").at(INSIDE + DAY).make();
    let between = scene.forge.commit("temp").on(&later).at(INSIDE).make();
    let head = scene.forge.commit("alice").on(&between).at(INSIDE + DAY).make();
    assert_eq!(because(scene.verify(&head)), expired);
    let anchor = scene.accept(&later);
    assert_eq!(because(scene.verify_from(Some(&anchor), &head)), expired);
    // A commit made in time stays good below a valid head.
    let head = scene.forge.commit("alice").on(&dated_back).at(INSIDE + DAY).make();
    assert!(scene.verify(&head).is_ok());
}

/// dave's key is revoked on top of `tip`, good until `good`.
pub(crate) fn revocation(scene: &Scene, tip: &CommitId, good: &CommitId) -> CommitId {
    let left: Vec<&str> = TEAM.into_iter().filter(|name| *name != "dave").collect();
    let key = scene.forge.fingerprint("dave");
    let revoked = format!("[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{good}\"\n");
    scene
        .forge
        .commit("alice")
        .on(tip)
        .file(SIGNERS, scene.forge.signers(&left))
        .file(POLICY, rules() + &revoked)
        .make()
}

#[test]
fn a_compromised_key_counts_up_to_its_last_good_commit() {
    let scene = Scene::new();
    let good = scene.next("dave").file(WEB, "a = 2\n").make();
    let bad = scene.forge.commit("dave").on(&good).file(WEB, "evil = 1\n").make();
    let head = revocation(&scene, &bad, &good);
    let refusal = scene.verify(&head).unwrap_err();
    assert_eq!(
        (refusal.rule.as_str(), refusal.reason, refusal.commit),
        ("K3", Revoked, bad.clone())
    );
    assert!(scene.verify(&revocation(&scene, &bad, &bad)).is_ok(), "harmless after all");
    let head = revocation(&scene, &good, &good);
    assert!(scene.verify(&head).is_ok());
    // What the thief signed on a branch does not come in later.
    let anchor = scene.accept(&head);
    let branch = scene.next("dave").file(API, "evil = 1\n").make();
    let merge = scene.forge.commit("alice").on(&head).on(&branch).make();
    let refusal = scene.verify_from(Some(&anchor), &merge).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.commit), ("K3", branch));
    let after = scene.forge.commit("dave").on(&head).make();
    assert_eq!(because(scene.verify(&after)), ("G3".to_owned(), Revoked));
}

#[test]
fn only_what_was_on_the_branch_can_be_recalled() {
    let scene = Scene::new();
    let one = scene.next("alice").file(WEB, "a = 1\n").make();
    let branch = scene.next("bob").file(WEB, "a = 2\n").make();
    let merge = scene.forge.commit("alice").on(&one).on(&branch).make();
    let anchor = scene.accept(&merge);
    let back = |id: &CommitId| recall(&scene.repo, &scene.pins, &anchor, id, NOW);
    assert_eq!(back(&one).unwrap().files()[WEB], b"a = 1\n");
    assert_eq!(back(&scene.root).unwrap().id(), &scene.root);
    assert_eq!(back(&merge).unwrap().anchor(), &anchor);
    assert_eq!(because(back(&branch)), t1());
    let later = scene.forge.commit("alice").on(&merge).make();
    assert_eq!(because(back(&later)), t1());
}

#[test]
fn what_a_thief_signed_cannot_be_recalled_after_the_revocation() {
    let scene = Scene::new();
    let good = scene.next("dave").make();
    let bad = scene.forge.commit("dave").on(&good).file(WEB, "evil = 1\n").make();
    let anchor = scene.accept(&bad);
    // This host had accepted the thief's commit already; it goes on from there.
    let head = revocation(&scene, &bad, &good);
    let anchor = scene.verify_from(Some(&anchor), &head).unwrap().anchor().clone();
    let back = |id: &CommitId| recall(&scene.repo, &scene.pins, &anchor, id, NOW);
    assert_eq!(because(back(&bad)), ("K3".to_owned(), Revoked));
    assert!(back(&good).is_ok());
}

#[test]
fn what_the_anchor_vouches_for_is_not_judged_again() {
    let scene = Scene::new();
    let good = scene.next("dave").make();
    let bad = scene.forge.commit("dave").on(&good).file(WEB, "a = 9\n").make();
    let anchor = scene.accept(&bad);
    let head = revocation(&scene, &bad, &good);
    let anchor = scene.verify_from(Some(&anchor), &head).unwrap().anchor().clone();
    // The branch left below what a judge of today would refuse.
    let branch = scene.next("bob").file("manifests/services/web-2.toml", "a = 1\n").make();
    let merge = scene.forge.commit("alice").on(&head).on(&branch).make();
    assert!(scene.verify_from(Some(&anchor), &merge).is_ok());
    assert_eq!(because(scene.verify_from(None, &merge)), ("K3".to_owned(), Revoked));
}

#[test]
fn what_stood_before_the_last_good_commit_of_a_thief_can_be_recalled() {
    let scene = Scene::new();
    let first = scene.next("dave").file(WEB, "a = 1\n").make();
    let second = scene.forge.commit("alice").on(&first).file(WEB, "a = 2\n").make();
    let last_good = scene.forge.commit("dave").on(&second).file(WEB, "a = 3\n").make();
    let head = revocation(&scene, &last_good, &last_good);
    let anchor = scene.accept(&head);
    for id in [&first, &second, &last_good, &head] {
        let back = recall(&scene.repo, &scene.pins, &anchor, id, NOW);
        assert_eq!(back.map(|commit| commit.id().clone()).as_ref(), Ok(id));
    }
}
