//! The orders in commit messages: git itself says what a trailer is, and the mainline
//! alone is asked.

use writ::names::CommitId;

use crate::scene::{API, Scene, WEB};

const MUST_PASS: &str = "a migration\n\nWrit-Must-Pass: yes\n";
const URGENT: &str = "a fix\n\nWrit-Urgent: yes\n";

/// What git makes of a commit's trailers of that key.
fn by_git(scene: &Scene, commit: &CommitId) -> Vec<String> {
    let format = "--format=%(trailers:key=Writ-Urgent,valueonly,unfold)";
    let text = scene.forge.git(["show", "--no-patch", format, commit.as_str()], b"");
    let lines = String::from_utf8(text).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_trailer_is_what_git_says_it_is() {
    let scene = Scene::new();
    let pieces = [
        "Writ-Urgent: yes",
        "writ-urgent : yes",
        "Reviewed-by: Bob",
        "Signed-off-by: Bob <b@x>",
        "(cherry picked from commit 1234)",
        "any text",
        "more text: with a colon",
        " folded",
        "# a comment",
        "",
        "",
    ];
    let mut urgent = 0;
    let mut dice = 1_usize;
    for n in 0..200 {
        let mut lines = vec!["subject"; n % 3 % 2];
        for _ in 0..3 + n % 5 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            lines.push(pieces[(dice >> 33) % pieces.len()]);
        }
        let message = lines.join("\n");
        let commit = scene.next("alice").file(WEB, format!("n = {n}\n")).message(&message).make();
        let values = by_git(&scene, &commit);
        let expected = !values.is_empty() && values.iter().all(|value| value == "yes");
        let verified = scene.verify(&commit).unwrap();
        assert_eq!(verified.is_urgent(), expected, "{message}\n-- git says {values:?}");
        urgent += usize::from(expected);
    }
    assert!((12..180).contains(&urgent), "{urgent} of 200");
}

#[test]
fn what_the_mainline_asks_for_comes_with_the_head_and_ends_at_the_anchor() {
    let scene = Scene::new();
    let first = scene.next("alice").message(MUST_PASS).file(WEB, "n = 1\n").make();
    let second = scene.forge.commit("alice").on(&first).message(MUST_PASS).file(WEB, "n = 2\n");
    let second = second.make();
    let third = scene.forge.commit("alice").on(&second).message(URGENT).file(WEB, "n = 3\n").make();
    let head = scene.forge.commit("alice").on(&third).file(WEB, "n = 4\n").make();
    let stages = |anchor: Option<&_>| -> Vec<CommitId> {
        let verified = scene.verify_from(anchor, &head).unwrap();
        verified.stages().iter().map(|stage| stage.id.clone()).collect()
    };
    assert_eq!(stages(Some(&scene.anchor)), [first.clone(), second.clone()]);
    assert_eq!(stages(Some(&scene.accept(&first))), [second]);
    assert_eq!(stages(None), [], "a host that has accepted nothing goes straight to the head");
    let from = |commit| scene.verify_from(Some(&scene.accept(commit)), &head).unwrap();
    assert!(from(&first).is_urgent() && !from(&third).is_urgent());
    assert!(!from(&first).must_pass() && scene.verify(&first).unwrap().must_pass());
}

#[test]
fn a_merged_branch_asks_for_nothing_and_its_merge_may() {
    let scene = Scene::new();
    let side = scene.next("alice").message(MUST_PASS).file(WEB, "n = 1\n").make();
    let base = scene.next("alice").file(API, "n = 1\n").make();
    for (message, stages) in [("merge", 0), (MUST_PASS, 1)] {
        let merge = scene.forge.commit("alice").on(&base).on(&side).message(message);
        let merge = merge.file(API, "n = 1\n").file(WEB, "n = 1\n").make();
        let head = scene.forge.commit("alice").on(&merge).file(WEB, "n = 2\n").make();
        assert_eq!(scene.verify(&head).unwrap().stages().len(), stages, "{message}");
    }
}

/// Who may write nothing alone cannot hurry what others wrote, nor hold a host up: not by an
/// empty commit, and not by the message of a merge, which a forge makes of what anybody typed.
#[test]
fn only_those_who_may_write_something_alone_order_anything() {
    let forge = crate::forge::Forge::new();
    let signers = forge.signers(&["alice", "bob", "ci", "dave", "erin", "forge", "oncall"]);
    let more = "[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n[principals.oncall]\nmay = \"everything\"\nroles = [\"rollback\"]\n";
    let scene = Scene::introduce(forge, &signers, &(crate::scene::rules() + more));
    let both = "hurry\n\nWrit-Urgent: yes\nWrit-Must-Pass: yes\n";
    let waiting = scene.next("alice").file(WEB, "n = 1\n").make();
    let branch = scene.forge.commit("alice").on(&waiting).message(both).file(WEB, "n = 2\n").make();
    for (who, counts) in
        [("alice", true), ("bob", true), ("oncall", true), ("erin", false), ("forge", false)]
    {
        let empty = scene.forge.commit(who).on(&waiting).message(both).make();
        let merge = scene.forge.commit("forge").on(&waiting).on(&branch).tree_of(&branch);
        let merge = merge.message(both).make();
        for order in if who == "forge" { vec![empty, merge] } else { vec![empty] } {
            let verified = scene.verify(&order).unwrap();
            assert_eq!((verified.is_urgent(), verified.must_pass()), (counts, counts), "{who}");
            assert_eq!(verified.ignored_trailers().is_empty(), counts, "{who}");
            let head = scene.forge.commit("alice").on(&order).file(API, "n = 3\n").make();
            let above = scene.verify(&head).unwrap();
            assert_eq!((above.is_urgent(), above.stages().len() == 1), (counts, counts), "{who}");
            assert_eq!(above.ignored_trailers().is_empty(), counts, "{who}");
            // A head that is accepted already says the same again.
            let again = scene.verify_from(Some(&scene.accept(&order)), &order).unwrap();
            assert_eq!((again.is_urgent(), again.must_pass()), (counts, counts), "{who}");
        }
    }
}

/// Whoever may write one file could otherwise keep hosts at it for days.
#[test]
fn a_hundred_commits_that_must_pass_are_the_limit() {
    let scene = Scene::new();
    let mut head = scene.root.clone();
    for n in 0..101 {
        let draft = scene.forge.commit("bob").on(&head).message(MUST_PASS);
        head = draft.file(WEB, format!("n = {n}\n")).make();
    }
    // The head waits for those below it.
    assert_eq!(scene.verify(&head).unwrap().stages().len(), 100);
    let above = scene.forge.commit("alice").on(&head).file(WEB, "n = 0\n").make();
    let refusal = scene.verify(&above).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason.word()), ("O5", "too-large"));
}
