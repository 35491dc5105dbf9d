//! Forged, malformed and transplanted signatures (rules S1 to S3).

use writ::names::CommitId;
use writ::trust::Reason::{BadSignature, UnknownKey};
use writ::trust::{Kind, Objects, Unreadable, verify};

use crate::forge::Forge;
use crate::hand::{self, Draft, Hand};
use crate::scene::{POLICY, Row, SIGNERS, Scene, TEAM, WEB, rules, run};

/// The keys made by hand: zed's plain one, yuki's and pat's in hardware.
fn zed() -> Hand {
    Hand::new(1)
}

fn yuki() -> Hand {
    Hand::hardware(2)
}

fn pat() -> Hand {
    Hand::hardware(3)
}

/// The team, and three administrators whose keys are made by hand; pat's hardware
/// must verify its user. `alg+…` are alice's keys of other kinds.
fn scene() -> Scene {
    let forge = Forge::new();
    forge.make_key("alice+p256", &["-t", "ecdsa", "-b", "256"]);
    forge.make_key("alice+p384", &["-t", "ecdsa", "-b", "384"]);
    forge.make_key("alice+p521", &["-t", "ecdsa", "-b", "521"]);
    forge.make_key("alice+rsa", &["-t", "rsa", "-b", "3072"]);
    let mut signers = forge.signers(&TEAM);
    signers += &forge.signers(&["alice+p256", "alice+p384", "alice+p521", "alice+rsa"]);
    for (name, key) in [("zed", zed()), ("yuki", yuki()), ("pat", pat())] {
        signers += &format!("{name} {}\n", key.public());
    }
    let admins = "[principals.zed]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.yuki]\nmay = \"everything\"\nroles = [\"admin\"]\n\
        [principals.pat]\nmay = \"everything\"\nroles = [\"admin\"]\nverifyRequired = true\n";
    Scene::introduce(forge, &signers, &format!("{}{admins}", rules()))
}

/// The payload of a good commit on the introduction.
fn payload(scene: &Scene) -> Vec<u8> {
    let made = scene.forge.unsigned().on(&scene.root).file(WEB, "a = 2\n").make();
    scene.forge.payload(&made)
}

fn by(scene: &Scene, key: &Hand, draft: &Draft<'_>) -> CommitId {
    let payload = payload(scene);
    armored(scene, &payload, &key.armor(&payload, draft))
}

fn armored(scene: &Scene, payload: &[u8], armor: &str) -> CommitId {
    scene.forge.raw("commit", &scene.forge.with_signature(payload, armor.as_bytes()))
}

fn good(scene: &Scene) -> CommitId {
    by(scene, &zed(), &Draft::default())
}

/// A signature by alice whose armor is edited.
fn rearmored(scene: &Scene, edit: fn(String) -> String) -> CommitId {
    let payload = payload(scene);
    let armor = scene.forge.sign("alice", "git", &payload);
    armored(scene, &payload, &edit(String::from_utf8(armor).unwrap()))
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "S1", reason: BadSignature, attack, twin }
}

pub(crate) fn protocol() -> Vec<Row> {
    vec![
        row("version 0", |s| by(s, &zed(), &Draft { version: 0, ..Draft::default() }), good),
        row("version 2", |s| by(s, &zed(), &Draft { version: 2, ..Draft::default() }), good),
        row(
            "namespace of files",
            |s| by(s, &zed(), &Draft { namespace: "file", ..Draft::default() }),
            good,
        ),
        row("no namespace", |s| by(s, &zed(), &Draft { namespace: "", ..Draft::default() }), good),
        row(
            "namespace with a NUL",
            |s| by(s, &zed(), &Draft { namespace: "git\0", ..Draft::default() }),
            good,
        ),
        row(
            "reserved field in use",
            |s| by(s, &zed(), &Draft { reserved: b"x", ..Draft::default() }),
            good,
        ),
        row(
            "unknown hash",
            |s| by(s, &zed(), &Draft { hash: "sha1", ..Draft::default() }),
            |s| by(s, &zed(), &Draft { hash: "sha256", ..Draft::default() }),
        ),
        row(
            "bytes after the blob",
            |s| by(s, &zed(), &Draft { tail: b"\0", ..Draft::default() }),
            good,
        ),
        row(
            "bytes in the signature",
            |s| by(s, &zed(), &Draft { inner_tail: b"\0", ..Draft::default() }),
            good,
        ),
        row(
            "another algorithm",
            |s| by(s, &zed(), &Draft { algorithm: Some("ssh-rsa"), ..Draft::default() }),
            good,
        ),
    ]
}

