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
