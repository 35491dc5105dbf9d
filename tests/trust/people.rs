//! Approvals in a commit's message, and the role `rollback` (rules G5, G6, K3).

use writ::names::CommitId;
use writ::trust::Reason::{PathDenied, Revoked, Threshold};
use writ::trust::detached::{NAMESPACE, TRAILER, approval, trailer};

use crate::forge::{CHANNEL, Forge};
use crate::scene::{API, POLICY, Row, SERVICE, SIGNERS, Scene, TEAM, WEB, rules, run};

const MORE: &str = "[principals.frank]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.rita]\nmay = \"everything\"\nroles = [\"rollback\"]\n\
    [[protect]]\npaths = [\".writ/**\", \"manifests/services/api.toml\"]\nthreshold = 2\n";

/// The team may approve; frank's key may sign commits only, and rita may roll back.
fn scene() -> Scene {
    let forge = Forge::new();
    let may = |signers: String| signers.replace("\"git\"", "\"git,writ-approve\"");
    let signers = may(forge.signers(&TEAM)) + &may(forge.signers(&["alice+second"]));
    let signers = signers + &forge.signers(&["frank", "rita"]);
    Scene::introduce(forge, &signers, &(rules() + MORE))
}

/// `by`'s line for a commit with this parent and tree.
fn line(scene: &Scene, by: &str, base: &CommitId, tree: &CommitId) -> String {
    signed(scene, by, NAMESPACE, &approval(CHANNEL, base, tree))
}

fn signed(scene: &Scene, by: &str, namespace: &str, text: &str) -> String {
    let armor = String::from_utf8(scene.forge.sign(by, namespace, text.as_bytes())).unwrap();
    let body: String = armor.lines().filter(|line| !line.starts_with("-----")).collect();
    format!("{TRAILER}{body}")
}

/// alice's change of the protected file on the introduction, with a message made for
/// its tree.
fn change(scene: &Scene, message: impl Fn(&CommitId) -> String) -> CommitId {
    let draft = || scene.next("alice").file(API, "a = 4\n");
    let tree = scene.forge.tree(&draft().make());
    draft().message(&format!("a change\n\n{}\n", message(&tree))).make()
}

fn approved_by(scene: &Scene, by: &str) -> CommitId {
    change(scene, |tree| line(scene, by, &scene.root, tree))
}

pub(crate) fn approvals() -> Vec<Row> {
    let row = |name, attack| Row {
        name,
        rule: "G5",
        reason: Threshold,
        attack,
        twin: |s| approved_by(s, "dave"),
    };
    vec![
        row("nobody", |s| change(s, |_| String::new())),
        row("oneself", |s| approved_by(s, "alice")),
        row("oneself with another key", |s| approved_by(s, "alice+second")),
        row("a stranger", |s| approved_by(s, "mallory")),
        row("one who may not write there", |s| approved_by(s, "erin")),
        row("one who may only roll back", |s| approved_by(s, "rita")),
        row("a key for commits only", |s| approved_by(s, "frank")),
        row("another tree", |s| {
            let other = s.forge.tree(&s.root);
            change(s, |_| line(s, "dave", &s.root, &other))
        }),
        row("another parent", |s| {
            let other = s.next("dave").make();
            change(s, |tree| line(s, "dave", &other, tree))
        }),
        row("another channel", |s| {
            let text = |tree: &CommitId| approval("acme-infra:test", &s.root, tree);
            change(s, |tree| signed(s, "dave", NAMESPACE, &text(tree)))
        }),
        row("another namespace", |s| {
            change(s, |tree| signed(s, "dave", "git", &approval(CHANNEL, &s.root, tree)))
        }),
        row("not a line of its own", |s| {
            change(s, |tree| format!("see {}", line(s, "dave", &s.root, tree)))
        }),
        row("cut short", |s| {
            change(s, |tree| {
                let line = line(s, "dave", &s.root, tree);
                line[..line.len() - 4].to_owned()
            })
        }),
        row("cherry-picked", |s| {
            let picked = approved_by(s, "dave");
            let message = String::from_utf8(s.forge.bytes("commit", &picked)).unwrap();
            let message = message.split_once("\n\n").unwrap().1.to_owned();
            let main = s.next("dave").file(WEB, "a = 5\n").make();
            s.forge.commit("alice").on(&main).file(API, "a = 4\n").message(&message).make()
        }),
        row("behind sixteen others", |s| {
            change(s, |tree| {
                let mut lines = vec![line(s, "mallory", &s.root, tree); 16];
                lines.push(line(s, "dave", &s.root, tree));
                lines.join("\n")
            })
        }),
    ]
}