#[test]
fn a_signature_is_exactly_what_the_protocol_says() {
    run(&scene(), &protocol());
}

pub(crate) fn armor() -> Vec<Row> {
    vec![
        row("text before", |s| rearmored(s, |a| format!("x\n{a}")), |s| rearmored(s, |a| a)),
        row("text after", |s| rearmored(s, |a| a + "x\n"), |s| rearmored(s, |a| rewrap(&a, 64))),
        row(
            "a blank after",
            |s| rearmored(s, |a| a.replace("-----\n", "----- \n")),
            |s| rearmored(s, |a| rewrap(&a, 1000)),
        ),
        row(
            "an empty line",
            |s| rearmored(s, |a| a.replacen("E-----\n", "E-----\n\n", 1)),
            |s| rearmored(s, |a| rewrap(&a, 1)),
        ),
        row(
            "carriage returns",
            |s| rearmored(s, |a| a.replace('\n', "\r\n")),
            |s| rearmored(s, |a| rewrap(&a, 76)),
        ),
        row(
            "a header line",
            |s| rearmored(s, |a| a.replacen("E-----\n", "E-----\nComment: x\n", 1)),
            good,
        ),
        row("blanks within", |s| rearmored(s, |a| a.replacen("U1NI", "U1NI ", 1)), good),
        row("two signatures", |s| rearmored(s, |a| a.clone() + &a), good),
        row("cut off", |s| rearmored(s, |a| a.replace("-----END SSH SIGNATURE-----\n", "")), good),
        row("stray bits in the base 64", |s| rearmored(s, stray_bits), good),
    ]
}

#[test]
fn armor_has_one_reading_at_any_width() {
    run(&scene(), &armor());
}

fn rewrap(armor: &str, width: usize) -> String {
    hand::wrap(&hand::unwrap(armor.as_bytes()), width)
}

/// Another spelling of the same bytes: the last digit before the padding carries bits
/// that decoders drop.
fn stray_bits(armor: String) -> String {
    let text = hand::unwrap(armor.as_bytes());
    assert!(text.ends_with('='), "an Ed25519 signature's length leaves padding");
    let digits = text.trim_end_matches('=');
    let last = digits.chars().last().unwrap();
    let other = char::from(u8::try_from(last).unwrap() + 1);
    let swapped = format!("{}{other}{}", &digits[..digits.len() - 1], &text[digits.len()..]);
    hand::wrap(&swapped, 70)
}

pub(crate) fn transplants() -> Vec<Row> {
    vec![
        row(
            "signature of another commit",
            |s| {
                let armor = s.forge.sign("alice", "git", b"something else");
                armored(s, &payload(s), str::from_utf8(&armor).unwrap())
            },
            good,
        ),
        row(
            "message changed after signing",
            |s| {
                let made = s.next("alice").make();
                let text = String::from_utf8(s.forge.bytes("commit", &made)).unwrap();
                s.forge.raw("commit", text.replace("a change", "a charge").as_bytes())
            },
            |s| s.next("alice").make(),
        ),
        row("alice's key with mallory's signature", alice_with_mallorys_signature, good),
        Row {
            name: "mallory's own key",
            rule: "G3",
            reason: UnknownKey,
            attack: |s| s.next("mallory").file(WEB, "a = 2\n").make(),
            twin: |s| s.next("alice").file(WEB, "a = 2\n").make(),
        },
        Row {
            name: "mallory in alice's name",
            rule: "G3",
            reason: UnknownKey,
            attack: |s| renamed(s, "mallory", "Alice <alice@example.com>"),
            twin: |s| renamed(s, "alice", "Mallory <mallory@example.com>"),
        },
    ]
}

#[test]
fn a_signature_belongs_to_one_commit_and_one_key() {
    run(&scene(), &transplants());
}

