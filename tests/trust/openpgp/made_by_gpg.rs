//! What gpg makes, and what becomes of it when it is edited.

use writ::names::CommitId;
use writ::trust::Reason;
use writ::trust::Reason::{BadSignature, Expired, Revoked, UnknownKey};

use super::{HOUR, TIME, armored, gpg, gpg_scene, introduce, payload};
use crate::forge::{EPOCH, Forge, NOW};
use crate::gpg::{Gpg, sqv};
use crate::scene::{Row, Scene, WEB, run};

fn signed_at(scene: &Scene, time: i64, args: &[&str]) -> CommitId {
    let payload = payload(scene);
    let armor = gpg(scene).sign(time, args, &payload);
    armored(scene, &payload, &String::from_utf8(armor).unwrap())
}

fn signed(scene: &Scene, args: &[&str]) -> CommitId {
    signed_at(scene, TIME, args)
}

fn good(scene: &Scene) -> CommitId {
    signed(scene, &["-u", "=pia"])
}

/// pia's signature with its armor edited.
fn rearmored(scene: &Scene, edit: fn(String) -> String) -> CommitId {
    let payload = payload(scene);
    let armor = gpg(scene).sign(TIME, &["-u", "=pia"], &payload);
    armored(scene, &payload, &edit(String::from_utf8(armor).unwrap()))
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "S4", reason: BadSignature, attack, twin }
}

fn other(rule: &'static str, reason: Reason, row: Row) -> Row {
    Row { rule, reason, ..row }
}

#[test]
fn a_signature_of_gpg_is_exactly_one_over_this_commit_by_a_pinned_key() {
    let (scene, _agents) = gpg_scene();
    let rows = [
        other("G3", UnknownKey, row("a stranger", |s| signed(s, &["-u", "=mallory"]), good)),
        other(
            "G3",
            UnknownKey,
            row(
                "SSH by one who has an OpenPGP key",
                |s| s.forge.raw_signed("pia", &payload(s)),
                |s| signed(s, &["-u", "=sam"]),
            ),
        ),
        other(
            "G3",
            UnknownKey,
            row(
                "OpenPGP by one who has an SSH key",
                |s| {
                    gpg(s).make("bob", "ed25519", "sign", "never");
                    signed(s, &["-u", "=bob"])
                },
                |s| s.forge.raw_signed("dave", &payload(s)),
            ),
        ),
        row(
            "of another commit",
            |s| {
                let armor = gpg(s).sign(TIME, &["-u", "=pia"], &s.forge.payload(&s.root));
                armored(s, &payload(s), &String::from_utf8(armor).unwrap())
            },
            good,
        ),
        row("over text", |s| signed(s, &["-u", "=pia", "--textmode"]), good),
        row(
            "SHA-1",
            |s| signed(s, &["-u", "=rob", "--digest-algo", "SHA1"]),
            |s| signed(s, &["-u", "=rob", "--digest-algo", "SHA256"]),
        ),
        row(
            "SHA-224",
            |s| signed(s, &["-u", "=rob", "--digest-algo", "SHA224"]),
            |s| signed(s, &["-u", "=rob", "--digest-algo", "SHA384"]),
        ),
        row("by two", |s| signed(s, &["-u", "=pia", "-u", "=sam"]), good),
        row("that expires", |s| signed(s, &["-u", "=pia", "--default-sig-expire", "1y"]), good),
        row(
            "with a critical notation",
            |s| signed(s, &["-u", "=pia", "-N", "!a@b=c"]),
            |s| signed(s, &["-u", "=pia", "-N", "a@b=c"]),
        ),
        row(
            "made too early",
            |s| signed_at(s, TIME - 601, &["-u", "=pia"]),
            |s| signed_at(s, TIME - 600, &["-u", "=pia"]),
        ),
        row(
            "made too late",
            |s| signed_at(s, TIME + 601, &["-u", "=pia"]),
            |s| signed_at(s, TIME + 600, &["-u", "=pia"]),
        ),
        other(
            "S1",
            BadSignature,
            row(
                "text before",
                |s| rearmored(s, |a| format!("x\n{a}")),
                |s| rearmored(s, |a| a.replacen("\n\n", "\nVersion: GnuPG v2\n\n", 1)),
            ),
        ),
        row("text after", |s| rearmored(s, |a| a + "x\n"), |s| rearmored(s, |a| a + "\n")),
        row(
            "a wrong checksum",
            |s| rearmored(s, checksum_of_nothing),
            |s| rearmored(s, without_checksum),
        ),
        row(
            "twice",
            |s| rearmored(s, |a| a.clone() + &a),
            |s| signed(s, &["-u", "=pia", "--comment", "a comment"]),
        ),
    ];
    run(&scene, &rows);
}

