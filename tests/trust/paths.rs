//! Who may change which path, and how many people it takes (rules P2, G4, G5).

use writ::names::CommitId;
use writ::trust::Reason::{PathDenied, Threshold};

use crate::scene::{API, POLICY, Row, SERVICE, SIGNERS, Scene, TEAM, WEB, rules, run};

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "G4", reason: PathDenied, attack, twin }
}

/// Takes a file's place in the tree with a file of the same content elsewhere.
fn renamed(scene: &Scene, signer: &str, from: &str, to: &str) -> CommitId {
    scene.next(signer).delete(from).file(to, SERVICE).make()
}

fn bob(scene: &Scene) -> CommitId {
    scene.next("bob").file(WEB, "a = 2\n").make()
}

pub(crate) fn ungranted() -> Vec<Row> {
    vec![
        row("another service", |s| s.next("bob").file(API, "a = 2\n").make(), bob),
        row(
            "a new path",
            |s| s.next("bob").file("README", "x").make(),
            |s| s.next("alice").file("README", "x").make(),
        ),
        row("deleting", |s| s.next("bob").delete(API).make(), |s| s.next("bob").delete(WEB).make()),
        row(
            "renaming away",
            |s| renamed(s, "bob", API, "manifests/services/web-api.toml"),
            |s| renamed(s, "bob", WEB, "manifests/services/web-2.toml"),
        ),
        row("renaming out", |s| renamed(s, "bob", WEB, "manifests/services/other.toml"), bob),
        row(
            "the mode alone",
            |s| s.next("bob").file_as("100755", API, SERVICE).make(),
            |s| s.next("bob").file_as("100755", WEB, SERVICE).make(),
        ),
        row(
            "one more in a good change",
            |s| s.next("bob").file(WEB, "a = 2\n").file(API, "a = 2\n").make(),
            bob,
        ),
        row(
            "a file in place of a folder",
            |s| s.next("bob").delete(API).delete(WEB).file("manifests/services", "x").make(),
            bob,
        ),
        row(
            "a folder in place of a file",
            |s| s.next("bob").delete(WEB).file("manifests/services/web.toml/x", "x").make(),
            bob,
        ),
        row(
            "no grants at all",
            |s| s.next("erin").file(WEB, "a = 2\n").make(),
            |s| s.next("erin").make(),
        ),
        // What hosts do not read is still a path, and takes a grant.
        row(
            "a link",
            |s| s.next("bob").file_as("120000", "docs/a", "/etc").make(),
            |s| s.next("alice").file_as("120000", "docs/a", "/etc").make(),
        ),
        row(
            "a submodule",
            |s| s.next("bob").file_as("160000", "library", s.root.as_str()).make(),
            |s| s.next("alice").file_as("160000", "library", s.root.as_str()).make(),
        ),
        row("a link in the place of a file", |s| linked(s, "bob"), |s| linked(s, "alice")),
        row(
            "a file in a deep folder",
            |s| s.next("bob").file(DEEP, "x").make(),
            |s| s.next("alice").file(DEEP, "x").make(),
        ),
        row(
            "a name that is not plain",
            |s| s.next("bob").file("\"docs/a\\tb\"", "x").make(),
            |s| s.next("alice").file("\"docs/a\\tb\"", "x").make(),
        ),
        row("merging another's change", |s| merge(s, "bob", API), |s| merge(s, "bob", WEB)),
        row("merging a deletion by nobody", merge_that_drops, |s| merge(s, "alice", API)),
        Row {
            rule: "P2",
            ..row(
                "the policy",
                |s| s.next("bob").file(POLICY, rules() + "#").make(),
                |s| s.next("alice").file(POLICY, rules() + "#").make(),
            )
        },
        Row {
            rule: "P2",
            ..row(
                "the signers",
                |s| s.next("ci").file(SIGNERS, s.forge.signers(&TEAM[..4])).make(),
                |s| s.next("dave").file(SIGNERS, s.forge.signers(&TEAM[..4])).make(),
            )
        },
    ]
}

#[test]
fn a_path_that_nobody_grants_is_not_writable() {
    run(&Scene::new(), &ungranted());
}

/// Nineteen folders deep.
const DEEP: &str = "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/x";

/// A file of alice's that becomes a link.
fn linked(scene: &Scene, signer: &str) -> CommitId {
    let file = scene.next("alice").file("docs/a", "x").make();
    scene.forge.commit(signer).on(&file).file_as("120000", "docs/a", "/etc").make()
}