/// Mallory's signature, with the key in it replaced by alice's.
fn alice_with_mallorys_signature(scene: &Scene) -> CommitId {
    let payload = payload(scene);
    let armor = |who| {
        let armor = scene.forge.sign(who, "git", &payload);
        hand::unwrap(&armor)
    };
    let (alice, mallory) = (armor("alice"), armor("mallory"));
    // Magic, version and the key end at byte 6 + 4 + 4 + 51 = 65; base 64 of the first
    // 63 bytes and the last of the key differ, so the cut is made on a group of three.
    let cut = 66 / 3 * 4;
    armored(scene, &payload, &hand::wrap(&format!("{}{}", &alice[..cut], &mallory[cut..]), 70))
}

fn renamed(scene: &Scene, signer: &str, who: &str) -> CommitId {
    let payload = String::from_utf8(payload(scene)).unwrap();
    let renamed = payload.replace("Somebody <somebody@example.com>", who);
    scene.forge.raw_signed(signer, renamed.as_bytes())
}

pub(crate) fn kinds() -> Vec<Row> {
    vec![
        row("p256", |s| swapped(s, "alice+p256"), |s| s.next("alice+p256").make()),
        row("p384", |s| swapped(s, "alice+p384"), |s| s.next("alice+p384").make()),
        row("p521", |s| swapped(s, "alice+p521"), |s| s.next("alice+p521").make()),
        row("rsa", |s| swapped(s, "alice+rsa"), |s| s.next("alice+rsa").make()),
        row("ed25519", |s| swapped(s, "alice"), |s| s.next("alice").make()),
        row(
            "hardware, untouched",
            |s| by(s, &yuki(), &Draft { flags: 0, ..Draft::default() }),
            |s| by(s, &yuki(), &Draft::default()),
        ),
        row(
            "hardware, user not verified",
            |s| by(s, &pat(), &Draft { flags: 1, ..Draft::default() }),
            |s| by(s, &pat(), &Draft { flags: 5, ..Draft::default() }),
        ),
    ]
}

#[test]
fn every_accepted_kind_of_key_verifies_and_its_broken_signature_does_not() {
    run(&scene(), &kinds());
}

/// The key's signature of another payload.
fn swapped(scene: &Scene, key: &str) -> CommitId {
    let armor = scene.forge.sign(key, "git", b"other");
    armored(scene, &payload(scene), str::from_utf8(&armor).unwrap())
}

/// The repository with one commit's bytes exchanged, as if they hashed to its id.
struct Forged<'a> {
    scene: &'a Scene,
    id: CommitId,
    bytes: Vec<u8>,
}

impl Objects for Forged<'_> {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        if *id == self.id {
            return Ok(Some((Kind::Commit, self.bytes.clone())));
        }
        self.scene.repo.find(id, limit)
    }
}

#[test]
fn no_changed_byte_makes_it_another_commit_that_verifies() {
    let scene = Scene::new();
    let head = scene.next("alice").file(WEB, "a = 2\n").make();
    let good = scene.verify(&head).unwrap();
    let bytes = scene.forge.bytes("commit", &head);
    let mut accepted = 0;
    for place in 0..bytes.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut bytes = bytes.clone();
            bytes[place] ^= change;
            let forged = Forged { scene: &scene, id: head.clone(), bytes };
            if let Ok(commit) = verify(&forged, &scene.pins, Some(&scene.anchor), &head, scene.now)
            {
                accepted += 1;
                assert_eq!(commit.anchor().payload, good.anchor().payload, "byte {place}");
            }
        }
    }
    assert_eq!(accepted, 0, "no single byte of an Ed25519 signature is free");
}

#[test]
fn keys_that_are_too_weak_or_of_unknown_kinds_invalidate_the_policy() {
    let scene = Scene::new();
    scene.forge.make_key("weak", &["-t", "rsa", "-b", "2048"]);
    scene.forge.make_key("strong", &["-t", "rsa", "-b", "4096"]);
    let with = |name: &str| {
        let signers = scene.forge.signers(&TEAM) + &scene.forge.signers(&[name]);
        scene.next("alice").file(SIGNERS, signers).file(POLICY, rules()).make()
    };
    assert_eq!(scene.verify(&with("weak")).unwrap_err().rule, "P1");
    assert!(scene.verify(&with("strong")).is_ok());
}
