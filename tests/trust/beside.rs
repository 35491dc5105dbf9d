//! Attacks beside the commits: statements about the branch, and the host's copy of the
//! repository (rules F1, F2, T4, O4).

use std::fs;

use writ::source::repo::Repository;
use writ::trust::{HEAD, HeadStatement, RESET, Recovery, ResetStatement};

use crate::forge::{CHANNEL, Forge, NOW};
use crate::scene::{Act, Scene, TEAM, play, rules};

const DAY: i64 = 86_400;

/// The team, and a herald; `both` may sign commits as well, `late`'s key has expired.
fn scene() -> Scene {
    let forge = Forge::new();
    let only = |name: &str| forge.signers(&[name]).replace("\"git\"", "\"writ-head\"");
    let both = forge.signers(&["both"]).replace("\"git\"", "\"git,writ-head\"");
    let late = only("late").replace(" ssh-", " valid-before=\"20200101Z\" ssh-");
    let late = late.replace("\" valid", "\",valid");
    let signers = forge.signers(&TEAM) + &only("herald") + &both + &late;
    Scene::introduce(forge, &signers, &rules())
}

fn head(scene: &Scene) -> HeadStatement {
    HeadStatement {
        commit: scene.root.clone(),
        sequence: 1,
        issued: NOW,
        expires: NOW + DAY,
        by: None,
    }
}

/// What a host makes of a text that the keys have signed.
fn heard(scene: &Scene, text: &str, namespace: &str, keys: &[&str]) -> Result<(), String> {
    let signed = signed(scene, text, namespace, keys);
    let commit = scene.verify(&scene.root).unwrap();
    commit.head_statement(&signed, CHANNEL, NOW).map(drop)
}

fn signed(scene: &Scene, text: &str, namespace: &str, keys: &[&str]) -> Vec<u8> {
    let armors = keys.iter().flat_map(|key| scene.forge.sign(key, namespace, text.as_bytes()));
    text.bytes().chain(armors).collect()
}

fn by(scene: &Scene, keys: &[&str]) -> Result<(), String> {
    heard(scene, &head(scene).text(CHANNEL), HEAD, keys)
}

fn good(scene: &Scene) -> Result<(), String> {
    by(scene, &["herald"])
}

/// A statement by the herald whose text is edited before it is signed.
fn edited(scene: &Scene, from: &str, to: &str) -> Result<(), String> {
    let text = head(scene).text(CHANNEL);
    assert!(text.contains(from), "{text}");
    heard(scene, &text.replacen(from, to, 1), HEAD, &["herald"])
}

fn dated(scene: &Scene, issued: i64, expires: i64) -> Result<(), String> {
    heard(scene, &HeadStatement { issued, expires, ..head(scene) }.text(CHANNEL), HEAD, &["herald"])
}

pub(crate) fn heads() -> Vec<Act> {
    let act = |name, because, attack| Act { name, rule: "F1", because, attack, twin: good };
    vec![
        act("by an administrator", "lists its key not at all", |s| by(s, &["alice"])),
        act("by a stranger", "lists its key not at all", |s| by(s, &["mallory"])),
        act("by a key that may sign commits too", "lists its key not at all", |s| by(s, &["both"])),
        act("by an expired key", "outside of its window", |s| by(s, &["late"])),
        act("by two", "more than one signature", |s| by(s, &["herald", "alice"])),
        act("by nobody", "not signed", |s| by(s, &[])),
        act("signed as a commit is", "another namespace", |s| {
            heard(s, &head(s).text(CHANNEL), "git", &["herald"])
        }),
        act("for another branch", "for the channel", |s| {
            heard(s, &head(s).text("acme-infra:test"), HEAD, &["herald"])
        }),
        act("changed after it was signed", "does not match", |s| {
            let text = head(s).text(CHANNEL);
            let bytes = signed(s, &text, HEAD, &["herald"]);
            let bytes = String::from_utf8(bytes).unwrap().replace("sequence 1", "sequence 9");
            let commit = s.verify(&s.root).unwrap();
            commit.head_statement(bytes.as_bytes(), CHANNEL, NOW).map(drop)
        }),
        act("a later version", "version", |s| edited(s, "writ-head 1", "writ-head 2")),
        act("a line more", "follows its last line", |s| {
            edited(s, "Z\n", "Z\n").and_then(|()| {
                let text = head(s).text(CHANNEL) + "note x\n";
                heard(s, &text, HEAD, &["herald"])
            })
        }),
        act("a line less", "is not in its place", |s| edited(s, "sequence 1\n", "")),
        act("a line twice", "is not in its place", |s| {
            edited(s, "sequence 1\n", "sequence 1\nsequence 2\n")
        }),
        act("a sequence that is no number", "cannot be read", |s| {
            edited(s, "sequence 1", "sequence one")
        }),
        act("another spelling of a time", "is not a time", |s| edited(s, "Z\n", ".0Z\n")),
    ]
}

