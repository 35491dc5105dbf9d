//! The cases that other projects test their signed histories with, made anew: git
//! (`t/t7510-signed-commit.sh`, `t/t7528-signed-commit-ssh.sh`), Guix
//! (`tests/git-authenticate.scm`) and sequoia-git (`tests/policy.rs`). Their signatures
//! are in `src/trust/vectors.rs`.

use writ::names::CommitId;
use writ::trust::Reason::{
    BadSignature, Expired, Malformed, NotAuthorized, PathDenied, PolicyMalformed, Revoked,
    UnknownKey, Unsigned,
};

use crate::forge::{EPOCH, Forge};
use crate::hand;
use crate::scene::{API, POLICY, Row, SIGNERS, Scene, TEAM, WEB, rules, run};

/// The team; newcomers and riley have keys that the policy does not know yet. Of the
/// keys with a window, `expired` and `early` are not good, and `boxed` is on 2023-11-15 from ten.
fn scene() -> Scene {
    let forge = Forge::new();
    let windows = [
        ("expired", "valid-before=\"20000101Z\""),
        ("early", "valid-after=\"29990101Z\""),
        ("boxed", "valid-after=\"20231115100000Z\",valid-before=\"20231116Z\""),
    ];
    let line = |(name, window): (&str, &str)| format!("{name} {window} {}\n", forge.public(name));
    let signers = forge.signers(&TEAM) + &windows.map(line).concat();
    let more = windows
        .map(|(name, _)| format!("[principals.{name}]\nmay = \"everything\"\ngrants = [\"**\"]\n"));
    let mut scene = Scene::introduce(forge, &signers, &(rules() + &more.concat()));
    // Within the window of `boxed`, for a commit is looked at as it is made.
    scene.now = EPOCH + 80_000;
    scene
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "O1", reason: Unsigned, attack, twin }
}

fn signed(scene: &Scene) -> CommitId {
    scene.next("alice").message("seventh").file(WEB, "a = 7\n").make()
}

/// A signed commit whose bytes are edited afterwards.
fn fudged(scene: &Scene, from: &str, to: &str) -> CommitId {
    let text = String::from_utf8(scene.forge.bytes("commit", &signed(scene))).unwrap();
    assert!(text.contains(from));
    scene.forge.raw("commit", text.replace(from, to).as_bytes())
}

fn gits() -> Vec<Row> {
    let bad = |name, attack| Row { rule: "S1", reason: BadSignature, ..row(name, attack, signed) };
    let windowed = |name, reason, attack| Row {
        rule: "K2",
        reason,
        ..row(name, attack, |s| s.next("boxed").at(EPOCH + 50_000).file(API, "a = 1\n").make())
    };
    vec![
        row(
            "git: fourth, not signed",
            |s| s.forge.unsigned().on(&s.root).make(),
            |s| s.next("alice").message("amended").make(),
        ),
        row(
            "git: third on side, not signed, below a signed merge",
            |s| {
                let side = s.forge.unsigned().on(&s.root).file("elif", "3").make();
                let main = s.next("alice").file(WEB, "a = 2\n").make();
                s.forge.commit("alice").on(&main).on(&side).file("elif", "3").make()
            },
            |s| {
                let side = s.next("alice").file("elif", "3").make();
                let main = s.next("alice").file(WEB, "a = 2\n").make();
                s.forge.commit("alice").on(&main).on(&side).file("elif", "3").make()
            },
        ),
        row(
            "git: sixth and seventh, not signed, below a signed head",
            |s| {
                let sixth = s.forge.unsigned().on(&s.root).make();
                let seventh = s.forge.unsigned().on(&sixth).make();
                s.forge.commit("alice").on(&seventh).make()
            },
            signed,
        ),
        Row {
            rule: "G3",
            reason: UnknownKey,
            ..row("git: eighth, by an untrusted key", |s| s.next("untrusted").make(), signed)
        },
        bad("git: seventh, forged", |s| fudged(s, "seventh", "7th forged")),
        Row {
            reason: Malformed,
            ..row(
                "git: seventh, with a NUL and more",
                |s| fudged(s, "seventh", "seventh\n\0wik"),
                signed,
            )
        },
        bad("git: two signatures in one armor", |s| {
            let payload = s.forge.payload(&signed(s));
            let both =
                ["alice", "dave"].map(|key| hand::unwrap(&s.forge.sign(key, "git", &payload)));
            let armor = hand::wrap(&both.concat(), 70);
            s.forge.raw("commit", &s.forge.with_signature(&payload, armor.as_bytes()))
        }),
        Row {
            reason: Malformed,
            ..row(
                "git: signed for both formats",
                |s| {
                    let one = s.forge.bytes("commit", &signed(s));
                    let armor = s.forge.sign("alice", "git", &one);
                    let text = String::from_utf8(s.forge.with_signature(&one, &armor)).unwrap();
                    let place = text.rfind("gpgsig ").unwrap();
                    let text = format!("{}gpgsig-sha256 {}", &text[..place], &text[place + 7..]);
                    s.forge.raw("commit", text.as_bytes())
                },
                signed,
            )
        },
        windowed("git: by an expired key", Expired, |s| s.next("expired").make()),
        windowed("git: by a key that is not valid yet", NotAuthorized, |s| s.next("early").make()),
        windowed("git: outside of a window that was valid", NotAuthorized, |s| {
            s.next("boxed").at(EPOCH + 1_000).make()
        }),
    ]
}

