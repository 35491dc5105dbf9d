//! Histories that should not count (rules G1 to G3, G7); the cases of Guix's
//! `tests/git-authenticate.scm` are among them.

use writ::names::CommitId;
use writ::trust::Reason::{
    ForeignRoot, Malformed, MissingObject, NotAuthorized, PathDenied, UnknownKey, Unsigned,
};

use crate::forge::{Draft, Forge};
use crate::scene::{API, POLICY, Row, SIGNERS, Scene, TEAM, WEB, rules, run};

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "G3", reason: UnknownKey, attack, twin }
}

/// The team's signers with more keys.
fn team_and<'f>(scene: &Scene, draft: Draft<'f>, names: &[&str]) -> Draft<'f> {
    let more: String = names
        .iter()
        .map(|n| format!("[principals.{n}]\nmay = \"everything\"\nroles = [\"admin\"]\n"))
        .collect();
    draft
        .file(SIGNERS, scene.forge.signers(&TEAM) + &scene.forge.signers(names))
        .file(POLICY, rules() + &more)
}

fn team_without(scene: &Scene, gone: &str) -> String {
    let left: Vec<&str> = TEAM.into_iter().filter(|name| *name != gone).collect();
    scene.forge.signers(&left)
}

pub(crate) fn signers() -> Vec<Row> {
    vec![
        row(
            "self-made administrator",
            |s| team_and(s, s.next("mallory"), &["mallory"]).make(),
            |s| team_and(s, s.next("alice"), &["mallory"]).make(),
        ),
        row(
            "signing before the invitation",
            |s| {
                let early = s.next("newcomer").make();
                let invited = team_and(s, s.next("alice"), &["newcomer"]).make();
                s.forge.commit("alice").on(&invited).on(&early).make()
            },
            |s| {
                let invited = team_and(s, s.next("alice"), &["newcomer"]).make();
                s.forge.commit("newcomer").on(&invited).file(WEB, "a = 3\n").make()
            },
        ),
        row(
            "signing after the dismissal",
            |s| {
                let out = s.next("alice").file(SIGNERS, team_without(s, "dave")).make();
                s.forge.commit("dave").on(&out).make()
            },
            |s| {
                let last = s.next("dave").make();
                s.forge.commit("alice").on(&last).file(SIGNERS, team_without(s, "dave")).make()
            },
        ),
        row(
            "merge by a person whom one parent has dismissed",
            |s| {
                let out = s.next("alice").file(SIGNERS, team_without(s, "dave")).make();
                let other = s.next("alice").file(API, "a = 3\n").make();
                s.forge.commit("dave").on(&other).on(&out).tree_of(&out).make()
            },
            |s| {
                let out = s.next("alice").file(SIGNERS, team_without(s, "dave")).make();
                let other = s.next("dave").file(API, "a = 3\n").make();
                s.forge.commit("alice").on(&out).on(&other).make()
            },
        ),
        row(
            "merge by a person whom the other parent does not know yet",
            |s| {
                let invited = team_and(s, s.next("alice"), &["newcomer"]).make();
                let other = s.next("alice").message("other").make();
                s.forge.commit("newcomer").on(&invited).on(&other).make()
            },
            |s| {
                let invited = team_and(s, s.next("alice"), &["newcomer"]).make();
                let other = s.next("alice").message("other").make();
                s.forge.commit("alice").on(&invited).on(&other).make()
            },
        ),
        row(
            "a stranger's commit below a good merge",
            |s| {
                let stranger = s.next("mallory").file(WEB, "a = 3\n").make();
                let main = s.next("alice").make();
                s.forge.commit("alice").on(&main).on(&stranger).make()
            },
            |s| {
                let branch = s.next("bob").file(WEB, "a = 3\n").make();
                let main = s.next("alice").make();
                s.forge.commit("alice").on(&main).on(&branch).make()
            },
        ),
        Row {
            reason: NotAuthorized,
            ..row(
                "key for another namespace",
                |s| {
                    let line =
                        format!("frank namespaces=\"writ-head\" {}\n", s.forge.public("frank"));
                    let signers = s.forge.signers(&TEAM) + &line;
                    let policy =
                        rules() + "[principals.frank]\nmay = \"everything\"\nroles = [\"admin\"]\n";
                    let added = s.next("alice").file(SIGNERS, signers).file(POLICY, policy).make();
                    s.forge.commit("frank").on(&added).make()
                },
                |s| {
                    let added = team_and(s, s.next("alice"), &["frank"]).make();
                    s.forge.commit("frank").on(&added).make()
                },
            )
        },
        Row {
            reason: NotAuthorized,
            ..row(
                "key without a principal in the policy",
                |s| {
                    let signers = s.forge.signers(&TEAM) + &s.forge.signers(&["frank"]);
                    let added = s.next("alice").file(SIGNERS, signers).make();
                    s.forge.commit("frank").on(&added).make()
                },
                |s| s.next("erin").make(),
            )
        },
    ]
}

#[test]
fn every_parent_must_let_the_signer_sign() {
    run(&Scene::new(), &signers());
}

