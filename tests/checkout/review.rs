//! `writ review`, as a person runs it before and after others have looked.

use std::fs;

use crate::desk::{Desk, fingerprint, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

pub(crate) const TWO: &str = "\n[[protect]]\npaths = [\"manifests/services/**\"]\nthreshold = 2\n";
pub(crate) const THREE: &str =
    "\n[[protect]]\npaths = [\"manifests/services/**\"]\nthreshold = 3\n";

#[test]
fn a_branch_that_takes_two_people_is_told_with_who_could_be_the_second() {
    let team = Team::with(TWO);
    let main = team.main();
    let late = team.branch(&team.bob, "late", 8002);
    let names = [(main.as_str(), "MAIN"), (late.as_str(), "LATE")];
    let told = |output| team.told(&output, &names);
    insta::assert_snapshot!("author", told(team.bob.in_deploy(&["review"])));
    insta::assert_snapshot!("reviewer", told(team.carol.in_deploy(&["review", "late"])));
    let json = team.carol.in_deploy(&["review", "late", "--json"]);
    insta::assert_snapshot!("json", told(json));
}

/// A server gives everybody who fetches the tags that it likes.
#[test]
fn a_tag_does_not_pass_for_a_branch() {
    let team = Team::with("");
    let old = team.branch(&team.bob, "old", 8001);
    let late = team.branch(&team.bob, "late", 8002);
    team.on_server(&["update-ref", "refs/tags/late", &old]);
    team.carol.git(&["fetch", "-q", "--tags"]);
    let told = ok(&team.carol.in_deploy(&["review", "late"]));
    assert!(told.starts_with(&format!("late ({}) onto main", &late[..10])), "{told}");
    // Where nothing else has that name, it is what is meant.
    team.carol.git(&["tag", "v1", &old]);
    let told = ok(&team.carol.in_deploy(&["review", "v1"]));
    assert!(told.starts_with(&format!("v1 ({}) onto main", &old[..10])), "{told}");
}

#[test]
fn a_branch_that_takes_nobody_else_can_go_as_it_is() {
    let team = Team::with("");
    let main = team.main();
    let late = team.branch(&team.bob, "late", 8002);
    let names = [(main.as_str(), "MAIN"), (late.as_str(), "LATE")];
    insta::assert_snapshot!(team.told(&team.bob.in_deploy(&["review"]), &names));
    // Whoever looks at it has no branch of that name, and may merge it.
    let told = ok(&team.carol.in_deploy(&["review", "late"]));
    let next: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("next: ")).collect();
    assert_eq!(next[0], "writ approve late", "{told}");
    let push = next[1].strip_prefix("or as it is, without a merge: ").unwrap();
    assert_eq!(push, format!("git push origin {late}:refs/heads/main"));
    ok(&team.carol.run_in(&team.carol.deploy(), "sh", &["-c", push]));
    assert_eq!(team.main(), late);
    let told = ok(&team.bob.in_deploy(&["review"]));
    assert_eq!(told, "main has it already");
    assert_eq!(team.bob.in_deploy(&["review", "main"]).status.code(), Some(2));
    assert_eq!(team.bob.in_deploy(&["review", "nothing"]).status.code(), Some(2));
}

#[test]
fn what_nobody_could_make_good_by_merging_is_told_with_what_is_missing() {
    let team = Team::with(THREE);
    let main = team.main();
    let late = team.branch(&team.bob, "late", 8002);
    let names = [(main.as_str(), "MAIN"), (late.as_str(), "LATE")];
    insta::assert_snapshot!("three", team.told(&team.carol.in_deploy(&["review", "late"]), &names));
    team.bob.git(&["switch", "-q", "-c", "plain", "origin/main"]);
    team.bob.write("plain", "hots = 1\n");
    team.bob.git(&["add", "-A"]);
    team.bob.git(&["-c", "commit.gpgsign=false", "commit", "-q", "-m", "not signed"]);
    let plain = team.bob.git(&["rev-parse", "HEAD"]);
    let names = [(main.as_str(), "MAIN"), (plain.as_str(), "PLAIN")];
    insta::assert_snapshot!("unsigned", team.told(&team.bob.in_deploy(&["review"]), &names));
    // Whoever reviews it cannot sign it as its author.
    team.bob.git(&["push", "-q", "origin", "plain"]);
    let told = team.told(&team.carol.in_deploy(&["review", "plain"]), &names);
    assert!(told.contains("next: Bob: sign it"), "{told}");
}

