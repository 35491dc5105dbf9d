//! Git's hooks: those of a checkout, and those of a server that takes nothing which
//! hosts would refuse.

use std::fs;
use std::process::Output;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::review::TWO;
use crate::team::Team;

/// A push without the checkout's own hook.
fn push(desk: &Desk, args: &[&str]) -> Output {
    let all: Vec<&str> =
        ["push", "-q", "--no-verify", "origin"].iter().chain(args).copied().collect();
    desk.run_in(&desk.deploy(), "git", &all)
}

/// What was said to whoever pushed, of a push that was not taken.
fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Team {
    /// On bob's main, pushed by nobody yet.
    fn change(&self, name: &str, port: u16) -> String {
        self.bob.write(name, &service(ONE, name, port));
        self.bob.commit(&format!("{name} on {port}"))
    }

    fn unsigned(&self, desk: &Desk) -> String {
        desk.write("plain", &service(ONE, "plain", 8009));
        desk.git(&["add", "-A"]);
        desk.git(&["-c", "commit.gpgsign=false", "commit", "-q", "-m", "not signed"]);
        desk.git(&["rev-parse", "HEAD"])
    }
}

#[test]
fn a_server_takes_what_hosts_would_accept_and_nothing_else() {
    for hook in ["pre-receive", "update"] {
        let team = Team::with("").guarded(hook);
        let late = team.change("late", 8002);
        ok(&push(&team.bob, &["main"]));
        assert_eq!(team.main(), late, "{hook}");
        let plain = team.unsigned(&team.bob);
        let said = refused(&push(&team.bob, &["main"]));
        assert_eq!(team.main(), late, "{hook}");
        let told = said
            .replace(&plain[..10], "PLAIN")
            .replace(&team.origin().display().to_string(), "ORIGIN");
        let told: Vec<&str> = told
            .lines()
            .map(str::trim_end)
            .filter(|line| line.starts_with("remote: "))
            .take(2)
            .collect();
        assert_eq!(
            told,
            [
                "remote: error: hosts would refuse this push: commit PLAIN is refused by rule O1 (unsigned): it is not signed",
                "remote: hint: sign it: git commit --amend --no-edit -S (with gpg.format=ssh), or git rebase --exec for several",
            ],
            "{hook}: {said}"
        );
        // Other branches are nobody's but their authors'.
        ok(&push(&team.bob, &["main:refs/heads/plain", "main:refs/tags/plain"]));
        assert_eq!(team.on_server(&["rev-parse", "plain"]), plain, "{hook}");
        ok(&push(&team.bob, &[":refs/heads/plain"]));
    }
}

/// So many objects that git keeps them as a pack, thin against what is there.
#[test]
fn a_large_push_is_judged_in_its_quarantine_as_well() {
    let team = Team::with("").guarded("pre-receive");
    for n in 0..60 {
        team.bob.write(&format!("s{n}"), &service(ONE, &format!("s{n}"), 9000 + n));
        team.bob.commit(&format!("s{n}"));
    }
    ok(&push(&team.bob, &["main"]));
    assert_eq!(team.landed().lines().next(), Some("s59"));
    for n in 0..60 {
        team.bob.write(&format!("t{n}"), &service(ONE, &format!("t{n}"), 9100 + n));
        team.bob.commit(&format!("t{n}"));
    }
    fs::write(team.bob.deploy().join("README"), "not granted").unwrap();
    team.bob.commit("a note");
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("rule G4 (path-denied): bob may not change README"), "{said}");
    assert_eq!(team.landed().lines().next(), Some("s59"));
}

#[test]
fn the_branch_that_hosts_follow_goes_forward_only_and_stays() {
    let team = Team::with("").guarded("pre-receive");
    team.on_server(&["config", "receive.denyDeleteCurrent", "ignore"]);
    let main = team.main();
    team.bob.git(&["reset", "-q", "--hard", "HEAD^"]);
    let said = refused(&push(&team.bob, &["+main"]));
    assert!(said.contains("refused by rule T1 (rollback)"), "{said}");
    let said = refused(&push(&team.bob, &[":main"]));
    assert!(said.contains("hosts follow refs/heads/main: it is not deleted"), "{said}");
    assert_eq!(team.main(), main);
}

#[test]
fn a_manifest_and_a_lone_change_of_what_takes_two_are_refused_as_well() {
    let team = Team::with(TWO).guarded("pre-receive");
    let main = team.main();
    team.change("late", 8002);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(
        said.contains("rule G5 (threshold)") && said.contains("let somebody else merge"),
        "{said}"
    );
    team.bob.git(&["branch", "-q", "-m", "late"]);
    ok(&push(&team.bob, &["late"]));
    ok(&team.carol.in_deploy(&["approve", "late"]));
    assert_ne!(team.main(), main);
    let team = Team::with("").guarded("pre-receive");
    team.bob.write("bad", "hots = 1\n");
    team.bob.git(&["add", "-A"]);
    team.bob.git(&["commit", "-q", "-m", "bad"]);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("did you mean `hosts`?"), "{said}");
}

