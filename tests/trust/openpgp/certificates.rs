//! Certificates that a policy may not hold (rule P1).

use writ::names::CommitId;
use writ::trust::Reason::PolicyMalformed;

use super::{asc, binding, introduce, mallory, pinning, policy_of, subkey, with, zoe, zoes};
use crate::forge::{Forge, NOW};
use crate::gpg::BORN;
use crate::hand_pgp::{
    BINARY, BINDING, CERTIFICATION, CERTIFY, CERTIFY_AND_SIGN, Draft, Hand, REVOKED_USER_ID, SIGN,
    block, framed_user_id, packet,
};
use crate::scene::{POLICY, Row, Scene, rules, run};

fn pin(scene: &Scene, packets: &[u8]) -> CommitId {
    pinning(scene, &block(packets), &zoe().fingerprint())
}

fn whole(scene: &Scene) -> CommitId {
    pin(scene, &zoes(&[zoe().bind(&subkey(), binding())]))
}

fn bad(name: &'static str, attack: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "P1", reason: PolicyMalformed, attack, twin: whole }
}

#[test]
fn a_certificate_is_pinned_whole_and_wholly_understood() {
    let rows = [
        bad("no file", |s| {
            let people = [("zoe", String::new(), zoe().fingerprint())];
            let policy = policy_of(s) + &with(&people)[rules().len()..];
            s.next("alice").file(POLICY, policy).make()
        }),
        bad("a file that nobody pins", |s| {
            s.next("alice").file(&asc(&zoe().fingerprint()), block(&zoes(&[]))).make()
        }),
        bad("another name", |s| pinning(s, &block(&zoes(&[])), &mallory().fingerprint())),
        bad("a lowercase name", |s| {
            pinning(s, &block(&zoes(&[])), &zoe().fingerprint().to_lowercase())
        }),
        bad("a folder", |s| {
            pin(s, &zoes(&[]));
            let file = format!("{}/x", asc(&zoe().fingerprint()));
            s.next("alice").file(&file, "x").make()
        }),
        bad("a file in place of the folder", |s| s.next("alice").file(".writ/openpgp", "x").make()),
        bad("not armored", |s| {
            let raw = zoes(&[]);
            s.next("alice").file(&asc(&zoe().fingerprint()), raw).make()
        }),
        bad("two certificates", |s| pin(s, &zoes(&[mallory().certificate(CERTIFY_AND_SIGN)]))),
        bad("too large", |s| pin(s, &zoes(&[packet(13, &[b'x'; 70_000])]))),
        bad("too many packets", |s| pin(s, &zoes(&vec![packet(13, b"x"); 64]))),
        bad("a secret key", |s| pin(s, &zoes(&[packet(7, &subkey().body())]))),
        bad("a photo", |s| pin(s, &zoes(&[packet(17, b"x")]))),
        bad("an unknown packet", |s| pin(s, &zoes(&[packet(60, b"x")]))),
        bad("no user id", |s| pin(s, &packet(6, &zoe().body()))),
        bad("a revoked user id", |s| {
            let revocation = Draft::new(REVOKED_USER_ID, BORN + 1);
            let over = [&zoe().framed()[..], &framed_user_id()];
            pin(s, &zoes(&[packet(2, &zoe().sign(revocation, &over))]))
        }),
        bad("somebody else's certification", |s| {
            let over = [&zoe().framed()[..], &framed_user_id()];
            let theirs = mallory().sign(Draft::new(0x10, BORN), &over);
            pin(s, &zoes(&[packet(2, &theirs)]))
        }),
        bad("a self-signature with SHA-1", |s| {
            let draft = Draft::new(CERTIFICATION, BORN).flags(CERTIFY_AND_SIGN);
            pin(s, &zoe().certificate_by(Draft { hash: 2, ..draft }))
        }),
        bad("a binding with SHA-1", |s| {
            pin(s, &zoes(&[zoe().bind(&subkey(), Draft { hash: 2, ..binding() })]))
        }),
        bad("an unknown critical part", |s| {
            pin(s, &zoes(&[zoe().bind(&subkey(), binding().with(0x80 | 100, b"x"))]))
        }),
        bad("key flags that are not signed", |s| {
            let draft = Draft::new(BINDING, BORN).beside(27, &[SIGN]);
            pin(s, &zoes(&[zoe().bind(&subkey(), draft.beside(32, &subkey().agree(&zoe())))]))
        }),
        bad("a subkey that mallory bound", |s| {
            pin(s, &zoes(&[mallory().bind(&subkey(), binding())]))
        }),
        bad("a subkey that is not bound", |s| pin(s, &zoes(&[packet(14, &subkey().body())]))),
        bad("a back-signature for another key", |s| {
            let draft = Draft::new(BINDING, BORN).flags(SIGN);
            let draft = draft.beside(32, &subkey().agree(&mallory()));
            pin(s, &zoes(&[zoe().bind(&subkey(), draft)]))
        }),
        bad("a binding as back-signature", |s| {
            let over = [&zoe().framed()[..], &subkey().framed()];
            let wrong = subkey().sign(Draft::new(BINDING, BORN), &over);
            let draft = Draft::new(BINDING, BORN).flags(SIGN).beside(32, &wrong);
            pin(s, &zoes(&[zoe().bind(&subkey(), draft)]))
        }),
        bad("a signature out of place", |s| {
            let stray = zoe().sign(Draft::new(BINARY, BORN), &[&zoe().framed(), &framed_user_id()]);
            pin(s, &zoes(&[packet(2, &stray)]))
        }),
        bad("a subkey twice", |s| pin(s, &zoes(&vec![zoe().bind(&subkey(), binding()); 2]))),
        bad("a contradiction within one second", |s| {
            let over = [&zoe().framed()[..], &framed_user_id()];
            let draft = Draft::new(CERTIFICATION, BORN).flags(CERTIFY);
            pin(s, &zoes(&[packet(2, &zoe().sign(draft, &over))]))
        }),
        bad("for a user who shall be verified", |s| {
            let people = [("zoe", String::new(), zoe().fingerprint())];
            let policy = policy_of(s) + &with(&people)[rules().len()..] + "verifyRequired = true\n";
            let file = asc(&zoe().fingerprint());
            s.next("alice").file(POLICY, policy).file(&file, block(&zoes(&[]))).make()
        }),
    ];
    let scene = Scene::new();
    run(&scene, &rows);
    let why = |row: &Row| {
        let refusal = scene.verify(&(row.attack)(&scene)).unwrap_err();
        format!("{}: {}\n", row.name, refusal.because)
    };
    insta::assert_snapshot!(rows.iter().map(why).collect::<String>());
}

