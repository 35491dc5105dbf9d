//! What becomes of the ways in which teams bring work together: git's own commands,
//! and the three buttons of a forge. docs/trust.md has a line for each.

use writ::names::CommitId;

use crate::desk::Desk;
use crate::forge::Forge;
use crate::scene::{API, SERVICE, Scene, TEAM, WEB, rules};

const MORE: &str = "[principals.rita]\nmay = \"everything\"\nroles = [\"rollback\"]\n[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n\
    [[protect]]\npaths = [\"manifests/services/api.toml\"]\nthreshold = 2\n";

/// The team; API takes two people, rita may roll back, forge may merge.
fn scene() -> Scene {
    let forge = Forge::new();
    let signers = forge.signers(&TEAM) + &forge.signers(&["rita", "forge"]);
    Scene::introduce(forge, &signers, &(rules() + MORE))
}

/// `ok`, or the rule that a host refuses `main` by; from the anchor and from the
/// introduction alike.
fn verdict(scene: &Scene, desk: &Desk<'_>) -> String {
    let head = desk.at("main");
    let told = |anchor| match scene.verify_from(anchor, &head) {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.rule,
    };
    let (step, whole) = (told(Some(&scene.anchor)), told(None));
    assert_eq!(step, whole);
    step
}

/// What a host makes of main after `play`.
fn after(play: impl Fn(&Desk<'_>)) -> String {
    let scene = scene();
    let desk = Desk::new(&scene.forge, &scene.root);
    play(&desk);
    verdict(&scene, &desk)
}

fn merge(desk: &Desk<'_>, who: &str, how: &str) {
    desk.on("main");
    desk.git(who, &format!("merge -q {how}"));
}

#[test]
fn a_merge_of_a_branch_from_the_tip_is_two_peoples_word() {
    let merged = |author: &'static str, path: &'static str, merger: &'static str| {
        after(move |desk| {
            desk.branch(author, "work", path, "a = 2\n");
            merge(desk, merger, "--no-ff work");
        })
    };
    assert_eq!(merged("alice", API, "dave"), "ok");
    assert_eq!(merged("alice", API, "alice"), "G5", "one person is not two");
    assert_eq!(merged("alice", API, "bob"), "G4", "who merges must be allowed to write");
    assert_eq!(merged("erin", WEB, "bob"), "ok", "who merges answers for what is merged");
}

#[test]
fn a_merge_after_main_moved_on_is_one_persons_word_until_the_branch_catches_up() {
    let merged = |path: &'static str, catch_up: &'static str| {
        after(move |desk| {
            desk.branch("alice", "work", path, "a = 2\n");
            desk.on("main");
            desk.write("alice", "README", "x");
            if !catch_up.is_empty() {
                desk.on("work");
                desk.git("alice", catch_up);
            }
            merge(desk, "dave", "--no-ff work");
        })
    };
    assert_eq!(merged(WEB, ""), "ok");
    assert_eq!(merged(API, ""), "G5");
    assert_eq!(merged(API, "rebase -q main"), "ok");
    assert_eq!(merged(API, "merge -q --no-ff main"), "ok");
}

#[test]
fn a_fast_forward_is_what_its_commits_are() {
    let forwarded = |path: &'static str| {
        after(move |desk| {
            desk.branch("alice", "work", path, "a = 2\n");
            merge(desk, "dave", "--ff-only work");
        })
    };
    assert_eq!(forwarded(WEB), "ok");
    assert_eq!(forwarded(API), "G5", "dave has signed nothing");
}

#[test]
fn an_octopus_is_its_mergers_word_alone() {
    let octopus = |path: &'static str, merger: &'static str| {
        after(move |desk| {
            desk.branch("alice", "one", path, "a = 2\n");
            desk.branch("alice", "two", "README", "x");
            merge(desk, merger, "--no-ff one two");
        })
    };
    assert_eq!(octopus(WEB, "dave"), "ok");
    assert_eq!(octopus(API, "dave"), "G5");
    assert_eq!(octopus(WEB, "forge"), "G4");
}

#[test]
fn a_revert_is_a_commit_like_any_other() {
    let reverted = |path: &'static str, who: &'static str| {
        after(move |desk| {
            desk.branch("alice", "work", path, "a = 2\n");
            merge(desk, "dave", "--no-ff work");
            desk.git(who, "revert --no-edit -m 1 HEAD");
        })
    };
    assert_eq!(reverted(WEB, "bob"), "ok");
    assert_eq!(reverted("README", "bob"), "G4");
    assert_eq!(reverted(API, "alice"), "G5");
    assert_eq!(reverted(API, "rita"), "ok", "the role rollback may, whatever is protected");
    let plain = |who: &'static str| {
        after(move |desk| {
            desk.write("bob", WEB, "a = 2\n");
            desk.git(who, "revert --no-edit HEAD");
        })
    };
    assert_eq!(plain("bob"), "ok");
    assert_eq!(plain("rita"), "ok");
    assert_eq!(plain("erin"), "G4");
}

