//! Second opinions: `git verify-commit` and `ssh-keygen -Y verify` on the same commits and
//! signatures, good ones and ones with random damage (rules O1, S1 to S3).
//!
//! Writ never accepts what they refuse. What they accept and Writ refuses is something
//! they are lenient about, and is listed.

use std::process::{Command, Stdio};

use writ::names::CommitId;

use crate::forge::Forge;
use crate::hand::{self, Draft, Hand};
use crate::random::Dice;
use crate::scene::{SIGNERS, Scene, WEB, rules};

/// Keys that ssh-keygen makes, each as a person.
const KINDS: [(&str, &[&str]); 6] = [
    ("ed25519", &["-t", "ed25519"]),
    ("p256", &["-t", "ecdsa", "-b", "256"]),
    ("p384", &["-t", "ecdsa", "-b", "384"]),
    ("p521", &["-t", "ecdsa", "-b", "521"]),
    ("rsa3072", &["-t", "rsa", "-b", "3072"]),
    ("rsa4096", &["-t", "rsa", "-b", "4096"]),
];

fn hardware() -> Hand {
    Hand::hardware(9)
}

/// A person for each kind of key, and `sk` with one in hardware.
fn scene(format: &'static str) -> Scene {
    let forge = Forge::with_format(format);
    let mut more = "[principals.sk]\nmay = \"everything\"\ngrants = [\"**\"]\n".to_owned();
    for (name, kind) in KINDS {
        forge.make_key(name, kind);
        more += &format!("[principals.{name}]\nmay = \"everything\"\ngrants = [\"**\"]\n");
    }
    let signers = forge.signers(&["alice"])
        + &forge.signers(&KINDS.map(|(name, _)| name))
        + &format!("sk {}\n", hardware().public());
    let scene = Scene::introduce(forge, &signers, &(rules() + &more));
    std::fs::write(file(&scene), &signers).unwrap();
    scene
}

fn file(scene: &Scene) -> std::path::PathBuf {
    scene.forge.path().join("oracle_signers")
}