#[test]
fn nobody_has_a_key_of_somebody_else() {
    let scene = Scene::new();
    let pins = |bound: &Hand, by: &Hand| {
        let certificate = [by.certificate(CERTIFY), by.bind(bound, agreed(bound, by))].concat();
        block(&certificate)
    };
    let commit = |second: &Hand| {
        let people = [
            ("zoe", pins(&subkey(), &zoe()), zoe().fingerprint()),
            ("mia", pins(second, &mallory()), mallory().fingerprint()),
        ];
        let draft = people
            .iter()
            .fold(scene.next("alice"), |draft, (_, text, digits)| draft.file(&asc(digits), text));
        draft.file(POLICY, with(&people)).make()
    };
    assert!(scene.verify(&commit(&Hand::new(4))).is_ok());
    let refusal = scene.verify(&commit(&subkey())).unwrap_err();
    assert_eq!(refusal.reason, PolicyMalformed, "{refusal}");
}

fn agreed(subkey: &Hand, primary: &Hand) -> Draft {
    Draft::new(BINDING, BORN).flags(SIGN).beside(32, &subkey.agree(primary))
}

#[test]
fn a_certificate_that_one_person_can_change_is_warned_of() {
    let people = [("zoe", block(&zoes(&[])), zoe().fingerprint())];
    let forge = Forge::new();
    let scene = introduce(forge, &people);
    let warnings = |protected: &str| {
        let policy = format!(
            "{}[[protect]]\npaths = [{protected}]\nthreshold = 2\n[[protect]]\npaths = [\"vault/**\"]\nthreshold = 2\n",
            with(&people)
        );
        let head = scene.next("alice").file(POLICY, policy).make();
        writ::trust::explain(&scene.repo, &scene.pins, &head, NOW).warnings
    };
    assert!(!warnings("\".writ/**\"").iter().any(|warning| warning.starts_with("vault/**")));
    let hollow = warnings("\".writ/allowed_signers\", \".writ/policy.toml\"");
    assert!(hollow.iter().any(|warning| warning.starts_with("vault/**")), "{hollow:?}");
}
