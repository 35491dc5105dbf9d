//! OpenPGP signatures and certificates (rules S4 and P1), each attack beside its twin, and
//! beside what gpg and sqv say.

use proptest::collection::vec;
use proptest::prelude::*;
use writ::names::CommitId;
use writ::trust::Reason::{
    BadSignature, Expired, NotAuthorized, PolicyMalformed, Revoked, UnknownKey,
};
use writ::trust::{Reason, fuzzing};

use crate::forge::{EPOCH, Forge, NOW};
use crate::gpg::{Agents, BORN, Gpg, sqv};
use crate::hand_pgp::{
    self, BACK, BINARY, BINDING, CERTIFICATION, CERTIFY, CERTIFY_AND_SIGN, Draft, ENCRYPT, Hand,
    REVOKED_KEY, REVOKED_SUBKEY, REVOKED_USER_ID, SIGN, block, framed_user_id, packet,
};
use crate::scene::{POLICY, Row, SIGNERS, Scene, TEAM, WEB, rules, run};

/// When the commit under attack is made: the second of its forge.
const TIME: i64 = EPOCH + 60;
const HOUR: i64 = 3600;

/// Everybody with an OpenPGP key, what its certificate is, and its pin.
type People<'a> = &'a [(&'a str, String, String)];

fn asc(digits: &str) -> String {
    format!(".writ/openpgp/{digits}.asc")
}

/// The team, and administrators with OpenPGP keys, introduced by alice.
fn introduce(forge: Forge, people: People<'_>) -> Scene {
    let root = introduction(&forge, people);
    let (repo, pins) = (forge.repository(), forge.pins(&root, "alice"));
    let anchor = writ::trust::verify(&repo, &pins, None, &root, NOW).unwrap().anchor().clone();
    Scene { forge, repo, root, pins, anchor, now: NOW }
}

fn introduction(forge: &Forge, people: People<'_>) -> CommitId {
    let mut draft = forge.commit("alice").file(SIGNERS, forge.signers(&TEAM)).file(WEB, "a = 1\n");
    for (_, certificate, digits) in people {
        draft = draft.file(&asc(digits), certificate);
    }
    draft.file(POLICY, with(people)).make()
}

fn with(people: People<'_>) -> String {
    let person = |(name, _, digits): &(&str, String, String)| {
        format!("[principals.{name}]\nroles = [\"admin\"]\nopenpgp = [\"{digits}\"]\n")
    };
    rules() + &people.iter().map(person).collect::<String>()
}

/// pia signs with her primary key, sam with a subkey; rob has RSA, nia, nick and nora the
/// curves of NIST; eve's key expires an hour after the introduction.
fn gpg_scene() -> (Scene, Agents) {
    let forge = Forge::new();
    let gpg = Gpg::of(&forge, "gnupg");
    let agents = Gpg::agents(&[&gpg]);
    gpg.make("pia", "ed25519", "sign", "never");
    gpg.make("sam", "ed25519", "cert", "never");
    let sam = gpg.fingerprint("sam");
    gpg.make_with(&["--quick-add-key", &sam, "ed25519", "sign", "never"]);
    gpg.make_with(&["--quick-add-key", &sam, "cv25519", "encr", "never"]);
    gpg.make("rob", "rsa3072", "sign", "never");
    gpg.make("nia", "nistp256", "sign", "never");
    gpg.make("nick", "nistp384", "sign", "never");
    gpg.make("nora", "nistp521", "sign", "never");
    gpg.make("eve", "ed25519", "sign", &format!("seconds={}", EPOCH + HOUR - BORN));
    gpg.make("mallory", "ed25519", "sign", "never");
    let names = ["pia", "sam", "rob", "nia", "nick", "nora", "eve"];
    let people = names.map(|name| (name, gpg.export(name), gpg.fingerprint(name)));
    (introduce(forge, &people), agents)
}

fn gpg(scene: &Scene) -> Gpg {
    Gpg::of(&scene.forge, "gnupg")
}

/// The payload of a good commit on the introduction.
fn payload(scene: &Scene) -> Vec<u8> {
    let draft = scene.forge.unsigned().on(&scene.root).file(WEB, "a = 2\n");
    let made = draft.at(TIME).make();
    scene.forge.payload(&made)
}

fn armored(scene: &Scene, payload: &[u8], armor: &str) -> CommitId {
    scene.forge.raw("commit", &scene.forge.with_signature(payload, armor.as_bytes()))
}

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

fn without_checksum(armor: String) -> String {
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

// -- certificates --

/// A commit by alice that pins `certificate` for zoe.
fn pinning(scene: &Scene, certificate: &str, digits: &str) -> CommitId {
    let people = [("zoe", String::new(), digits.to_owned())];
    let policy = policy_of(scene) + &with(&people)[rules().len()..];
    scene.next("alice").file(POLICY, policy).file(&asc(digits), certificate).make()
}

fn policy_of(scene: &Scene) -> String {
    let policy = format!("{}:{POLICY}", scene.root);
    String::from_utf8(scene.forge.git(["show", &policy], b"")).unwrap()
}

fn zoe() -> Hand {
    Hand::new(1)
}

fn subkey() -> Hand {
    Hand::new(2)
}

fn mallory() -> Hand {
    Hand::new(3)
}

/// zoe's certificate with more packets at its end.
fn zoes(more: &[Vec<u8>]) -> Vec<u8> {
    [zoe().certificate(CERTIFY_AND_SIGN), more.concat()].concat()
}

/// Binds zoe's subkey for signing.
fn binding() -> Draft {
    Draft::new(BINDING, BORN).flags(SIGN).beside(32, &subkey().agree(&zoe()))
}

fn pin(scene: &Scene, packets: &[u8]) -> CommitId {
    pinning(scene, &block(packets), &zoe().fingerprint())
}

fn whole(scene: &Scene) -> CommitId {
    pin(scene, &zoes(&[zoe().bind(&subkey(), binding())]))
}

fn bad(name: &'static str, attack: fn(&Scene) -> CommitId) -> Row {
    other("P1", PolicyMalformed, row(name, attack, whole))
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
    run(&Scene::new(), &rows);
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

/// What a host says to a commit that `key` signs, where `certificate` is zoe's.
fn verdict(certificate: &[u8], key: &Hand) -> Result<(), (String, Reason)> {
    verdict_on(certificate, key, Draft::new(BINARY, TIME))
}

fn verdict_on(certificate: &[u8], key: &Hand, draft: Draft) -> Result<(), (String, Reason)> {
    let text = block(certificate);
    let scene = introduce(Forge::new(), &[("zoe", text.clone(), zoe().fingerprint())]);
    let payload = payload(&scene);
    let armor = key.armor(draft, &payload);
    let verdict = scene.verify(&armored(&scene, &payload, &armor));
    if verdict.is_ok() {
        assert!(sqv(scene.forge.path(), &text, armor.as_bytes(), &payload), "sqv differs");
    }
    verdict.map(drop).map_err(|refusal| (refusal.rule, refusal.reason))
}

#[test]
fn a_certificate_says_which_keys_may_sign_and_when() {
    let refused = |rule: &str, reason| Err((rule.to_owned(), reason));
    let bound = |draft| zoes(&[zoe().bind(&subkey(), draft)]);
    let primary = |draft| zoe().certificate_by(draft);
    let own = || Draft::new(CERTIFICATION, BORN);
    let seconds = |time: i64| u32::try_from(time - BORN).unwrap().to_be_bytes();
    let over_user = [&zoe().framed()[..], &framed_user_id()].concat();
    let later = |draft| packet(2, &zoe().sign(draft, &[&over_user]));
    let revoked = packet(2, &zoe().sign(Draft::new(REVOKED_KEY, BORN), &[&zoe().framed()]));
    let over_both = [zoe().framed(), subkey().framed()].concat();
    let revoked_subkey = packet(2, &zoe().sign(Draft::new(REVOKED_SUBKEY, BORN), &[&over_both]));
    let [head, rest @ ..] = &split(&zoe().certificate(CERTIFY_AND_SIGN))[..] else { panic!() };
    let dead = [&head[..], &revoked, &rest.concat()].concat();

    // Who.
    assert_eq!(verdict(&zoes(&[]), &zoe()), Ok(()));
    assert_eq!(verdict(&bound(binding()), &subkey()), Ok(()));
    assert_eq!(verdict(&bound(binding()), &mallory()), refused("G3", UnknownKey));
    let for_certifying = zoe().certificate(CERTIFY);
    assert_eq!(verdict(&for_certifying, &zoe()), refused("S4", BadSignature));
    assert_eq!(verdict(&primary(own()), &zoe()), refused("S4", BadSignature), "no flags");
    let for_encryption = Draft::new(BINDING, BORN).flags(ENCRYPT);
    assert_eq!(verdict(&bound(for_encryption), &subkey()), refused("S4", BadSignature));
    let one_sided = Draft::new(BINDING, BORN).flags(SIGN);
    assert_eq!(verdict(&bound(one_sided), &subkey()), refused("S4", BadSignature));
    // Not any more.
    assert_eq!(verdict(&dead, &zoe()), refused("S4", Revoked));
    let gone = [bound(binding()), revoked_subkey].concat();
    assert_eq!(verdict(&gone, &subkey()), refused("S4", Revoked));
    assert_eq!(verdict(&gone, &zoe()), Ok(()), "the primary key is not its subkey");
    let whole = [dead, zoe().bind(&subkey(), binding())].concat();
    assert_eq!(verdict(&whole, &subkey()), refused("S4", Revoked), "with its primary key");
    // When.
    for (end, expected) in [(TIME, refused("K2", Expired)), (NOW + 1, Ok(()))] {
        let draft = own().flags(CERTIFY_AND_SIGN);
        assert_eq!(verdict(&primary(draft.with(9, &seconds(end))), &zoe()), expected);
        let draft = own().flags(CERTIFY_AND_SIGN);
        assert_eq!(verdict(&primary(draft.with(3, &seconds(end))), &zoe()), expected, "user id");
        assert_eq!(verdict(&bound(binding().with(9, &seconds(end))), &subkey()), expected);
        assert_eq!(verdict(&bound(binding().with(3, &seconds(end))), &subkey()), expected);
    }
    let prolonged = own().flags(CERTIFY_AND_SIGN).with(9, &seconds(TIME));
    let newer = Draft { time: BORN + 1, ..own().flags(CERTIFY_AND_SIGN) };
    assert_eq!(verdict(&[primary(prolonged), later(newer)].concat(), &zoe()), Ok(()));
    let future = Draft::new(CERTIFICATION, TIME + 1).flags(CERTIFY_AND_SIGN);
    assert_eq!(verdict(&primary(future), &zoe()), refused("K2", NotAuthorized));
    let future = Draft { time: TIME + 1, ..binding() };
    assert_eq!(verdict(&bound(future), &subkey()), refused("K2", NotAuthorized));
}

/// The packets that [`packet`] made.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while let [_, 255, a, b, c, d, ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize + 6;
        packets.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    packets
}

#[test]
fn a_signature_packet_says_all_it_must_and_nothing_more() {
    let refused = || Err(("S4".to_owned(), BadSignature));
    let zoes = zoes(&[]);
    let draft = || Draft::new(BINARY, TIME);
    let check = |draft| verdict_on(&zoes, &zoe(), draft);
    assert_eq!(check(draft()), Ok(()));
    assert_eq!(check(draft().beside(16, &raw_id(&zoe()))), Ok(()));
    assert_eq!(check(draft().with(20, b"\0\0\0\0\0\x01\0\x01ab")), Ok(()), "a notation");
    assert_eq!(check(draft().with(28, b"zoe@example.com")), Ok(()), "its signer's user id");
    assert_eq!(check(Draft { hash: 10, ..draft() }), Ok(()));
    assert_eq!(check(Draft { hash: 2, ..draft() }), refused(), "SHA-1");
    assert_eq!(check(Draft { issuer: false, ..draft() }), refused());
    assert_eq!(check(draft().beside(16, &raw_id(&mallory()))), refused(), "two issuers");
    assert_eq!(check(draft().beside(28, b"x")), refused(), "not signed");
    assert_eq!(check(draft().with(2, &[0, 0, 0, 1])), refused(), "two times");
    assert_eq!(check(draft().with(0x80 | 101, b"x")), refused(), "critical");
    assert_eq!(check(draft().with(3, &[0, 1, 0, 0])), refused(), "it expires");
    for kind in [0x01, 0x02, CERTIFICATION, BINDING, BACK, 0x40, 0x50] {
        assert_eq!(check(Draft { kind, ..draft() }), refused(), "type {kind:#x}");
    }
}

fn raw_id(key: &Hand) -> Vec<u8> {
    let digits = key.fingerprint();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (24..40).step_by(2).map(byte).collect()
}

#[test]
fn ed25519_as_the_new_standard_writes_it_counts_too() {
    // sqv of Debian 12 does not know it.
    let key = Hand::modern(7);
    let text = block(&key.certificate(CERTIFY_AND_SIGN));
    let scene = introduce(Forge::new(), &[("zoe", text, key.fingerprint())]);
    let payload = payload(&scene);
    let armor = key.armor(Draft::new(BINARY, TIME), &payload);
    scene.verify(&armored(&scene, &payload, &armor)).unwrap();
    let other = key.armor(Draft::new(BINARY, TIME), b"another");
    scene.verify(&armored(&scene, &payload, &other)).unwrap_err();
}

// -- the rest of trust --

#[test]
fn a_team_is_introduced_by_a_subkey_of_the_pinned_key() {
    let forge = Forge::new();
    let certificate = [zoe().certificate(CERTIFY), zoe().bind(&subkey(), binding())].concat();
    let people = [("zoe", block(&certificate), zoe().fingerprint())];
    let unsigned = introduction(&forge, &people);
    let payload = forge.payload(&unsigned);
    let time = EPOCH;
    let by = |key: &Hand| {
        let armor = key.armor(Draft::new(BINARY, time), &payload);
        forge.raw("commit", &forge.with_signature(&payload, armor.as_bytes()))
    };
    let judge = |root: &CommitId, introducer: &str| {
        let mut pins = forge.pins(root, "alice");
        pins.introducer = format!("openpgp:{introducer}").parse().unwrap();
        writ::trust::verify(&forge.repository(), &pins, None, root, NOW)
            .map(|commit| (commit.principal().to_string(), commit.key().to_string()))
            .map_err(|refusal| (refusal.rule, refusal.reason))
    };
    let root = by(&subkey());
    let key = format!("openpgp:{}", zoe().fingerprint());
    assert_eq!(judge(&root, &zoe().fingerprint()), Ok(("zoe".to_owned(), key.clone())));
    let claims = writ::trust::claims(&forge.repository(), &root).unwrap();
    assert_eq!(claims.key.as_str(), key);
    let stranger = Err(("G1".to_owned(), UnknownKey));
    assert_eq!(judge(&root, &mallory().fingerprint()), stranger);
    assert_eq!(judge(&by(&mallory()), &zoe().fingerprint()), stranger);
    let certifier = Err(("S4".to_owned(), BadSignature));
    assert_eq!(judge(&by(&zoe()), &zoe().fingerprint()), certifier, "it may not sign");
}

#[test]
fn a_revoked_key_or_subkey_counts_up_to_the_named_commit_and_never_comes_back() {
    let certificate = zoes(&[zoe().bind(&subkey(), binding())]);
    let people = [("zoe", block(&certificate), zoe().fingerprint())];
    let scene = introduce(Forge::new(), &people);
    let change = |on: &CommitId, n: i64| {
        let draft = scene.forge.unsigned().on(on).file(WEB, format!("a = {n}\n"));
        let payload = scene.forge.payload(&draft.at(TIME + n).make());
        armored(&scene, &payload, &subkey().armor(Draft::new(BINARY, TIME + n), &payload))
    };
    let (first, second) = (change(&scene.root, 2), change(&change(&scene.root, 2), 3));
    for digits in [subkey().fingerprint(), zoe().fingerprint()] {
        let own = digits == zoe().fingerprint();
        let policy = if own { rules() } else { with(&people) };
        let policy = |good: &CommitId| {
            format!("{policy}[[revoked]]\nkey = \"openpgp:{digits}\"\ngoodUntil = \"{good}\"\n")
        };
        let revoke = |on: &CommitId, good: &CommitId| {
            let draft = scene.forge.commit("alice").on(on).file(POLICY, policy(good));
            let draft = draft.at(TIME + 100);
            if own { draft.delete(&asc(&digits)).make() } else { draft.make() }
        };
        let why = |head: &CommitId| {
            scene.verify(head).map(drop).map_err(|refusal| (refusal.rule, refusal.reason))
        };
        assert_eq!(why(&revoke(&first, &first)), Ok(()), "{digits}");
        assert_eq!(why(&revoke(&second, &first)), Err(("K3".to_owned(), Revoked)), "{digits}");
        let after = change(&revoke(&first, &first), 200);
        let expected = if own { ("G3", UnknownKey) } else { ("G3", Revoked) };
        assert_eq!(why(&after), Err((expected.0.to_owned(), expected.1)), "{digits}");
    }
    // Allowed and revoked at once.
    let both = format!(
        "{}[[revoked]]\nkey = \"openpgp:{}\"\ngoodUntil = \"{}\"\n",
        with(&people),
        zoe().fingerprint(),
        scene.root
    );
    let head = scene.next("alice").file(POLICY, both).make();
    assert_eq!(scene.verify(&head).unwrap_err().rule, "P3");
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

// -- beside sqv --

/// Every single-bit error in every byte of a signature and of a certificate: what still
/// counts here counts for sqv.
#[test]
fn no_changed_bit_is_accepted_that_sqv_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zoes(&[zoe().bind(&subkey(), binding())]);
    let signature = packet(2, &subkey().sign(Draft::new(BINARY, TIME), &[b"payload"]));
    let certificate = block(&bytes);
    let armor = hand_pgp::armor("SIGNATURE", &signature);
    assert!(fuzzing::openpgp(&certificate, armor.as_bytes(), b"payload"));
    assert!(!fuzzing::openpgp(&certificate, armor.as_bytes(), b"another"));
    let mut accepted = 0;
    let mut agree = |certificate: &str, armor: &str| {
        if fuzzing::openpgp(certificate, armor.as_bytes(), b"payload") {
            accepted += 1;
            let found = sqv(folder.path(), certificate, armor.as_bytes(), b"payload");
            assert!(found, "{certificate}{armor}");
        }
    };
    for changed in flips(&signature) {
        agree(&certificate, &hand_pgp::armor("SIGNATURE", &changed));
    }
    for changed in flips(&bytes) {
        agree(&block(&changed), &armor);
    }
    // Whether a hint that nobody signs is critical: it is understood.
    assert_eq!(accepted, 1);
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

/// The same in what gpg makes, letter by letter.
#[test]
fn no_changed_letter_of_an_rsa_or_ecdsa_signature_counts() {
    let (scene, _agents) = gpg_scene();
    for person in ["rob", "nia", "sam"] {
        let certificate = gpg(&scene).export(person);
        let armor = gpg(&scene).sign(TIME, &["-u", &format!("={person}")], b"payload");
        let armor = without_checksum(String::from_utf8(armor).unwrap());
        assert!(fuzzing::openpgp(&certificate, armor.as_bytes(), b"payload"), "{person}");
        let (start, end) = (armor.find("\n\n").unwrap() + 2, armor.find("\n-----END").unwrap());
        for place in start..end {
            let mut changed = armor.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert!(!fuzzing::openpgp(&certificate, &changed, b"payload"), "{person} {place}");
        }
    }
}

proptest! {
    /// Strangers' bytes are read or refused, whatever they are.
    #[test]
    fn any_bytes_are_read_or_refused(
        start in 0_usize..400,
        length in 0_usize..8,
        bytes in vec(any::<u8>(), 0..12),
        in_certificate: bool,
    ) {
        let mut certificate = zoes(&[zoe().bind(&subkey(), binding())]);
        let mut signature = packet(2, &subkey().sign(Draft::new(BINARY, TIME), &[b"payload"]));
        let target = if in_certificate { &mut certificate } else { &mut signature };
        let start = start % target.len();
        let end = (start + length).min(target.len());
        let before = target.clone();
        target.splice(start..end, bytes);
        let same = *target == before;
        let armor = hand_pgp::armor("SIGNATURE", &signature);
        let counts = fuzzing::openpgp(&block(&certificate), armor.as_bytes(), b"payload");
        prop_assert!(!same || counts);
    }
}

/// Cut short anywhere, nothing counts and nothing panics.
#[test]
fn nothing_that_is_cut_short_counts() {
    let bytes = zoe().certificate(CERTIFY_AND_SIGN);
    let signature = packet(2, &zoe().sign(Draft::new(BINARY, TIME), &[b"payload"]));
    let armor = |bytes: &[u8]| hand_pgp::armor("SIGNATURE", bytes);
    assert!(fuzzing::openpgp(&block(&bytes), armor(&signature).as_bytes(), b"payload"));
    for end in 1..signature.len() {
        let short = armor(&signature[..end]);
        assert!(!fuzzing::openpgp(&block(&bytes), short.as_bytes(), b"payload"), "{end}");
    }
    for end in 1..bytes.len() {
        let short = block(&bytes[..end]);
        assert!(!fuzzing::openpgp(&short, armor(&signature).as_bytes(), b"payload"), "{end}");
    }
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