#[test]
fn a_server_that_does_not_know_from_where_to_judge_takes_nothing() {
    let team = Team::with("").guarded("pre-receive");
    let main = team.main();
    team.on_server(&["config", "--unset", "writ.introduction"]);
    team.change("late", 8002);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("git config writ.introduction COMMIT"), "{said}");
    team.on_server(&["config", "writ.introduction", "main"]);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("by its full id"), "{said}");
    // Nor one that another history begins with.
    let stranger = Desk::new();
    ok(&stranger.writ(&["init", "deploy", "--id", "other"]));
    team.on_server(&["config", "writ.introduction", &stranger.git(&["rev-parse", "HEAD"])]);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("rule O3 (missing-object)"), "{said}");
    assert_eq!(team.main(), main);
}

/// What git shows in the place of an object is not what hosts see.
#[test]
fn nobody_puts_an_object_in_the_place_of_another_on_a_server() {
    for hook in ["pre-receive", "update"] {
        let team = Team::with("").guarded(hook);
        let (old, first) = (team.main(), team.alice.git(&["rev-list", "--max-parents=0", "HEAD"]));
        team.bob.git(&["replace", &old, &first]);
        let reference = format!("refs/replace/{old}");
        let said = refused(&push(&team.bob, &[&reference]));
        assert!(said.contains(&format!("{reference} would put another object")), "{hook}: {said}");
        // One that was there before the hook hides nothing from it.
        team.on_server(&["update-ref", &reference, &first]);
        team.bob.git(&["replace", "-d", &old]);
        team.change("late", 8002);
        ok(&push(&team.bob, &["main"]));
        assert_eq!(team.landed().lines().next(), Some("late on 8002"));
        ok(&push(&team.bob, &[&format!(":{reference}")]));
    }
}

#[test]
fn a_new_server_takes_the_whole_history_at_once() {
    let team = Team::with("");
    let root = team.alice.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let fresh = team.alice.dir.path().join("fresh.git");
    let path = fresh.display().to_string();
    ok(&team.alice.run("git", &["init", "-q", "--bare", "-b", "main", &path]));
    let hook = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/pre-receive");
    fs::copy(hook, fresh.join("hooks/pre-receive")).unwrap();
    ok(&team.alice.run_in(&fresh, "git", &["config", "writ.introduction", &root]));
    ok(&team.alice.run_in(&team.alice.deploy(), "git", &["push", "-q", &path, "main"]));
    assert_eq!(ok(&team.alice.run_in(&fresh, "git", &["rev-parse", "main"])), team.main());
}

/// What got in before there was a hook can be taken off again.
#[test]
fn what_hosts_refuse_already_may_be_taken_off_the_branch() {
    let team = Team::with("");
    let main = team.main();
    team.unsigned(&team.bob);
    ok(&push(&team.bob, &["main"]));
    let team = team.guarded("pre-receive");
    team.bob.git(&["revert", "--no-edit", "HEAD"]);
    let said = refused(&push(&team.bob, &["main"]));
    assert!(said.contains("what the branch has now is refused by hosts"), "{said}");
    team.bob.git(&["reset", "-q", "--hard", &main]);
    ok(&push(&team.bob, &["+main"]));
    assert_eq!(team.main(), main);
}

#[test]
fn a_checkout_does_not_push_what_hosts_would_refuse() {
    let team = Team::with("");
    let main = team.main();
    let alice = &team.alice;
    alice.write("soon", &service(ONE, "soon", 8003));
    alice.commit("soon");
    ok(&alice.run_in(&alice.deploy(), "git", &["push", "-q"]));
    team.unsigned(alice);
    let push =
        |args: &[&str]| alice.run_in(&alice.deploy(), "git", &[&["push", "-q"], args].concat());
    let said = refused(&push(&[]));
    assert!(said.contains("rule O1 (unsigned)") && said.contains("hint: sign it"), "{said}");
    assert_eq!(team.landed().lines().next(), Some("soon"));
    ok(&push(&["origin", "main:refs/heads/plain"]));
    alice.git(&["reset", "-q", "--hard", &main]);
    let said = refused(&push(&["--force"]));
    assert!(said.contains("rule T1 (rollback)"), "{said}");
    let said = refused(&push(&["origin", ":main"]));
    assert!(said.contains("it is not deleted"), "{said}");
    // What others have pushed meanwhile is not overwritten unseen.
    team.bob.git(&["pull", "-q"]);
    team.change("late", 8002);
    ok(&self::push(&team.bob, &["main"]));
    let said = refused(&push(&["--force"]));
    assert!(said.contains("which is not here"), "{said}");
    assert_eq!(team.landed().lines().next(), Some("late on 8002"));
    ok(&push(&["--force", "--no-verify"]));
    assert_eq!(team.main(), main);
}

