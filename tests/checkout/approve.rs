//! `writ approve`: git, keys and the server are real.

use std::fs;
use std::os::unix::fs::symlink;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::review::{THREE, TWO};
use crate::team::Team;

/// Nothing of an approval is left here or on the server.
fn untouched(team: &Team, desk: &Desk, main: &str, head: &str) {
    assert_eq!(team.main(), main);
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(desk.git(&["status", "--short"]), "");
    assert!(!desk.deploy().join(".git/MERGE_HEAD").exists());
}

#[test]
fn what_one_person_wrote_another_approves_and_hosts_accept() {
    let team = Team::with(TWO).guarded("pre-receive");
    let late = team.branch(&team.bob, "late", 8002);
    let carol = &team.carol;
    fs::write(carol.deploy().join("manifests/services/api.toml"), "# being written\n").unwrap();
    let told = ok(&carol.in_deploy(&["approve", "late"]));
    assert!(told.contains("on biz") && told.ends_with("pushed"), "{told}");
    assert_eq!(team.landed().lines().next(), Some("Merge branch 'late'"));
    assert_eq!(team.on_server(&["rev-parse", "main^2", "main^{tree}"]), {
        let tree = team.bob.git(&["rev-parse", "HEAD^{tree}"]);
        format!("{late}\n{tree}")
    });
    // The checkout has gone on, and what is being written is still there.
    assert_eq!(carol.git(&["rev-parse", "main"]), team.main());
    assert_eq!(carol.git(&["status", "--short"]), "M manifests/services/api.toml");
    assert_eq!(ok(&carol.in_deploy(&["approve", "late"])), "main has it already");
}

