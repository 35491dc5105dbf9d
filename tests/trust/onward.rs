//! Attacks on what a host remembers: its anchor, its pins, and the times of keys (rules
//! G1, P3, T1, T2, K1 to K3).

use writ::names::CommitId;
use writ::trust::Reason::{Clock, Expired, NotAuthorized, Revoked};
use writ::trust::{Anchor, Pins, verify};

use crate::forge::{Forge, NOW};
use crate::scene::{API, Act, POLICY, Row, SIGNERS, Scene, TEAM, WEB, play, rules, run, told};
use crate::state::{DAY, INSIDE, revocation, scene_with_window, twin};

/// A host that has accepted alice's change of the web service, whose commit this is.
fn accepted(scene: &Scene) -> (CommitId, Anchor) {
    let commit = scene.next("alice").file(WEB, "a = 2\n").make();
    let anchor = scene.accept(&commit);
    (commit, anchor)
}

fn then(scene: &Scene, head: fn(&Scene, &CommitId) -> CommitId) -> Result<(), String> {
    let (commit, anchor) = accepted(scene);
    told(scene.verify_from(Some(&anchor), &head(scene, &commit)))
}

fn forward(scene: &Scene) -> Result<(), String> {
    then(scene, |s, on| s.forge.commit("bob").on(on).file(WEB, "a = 3\n").make())
}

fn act(name: &'static str, attack: fn(&Scene) -> Result<(), String>) -> Act {
    Act { name, rule: "T1", because: "T1 rollback", attack, twin: forward }
}

pub(crate) fn backward() -> Vec<Act> {
    vec![
        act("back to the introduction", |s| then(s, |s, _| s.root.clone())),
        act("another commit in its place", |s| {
            then(s, |s, _| s.next("alice").file(WEB, "a = 4\n").make())
        }),
        act("the same content with another message", |s| {
            then(s, |s, on| s.next("alice").tree_of(on).message("amended").make())
        }),
        act("the same content by somebody else", |s| {
            then(s, |s, on| s.next("dave").tree_of(on).message("amended").make())
        }),
        Act {
            twin: |s| {
                then(s, |s, on| {
                    let branch = s.next("dave").file(API, "a = 3\n").make();
                    s.forge.commit("dave").on(on).on(&branch).file(API, "a = 3\n").make()
                })
            },
            ..act("merged as a second parent", |s| {
                then(s, |s, on| {
                    let other = s.next("dave").message("other").make();
                    s.forge.commit("dave").on(&other).on(on).tree_of(on).make()
                })
            })
        },
        act("merged as a third parent", |s| {
            then(s, |s, on| {
                let other = s.next("dave").message("other").make();
                let third = s.next("dave").message("third").make();
                s.forge.commit("dave").on(&other).on(&third).on(on).make()
            })
        }),
        act("far below a second parent", |s| {
            then(s, |s, on| {
                let after = s.forge.commit("alice").on(on).message("after").make();
                let other = s.next("dave").message("other").make();
                let swapped = s.forge.commit("dave").on(&other).on(&after).make();
                s.forge.commit("alice").on(&swapped).message("on top").make()
            })
        }),
        Act {
            twin: |s| {
                let head = s.next("alice").make();
                told(verify(
                    &s.repo,
                    &pins(s, |p| p.minimum = Some(head.clone())),
                    None,
                    &head,
                    NOW,
                ))
            },
            ..act("below the minimum of the config", |s| {
                let head = s.next("alice").make();
                let pins = pins(s, |p| p.minimum = Some(head));
                told(verify(&s.repo, &pins, None, &s.root, NOW))
            })
        },
    ]
}

fn pins(scene: &Scene, change: impl FnOnce(&mut Pins)) -> Pins {
    let mut pins = scene.pins.clone();
    change(&mut pins);
    pins
}

/// A scene in which alice's signatures differ every time.
fn ecdsa() -> Scene {
    let forge = Forge::new();
    forge.make_key("alice", &["-t", "ecdsa"]);
    Scene::with(forge, "")
}

/// The accepted commit signed once more, and a head on top of the first spelling.
fn continued(scene: &Scene) -> Result<(), String> {
    let real = scene.next("alice").file(WEB, "a = 2\n").make();
    let anchor = scene.accept(&twin(scene, "alice", &real));
    let next = scene.forge.commit("bob").on(&real).file(WEB, "a = 3\n").make();
    told(scene.verify_from(Some(&anchor), &next))
}