#[test]
fn an_approval_counts_for_its_parent_and_tree_and_nothing_else() {
    run(&scene(), &approvals());
}

#[test]
fn an_approval_that_does_not_count_is_told() {
    let scene = scene();
    let refusal = scene.verify(&approved_by(&scene, "frank")).unwrap_err();
    assert!(refusal.because.contains("not allowed the namespace writ-approve"), "{refusal}");
}

#[test]
fn an_approval_may_stand_in_a_merge() {
    let forge = Forge::new();
    let may = |signers: String| signers.replace("\"git\"", "\"git,writ-approve\"");
    let signers = may(forge.signers(&TEAM)) + &may(forge.signers(&["frank"]));
    let scene = Scene::introduce(forge, &signers, &(rules() + &MORE.replace('2', "3")));
    let branch = scene.next("alice").file(API, "a = 4\n").make();
    let merge = |message: &str| {
        let draft = scene.forge.commit("dave").on(&scene.root).on(&branch);
        draft.tree_of(&branch).message(message).make()
    };
    let tree = scene.forge.tree(&branch);
    assert_eq!(scene.verify(&merge("merge")).unwrap_err().reason, Threshold);
    let frank = line(&scene, "frank", &scene.root, &tree);
    assert!(scene.verify(&merge(&frank)).is_ok());
    let alice = line(&scene, "alice", &scene.root, &tree);
    assert_eq!(scene.verify(&merge(&alice)).unwrap_err().reason, Threshold);
}

#[test]
fn the_line_of_a_message_is_made_of_what_ssh_keygen_prints() {
    let scene = scene();
    let text = approval(CHANNEL, &scene.root, &scene.forge.tree(&scene.root));
    let armor = |namespace| {
        String::from_utf8(scene.forge.sign("dave", namespace, text.as_bytes())).unwrap()
    };
    let made = trailer(&armor(NAMESPACE)).unwrap();
    assert_eq!(made, line(&scene, "dave", &scene.root, &scene.forge.tree(&scene.root)));
    assert_eq!(trailer(&armor("git")), None);
    assert_eq!(trailer("what"), None);
}

#[test]
fn a_revoked_approver_counts_up_to_the_commit_that_the_policy_names() {
    let scene = scene();
    let approved = approved_by(&scene, "dave");
    let anchor = scene.accept(&approved);
    let revoke = |until: &CommitId| {
        let key = scene.forge.fingerprint("dave");
        let rules =
            rules() + MORE + &format!("[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{until}\"\n");
        let signers =
            String::from_utf8(scene.forge.git(["show", &format!("{}:{SIGNERS}", scene.root)], b""));
        let signers: String = signers
            .unwrap()
            .lines()
            .filter(|l| !l.starts_with("dave "))
            .map(|l| format!("{l}\n"))
            .collect();
        let branch = scene
            .forge
            .commit("alice")
            .on(&approved)
            .file(POLICY, rules)
            .file(SIGNERS, signers)
            .make();
        scene.forge.commit("frank").on(&approved).on(&branch).tree_of(&branch).make()
    };
    let good = revoke(&approved);
    assert!(scene.verify_from(Some(&anchor), &good).is_ok());
    assert!(scene.verify_from(None, &good).is_ok());
    let refusal = scene.verify_from(None, &revoke(&scene.root)).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason, refusal.commit), ("K3", Revoked, approved));
}