/// alice lets somebody sign who may then write anything.
fn invited(scene: &Scene, on: &CommitId, name: &str) -> CommitId {
    let policy =
        format!("{}[principals.{name}]\nmay = \"everything\"\ngrants = [\"**\"]\n", rules());
    let signers = scene.forge.signers(&TEAM) + &scene.forge.signers(&[name]);
    scene.forge.commit("alice").on(on).file(SIGNERS, signers).file(POLICY, policy).make()
}

fn guixs() -> Vec<Row> {
    let row =
        |name, attack, twin| Row { rule: "G3", reason: UnknownKey, ..row(name, attack, twin) };
    vec![
        row(
            "Guix: the third commit, after the second took its signer's key away",
            |s| {
                let first = s.next("dave").file("a.txt", "A").make();
                let left: Vec<&str> = TEAM.into_iter().filter(|name| *name != "dave").collect();
                let signers = s.forge.signers(&left);
                let second = s.forge.commit("dave").on(&first).file(SIGNERS, signers).make();
                s.forge.commit("dave").on(&second).file("b.txt", "B").make()
            },
            |s| {
                let first = s.next("dave").file("a.txt", "A").make();
                let left: Vec<&str> = TEAM.into_iter().filter(|name| *name != "dave").collect();
                s.forge.commit("dave").on(&first).file(SIGNERS, s.forge.signers(&left)).make()
            },
        ),
        row(
            "Guix: an authorized merge of an unauthorized commit",
            |s| {
                let devel = s.next("second").file("devel/1.txt", "1").make();
                let main = s.next("alice").file("b.txt", "B").make();
                s.forge.commit("alice").on(&main).on(&devel).file("devel/1.txt", "1").make()
            },
            guix_merge,
        ),
        row(
            "Guix: the second signer on main before the merge",
            |s| {
                let devel = invited(s, &s.root, "second");
                let main = s.next("second").file("b.txt", "B").make();
                s.forge.commit("alice").on(&main).on(&devel).make()
            },
            guix_merge,
        ),
        Row {
            rule: "P1",
            reason: PolicyMalformed,
            ..row(
                "Guix: a commit on top of one without authorizations",
                |s| {
                    let gone = s.next("alice").delete(SIGNERS).delete(POLICY).make();
                    s.forge.commit("alice").on(&gone).file("b.txt", "B").make()
                },
                signed,
            )
        },
    ]
}

/// A second signer invited on a branch, who signs there, and on main after the merge.
fn guix_merge(scene: &Scene) -> CommitId {
    let devel = invited(scene, &scene.root, "second");
    let devel = scene.forge.commit("second").on(&devel).file("devel/2.txt", "2").make();
    let main = scene.next("alice").file("b.txt", "B").make();
    let merge = scene.forge.commit("alice").on(&main).on(&devel).tree_of(&devel);
    let merge = merge.file("b.txt", "B").make();
    scene.forge.commit("second").on(&merge).file("c.txt", "C").make()
}

/// The policy after riley's key was found stolen, good until `until`.
fn stolen(scene: &Scene, until: &CommitId) -> String {
    let key = scene.forge.fingerprint("riley");
    format!("{}[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{until}\"\n", rules())
}

/// riley's key is taken away on top of `on`.
fn revoke(scene: &Scene, by: &str, on: &CommitId, until: &CommitId) -> CommitId {
    let draft = scene.forge.commit(by).on(on).file(SIGNERS, scene.forge.signers(&TEAM));
    draft.file(POLICY, stolen(scene, until)).make()
}

/// riley, invited in A, signs B.
fn rileys(scene: &Scene) -> (CommitId, CommitId) {
    let a = invited(scene, &scene.root, "riley");
    let b = scene.forge.commit("riley").on(&a).file("riley.txt", "here").make();
    (a, b)
}