pub(crate) fn twins() -> Vec<Act> {
    let act = |name, because, attack| Act { name, rule: "T2", because, attack, twin: continued };
    vec![
        act("the record of another content", "T2 rollback", |s| {
            let damaged = Anchor { payload: "0".repeat(64), ..s.anchor.clone() };
            told(s.verify_from(Some(&damaged), &s.root))
        }),
        act("signed by a stranger", "G3 unknown-key", |s| then(s, |s, on| twin(s, "mallory", on))),
        act("not signed", "O1 unsigned", |s| {
            then(s, |s, on| s.forge.raw("commit", &s.forge.payload(on)))
        }),
        act("with the signature of its parent", "S1 bad-signature", |s| {
            then(s, |s, on| {
                let armor = s.forge.sign("alice", "git", &s.forge.payload(&s.root));
                let bytes = s.forge.with_signature(&s.forge.payload(on), &armor);
                s.forge.raw("commit", &bytes)
            })
        }),
        act("with one byte more", "T1 rollback", |s| {
            then(s, |s, on| {
                let payload = [s.forge.payload(on), b"\n".to_vec()].concat();
                s.forge.raw_signed("alice", &payload)
            })
        }),
        act("of the introduction", "G2 foreign-root", |s| {
            told(s.verify_from(None, &twin(s, "alice", &s.root)))
        }),
    ]
}

pub(crate) fn pinned() -> Vec<Act> {
    let act = |name, rule, because, attack| Act {
        name,
        rule,
        because,
        attack,
        twin: |s| told(verify(&s.repo, &s.pins, None, &s.root, NOW)),
    };
    vec![
        act("another introducer", "G1", "G1 unknown-key", |s| {
            let pins = pins(s, |p| p.introducer = s.forge.fingerprint("dave"));
            told(verify(&s.repo, &pins, None, &s.root, NOW))
        }),
        act("an introduction that was never made", "G1", "O3 missing-object", |s| {
            let pins = pins(s, |p| p.introduction = "2".repeat(40).parse().unwrap());
            told(verify(&s.repo, &pins, None, &pins.introduction, NOW))
        }),
        act("an introduction whose policy lists others", "G1", "G3 unknown-key", |s| {
            let draft = s.forge.commit("mallory").file(SIGNERS, s.forge.signers(&TEAM));
            let root = draft.file(POLICY, rules()).make();
            told(verify(&s.repo, &s.forge.pins(&root, "mallory"), None, &root, NOW))
        }),
        act("an introduction without a policy", "G1", "P1 policy-malformed", |s| {
            let root = s.forge.commit("alice").file(WEB, "a = 1\n").make();
            told(verify(&s.repo, &s.forge.pins(&root, "alice"), None, &root, NOW))
        }),
        act("another repository's introduction", "P4", "P4 channel", |s| {
            let pins = pins(s, |p| p.channel = "other:main".to_owned());
            told(verify(&s.repo, &pins, None, &s.root, NOW))
        }),
        act("another branch's introduction", "P4", "P4 channel", |s| {
            let pins = pins(s, |p| p.channel = "acme-infra:test".to_owned());
            told(verify(&s.repo, &pins, None, &s.root, NOW))
        }),
        act("a revocation that this host has seen is gone", "P3", "P3 revoked", |s| {
            let pins = pins(s, |p| p.revoked = [s.forge.fingerprint("gone")].into());
            told(verify(&s.repo, &pins, None, &s.root, NOW))
        }),
    ]
}

pub(crate) fn clocks() -> Vec<Row> {
    let row = |name, attack, twin| Row { name, rule: "K1", reason: Clock, attack, twin };
    vec![
        row(
            "the head lies ahead",
            |s| s.next("alice").at(NOW + 601).make(),
            |s| s.next("alice").at(NOW + 600).make(),
        ),
        row(
            "a commit below lies ahead",
            |s| {
                let ahead = s.next("alice").at(NOW + 601).make();
                s.forge.commit("alice").on(&ahead).at(NOW).make()
            },
            |s| {
                let ahead = s.next("alice").at(NOW + 600).make();
                s.forge.commit("alice").on(&ahead).at(NOW).make()
            },
        ),
        row(
            "a merged branch lies ahead",
            |s| {
                let branch = s.next("bob").at(4_000_000_000).file(WEB, "a = 2\n").make();
                s.forge.commit("dave").on(&s.root).on(&branch).tree_of(&branch).at(NOW).make()
            },
            |s| {
                let branch = s.next("bob").file(WEB, "a = 2\n").make();
                s.forge.commit("dave").on(&s.root).on(&branch).tree_of(&branch).at(NOW).make()
            },
        ),
    ]
}