/// Without a config of its own it judges by what the history says of itself.
#[test]
fn the_hook_of_a_plain_clone_finds_the_introduction_by_itself() {
    let team = Team::with("");
    let hook = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/pre-push");
    fs::copy(hook, team.bob.deploy().join(".git/hooks/pre-push")).unwrap();
    team.change("late", 8002);
    team.bob.git(&["push", "-q"]);
    team.unsigned(&team.bob);
    let said = refused(&team.bob.run_in(&team.bob.deploy(), "git", &["push", "-q"]));
    assert!(said.contains("rule O1 (unsigned)"), "{said}");
    // A repository without a policy is none of its business.
    let other = Desk::new();
    ok(&other.run("git", &["init", "-q", "-b", "main", "deploy"]));
    fs::copy(
        team.bob.deploy().join(".git/hooks/pre-push"),
        other.deploy().join(".git/hooks/pre-push"),
    )
    .unwrap();
    ok(&other.run("git", &["init", "-q", "--bare", "origin.git"]));
    other.git(&["commit", "-q", "--allow-empty", "-m", "anything"]);
    other.git(&["push", "-q", "../origin.git", "main"]);
}

#[test]
fn a_commit_is_judged_by_what_is_staged_and_not_by_the_working_tree() {
    let desk = Desk::with_services();
    desk.write("late", &service(ONE, "late", 8002));
    desk.git(&["add", "-A"]);
    desk.write("late", "hots = 1\n");
    desk.git(&["commit", "-q", "-m", "late"]);
    let refused = desk.run_in(&desk.deploy(), "git", &["commit", "-q", "-a", "-m", "bad"]);
    assert!(!refused.status.success());
    let said = desk.told(&refused);
    assert!(said.contains("manifests/services/late.toml:1:1: unknown key `hots`"), "{said}");
    // `git commit FILE` has an index of its own.
    desk.write("web", &service(ONE, "web", 8100));
    desk.git(&["commit", "-q", "-m", "web", "manifests/services/web.toml"]);
}

#[test]
fn a_push_does_not_fail_for_what_comes_after_it() {
    let team = Team::with("").guarded("post-receive");
    let hook = team.origin().join("hooks/post-receive");
    let config = team.alice.dir.path().join("agent.toml");
    let text = fs::read_to_string(&hook).unwrap();
    let with = format!("writ hook post-receive --config {}", config.display());
    fs::write(&hook, text.replace("writ hook post-receive", &with)).unwrap();
    team.change("late", 8002);
    // No host's config: nobody is here to wake.
    let quiet = push(&team.bob, &["main"]);
    assert_eq!((ok(&quiet), quiet.stderr.len()), (String::new(), 0));
    fs::write(&config, "not a config\n").unwrap();
    team.change("soon", 8003);
    let told = push(&team.bob, &["main"]);
    ok(&told);
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(said.contains("agent.toml") && said.contains("the push was taken"), "{said}");
    let other = push(&team.bob, &["main:refs/heads/other"]);
    assert_eq!((ok(&other), other.stderr.len()), (String::new(), 0));
}

#[test]
fn input_that_git_does_not_write_is_a_usage_error() {
    let desk = Desk::with_services();
    for (hook, input) in [
        (&["pre-receive"][..], "a b c\n"),
        (&["pre-push", "origin", "url"], "refs/heads/main\n"),
        (&["update", "refs/heads/main", "x", "y"], ""),
    ] {
        let path = desk.dir.path().join("input");
        fs::write(&path, input).unwrap();
        let args = [&["hook"], hook].concat();
        let output = desk
            .command(&desk.deploy(), "writ", &args)
            .stdin(fs::File::open(&path).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{hook:?}");
    }
}

/// A host refuses that after the signatures, and so does the hook.
#[test]
fn an_artifact_without_a_digest_is_refused_where_the_policy_wants_one() {
    let team = Team::with("").guarded("pre-receive");
    let main = team.main();
    let policy = team.alice.deploy().join(".writ/policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("requireClosureDigest = true\n{text}")).unwrap();
    team.alice.commit("digests everywhere");
    let said = refused(&push(&team.alice, &["main"]));
    assert!(said.contains("web: the policy requires artifact.closureDigest"), "{said}");
    assert_eq!(team.main(), main);
    team.alice.git(&["switch", "-q", "-c", "digests"]);
    let told = team.told(&team.alice.in_deploy(&["review"]), &[]);
    assert!(told.contains("web: the policy requires artifact.closureDigest"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
}
