//! The role `merge`: the key of a forge, which may bring in what others signed and
//! nothing else (rules P2, G4, G5).

use writ::names::CommitId;
use writ::trust::Reason::{Expired, PathDenied, Revoked, Threshold, UnknownKey};
use writ::trust::detached::{NAMESPACE, TRAILER, approval};

use crate::forge::{CHANNEL, Forge};
use crate::hand::{Draft as Signed, Hand as Hardware};
use crate::scene::{API, POLICY, Row, SERVICE, SIGNERS, Scene, TEAM, WEB, rules, run};

const MORE: &str = "[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n[principals.mia]\nmay = \"everything\"\nroles = [\"merge\"]\n\
    [principals.frank]\nmay = \"everything\"\ngrants = [\"vault/**\"]\n\
    [[protect]]\npaths = [\"manifests/services/api.toml\"]\nthreshold = 2\n\
    [[protect]]\npaths = [\"vault/**\"]\nthreshold = 3\n";

/// The team with the merge keys of forge and mia; frank may write vault/. The key
/// `forge+old` has expired.
pub(crate) fn scene() -> Scene {
    with(MORE)
}

/// The same, with a policy that takes two people to change.
pub(crate) fn guarded() -> Scene {
    with(&format!("{MORE}[[protect]]\npaths = [\".writ/**\"]\nthreshold = 2\n"))
}

fn with(more: &str) -> Scene {
    let forge = Forge::new();
    let may = |signers: String| signers.replace("\"git\"", "\"git,writ-approve\"");
    let old = forge.public("forge+old");
    let signers = may(forge.signers(&TEAM))
        + &may(forge.signers(&["forge", "mia", "frank"]))
        + &format!("forge valid-before=\"20200101Z\" {old}\n");
    Scene::introduce(forge, &signers, &(rules() + more))
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "G4", reason: PathDenied, attack, twin }
}

/// `branch` merged into the introduction by `merger`, as a merge button does it.
fn merged(scene: &Scene, merger: &str, branch: &CommitId) -> CommitId {
    scene.forge.commit(merger).on(&scene.root).on(branch).tree_of(branch).make()
}

fn bobs(scene: &Scene) -> CommitId {
    scene.next("bob").file(WEB, "a = 2\n").make()
}

fn button(scene: &Scene) -> CommitId {
    merged(scene, "forge", &bobs(scene))
}

/// A branch of one commit by `author`, merged by the forge.
fn of(scene: &Scene, author: &str, path: &str, text: &str) -> CommitId {
    merged(scene, "forge", &scene.next(author).file(path, text).make())
}

pub(crate) fn alone() -> Vec<Row> {
    vec![
        row("a commit of its own", |s| s.next("forge").file(WEB, "a = 2\n").make(), button),
        row(
            "a branch of its own",
            |s| merged(s, "forge", &s.next("forge").file(WEB, "a = 2\n").make()),
            button,
        ),
        row("another merger's branch", |s| of(s, "mia", WEB, "a = 2\n"), button),
        row("a branch by one without grants", |s| of(s, "erin", WEB, "a = 2\n"), button),
        row(
            "a branch beyond its author's grants",
            |s| of(s, "bob", "README", "x"),
            |s| of(s, "alice", "README", "x"),
        ),
        row(
            "a closure key's other field",
            |s| of(s, "ci", WEB, &SERVICE.replace("\"web\"", "\"root\"")),
            |s| of(s, "ci", WEB, &SERVICE.replace("\"old\"", "\"new\"")),
        ),
        row(
            "the file changed while merging",
            |s| s.forge.commit("forge").on(&s.root).on(&bobs(s)).file(WEB, "a = 3\n").make(),
            button,
        ),
        row(
            "another file changed while merging",
            |s| {
                let branch = bobs(s);
                let merge = s.forge.commit("forge").on(&s.root).on(&branch).tree_of(&branch);
                merge.file("README", "x").make()
            },
            button,
        ),
        row(
            "a file deleted while merging",
            |s| {
                let branch = bobs(s);
                let merge = s.forge.commit("forge").on(&s.root).on(&branch).tree_of(&branch);
                merge.delete(API).make()
            },
            button,
        ),
        row(
            "octopus",
            |s| {
                let (branch, other) = (bobs(s), s.next("bob").message("other").make());
                let merge = s.forge.commit("forge").on(&s.root).on(&branch).on(&other);
                merge.tree_of(&branch).make()
            },
            button,
        ),
        row("squashed", |s| s.next("forge").tree_of(&bobs(s)).make(), button),
        row("main has moved on", moved_on, caught_up),
        row("main's change dropped", drops_what_main_did, caught_up),
        row(
            "the author's words, another's deed",
            |s| {
                let changed = s.forge.commit("erin").on(&bobs(s)).file(WEB, "a = 3\n").make();
                merged(s, "forge", &changed)
            },
            |s| merged(s, "forge", &s.forge.commit("erin").on(&bobs(s)).make()),
        ),
        row("the author came with the branch", sock_puppet, button),
        row("what somebody signed long ago", |s| dug_out(s, "forge", WEB), caught_up),
        Row {
            rule: "P2",
            ..row(
                "the policy by one without the role admin",
                |s| of(s, "bob", POLICY, &(rules() + MORE + "#")),
                |s| of(s, "alice", POLICY, &(rules() + MORE + "#")),
            )
        },
        Row {
            rule: "P2",
            ..row(
                "the signers by the forge itself",
                |s| s.next("forge").file(SIGNERS, s.forge.signers(&TEAM)).make(),
                |s| of(s, "dave", SIGNERS, &staff(s)),
            )
        },
        Row {
            rule: "G3",
            reason: UnknownKey,
            ..row("by a stranger's forge", |s| merged(s, "mallory", &bobs(s)), button)
        },
        Row {
            rule: "K2",
            reason: Expired,
            ..row("with an expired key", |s| merged(s, "forge+old", &bobs(s)), button)
        },
        Row {
            rule: "G3",
            reason: Revoked,
            ..row(
                "with a revoked key",
                |s| {
                    let revoked = revoked(s);
                    let branch = s.forge.commit("bob").on(&revoked).file(WEB, "a = 2\n").make();
                    let merge = s.forge.commit("forge").on(&revoked).on(&branch);
                    merge.tree_of(&branch).make()
                },
                button,
            )
        },
    ]
}