/// Two days after temp's key ended.
pub(crate) fn late() -> Scene {
    Scene { now: INSIDE + 2 * DAY, ..scene_with_window() }
}

pub(crate) fn windows() -> Vec<Row> {
    let row = |name, reason, attack| Row { name, rule: "K2", reason, attack, twin: in_time };
    vec![
        row("before the window", NotAuthorized, |s| s.next("temp").at(INSIDE - DAY).make()),
        row("after the window", Expired, |s| s.next("temp").at(INSIDE + DAY).make()),
        row("dated back", Expired, |s| s.next("temp").at(INSIDE).make()),
        row("dated back below a good head", Expired, |s| {
            let later = s.next("alice").at(INSIDE + DAY).make();
            let between = s.forge.commit("temp").on(&later).at(INSIDE).make();
            s.forge.commit("alice").on(&between).at(INSIDE + DAY).make()
        }),
        row("dated back beside a later parent", Expired, |s| {
            let later = s.next("alice").at(INSIDE + DAY).make();
            let branch = s.next("temp").at(INSIDE).message("branch").make();
            s.forge.commit("temp").on(&later).on(&branch).at(INSIDE).make()
        }),
    ]
}

fn in_time(scene: &Scene) -> CommitId {
    let in_time = scene.next("temp").at(INSIDE).make();
    scene.forge.commit("alice").on(&in_time).at(INSIDE + DAY).make()
}

pub(crate) fn stolen() -> Vec<Row> {
    let row = |name, attack, twin| Row { name, rule: "K3", reason: Revoked, attack, twin };
    /// Up to which of dave's two commits his key counts.
    fn revoked(scene: &Scene, whole: bool) -> CommitId {
        let good = scene.next("dave").file(WEB, "a = 2\n").make();
        let last = scene.forge.commit("dave").on(&good).file(WEB, "evil = 1\n").make();
        revocation(scene, &last, if whole { &last } else { &good })
    }
    vec![
        row("signed later", |s| revoked(s, false), |s| revoked(s, true)),
        row(
            "signed on a branch",
            |s| {
                let branch = s.next("dave").file(API, "evil = 1\n").make();
                let draft = s.forge.commit("alice").on(&s.root).on(&branch);
                revocation(s, &draft.make(), &s.root)
            },
            |s| {
                let branch = s.next("dave").file(API, "a = 2\n").make();
                let draft = s.forge.commit("alice").on(&s.root).on(&branch);
                revocation(s, &draft.make(), &branch)
            },
        ),
        row(
            "good until a commit beside it",
            |s| {
                let (one, two) = (s.next("dave").make(), s.next("dave").message("x").make());
                revocation(s, &s.forge.commit("alice").on(&one).on(&two).make(), &one)
            },
            |s| {
                let (one, two) = (s.next("dave").make(), s.next("dave").message("x").make());
                let both = s.forge.commit("alice").on(&one).on(&two).make();
                revocation(s, &both, &both)
            },
        ),
        row(
            "good until a commit that was never made",
            |s| revocation(s, &s.next("dave").make(), &"3".repeat(40).parse().unwrap()),
            |s| revocation(s, &s.next("alice").make(), &"3".repeat(40).parse().unwrap()),
        ),
        Row {
            rule: "G3",
            ..row(
                "signed on top of the revocation",
                |s| s.forge.commit("dave").on(&revocation(s, &s.root, &s.root)).make(),
                |s| s.forge.commit("alice").on(&revocation(s, &s.root, &s.root)).make(),
            )
        },
    ]
}

#[test]
fn nothing_leads_back_behind_what_was_accepted() {
    play(&Scene::new(), &backward());
}

#[test]
fn a_twin_is_the_same_content_signed_by_one_who_may() {
    play(&ecdsa(), &twins());
}

#[test]
fn what_the_config_pins_is_held() {
    play(&ecdsa(), &pinned());
}

#[test]
fn no_commit_lies_ahead_of_the_clock() {
    run(&Scene::new(), &clocks());
}

#[test]
fn a_window_is_held_against_the_order_of_history() {
    run(&late(), &windows());
}

#[test]
fn a_stolen_key_counts_nowhere_beyond_its_last_good_commit() {
    run(&Scene::new(), &stolen());
}
