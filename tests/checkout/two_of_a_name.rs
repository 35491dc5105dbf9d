//! A branch that is here and at the remote, where the two are not the same commit.

use std::process::Output;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

/// carol has bob's branch in her checkout, as he had pushed it then.
struct Stale {
    team: Team,
    main: String,
    old: String,
}

impl Stale {
    fn begin() -> Self {
        let team = Team::with("");
        let old = team.branch(&team.bob, "late", 8002);
        team.carol.git(&["fetch", "-q"]);
        team.carol.git(&["branch", "-q", "late", "origin/late"]);
        Self { main: team.main(), team, old }
    }

    /// bob goes on, and pushes.
    fn pushed(&self, port: u16, how: &[&str]) -> String {
        let bob = &self.team.bob;
        bob.write("late", &service(ONE, "late", port));
        bob.git(&[&["commit", "-q", "-a", "-S"], how].concat());
        bob.git(&["push", "-q", "--force", "origin", "late"]);
        bob.git(&["rev-parse", "HEAD"])
    }

    fn carol(&self, args: &[&str]) -> Output {
        self.team.carol.in_deploy(args)
    }

    /// What carol is told, and that nothing was merged for it.
    fn refused(&self, args: &[&str], new: &str) -> String {
        let output = self.carol(args);
        assert_eq!(output.status.code(), Some(1), "{}", self.team.told(&output, &[]));
        assert!(output.stdout.is_empty());
        assert_eq!(self.team.main(), self.main);
        assert_eq!(self.team.carol.git(&["rev-parse", "main"]), self.main);
        let names = [(self.main.as_str(), "MAIN"), (&self.old, "HERE"), (new, "THERE")];
        format!("$ writ {}\n{}", args.join(" "), self.team.told(&output, &names))
    }

    fn merged(&self) -> String {
        self.team.on_server(&["rev-parse", "main^2"])
    }
}

#[test]
fn a_branch_that_lacks_what_was_pushed_is_refused_with_both_names() {
    let stale = Stale::begin();
    let new = stale.pushed(6666, &["-m", "another port"]);
    let mut told = String::new();
    for args in [
        &["review", "late"][..],
        &["approve", "late"],
        &["approve", "late", "--no-push"],
        &["approve", "late", "--detached"],
    ] {
        told += &stale.refused(args, &new);
    }
    stale.team.carol.git(&["switch", "-q", "late"]);
    told += &stale.refused(&["approve"], &new);
    insta::assert_snapshot!(told);
    // Each remedy does what it says.
    let text = ok(&stale.carol(&["review", "origin/late"]));
    assert!(text.starts_with(&format!("origin/late ({}) onto", &new[..10])), "{text}");
    ok(&stale.carol(&["approve", "origin/late"]));
    assert_eq!(stale.merged(), new);
}

#[test]
fn a_branch_that_was_pushed_anew_is_refused_and_what_is_here_goes_by_its_commit() {
    let stale = Stale::begin();
    let new = stale.pushed(6666, &["--amend", "--no-edit"]);
    let told =
        stale.refused(&["review", "late"], &new) + &stale.refused(&["approve", "late"], &new);
    insta::assert_snapshot!(told);
    ok(&stale.carol(&["review", &stale.old[..10]]));
    ok(&stale.carol(&["approve", &stale.old[..10]]));
    assert_eq!(stale.merged(), stale.old);
    // What is there already is not all that there is.
    let told = stale.carol(&["approve", "late"]);
    assert_eq!(told.status.code(), Some(1), "{}", stale.team.told(&told, &[]));
}