/// What `ssh-keygen -Y verify` says of a signature of `payload`.
fn ssh_keygen(scene: &Scene, who: &str, armor: &str, payload: &[u8]) -> bool {
    let (signature, message) =
        (scene.forge.path().join("oracle.sig"), scene.forge.path().join("oracle.txt"));
    std::fs::write(&signature, armor).unwrap();
    std::fs::write(&message, payload).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", "git", "-I", who, "-f"]).arg(file(scene));
    command.arg("-s").arg(signature).stdin(std::fs::File::open(message).unwrap());
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// What `git verify-commit` says.
fn git(scene: &Scene, commit: &CommitId) -> bool {
    let signers = format!("gpg.ssh.allowedSignersFile={}", file(scene).display());
    let mut command = scene.forge.git_command();
    command.args(["-c", &signers, "verify-commit", commit.as_str()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// The payload of a change on the introduction, not signed yet.
fn payload(scene: &Scene) -> Vec<u8> {
    let made = scene.forge.unsigned().on(&scene.root).file(WEB, "a = 2\n").message("x\n").make();
    scene.forge.payload(&made)
}

fn armor(scene: &Scene, who: &str, payload: &[u8]) -> String {
    if who == "sk" {
        return hardware().armor(payload, &Draft::default());
    }
    String::from_utf8(scene.forge.sign(who, "git", payload)).unwrap()
}

fn with(scene: &Scene, payload: &[u8], armor: &str) -> CommitId {
    scene.forge.raw("commit", &scene.forge.with_signature(payload, armor.as_bytes()))
}

/// Why Writ refuses; `None` where it does not.
fn writ(scene: &Scene, commit: &CommitId) -> Option<String> {
    scene.verify(commit).err().map(|refusal| refusal.because)
}

fn people() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(name, _)| name).chain(["sk"])
}

#[test]
fn every_kind_of_key_is_good_to_all_three_in_both_formats() {
    for format in ["sha1", "sha256"] {
        let scene = scene(format);
        let payload = payload(&scene);
        for who in people() {
            let good = armor(&scene, who, &payload);
            let commit = with(&scene, &payload, &good);
            assert_eq!(writ(&scene, &commit), None, "{who} {format}");
            assert!(git(&scene, &commit), "{who} {format}");
            assert!(ssh_keygen(&scene, who, &good, &payload), "{who} {format}");
            scene.forge.git_verifies(&commit).unwrap();
            let other = armor(&scene, who, b"something else");
            let commit = with(&scene, &payload, &other);
            assert!(writ(&scene, &commit).is_some() && !git(&scene, &commit), "{who} {format}");
            assert!(!ssh_keygen(&scene, who, &other, &payload), "{who} {format}");
        }
    }
}

/// Damages bytes somewhere, in one of several ways.
fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let (place, other) = (dice.below(bytes.len()), dice.below(bytes.len()));
    match dice.below(6) {
        0 | 1 => bytes[place] ^= 1 << dice.below(8),
        2 => drop(bytes.remove(place)),
        3 => bytes.insert(place, b"0 \nA=\0"[dice.below(6)]),
        4 => bytes.swap(place, other),
        _ => bytes.truncate(place),
    }
    bytes
}

const ROUNDS: usize = 60;

#[test]
fn a_damaged_commit_is_never_better_to_writ_than_to_git() {
    for format in ["sha1", "sha256"] {
        let (scene, mut dice) = (scene(format), Dice(7));
        let payload = payload(&scene);
        let signed = |who| (who, armor(&scene, who, &payload));
        let signed: Vec<(&str, String)> = people().map(signed).collect();
        let mut both = 0;
        for round in 0..ROUNDS {
            let (who, armor) = dice.of(&signed);
            let whole = scene.forge.with_signature(&payload, armor.as_bytes());
            let broken = damaged(&whole, &mut dice);
            let commit = scene.forge.raw("commit", &broken);
            let (ours, theirs) = (writ(&scene, &commit), git(&scene, &commit));
            let text = String::from_utf8_lossy(&broken);
            assert!(theirs || ours.is_some(), "{who} {format} round {round}: {text}");
            both += usize::from(ours.is_some() && !theirs);
        }
        assert!(both > ROUNDS / 2, "most damage is damage to both: {both}");
    }
}

/// What OpenSSH lets pass, in the words of a refusal.
const LENIENT: [&str; 1] = ["its version is not 1"];

#[test]
fn a_damaged_signature_is_to_writ_what_it_is_to_ssh_keygen() {
    let (scene, mut dice) = (scene("sha1"), Dice(11));
    let payload = payload(&scene);
    let mut refused = 0;
    for who in people() {
        let whole = hand::unwrap(armor(&scene, who, &payload).as_bytes());
        let blob = hand::decode(&whole);
        for round in 0..ROUNDS / 4 {
            let broken = match round {
                // The version, which the signature does not cover.
                0 => [&blob[..9], &[0], &blob[10..]].concat(),
                _ => damaged(&blob, &mut dice),
            };
            let text = hand::wrap(&hand::encode(&broken), 70);
            let ours = writ(&scene, &with(&scene, &payload, &text));
            let theirs = ssh_keygen(&scene, who, &text, &payload);
            refused += usize::from(ours.is_some());
            match ours {
                None => assert!(theirs, "{who} round {round}: {text}"),
                Some(why) if theirs => {
                    assert!(LENIENT.iter().any(|known| why.contains(known)), "{who}: {why}");
                }
                Some(_) => {}
            }
        }
    }
    assert!(refused > 80, "{refused}");
}

/// What the signers' file of a commit means to both, where its lines are of all kinds.
#[test]
fn the_signers_of_a_policy_mean_the_same_to_ssh_keygen() {
    let scene = scene("sha1");
    let payload = payload(&scene);
    let line = |options: &str, who: &str| format!("zed {options}{}\n", scene.forge.public(who));
    let cases = [
        ("", true),
        ("namespaces=\"git\" ", true),
        ("namespaces=\"file,git\" ", true),
        ("namespaces=\"file\" ", false),
        ("valid-before=\"19990101Z\" ", false),
        ("valid-after=\"29990101Z\" ", false),
        ("valid-after=\"19990101Z\",valid-before=\"29990101Z\" ", true),
    ];
    for (options, good) in cases {
        let signers = scene.forge.signers(&["alice"]) + &line(options, "zed");
        std::fs::write(file(&scene), &signers).unwrap();
        let armor = armor(&scene, "zed", &payload);
        assert_eq!(ssh_keygen(&scene, "zed", &armor, &payload), good, "{options}");
        let policy = rules() + "[principals.zed]\nmay = \"everything\"\ngrants = [\"**\"]\n";
        let draft = scene.next("alice").file(SIGNERS, signers);
        let base = draft.file(crate::scene::POLICY, policy).make();
        let commit = scene.forge.commit("zed").on(&base).file(WEB, "a = 3\n").make();
        assert_eq!(writ(&scene, &commit).is_none(), good, "{options}");
    }
    // OpenSSH reads options in any case; a policy has one spelling only.
    let signers = scene.forge.signers(&["alice"]) + &line("NAMESPACES=\"git\" ", "zed");
    std::fs::write(file(&scene), &signers).unwrap();
    assert!(ssh_keygen(&scene, "zed", &armor(&scene, "zed", &payload), &payload));
    let refusal = scene.verify(&scene.next("alice").file(SIGNERS, signers).make()).unwrap_err();
    assert_eq!(refusal.rule, "P1");
}