pub(crate) fn counted() -> Vec<Row> {
    let row = |name, attack, twin| Row { rule: "G5", reason: Threshold, ..row(name, attack, twin) };
    vec![
        row(
            "without a merge",
            |s| s.next("alice").file(API, "a = 4\n").make(),
            |s| of(s, "alice", API, "a = 4\n"),
        ),
        row(
            "two mergers and one author",
            |s| {
                let branch = s.next("frank").file("vault/x", "1").make();
                let tip = s.forge.commit("mia").on(&branch).make();
                merged(s, "forge", &tip)
            },
            |s| {
                let branch = s.next("frank").file("vault/x", "1").make();
                let tip = s.forge.commit("dave").on(&branch).make();
                merged(s, "forge", &tip)
            },
        ),
        row("an approval by the forge", |s| approved(s, "forge"), |s| approved(s, "dave")),
        row(
            "an approver's words of long ago",
            |s| dug_out(s, "dave", API),
            |s| merged(s, "dave", &s.next("alice").file(API, "a = 4\n").make()),
        ),
    ]
}

pub(crate) fn policy() -> Vec<Row> {
    let row = |name, attack, twin| Row { rule: "G5", reason: Threshold, ..row(name, attack, twin) };
    vec![
        row(
            "one administrator and the forge",
            |s| of(s, "alice", SIGNERS, &staff(s)),
            |s| {
                let branch = s.next("alice").file(SIGNERS, staff(s)).make();
                merged(s, "forge", &s.forge.commit("dave").on(&branch).make())
            },
        ),
        row(
            "one administrator and two mergers",
            |s| {
                let branch = s.next("alice").file(SIGNERS, staff(s)).make();
                merged(s, "forge", &s.forge.commit("mia").on(&branch).make())
            },
            |s| merged(s, "dave", &s.next("alice").file(SIGNERS, staff(s)).make()),
        ),
    ]
}

#[test]
fn a_merge_key_brings_in_what_others_may_write_and_nothing_else() {
    run(&scene(), &alone());
}

#[test]
fn a_merge_key_is_one_of_several_people() {
    run(&scene(), &counted());
}

#[test]
fn a_merge_key_is_nobody_where_the_policy_is_changed() {
    run(&guarded(), &policy());
}

/// bob's branch left before main moved; the forge merges both as git does.
fn moved_on(scene: &Scene) -> CommitId {
    let (branch, main) = (bobs(scene), scene.next("alice").file("README", "x").make());
    scene.forge.commit("forge").on(&main).on(&branch).file(WEB, "a = 2\n").make()
}

/// The same, and what main did since is lost.
fn drops_what_main_did(scene: &Scene) -> CommitId {
    let (branch, main) = (bobs(scene), scene.next("alice").file("README", "x").make());
    scene.forge.commit("forge").on(&main).on(&branch).tree_of(&branch).make()
}

/// The same, and bob has merged main into his branch first.
fn caught_up(scene: &Scene) -> CommitId {
    let (branch, main) = (bobs(scene), scene.next("alice").file("README", "x").make());
    let branch = scene.forge.commit("bob").on(&branch).on(&main).file("README", "x").make();
    scene.forge.commit("forge").on(&main).on(&branch).tree_of(&branch).make()
}

