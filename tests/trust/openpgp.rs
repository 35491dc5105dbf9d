//! OpenPGP signatures and certificates (rules S4 and P1), each attack beside its twin, and
//! beside what gpg and sqv say.

#[path = "openpgp/beside_sqv.rs"]
mod beside_sqv;
#[path = "openpgp/certificates.rs"]
mod certificates;
#[path = "openpgp/made_by_gpg.rs"]
mod made_by_gpg;
#[path = "openpgp/people.rs"]
mod people;
#[path = "openpgp/who_may_sign.rs"]
mod who_may_sign;

use writ::names::CommitId;

use crate::forge::{EPOCH, Forge, NOW};
use crate::gpg::{Agents, BORN, Gpg};
use crate::hand_pgp::{BINDING, CERTIFY_AND_SIGN, Draft, Hand, SIGN};
use crate::scene::{POLICY, SIGNERS, Scene, TEAM, WEB, rules};

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
        format!(
            "[principals.{name}]\nmay = \"everything\"\nroles = [\"admin\"]\nopenpgp = [\"{digits}\"]\n"
        )
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
