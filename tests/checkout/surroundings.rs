//! What a person's git, environment and terminal are like, whatever they are like.

use std::fs;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

/// Hooks there would judge every repository that this person has.
#[test]
fn hooks_that_other_repositories_share_are_left_alone() {
    let desk = Desk::new();
    let shared = desk.home().join("hooks");
    fs::create_dir(&shared).unwrap();
    let path = shared.display().to_string();
    ok(&desk.run("git", &["config", "--global", "core.hooksPath", &path]));
    let made = desk.writ(&["init", "deploy"]);
    assert!(ok(&made).contains("no hook installed: git's core.hooksPath is"));
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
}

/// The hook of a repository that has nothing to do with hosts, where somebody put it all the same.
#[test]
fn a_repository_without_policy_and_manifest_is_none_of_the_hooks_business() {
    let desk = Desk::with_services();
    ok(&desk.run("git", &["init", "-q", "other"]));
    let other = desk.dir.path().join("other");
    fs::copy(desk.deploy().join(".git/hooks/pre-commit"), other.join(".git/hooks/pre-commit"))
        .unwrap();
    ok(&desk.run_in(&other, "git", &["commit", "-q", "--allow-empty", "-m", "anything"]));
    // Here it would take everything off every host.
    let refused = desk.run_in(&desk.deploy(), "sh", &["-c", "git rm -rq . && git commit -qm gone"]);
    assert!(!refused.status.success());
}

/// As a hook or an alias of another repository has it.
#[test]
fn the_repository_is_the_one_that_is_named_and_not_gits_environments() {
    let desk = Desk::with_services();
    desk.git(&["switch", "-q", "-c", "late"]);
    desk.write("late", &service(ONE, "late", 8002));
    desk.commit("late");
    ok(&desk.run("git", &["init", "-q", "-b", "main", "other"]));
    let other = desk.dir.path().join("other");
    ok(&desk.run_in(&other, "git", &["commit", "-q", "--allow-empty", "-m", "x"]));
    let within = |args: &[&str]| {
        let mut command = desk.command(&desk.deploy(), "writ", args);
        command.env("GIT_DIR", other.join(".git")).env("GIT_INDEX_FILE", other.join(".git/index"));
        ok(&command.output().unwrap())
    };
    let told = within(&["review", "late"]);
    assert!(told.contains("as it is: accepted"), "{told}");
    within(&["revert", "HEAD"]);
    assert_eq!(desk.git(&["log", "-1", "--format=%s"]), "Revert \"late\"");
    assert_eq!(ok(&desk.run_in(&other, "git", &["log", "--format=%s"])), "x");
}

#[test]
fn a_folder_of_the_checkout_stands_for_all_of_it() {
    let desk = Desk::with_services();
    for folder in ["manifests/services", ".git/.."] {
        let told = desk.run_in(&desk.deploy().join(folder), "writ", &["check"]);
        ok(&told);
    }
    let told = desk.run_in(&desk.home(), "writ", &["check"]);
    assert!(desk.told(&told).contains("has no folder `manifests`"));
}

/// A server's words, a colleague's file names: nothing of them steers the terminal.
#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let team = Team::with("");
    team.branch(&team.bob, "late", 8002);
    let hook = team.origin().join("hooks/pre-receive");
    let evil = "#!/bin/sh\nprintf '\\033[2Jall is well\\033[8m\\r\\n' >&2\nexit 1\n";
    team.carol.script(&hook, evil);
    let refused = team.carol.in_deploy(&["approve", "late"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("all is well") && !said.contains(['\x1b', '\r']), "{said:?}");
    // And a file whose name draws over what is said of it.
    let services = team.bob.deploy().join("manifests/services");
    fs::write(services.join("\x1b[1A\u{202e}x.toml"), "hots = 1\n").unwrap();
    team.bob.git(&["add", "-A"]);
    team.bob.git(&["commit", "-q", "-m", "\x1b[2J evil"]);
    for args in [&["review"][..], &["review", "--json"], &["check"]] {
        let told = team.told(&team.bob.in_deploy(args), &[]);
        assert!(!told.contains(['\x1b', '\u{202e}']), "{args:?}: {told:?}");
        assert!(told.ends_with("exit 1\n"), "{told}");
    }
}