/// bob had it reviewed, and mends it: what is checked out is what he asks about.
#[test]
fn whoever_is_at_work_on_a_branch_is_shown_it_and_told_what_was_pushed() {
    let stale = Stale::begin();
    let bob = &stale.team.bob;
    bob.write("late", &service(ONE, "late", 8003));
    bob.git(&["commit", "-q", "-a", "-S", "-m", "another port"]);
    let head = |told: Output| ok(&told).lines().take(2).collect::<Vec<_>>().join("\n");
    let tip = bob.git(&["rev-parse", "HEAD"]);
    let mut told = head(bob.in_deploy(&["review", "late"])).replace(&tip[..10], "AHEAD");
    bob.git(&["reset", "-q", "--soft", "origin/main"]);
    bob.git(&["commit", "-q", "-S", "-m", "late"]);
    let apart = bob.git(&["rev-parse", "HEAD"]);
    told += "\n";
    told += &head(bob.in_deploy(&["review"])).replace(&apart[..10], "APART");
    bob.git(&["reset", "-q", "--hard", &stale.old]);
    stale.team.on_server(&["update-ref", "refs/heads/late", &{
        stale.team.carol.git(&["switch", "-q", "late"]);
        stale.team.carol.write("late", &service(ONE, "late", 8004));
        let commit = stale.team.carol.commit("carol helps");
        stale.team.carol.git(&["push", "-q", "origin", "late"]);
        commit
    }]);
    told += "\n";
    told += &head(bob.in_deploy(&["review"]));
    let there = stale.team.on_server(&["rev-parse", "late"]);
    let told = told
        .replace(&stale.old[..10], "OLD")
        .replace(&stale.main[..10], "MAIN")
        .replace(&there[..10], "CAROLS");
    insta::assert_snapshot!(told);
    let json = ok(&bob.in_deploy(&["review", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pushed"]["at"], there.as_str(), "{json}");
    assert_eq!(json["pushed"]["name"], "origin/late");
}

#[test]
fn a_branch_that_goes_on_from_what_was_pushed_is_approved_whole() {
    let stale = Stale::begin();
    let carol = &stale.team.carol;
    carol.git(&["switch", "-q", "late"]);
    carol.write("late", &service(ONE, "late", 8003));
    let tip = carol.commit("as agreed");
    let told = ok(&stale.carol(&["approve", "late"]));
    assert!(told.contains("origin/late is at"), "{told}");
    assert_eq!(stale.merged(), tip);
}

#[test]
fn a_branch_that_was_taken_back_is_not_approved() {
    let stale = Stale::begin();
    stale.team.bob.git(&["push", "-q", "origin", ":late"]);
    let told = stale.refused(&["approve", "late"], &stale.old)
        + &stale.refused(&["approve", "origin/late"], &stale.old);
    insta::assert_snapshot!(told);
    ok(&stale.carol(&["review", "late"]));
    ok(&stale.carol(&["approve", &stale.old]));
    // Branches are tidied up once they are merged.
    assert_eq!(ok(&stale.carol(&["approve", "late"])), "main has it already");
}

/// A reviewer's own name for it, and a branch of somebody who has another repository.
#[test]
fn a_branch_is_held_against_the_one_that_it_follows() {
    let stale = Stale::begin();
    let (team, carol) = (&stale.team, &stale.team.carol);
    carol.git(&["branch", "-q", "look", "origin/late"]);
    let fork = team.bob.dir.path().join("fork.git").display().to_string();
    ok(&team
        .bob
        .run("git", &["clone", "-q", "--bare", &team.origin().display().to_string(), &fork]));
    carol.git(&["branch", "-q", "bobs", "origin/late"]);
    carol.git(&["config", "branch.bobs.remote", &fork]);
    let new = stale.pushed(6666, &["--amend", "--no-edit"]);
    team.bob.git(&["push", "-q", "--force", &fork, "late"]);
    team.bob.git(&["push", "-q", "origin", "late:bobs-other"]);
    let told =
        stale.refused(&["approve", "look"], &new) + &stale.refused(&["approve", "bobs"], &new);
    insta::assert_snapshot!(told);
    // Where it was pushed by its own name, that is what is meant.
    carol.git(&["push", "-q", "origin", "look"]);
    ok(&stale.carol(&["approve", "look"]));
    assert_eq!(stale.merged(), stale.old);
}

/// What was last seen of it may be old.
#[test]
fn the_remotes_own_name_of_a_branch_asks_the_remote() {
    let stale = Stale::begin();
    let seen = ok(&stale.carol(&["review", "origin/late", "--no-fetch"]));
    let new = stale.pushed(6666, &["-m", "another port"]);
    assert!(seen.contains(&stale.old[..10]), "{seen}");
    let told = stale.refused(&["approve", "origin/late"], &new);
    assert!(told.contains("somebody has moved it (HERE..THERE)"), "{told}");
    for name in ["refs/remotes/origin/late", "remotes/origin/late"] {
        let text = ok(&stale.carol(&["review", name]));
        assert!(text.starts_with(&format!("{name} ({})", &new[..10])), "{text}");
    }
    ok(&stale.carol(&["approve", "origin/late"]));
    assert_eq!(stale.merged(), new);
}

#[test]
fn without_a_server_a_branch_is_held_against_what_was_last_seen() {
    let stale = Stale::begin();
    let new = stale.pushed(6666, &["-m", "another port"]);
    ok(&stale.carol(&["review", "late", "--no-fetch"]));
    stale.team.carol.git(&["fetch", "-q"]);
    let told = stale.refused(&["review", "late", "--no-fetch"], &new);
    assert!(told.contains("lacks 1 commit"), "{told}");
    let silent: &Desk = &stale.team.carol;
    assert_eq!(silent.git(&["rev-parse", "origin/late"]), new);
}