pub(crate) fn spans() -> Vec<Act> {
    let act = |name, because, attack, twin| Act { name, rule: "F2", because, attack, twin };
    vec![
        act(
            "issued in the future",
            "ahead of this host's clock",
            |s| dated(s, NOW + 301, NOW + DAY),
            |s| dated(s, NOW + 300, NOW + DAY),
        ),
        act(
            "good for too long",
            "more than seven days",
            |s| dated(s, NOW, NOW + 7 * DAY + 1),
            |s| dated(s, NOW, NOW + 7 * DAY),
        ),
        act(
            "expired before it was issued",
            "more than seven days",
            |s| dated(s, NOW, NOW - 1),
            |s| dated(s, NOW, NOW),
        ),
    ]
}

/// What a host with three recovery keys, of which two are needed, makes of a statement.
fn recovered(scene: &Scene, statement: &ResetStatement, keys: &[&str]) -> Result<(), String> {
    let bytes = signed(scene, &statement.text(CHANNEL), RESET, keys);
    let known = ["safe-a", "safe-b", "safe-c"].map(|k| scene.forge.public(k).parse().unwrap());
    let recovery = Recovery { keys: known.into(), threshold: 2 };
    ResetStatement::verify(&bytes, CHANNEL, &recovery, &scene.anchor, 4, NOW).map(drop)
}

fn reset(scene: &Scene) -> ResetStatement {
    let (from, to) = (scene.root.clone(), scene.next("alice").make());
    ResetStatement { from, to, sequence: 5, expires: NOW + DAY }
}

const TWO: &[&str] = &["safe-a", "safe-c"];

pub(crate) fn resets() -> Vec<Act> {
    let twin = |s: &Scene| recovered(s, &reset(s), TWO);
    let act = |name, because, attack| Act { name, rule: "T4", because, attack, twin };
    vec![
        act("by one key", "1 of 2", |s| recovered(s, &reset(s), &["safe-a"])),
        act("by one key twice", "1 of 2", |s| recovered(s, &reset(s), &["safe-a", "safe-a"])),
        act("by administrators", "no recovery key", |s| {
            recovered(s, &reset(s), &["alice", "dave"])
        }),
        // Anybody may add a signature; it neither counts nor takes away.
        Act {
            twin: |s| recovered(s, &reset(s), &["mallory", "safe-a", "alice", "safe-b"]),
            ..act("by a stranger in the place of one", "1 of 2", |s| {
                recovered(s, &reset(s), &["safe-a", "mallory"])
            })
        },
        act("by nobody", "not signed", |s| recovered(s, &reset(s), &[])),
        act("from elsewhere", "leads from", |s| {
            let from = s.next("dave").make();
            recovered(s, &ResetStatement { from, ..reset(s) }, TWO)
        }),
        act("played again", "was obeyed", |s| {
            recovered(s, &ResetStatement { sequence: 4, ..reset(s) }, TWO)
        }),
        act("expired", "it expired", |s| {
            recovered(s, &ResetStatement { expires: NOW - 1, ..reset(s) }, TWO)
        }),
        act("a statement about the head", "is not in its place", |s| {
            let text = head(s).text(CHANNEL);
            let bytes = signed(s, &text, RESET, TWO);
            let known = TWO.iter().map(|key| s.forge.public(key).parse().unwrap());
            let recovery = Recovery { keys: known.collect(), threshold: 2 };
            ResetStatement::verify(&bytes, CHANNEL, &recovery, &s.anchor, 0, NOW).map(drop)
        }),
    ]
}

/// Opens a repository that holds one file more.
fn opened(file: &str, content: &str) -> Result<(), String> {
    let forge = Forge::new();
    let path = forge.git_dir().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    Repository::open(&forge.git_dir()).map(drop).map_err(|fault| fault.to_string())
}

const ID: &str = "1111111111111111111111111111111111111111";

pub(crate) fn copies() -> Vec<Act> {
    let act = |name, attack| Act {
        name,
        rule: "O4",
        because: "",
        attack,
        twin: |_| opened("packed-refs", &format!("{ID} refs/heads/main\n")),
    };
    vec![
        act("shallow", |_| opened("shallow", ID)),
        act("grafts", |_| opened("info/grafts", ID)),
        act("alternates", |_| opened("objects/info/alternates", "/elsewhere")),
        act("alternates of a server", |_| {
            opened("objects/info/http-alternates", "http://example.org/x")
        }),
        act("a replaced object", |_| opened(&format!("refs/replace/{ID}"), ID)),
        act("a replaced object in a packed ref", |_| {
            opened("packed-refs", &format!("{ID} refs/replace/{ID}\n"))
        }),
    ]
}

#[test]
fn a_statement_about_the_head_is_one_heralds_word_to_the_letter() {
    play(&scene(), &heads());
}

#[test]
fn a_statement_about_the_head_is_good_for_a_week_at_most() {
    play(&scene(), &spans());
}

#[test]
fn a_rewritten_history_takes_enough_recovery_keys() {
    play(&scene(), &resets());
}

#[test]
fn a_copy_whose_objects_could_come_from_elsewhere_is_not_opened() {
    play(&scene(), &copies());
}