#[test]
fn a_grant_reaches_links_odd_names_and_deep_folders_by_their_path() {
    let forge = crate::forge::Forge::new();
    let signers = forge.signers(&["alice", "docs"]);
    let policy = rules()
        + "[principals.docs]\ngrants = [\"docs/**\", \"a/**\"]\n\
           [[protect]]\npaths = [\"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/safe/**\"]\nthreshold = 2\n";
    let scene = Scene::introduce(forge, &signers, &policy);
    let link = scene.next("docs").file_as("120000", "docs/a", "../manifests/services");
    let mixed = link.file_as("160000", "docs/b", scene.root.as_str()).file(DEEP, "x");
    assert!(scene.verify(&mixed.file("\"docs/a\\tb\"", "x").make()).is_ok());
    let refused = |path: &str| {
        let refusal = scene.verify(&scene.next("docs").file(path, "x").make()).unwrap_err();
        refusal.rule
    };
    assert_eq!(refused("docsy"), "G4");
    assert_eq!(refused("manifests/services/link.toml"), "G4");
    // As deep as anybody likes, a protected folder stays protected.
    assert_eq!(refused("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/safe/x"), "G5");
}

/// A branch by alice that changes `path`, merged by `merger`.
fn merge(scene: &Scene, merger: &str, path: &str) -> CommitId {
    let branch = scene.next("alice").file(path, "a = 3\n").make();
    let main = scene.next("dave").make();
    scene.forge.commit(merger).on(&main).on(&branch).tree_of(&branch).make()
}

/// A merge by bob that loses a file which both parents have.
fn merge_that_drops(scene: &Scene) -> CommitId {
    let branch = scene.next("bob").file(WEB, "a = 3\n").make();
    let main = scene.next("dave").make();
    scene.forge.commit("bob").on(&main).on(&branch).tree_of(&branch).delete(API).make()
}

#[test]
fn a_grant_of_everything_does_not_reach_the_policy() {
    let forge = crate::forge::Forge::new();
    let signers = forge.signers(&["alice", "wide"]);
    let policy = rules() + "[principals.wide]\nmay = \"everything\"\ngrants = [\"**\"]\n";
    let scene = Scene::introduce(forge, &signers, &policy);
    let attack = scene.next("wide").file(POLICY, rules()).make();
    let refusal = scene.verify(&attack).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("P2", PathDenied));
    let twin = scene.next("wide").file("anything/else", "x").make();
    assert!(scene.verify(&twin).is_ok());
}

pub(crate) fn closures_only() -> Vec<Row> {
    vec![
        row("another user", |s| ci(s, "\"web\"", "\"root\""), |s| ci(s, "\"old\"", "\"new\"")),
        row("other hosts", |s| ci(s, "\"biz\"", "\"all\""), |s| ci(s, "\"1\"", "\"2\"")),
        row(
            "a new field",
            |s| ci(s, "revision", "envFile = \"/etc/shadow\"\nrevision"),
            |s| ci(s, "[exec]", "# fine\n[exec]"),
        ),
        row("a field less", |s| ci(s, "user = \"web\"\n", ""), |s| ci(s, "revision = \"1\"\n", "")),
        row(
            "a new service",
            |s| s.next("ci").file("manifests/services/new.toml", SERVICE).make(),
            bob,
        ),
        row("a deleted service", |s| s.next("ci").delete(WEB).make(), bob),
        row("another mode", |s| s.next("ci").file_as("100755", WEB, SERVICE).make(), bob),
        row("not TOML any more", |s| s.next("ci").file(WEB, "= x").make(), bob),
        row("another file", |s| s.next("ci").file("manifests/services/x.json", "{}").make(), bob),
    ]
}

#[test]
fn a_key_for_closures_moves_closures_and_nothing_else() {
    run(&Scene::new(), &closures_only());
}

/// ci's commit that replaces a piece of the web service.
fn ci(scene: &Scene, from: &str, to: &str) -> CommitId {
    assert!(SERVICE.contains(from));
    scene.next("ci").file(WEB, SERVICE.replacen(from, to, 1)).make()
}

const PROTECTED: &str = "[[protect]]\npaths = [\".writ/**\", \"manifests/services/api.toml\"]\nthreshold = 2\n\
    [[protect]]\npaths = [\"vault/**\"]\nthreshold = 3\n";

/// A branch of one commit by `author` on the introduction, merged by `merger` without
/// a change.
fn approved(scene: &Scene, author: &str, merger: &str, path: &str) -> CommitId {
    let branch = scene.next(author).file(path, "a = 4\n").make();
    scene.forge.commit(merger).on(&scene.root).on(&branch).tree_of(&branch).make()
}

fn two(scene: &Scene) -> CommitId {
    approved(scene, "alice", "dave", API)
}