#[test]
fn a_reverted_merge_goes_back_by_a_merge_where_it_takes_two() {
    let back = after(|desk| {
        desk.branch("alice", "work", API, "a = 2\n");
        merge(desk, "dave", "--no-ff work");
        desk.git("alice", "checkout -q -B undo main");
        desk.git("alice", "revert --no-edit -m 1 HEAD");
        merge(desk, "dave", "--no-ff undo");
    });
    assert_eq!(back, "ok");
}

#[test]
fn a_revert_of_one_commit_below_others_is_no_rollback() {
    let reverted = |who: &'static str| {
        after(move |desk| {
            desk.write("bob", WEB, "a = 2\n");
            desk.write("alice", "README", "x");
            desk.git(who, "revert --no-edit HEAD~1");
        })
    };
    assert_eq!(reverted("rita"), "G4", "main never was in this state");
    assert_eq!(reverted("bob"), "ok");
}

#[test]
fn a_picked_commit_is_the_pickers() {
    let picked = |who: &'static str| {
        after(move |desk| {
            desk.branch("bob", "work", WEB, "a = 2\n");
            desk.on("main");
            desk.write("alice", "README", "x");
            desk.git(who, "cherry-pick work");
        })
    };
    assert_eq!(picked("dave"), "ok");
    assert_eq!(picked("erin"), "G4");
    assert_eq!(picked("mallory"), "G3");
}

#[test]
fn a_rebased_branch_is_whose_who_rebased_it() {
    let rebased = |who: &'static str| {
        after(move |desk| {
            desk.branch("bob", "work", WEB, "a = 2\n");
            desk.on("main");
            desk.write("alice", "README", "x");
            desk.on("work");
            desk.git(who, "rebase -q main");
            merge(desk, "alice", "--ff-only work");
        })
    };
    assert_eq!(rebased("bob"), "ok");
    assert_eq!(rebased("dave"), "ok");
    assert_eq!(rebased("erin"), "G4");
}

#[test]
fn a_squash_is_one_commit_of_whoever_makes_it() {
    let squashed = |who: Option<&'static str>| {
        after(move |desk| {
            desk.branch("bob", "work", WEB, "a = 2\n");
            desk.write("bob", WEB, "a = 3\n");
            desk.on("main");
            desk.git("alice", "merge -q --squash work");
            match who {
                Some(who) => desk.git(who, "commit -q -m squashed"),
                None => desk.unsigned("commit -q -m squashed"),
            }
        })
    };
    assert_eq!(squashed(Some("bob")), "ok");
    assert_eq!(squashed(Some("forge")), "G4", "a merge key has no content of its own");
    assert_eq!(squashed(None), "O1");
}

#[test]
fn a_forge_that_rebases_makes_commits_that_nobody_signed() {
    let button = |who: Option<&'static str>| {
        after(move |desk| {
            desk.branch("bob", "work", WEB, "a = 2\n");
            desk.on("main");
            desk.write("alice", "README", "x");
            desk.on("work");
            match who {
                Some(who) => desk.git(who, "rebase -q main"),
                None => desk.unsigned("rebase -q main"),
            }
            merge(desk, "alice", "--ff-only work");
        })
    };
    assert_eq!(button(None), "O1");
    assert_eq!(button(Some("forge")), "G4");
}

#[test]
fn the_merge_button_works_for_a_branch_from_the_tip() {
    let button = |author: &'static str, path: &'static str, update: Option<&'static str>| {
        after(move |desk| {
            desk.branch(author, "work", path, SERVICE.replace("old", "new").as_str());
            if let Some(who) = update {
                desk.on("main");
                desk.write("alice", "README", "x");
                desk.on("work");
                desk.git(who, "merge -q --no-ff main");
            }
            merge(desk, "forge", "--no-ff work");
        })
    };
    assert_eq!(button("bob", WEB, None), "ok");
    assert_eq!(button("ci", WEB, None), "ok");
    assert_eq!(button("alice", API, None), "ok", "the forge is the second of two");
    assert_eq!(button("erin", WEB, None), "G4");
    assert_eq!(button("bob", WEB, Some("bob")), "ok");
    assert_eq!(button("bob", WEB, Some("forge")), "G4", "the button that updates a branch");
}

#[test]
fn the_merge_button_does_not_work_once_main_moved_on() {
    let verdict = after(|desk| {
        desk.branch("bob", "work", WEB, "a = 2\n");
        desk.on("main");
        desk.write("alice", "README", "x");
        merge(desk, "forge", "--no-ff work");
    });
    assert_eq!(verdict, "G4");
}

/// What is tested here is what git makes, so git must have made it.
#[test]
fn the_desk_merges_as_git_does() {
    let scene = scene();
    let desk = Desk::new(&scene.forge, &scene.root);
    let work: CommitId = desk.branch("bob", "work", WEB, "a = 2\n");
    merge(&desk, "dave", "--no-ff work");
    assert_eq!(desk.at("main^1"), scene.root);
    assert_eq!(desk.at("main^2"), work);
    scene.forge.git_verifies(&desk.at("main")).unwrap();
}