/// bob invites sock on a branch, sock writes there, and the forge merges it.
fn sock_puppet(scene: &Scene) -> CommitId {
    let signers = scene.forge.signers(&TEAM) + &scene.forge.signers(&["sock", "forge"]);
    let policy = rules() + MORE + "[principals.sock]\nmay = \"everything\"\nroles = [\"admin\"]\n";
    let invited = scene.next("bob").file(SIGNERS, signers).file(POLICY, policy).make();
    let back = scene.forge.commit("sock").on(&invited).tree_of(&scene.root);
    merged(scene, "forge", &back.file("README", "x").make())
}

/// alice once wrote a state that never came to main, and since then main has another;
/// erin, who may write nothing, puts it on top, and `merger` merges that.
fn dug_out(scene: &Scene, merger: &str, path: &str) -> CommitId {
    let old = scene.next("alice").file(path, "a = 4\n").make();
    let new = scene.next("alice").file(path, "a = 5\n").make();
    let main = merged(scene, "dave", &new);
    let erin = scene.forge.commit("erin").on(&main).on(&old).tree_of(&old).make();
    scene.forge.commit(merger).on(&main).on(&erin).tree_of(&erin).make()
}

/// The signers with a key each, and the mergers among them.
fn staff(scene: &Scene) -> String {
    scene.forge.signers(&TEAM) + &scene.forge.signers(&["forge", "mia"])
}

fn revoked(scene: &Scene) -> CommitId {
    let key = scene.forge.fingerprint("forge");
    let gone = format!("{MORE}[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{}\"\n", scene.root);
    let draft = scene.next("alice").file(SIGNERS, scene.forge.signers(&TEAM));
    draft.file(POLICY, rules() + &gone).make()
}

/// alice's change of a protected file, with `by`'s approval in its message.
fn approved(scene: &Scene, by: &str) -> CommitId {
    let draft = || scene.next("alice").file(API, "a = 4\n");
    let text = approval(CHANNEL, &scene.root, &scene.forge.tree(&draft().make()));
    let armor = scene.forge.sign(by, NAMESPACE, text.as_bytes());
    draft().message(&format!("a change\n\n{TRAILER}{}\n", crate::hand::unwrap(&armor))).make()
}

#[test]
fn a_stolen_merge_key_counts_up_to_the_commit_that_the_policy_names() {
    let scene = scene();
    let merge = button(&scene);
    let revoke = |until: &CommitId| {
        let key = scene.forge.fingerprint("forge");
        let gone = format!("{MORE}[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{until}\"\n");
        let draft = scene.forge.commit("alice").on(&merge);
        draft.file(SIGNERS, scene.forge.signers(&TEAM)).file(POLICY, rules() + &gone).make()
    };
    assert!(scene.verify_from(None, &revoke(&merge)).is_ok());
    let refusal = scene.verify_from(None, &revoke(&scene.root)).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.commit), ("K3", merge));
}

#[test]
fn a_refused_merge_tells_what_to_do() {
    let scene = scene();
    let refusal = scene.verify(&moved_on(&scene)).unwrap_err();
    assert!(refusal.because.contains("may only merge a branch from the tip"), "{refusal}");
    assert!(refusal.remedy.contains("rebase"), "{}", refusal.remedy);
    let refusal = scene.verify(&of(&scene, "erin", WEB, "a = 2\n")).unwrap_err();
    assert!(refusal.because.contains("nobody who signed the branch"), "{refusal}");
}

/// A thief holds alice's hardware key without its PIN, which the policy asks for, and has
/// somebody lower the bar on a branch first.
#[test]
fn a_branch_cannot_take_back_that_a_user_has_to_be_verified() {
    let forge = Forge::new();
    let token = Hardware::hardware(9);
    let signers = forge.signers(&TEAM) + &forge.signers(&["forge"]);
    let signers = signers + &format!("pat namespaces=\"git\" {}\n", token.public());
    let policy = |verified: bool| {
        let pat = format!(
            "[principals.pat]\nmay = \"everything\"\nroles = [\"admin\"]\nverifyRequired = {verified}\n"
        );
        format!("{}{pat}[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n", rules())
    };
    let scene = Scene::introduce(forge, &signers, &policy(true));
    let by_pat = |on: &CommitId, flags: u8| {
        let draft = scene.forge.unsigned().on(on).file(POLICY, policy(true)).file(API, "a = 2\n");
        let payload = scene.forge.payload(&draft.make());
        let armor = token.armor(&payload, &Signed { flags, ..Signed::default() });
        scene.forge.raw("commit", &scene.forge.with_signature(&payload, armor.as_bytes()))
    };
    let lowered = scene.next("erin").file(POLICY, policy(false)).make();
    let (touched, verified) = (by_pat(&lowered, 1), by_pat(&lowered, 5));
    assert!(scene.verify(&merged(&scene, "forge", &verified)).is_ok());
    let refusal = scene.verify(&merged(&scene, "forge", &touched)).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("G4", PathDenied), "{refusal}");
}