/// goodlist_2: two ways lead to K, and one of them has said later that B is good.
fn two_ways(scene: &Scene, good: bool) -> CommitId {
    let (a, b) = rileys(scene);
    let d = revoke(scene, "alice", &b, &a);
    let j = scene.forge.commit("alice").on(&d).message("j").make();
    let i = scene.forge.commit("alice").on(&d).file(POLICY, stolen(scene, &b)).make();
    let k = scene.forge.commit("alice").on(&j).on(&i);
    if good { k.tree_of(&i).make() } else { k.tree_of(&j).make() }
}

/// goodlist_3: the revocation lies on one of two ways that are merged.
fn one_way(scene: &Scene, good: bool) -> CommitId {
    let (a, b) = rileys(scene);
    let d = scene.forge.commit("alice").on(&b).message("d").make();
    let e = revoke(scene, "alice", &b, if good { &b } else { &a });
    scene.forge.commit("alice").on(&d).on(&e).tree_of(&e).make()
}

fn sequoias() -> Vec<Row> {
    let row = |name, attack, twin| Row { rule: "K3", reason: Revoked, ..row(name, attack, twin) };
    vec![
        row(
            "sequoia-git: goodlist_1, before B is said to be good",
            |s| {
                let (a, b) = rileys(s);
                let c = s.forge.commit("alice").on(&b).message("c").make();
                let d = revoke(s, "alice", &c, &a);
                s.forge.commit("alice").on(&d).message("e").make()
            },
            |s| {
                let (a, b) = rileys(s);
                let d = revoke(s, "alice", &b, &a);
                let f = s.forge.commit("alice").on(&d).file(POLICY, stolen(s, &b)).make();
                s.forge.commit("alice").on(&f).message("g").make()
            },
        ),
        row("sequoia-git: goodlist_2", |s| two_ways(s, false), |s| two_ways(s, true)),
        row("sequoia-git: goodlist_3", |s| one_way(s, false), |s| one_way(s, true)),
        Row {
            rule: "P3",
            ..row(
                "sequoia-git: goodlist_3, and the merge forgets the revocation",
                |s| {
                    let (a, b) = rileys(s);
                    let d = s.forge.commit("alice").on(&b).message("d").make();
                    let e = revoke(s, "alice", &b, &a);
                    s.forge.commit("alice").on(&d).on(&e).tree_of(&d).make()
                },
                |s| one_way(s, true),
            )
        },
        Row {
            rule: "P2",
            reason: PathDenied,
            ..row(
                "sequoia-git: goodlist_5, by one who may not",
                |s| {
                    let (a, b) = rileys(s);
                    let d = revoke(s, "alice", &b, &a);
                    s.forge.commit("bob").on(&d).file(POLICY, stolen(s, &b)).make()
                },
                |s| {
                    let (a, b) = rileys(s);
                    let d = revoke(s, "alice", &b, &a);
                    s.forge.commit("dave").on(&d).file(POLICY, stolen(s, &b)).make()
                },
            )
        },
        Row {
            rule: "G3",
            reason: UnknownKey,
            ..row(
                // sequoia-git takes the good way to F; here every way has to be good.
                "sequoia-git: via, one of two ways is not authorized",
                |s| {
                    let d = s.next("alice").file("work", "4").make();
                    let e = s.next("xander").file("busy", "1").make();
                    s.forge.commit("alice").on(&d).on(&e).tree_of(&d).file("busy", "1").make()
                },
                |s| {
                    let d = s.next("alice").file("work", "4").make();
                    let e = s.next("bob").file("busy", "1").make();
                    s.forge.commit("alice").on(&d).on(&e).tree_of(&d).file("busy", "1").make()
                },
            )
        },
        Row {
            rule: "G3",
            reason: NotAuthorized,
            ..row(
                "sequoia-git: sign_commit, by a key for something else",
                |s| {
                    let line = s.forge.signers(&["archive"]).replace("\"git\"", "\"file\"");
                    let signers = s.forge.signers(&TEAM) + &line;
                    let policy =
                        rules() + "[principals.archive]\nmay = \"everything\"\ngrants = [\"**\"]\n";
                    let added = s.next("alice").file(SIGNERS, signers).file(POLICY, policy).make();
                    s.forge.commit("archive").on(&added).make()
                },
                |s| {
                    let added = invited(s, &s.root, "archive");
                    s.forge.commit("archive").on(&added).make()
                },
            )
        },
        Row {
            rule: "P2",
            reason: PathDenied,
            ..row(
                "sequoia-git: retire_user, by one who may only sign",
                |s| s.next("bob").file(SIGNERS, s.forge.signers(&TEAM[..4])).make(),
                |s| s.next("alice").file(SIGNERS, s.forge.signers(&TEAM[..4])).make(),
            )
        },
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    [gits(), guixs(), sequoias()].into_iter().flatten().collect()
}

#[test]
fn what_git_guix_and_sequoia_test_is_kept() {
    run(&scene(), &rows());
}