/// Two changes of the mainline, of which the second is bad.
fn two_changes(scene: &Scene) -> (CommitId, CommitId) {
    let first = scene.next("bob").file(WEB, "a = 2\n").make();
    let second = scene.forge.commit("bob").on(&first).file(WEB, "a = 3\n").make();
    (first, second)
}

fn back_to(scene: &Scene, on: &CommitId, past: &CommitId) -> CommitId {
    scene.forge.commit("rita").on(on).tree_of(past).make()
}

pub(crate) fn rollbacks() -> Vec<Row> {
    let row = |name, attack, twin| Row { name, rule: "G4", reason: PathDenied, attack, twin };
    let last = |s: &Scene| {
        let (first, second) = two_changes(s);
        back_to(s, &second, &first)
    };
    vec![
        row("something new", |s| s.next("rita").file(WEB, "a = 2\n").make(), last),
        row(
            "an old state with a change",
            |s| {
                let (first, second) = two_changes(s);
                s.forge.commit("rita").on(&second).tree_of(&first).file("x", "1").make()
            },
            last,
        ),
        row(
            "one file of an old state",
            |s| {
                let (_, second) = two_changes(s);
                let third = s.forge.commit("alice").on(&second).file("x", "1").make();
                s.forge.commit("rita").on(&third).file(WEB, "a = 2\n").make()
            },
            |s| {
                let (_, second) = two_changes(s);
                back_to(s, &second, &s.root)
            },
        ),
        row(
            "the state of a side branch",
            |s| {
                let side = s.next("bob").file(WEB, "a = 9\n").make();
                let main = s.next("alice").file("x", "1").make();
                let merge = s.forge.commit("alice").on(&main).on(&side).make();
                back_to(s, &merge, &side)
            },
            last,
        ),
        row("twenty-one back", |s| after(s, 21), |s| after(s, 20)),
        row(
            "by one without the role",
            |s| {
                let first = s.next("alice").file(WEB, "a = 2\n").make();
                s.forge.commit("erin").on(&first).tree_of(&s.root).make()
            },
            |s| {
                let first = s.next("alice").file(WEB, "a = 2\n").make();
                back_to(s, &first, &s.root)
            },
        ),
        Row {
            rule: "P2",
            ..row(
                "the old policy with the old state",
                |s| {
                    let (policy, old) = with_a_new_policy(s);
                    back_to(s, &policy, &old)
                },
                |s| {
                    let (policy, _) = with_a_new_policy(s);
                    s.forge.commit("rita").on(&policy).file(WEB, SERVICE).make()
                },
            )
        },
        row(
            "a protected file anew",
            |s| s.next("rita").file(API, "a = 7\n").make(),
            |s| {
                let protected = approved_by(s, "dave");
                back_to(s, &protected, &s.root)
            },
        ),
    ]
}

#[test]
fn one_person_may_bring_back_what_the_mainline_had() {
    run(&scene(), &rollbacks());
}

/// Back to the introduction's state over so many commits.
fn after(scene: &Scene, commits: usize) -> CommitId {
    let mut tip = scene.next("bob").file(WEB, "n = 0\n").make();
    for n in 1..commits - 1 {
        tip = scene.forge.commit("bob").on(&tip).file(WEB, format!("n = {n}\n")).make();
    }
    back_to(scene, &tip, &scene.root)
}

/// bob's change, then a change of the policy; and the commit before.
fn with_a_new_policy(scene: &Scene) -> (CommitId, CommitId) {
    let changed = scene.next("bob").file(WEB, "a = 2\n").make();
    let rules = rules() + MORE + "# new\n";
    let branch = scene.forge.commit("alice").on(&changed).file(POLICY, rules).make();
    let merge = scene.forge.commit("dave").on(&changed).on(&branch).tree_of(&branch).make();
    (merge, changed)
}