#[test]
fn an_own_change_that_takes_another_person_is_refused_with_who_it_could_be() {
    let team = Team::with(TWO);
    let late = team.branch(&team.bob, "late", 8002);
    let main = team.main();
    let refused = team.bob.in_deploy(&["approve"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("a merge by bob by rule G5"), "{said}");
    assert!(said.contains("any of alice, carol is missing"), "{said}");
    untouched(&team, &team.bob, &main, &late);
}

#[test]
fn three_people_are_the_author_an_approval_and_whoever_merges() {
    let team = Team::with(THREE).guarded("pre-receive");
    team.branch(&team.bob, "late", 8002);
    let main = team.main();
    let alone = team.carol.in_deploy(&["approve", "late"]);
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(said.contains("alice, carol are missing"), "{said}");
    assert!(said.contains("writ approve --detached late"), "{said}");
    let told = ok(&team.alice.in_deploy(&["approve", "late", "--detached"]));
    let line = told.lines().last().unwrap();
    assert!(line.starts_with("Writ-Approval: "), "{told}");
    assert_eq!(team.main(), main);
    // Somebody whose word is there already adds nothing by approving.
    let again = team.bob.in_deploy(&["approve", "late", "--detached"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("would not count"));
    let args = ["approve", "late", "--approval", line, "-m", "Late\n\nWrit-Urgent: yes"];
    ok(&team.carol.in_deploy(&args));
    let message = team.on_server(&["log", "-1", "--format=%B", "main"]);
    assert_eq!(message, format!("Late\n\n{line}\n\nWrit-Urgent: yes"));
}

#[test]
fn an_approval_that_the_author_embeds_counts_in_the_merge_as_well() {
    let team = Team::with(THREE).guarded("pre-receive");
    team.branch(&team.bob, "late", 8002);
    let told = ok(&team.alice.in_deploy(&["approve", "late", "--detached"]));
    let line = told.lines().last().unwrap();
    team.bob.git(&["commit", "-q", "--amend", "-m", &format!("late\n\n{line}")]);
    team.bob.git(&["push", "-q", "--force", "origin", "late"]);
    let told = ok(&team.carol.in_deploy(&["approve", "late"]));
    assert!(told.contains("agreed to by alice, bob") || told.contains("alice, bob have"), "{told}");
    assert_eq!(team.landed().lines().next(), Some("Merge branch 'late'"));
}

#[test]
fn a_conflict_names_its_files_and_leaves_nothing_half_merged() {
    let team = Team::with("");
    team.bob.git(&["switch", "-q", "-c", "web"]);
    team.bob.write("web", &service(ONE, "web", 9000));
    team.bob.commit("web on 9000");
    team.bob.git(&["push", "-q", "origin", "web"]);
    team.alice.write("web", &service(ONE, "web", 7000));
    team.alice.commit("web on 7000");
    team.alice.git(&["push", "-q"]);
    let (main, head) = (team.main(), team.carol.git(&["rev-parse", "HEAD"]));
    let refused = team.carol.in_deploy(&["approve", "web"]);
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!(team.told(&refused, &[]));
    untouched(&team, &team.carol, &main, &head);
}

#[test]
fn a_branch_from_before_the_tip_is_merged_where_nothing_is_protected() {
    let team = Team::with("");
    team.branch(&team.bob, "late", 8002);
    team.alice.write("soon", &service(ONE, "soon", 8003));
    team.alice.commit("soon");
    team.alice.git(&["push", "-q"]);
    ok(&team.carol.in_deploy(&["approve", "late", "--no-push"]));
    assert_eq!(team.landed().lines().next(), Some("soon"));
    assert_eq!(team.carol.git(&["log", "-1", "--format=%s", "main"]), "Merge branch 'late'");
    ok(&team.carol.in_deploy(&["approve", "late"]));
    let files = team.on_server(&["ls-tree", "--name-only", "main:manifests/services"]);
    assert_eq!(files, "api.toml\nlate.toml\nsoon.toml\nweb.toml");
}

#[test]
fn somebody_who_may_not_write_there_is_told_so() {
    let team = Team::with("");
    fs::write(team.alice.deploy().join("README"), "x").unwrap();
    team.alice.git(&["switch", "-q", "-c", "note"]);
    team.alice.commit("a note");
    team.alice.git(&["push", "-q", "origin", "note"]);
    let main = team.main();
    let refused = team.carol.in_deploy(&["approve", "note"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("by rule G4: carol may not change README"), "{said}");
    assert_eq!(team.main(), main);
}

/// Hosts begin only what somebody has signed the plan of.
#[test]
fn a_merge_names_the_plan_of_each_host_where_the_policy_asks_for_it() {
    let team = Team::with("").guarded("pre-receive");
    let policy = team.alice.deploy().join(".writ/policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("requirePlan = true\n{text}")).unwrap();
    team.alice.commit("plans");
    team.alice.git(&["push", "-q"]);
    team.branch(&team.bob, "late", 8002);
    let told = ok(&team.bob.in_deploy(&["review"]));
    assert!(told.contains("and hosts wait") && told.ends_with("next: writ approve late"), "{told}");
    ok(&team.carol.in_deploy(&["approve", "late", "-m", "Late\n\nWrit-Urgent: yes"]));
    let message = team.on_server(&["log", "-1", "--format=%B", "main"]);
    let mut lines = message.lines();
    assert_eq!(
        (lines.next(), lines.next(), lines.next()),
        (Some("Late"), Some(""), Some("Writ-Urgent: yes"))
    );
    let plan = lines.next().unwrap();
    assert!(plan.starts_with("Writ-Plan: biz sha256:"), "{message}");
    // A branch that names it may go as it is.
    let desk = &team.bob;
    desk.git(&["switch", "-q", "main"]);
    desk.git(&["pull", "-q"]);
    desk.git(&["switch", "-q", "-c", "soon"]);
    desk.write("soon", &service(ONE, "soon", 8003));
    desk.commit("soon");
    ok(&desk.in_deploy(&["plan", "--sign"]));
    let told = ok(&desk.in_deploy(&["review"]));
    assert!(
        told.contains("next: git push origin ") && told.ends_with(":refs/heads/main"),
        "{told}"
    );
}

/// Has a hook play somebody else, once, at the moment of a push.
const FASTER: &str = "#!/bin/sh\nunset $(git rev-parse --local-env-vars)\n[ ! -e \"$HOME/faster\" ] || exit 0\n: >\"$HOME/faster\"\ngit -C ALICE push -q origin main\n";

#[test]
fn where_somebody_else_was_faster_it_is_made_again_on_top() {
    let faster = |team: &Team| {
        team.branch(&team.bob, "late", 8002);
        team.alice.write("soon", &service(ONE, "soon", 8003));
        team.alice.commit("soon");
        let text = FASTER.replace("ALICE", &team.alice.deploy().display().to_string());
        team.carol.script(&team.carol.deploy().join(".git/hooks/pre-push"), &text);
        team.carol.in_deploy(&["approve", "late"])
    };
    let team = Team::with("");
    let done = faster(&team);
    assert!(String::from_utf8_lossy(&done.stderr).contains("trying again"));
    ok(&done);
    assert_eq!(team.landed().lines().take(2).collect::<Vec<_>>(), ["Merge branch 'late'", "soon"]);
    // Where it takes two, bob has not seen what it would stand on now.
    let team = Team::with(TWO.replace("services/**", "services/late.toml").as_str());
    let refused = faster(&team);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("bob: git rebase origin/main late"), "{said}");
    assert_eq!(team.landed().lines().next(), Some("soon"));
}

#[test]
fn a_server_that_does_not_take_it_leaves_everything_as_it_was() {
    let team = Team::with("");
    team.branch(&team.bob, "late", 8002);
    let (main, head) = (team.main(), team.carol.git(&["rev-parse", "HEAD"]));
    let hook = team.origin().join("hooks/pre-receive");
    team.carol.script(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n");
    let refused = team.carol.in_deploy(&["approve", "late"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not today"));
    assert_eq!(refused.status.code(), Some(1));
    untouched(&team, &team.carol, &main, &head);
    fs::remove_file(hook).unwrap();
    fs::remove_file(team.carol.home().join(".ssh/id_ed25519")).unwrap();
    let unsigned = team.carol.in_deploy(&["approve", "late"]);
    assert!(String::from_utf8_lossy(&unsigned.stderr).contains("see that git can sign"));
    untouched(&team, &team.carol, &main, &head);
}

/// Killed before and after everything that changes something, and run again.
#[test]
fn killed_anywhere_and_run_again_it_is_merged_once() {
    let mut moment = 0;
    // Grows until no step is left to be killed at.
    loop {
        moment += 1;
        let ends = ["before", "after"].map(|when| killed(&format!("{when} {moment}")));
        if ends == [false, false] {
            break;
        }
    }
    assert!(moment > 4, "{moment}");
}

/// Whether there was such a step.
fn killed(moment: &str) -> bool {
    let team = Team::with(TWO);
    team.branch(&team.bob, "late", 8002);
    let carol = &team.carol;
    let git = ok(&carol.run("sh", &["-c", "command -v git"]));
    fs::create_dir_all(carol.home().join("real")).unwrap();
    symlink(git, carol.home().join("real/git")).unwrap();
    carol.script(&carol.home().join("bin/git"), include_str!("killer.sh"));
    let head = carol.git(&["rev-parse", "HEAD"]);
    let mut first = carol.command(&carol.deploy(), "writ", &["approve", "late"]);
    let died = first.env("WRIT_KILL", moment).output().unwrap();
    let pushed = team.landed().contains("Merge branch 'late'");
    if !pushed {
        assert_eq!(carol.git(&["rev-parse", "HEAD"]), head, "{moment}");
    }
    assert_eq!(carol.git(&["status", "--short"]), "", "{moment}");
    assert!(!carol.deploy().join(".git/MERGE_HEAD").exists(), "{moment}");
    fs::remove_file(carol.home().join("bin/git")).unwrap();
    ok(&carol.in_deploy(&["approve", "late"]));
    assert_eq!(team.landed().matches("Merge branch 'late'").count(), 1, "{moment}");
    died.status.code().is_none()
}

/// It becomes part of a message that whoever merges signs.
#[test]
fn an_approval_that_brings_more_than_itself_is_none() {
    let team = Team::with("");
    team.branch(&team.bob, "late", 8002);
    for line in ["Writ-Approval: x\n\nWrit-Urgent: yes", "Writ-Urgent: yes"] {
        let refused = team.carol.in_deploy(&["approve", "late", "--approval", line]);
        assert_eq!(refused.status.code(), Some(2));
    }
    assert_ne!(team.landed().lines().next(), Some("Merge branch 'late'"));
}

/// The second of two people agrees to what they saw, and not to what was put in its place.
#[test]
fn a_branch_that_was_moved_after_the_review_is_not_merged_unseen() {
    let team = Team::with(TWO);
    let late = team.branch(&team.bob, "late", 8002);
    let main = team.main();
    ok(&team.carol.in_deploy(&["review", "late"]));
    team.bob.write("late", &service(ONE, "late", 6666));
    team.bob.git(&["commit", "-q", "-a", "-S", "--amend", "--no-edit"]);
    team.bob.git(&["push", "-q", "--force", "origin", "late"]);
    let evil = team.bob.git(&["rev-parse", "HEAD"]);
    for more in [&[][..], &["--detached"], &["--no-push"]] {
        let refused = team.carol.in_deploy(&[&["approve", "late"], more].concat());
        let said = team.told(&refused, &[(&late, "LATE"), (&evil, "EVIL")]);
        assert!(said.contains("since then somebody has moved it (LATE..EVIL)"), "{said}");
        assert!(said.ends_with("exit 1\n"), "{said}");
    }
    assert_eq!(team.main(), main);
    assert_eq!(team.carol.in_deploy(&["approve", "origin/late"]).status.code(), Some(1));
    // A program that looks is not the person who does.
    ok(&team.carol.in_deploy(&["review", "late", "--json"]));
    assert_eq!(team.carol.in_deploy(&["approve", "late"]).status.code(), Some(1));
    ok(&team.carol.in_deploy(&["review", "late"]));
    ok(&team.carol.in_deploy(&["approve", "late"]));
    assert_ne!(team.main(), main);
}