pub(crate) fn protected() -> Vec<Row> {
    let row = |name, attack, twin| Row { rule: "G5", reason: Threshold, ..row(name, attack, twin) };
    vec![
        row("alone", |s| s.next("alice").file(API, "a = 4\n").make(), two),
        row(
            "fast-forward",
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                s.forge.commit("dave").on(&branch).make()
            },
            two,
        ),
        row("one person twice", |s| approved(s, "alice", "alice", API), two),
        row("one person with two keys", two_keys, two),
        row("the author merges what another only began", author_merges, two),
        row(
            "changed while merging",
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                s.forge
                    .commit("dave")
                    .on(&s.root)
                    .on(&branch)
                    .tree_of(&branch)
                    .file(API, "a = 5\n")
                    .make()
            },
            two,
        ),
        row(
            "another path changed while merging",
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                s.forge
                    .commit("dave")
                    .on(&s.root)
                    .on(&branch)
                    .tree_of(&branch)
                    .file(WEB, "a = 5\n")
                    .make()
            },
            two,
        ),
        row(
            "the branch left the mainline earlier",
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                let main = s.next("alice").make();
                s.forge.commit("dave").on(&main).on(&branch).tree_of(&branch).make()
            },
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                let main = s.next("alice").make();
                let updated = s.forge.commit("alice").on(&branch).on(&main).make();
                s.forge.commit("dave").on(&main).on(&updated).tree_of(&updated).make()
            },
        ),
        row("the approver may not write the path", |s| approved(s, "erin", "alice", API), two),
        row("the approver may only move closures", |s| approved(s, "ci", "alice", API), two),
        row("the approver came with the branch", sock_puppet, two),
        row(
            "the policy alone",
            |s| s.next("alice").file(POLICY, rules()).make(),
            |s| {
                let branch = s.next("alice").file(POLICY, rules()).make();
                s.forge.commit("dave").on(&s.root).on(&branch).tree_of(&branch).make()
            },
        ),
        row("two of three", |s| approved(s, "alice", "dave", "vault/x"), three),
        row("the third signed an earlier state", third_saw_less, three),
        row(
            "octopus",
            |s| {
                let branch = s.next("alice").file(API, "a = 4\n").make();
                let other = s.next("alice").message("other").make();
                s.forge.commit("dave").on(&s.root).on(&branch).on(&other).tree_of(&branch).make()
            },
            two,
        ),
    ]
}

#[test]
fn protected_paths_need_different_people_on_the_same_content() {
    run(&scene_with_thresholds(), &protected());
}

/// The team with thresholds, a second key of alice, and frank, who may write vault/.
fn scene_with_thresholds() -> Scene {
    let forge = crate::forge::Forge::new();
    let signers = forge.signers(&TEAM) + &forge.signers(&["alice+second", "frank"]);
    let frank = "[principals.frank]\nmay = \"everything\"\ngrants = [\"vault/**\"]\n";
    Scene::introduce(forge, &signers, &format!("{}{frank}{PROTECTED}", rules()))
}

fn two_keys(scene: &Scene) -> CommitId {
    approved(scene, "alice", "alice+second", API)
}

/// dave writes, alice puts an empty commit on top and merges her own tip.
fn author_merges(scene: &Scene) -> CommitId {
    let begun = scene.next("dave").file(API, "a = 4\n").make();
    let tip = scene.forge.commit("alice").on(&begun).make();
    scene.forge.commit("alice").on(&scene.root).on(&tip).tree_of(&tip).make()
}

/// alice invites sock on a branch, sock writes there, and alice merges all of it.
fn sock_puppet(scene: &Scene) -> CommitId {
    let signers = scene.forge.signers(&TEAM) + &scene.forge.signers(&["sock"]);
    let policy = rules() + "[principals.sock]\nmay = \"everything\"\nroles = [\"admin\"]\n";
    let invited = scene.next("alice").file(SIGNERS, signers).file(POLICY, policy).make();
    let sock = scene.forge.commit("sock").on(&invited).file(API, "a = 4\n").make();
    scene.forge.commit("alice").on(&scene.root).on(&sock).tree_of(&sock).make()
}

/// frank writes, alice says so with an empty commit, dave merges.
fn three(scene: &Scene) -> CommitId {
    let branch = scene.next("frank").file("vault/x", "1").make();
    let seen = scene.forge.commit("alice").on(&branch).make();
    scene.forge.commit("dave").on(&scene.root).on(&seen).tree_of(&seen).make()
}

/// frank's content is replaced by alice before dave merges.
fn third_saw_less(scene: &Scene) -> CommitId {
    let branch = scene.next("frank").file("vault/x", "1").make();
    let changed = scene.forge.commit("alice").on(&branch).file("vault/x", "2").make();
    scene.forge.commit("dave").on(&scene.root).on(&changed).tree_of(&changed).make()
}