#[test]
fn a_branch_from_before_the_tip_is_told_to_be_rebased_where_that_matters() {
    let team = Team::with(TWO);
    let api = team.branch(&team.bob, "late", 8002);
    fs::write(team.alice.deploy().join("README"), "x").unwrap();
    team.alice.commit("a note");
    team.alice.git(&["push", "-q"]);
    let main = team.main();
    let names = [(main.as_str(), "MAIN"), (api.as_str(), "LATE")];
    insta::assert_snapshot!(team.told(&team.carol.in_deploy(&["review", "late"]), &names));
    // What was last seen, where no server is asked.
    let offline = team.bob.in_deploy(&["review", "--no-fetch"]);
    assert_eq!(offline.status.code(), Some(0), "{}", team.told(&offline, &[]));
    fs::rename(team.origin(), team.origin().with_extension("away")).unwrap();
    assert_eq!(team.bob.in_deploy(&["review"]).status.code(), Some(3));
    assert_eq!(team.bob.in_deploy(&["review", "--no-fetch"]).status.code(), Some(0));
}

#[test]
fn a_manifest_that_hosts_would_refuse_is_told_before_anybody_signs() {
    let team = Team::with("");
    team.bob.git(&["switch", "-q", "-c", "bad"]);
    team.bob.write("bad", "hots = [\"biz\"]\n");
    team.bob.commit("bad");
    let told = team.told(&team.bob.in_deploy(&["review"]), &[]);
    assert!(told.contains("did you mean `hosts`?") && told.ends_with("exit 1\n"), "{told}");
    let told = team.told(&team.bob.in_deploy(&["approve"]), &[]);
    assert!(told.contains("hosts would refuse every merge of bad"), "{told}");
}

/// A repository of one person, with no server yet.
#[test]
fn a_branch_of_a_repository_that_is_pushed_nowhere_is_reviewed_and_kept_here() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy", "--host", "biz", "--object-format", "sha256"]));
    desk.git(&["switch", "-q", "-c", "it's;new"]);
    desk.write("late", &service(ONE, "late", 8002));
    desk.commit("late");
    let told = ok(&desk.in_deploy(&["review"]));
    let tip = desk.git(&["rev-parse", "HEAD"]);
    assert!(told.ends_with(&format!("next: git push . {tip}:refs/heads/main")), "{told}");
    // Pinned by hand, by a host's config, or by nothing but the history.
    let introduction = desk.git(&["rev-parse", "main"]);
    desk.git(&["config", "--unset", "writ.introduction"]);
    assert_eq!(ok(&desk.in_deploy(&["review"])), told);
    assert_eq!(ok(&desk.in_deploy(&["review", "--introduction", &introduction])), told);
    let key = fs::read_to_string(desk.home().join(".ssh/id_ed25519.pub")).unwrap();
    let config = desk.dir.path().join("agent.toml");
    let text = |branch: &str| {
        format!(
            "host = \"biz\"\n[repository]\nid = \"deploy\"\nurl = \"https://git.acme.example/x\"\nbranch = \"{branch}\"\nobjectFormat = \"sha256\"\nintroduction = \"{introduction}\"\nintroducer = \"{}\"\n",
            fingerprint(&key)
        )
    };
    fs::write(&config, text("main")).unwrap();
    desk.git(&["config", "writ.hostConfig", &config.display().to_string()]);
    assert_eq!(ok(&desk.in_deploy(&["review"])), told);
    fs::write(&config, text("other")).unwrap();
    let refused = desk.in_deploy(&["review"]);
    assert!(desk.told(&refused).contains("the channel"), "{}", desk.told(&refused));
    desk.git(&["config", "--unset", "writ.hostConfig"]);
    assert_eq!(desk.in_deploy(&["approve"]).status.code(), Some(2), "it is pushed nowhere");
    ok(&desk.in_deploy(&["approve", "--no-push"]));
    let merged = desk.git(&["log", "-1", "--format=%s %G?", "main"]);
    assert_eq!(merged, "Merge branch 'it's;new' G");
    let elsewhere = desk.run("git", &["init", "-q", "elsewhere"]);
    ok(&elsewhere);
    assert_eq!(desk.writ(&["review", "--repo", "elsewhere"]).status.code(), Some(2));
}