#[test]
fn a_branch_cannot_invite_its_own_people_into_the_mainline() {
    let scene = Scene::new();
    // bob may sign, so his branch may say anything; merging it is another matter.
    let invited = team_and(&scene, scene.next("bob"), &["sock"]).make();
    let sock = scene.forge.commit("sock").on(&invited).file(WEB, "a = 3\n").make();
    let main = scene.next("alice").make();
    let merge = scene.forge.commit("bob").on(&main).on(&sock).tree_of(&sock).make();
    let refusal = scene.verify(&merge).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.commit), ("P2", merge));
    // As a mainline of its own it fails at the invitation.
    assert_eq!(scene.verify(&sock).unwrap_err().commit, invited);
}

pub(crate) fn foreign() -> Vec<Row> {
    let row =
        |name, attack, twin| Row { rule: "G2", reason: ForeignRoot, ..row(name, attack, twin) };
    vec![row(
        "merge with a foreign history",
        |s| {
            let foreign = s.forge.commit("alice").tree_of(&s.root).message("elsewhere").make();
            let main = s.next("alice").make();
            s.forge.commit("alice").on(&main).on(&foreign).make()
        },
        |s| {
            let branch = s.next("alice").message("branch").make();
            let main = s.next("alice").make();
            s.forge.commit("alice").on(&main).on(&branch).make()
        },
    )]
}

#[test]
fn every_way_down_ends_at_the_introduction() {
    run(&Scene::new(), &foreign());
    let scene = Scene::new();
    let foreign = scene.forge.commit("alice").tree_of(&scene.root).message("elsewhere").make();
    let refusal = scene.verify_from(None, &foreign).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("G2", ForeignRoot));
}

#[test]
fn what_lies_below_the_introduction_is_never_looked_at() {
    let forge = Forge::new();
    let before = forge.unsigned().file("README", "long ago").make();
    let root = forge
        .commit("alice")
        .on(&before)
        .file(SIGNERS, forge.signers(&TEAM))
        .file(POLICY, rules())
        .make();
    let on_old = forge.commit("alice").on(&before).tree_of(&root).make();
    let next = forge.commit("alice").on(&root).file(WEB, "a = 1\n").make();
    let (repo, pins) = (forge.repository(), forge.pins(&root, "alice"));
    let judge = |head: &CommitId| writ::trust::verify(&repo, &pins, None, head, crate::forge::NOW);
    assert!(judge(&next).is_ok());
    let merged = forge.commit("alice").on(&next).on(&on_old).make();
    assert_eq!(judge(&merged).unwrap_err().reason, ForeignRoot);
    assert_eq!(judge(&before).unwrap_err().reason, ForeignRoot);
}

#[test]
fn the_introduction_is_signed_by_the_pinned_key() {
    let scene = Scene::new();
    let mut pins = scene.pins.clone();
    pins.introducer = scene.forge.fingerprint("dave");
    let refusal =
        writ::trust::verify(&scene.repo, &pins, None, &scene.root, scene.now).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("G1", UnknownKey));
    pins = scene.pins.clone();
    pins.introduction = "2".repeat(40).parse().unwrap();
    let refusal = writ::trust::verify(&scene.repo, &pins, None, &pins.introduction, scene.now);
    assert_eq!(refusal.unwrap_err().reason, MissingObject);
}

#[test]
fn an_introduction_without_its_signer_in_its_own_policy_is_refused() {
    let forge = Forge::new();
    let root =
        forge.commit("mallory").file(SIGNERS, forge.signers(&TEAM)).file(POLICY, rules()).make();
    let (repo, pins) = (forge.repository(), forge.pins(&root, "mallory"));
    let refusal = writ::trust::verify(&repo, &pins, None, &root, crate::forge::NOW).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("G3", UnknownKey));
}

pub(crate) fn sha256() -> Vec<Row> {
    let row = |name, rule, reason, attack| Row {
        name,
        rule,
        reason,
        attack,
        twin: |s| s.next("bob").file(WEB, "a = 2\n").make(),
    };
    vec![
        row("unsigned", "O1", Unsigned, |s| s.forge.unsigned().on(&s.root).make()),
        row("stranger", "G3", UnknownKey, |s| s.next("mallory").make()),
        row("path", "G4", PathDenied, |s| s.next("bob").file(API, "a = 2\n").make()),
        row("the other kind of signature", "O1", Malformed, |s| {
            let made = s.next("alice").make();
            let text = String::from_utf8(s.forge.bytes("commit", &made)).unwrap();
            s.forge.raw("commit", text.replace("gpgsig-sha256", "gpgsig").as_bytes())
        }),
        row("an id of the other format", "O1", Malformed, |s| {
            let payload = String::from_utf8(s.forge.payload(&s.next("alice").make())).unwrap();
            let short = payload.replace(s.root.as_str(), &s.root.as_str()[..40]);
            s.forge.raw_signed("alice", short.as_bytes())
        }),
    ]
}

#[test]
fn a_sha256_repository_keeps_the_same_rules() {
    let scene = Scene::with(Forge::with_format("sha256"), "");
    run(&scene, &sha256());
    let other = "1".repeat(40).parse().unwrap();
    assert_eq!(scene.verify(&other).unwrap_err().reason, Malformed);
}