fn checksum(armor: &str) -> String {
    armor.lines().find(|line| line.starts_with('=')).unwrap().to_owned()
}

fn checksum_of_nothing(armor: String) -> String {
    armor.replace(&checksum(&armor), "=twTO")
}

pub(super) fn without_checksum(armor: String) -> String {
    armor.replace(&format!("{}\n", checksum(&armor)), "")
}

#[test]
fn every_accepted_kind_of_key_is_accepted_by_git_and_sqv_too() {
    let (scene, _agents) = gpg_scene();
    let payload = payload(&scene);
    let digests = |person| match person {
        "nick" => vec!["SHA384", "SHA512"],
        "nora" => vec!["SHA512"],
        _ => vec!["SHA256", "SHA384", "SHA512"],
    };
    for person in ["pia", "sam", "rob", "nia", "nick", "nora"] {
        let certificate = gpg(&scene).export(person);
        for digest in digests(person) {
            let by = ["-u", &format!("={person}"), "--digest-algo", digest];
            let armor = gpg(&scene).sign(TIME, &by, &payload);
            let head = armored(&scene, &payload, str::from_utf8(&armor).unwrap());
            let commit = scene.verify(&head).unwrap();
            assert_eq!(commit.principal().as_str(), person);
            let primary = format!("openpgp:{}", gpg(&scene).fingerprint(person));
            assert_eq!(commit.key().as_str(), primary);
            scene.forge.git_verifies(&head).unwrap();
            assert!(sqv(scene.forge.path(), &certificate, &armor, &payload), "{person} {digest}");
        }
    }
}

#[test]
fn a_key_that_expired_signs_no_more() {
    let (scene, _agents) = gpg_scene();
    let at = |time: i64| {
        let draft = scene.forge.unsigned().on(&scene.root).file(WEB, "a = 2\n").at(time);
        let payload = scene.forge.payload(&draft.make());
        let early = time.min(EPOCH + HOUR - 1);
        let armor = gpg(&scene).sign(early, &["-u", "=eve"], &payload);
        armored(&scene, &payload, &String::from_utf8(armor).unwrap())
    };
    let verdict = |head: &CommitId, now: i64| {
        let scene = Scene { now, ..introduced_again(&scene) };
        scene.verify(head).map_err(|refusal| (refusal.rule, refusal.reason)).map(drop)
    };
    let expired = Err(("K2".to_owned(), Expired));
    assert_eq!(verdict(&at(EPOCH + HOUR - 1), EPOCH + HOUR - 1), Ok(()));
    assert_eq!(verdict(&at(EPOCH + HOUR), EPOCH + HOUR), expired, "at the commit's time");
    assert_eq!(verdict(&at(EPOCH + HOUR - 1), EPOCH + HOUR), expired, "at first sight");
    // Below a head of somebody else it counts as of its own time.
    let below = at(EPOCH + HOUR - 1);
    let head = scene.forge.commit("alice").on(&below).file(WEB, "a = 3\n").at(NOW).make();
    assert_eq!(verdict(&head, NOW), Ok(()));
}

/// The same scene for another clock.
fn introduced_again(scene: &Scene) -> Scene {
    let Scene { root, pins, anchor, now, .. } = scene;
    Scene {
        forge: Forge::new(),
        repo: scene.forge.repository(),
        root: root.clone(),
        pins: pins.clone(),
        anchor: anchor.clone(),
        now: *now,
    }
}

#[test]
fn gpgs_own_revocation_ends_a_key() {
    let forge = Forge::new();
    let (gpg, other) = (Gpg::of(&forge, "gnupg"), Gpg::of(&forge, "other"));
    let _agents = Gpg::agents(&[&gpg, &other]);
    gpg.make("pia", "ed25519", "sign", "never");
    let (alive, digits) = (gpg.export("pia"), gpg.fingerprint("pia"));
    other.import(&alive);
    other.import(&gpg.revocation("pia"));
    let revoked = other.export("pia");
    for (certificate, reason) in [(alive, None), (revoked, Some(Revoked))] {
        let forge = Forge::new();
        let scene = introduce(forge, &[("pia", certificate, digits.clone())]);
        let payload = payload(&scene);
        let armor = gpg.sign(TIME, &["-u", "=pia"], &payload);
        let head = armored(&scene, &payload, &String::from_utf8(armor).unwrap());
        assert_eq!(scene.verify(&head).err().map(|refusal| refusal.reason), reason);
    }
}
