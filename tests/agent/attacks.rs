//! One attack for each reason of a refusal, played against a host that runs: its world
//! and its anchor stay, and it goes on once the branch is good. The whole table, without
//! a host, is in `tests/trust/`.

use writ::agent::Agent;
use writ::names::CommitId;
use writ::trust::Reason;

use crate::forge::CHANNEL;
use crate::scene::{Scene, word};
use crate::world::SimWorld;

const WEB: &str = "manifests/services/web.toml";
const POLICY: &str = ".writ/policy.toml";

/// A head on top of `scene.head` that nobody should obey.
type Attack = fn(&Scene) -> CommitId;

/// alice and dave are administrators and bob may write nothing; frank's key belongs to
/// nobody, old's has expired, gone's is revoked; vault/ takes two people.
fn policy(scene: &Scene) -> String {
    let gone = scene.forge.fingerprint("gone");
    format!(
        "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.dave]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.old]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.bob]\nmay = \"everything\"\n[[protect]]\npaths = [\"vault/**\"]\nthreshold = 2\n[[revoked]]\nkey = \"{gone}\"\ngoodUntil = \"{}\"\n",
        scene.root
    )
}

async fn running() -> (Scene, Agent<SimWorld>) {
    let mut scene = Scene::new();
    let old = format!("old valid-before=\"20200101Z\" {}\n", scene.forge.public("old"));
    let signers = scene.forge.signers(&["alice", "bob", "dave", "frank"]) + &old;
    let policy = policy(&scene);
    scene.push(&[(".writ/allowed_signers", Some(signers)), (POLICY, Some(policy))]);
    scene.push_service("web", "0");
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    (scene, agent)
}

/// `by`'s change of the service that runs.
fn evil(scene: &Scene, by: &str) -> CommitId {
    let text = scene.service("web", "666", "");
    scene.forge.commit(by).on(&scene.head).file(WEB, text).make()
}

fn edited(scene: &Scene, from: &str, to: &str) -> String {
    let text = String::from_utf8(scene.forge.bytes("commit", &evil(scene, "alice"))).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1)
}

fn attacks() -> Vec<(Reason, Attack)> {
    vec![
        (Reason::Unsigned, |s| s.forge.unsigned().on(&s.head).file(WEB, "a = 1\n").make()),
        (Reason::BadSignature, |s| s.forge.raw("commit", edited(s, "change", "charge").as_bytes())),
        (Reason::UnknownKey, |s| evil(s, "mallory")),
        (Reason::NotAuthorized, |s| evil(s, "frank")),
        (Reason::PathDenied, |s| evil(s, "bob")),
        (Reason::Threshold, |s| s.forge.commit("alice").on(&s.head).file("vault/x", "1").make()),
        (Reason::Rollback, |s| s.root.clone()),
        (Reason::ForeignRoot, |s| {
            let foreign = s.forge.commit("alice").tree_of(&s.head).make();
            s.forge.commit("alice").on(&s.head).on(&foreign).make()
        }),
        (Reason::Malformed, |s| {
            s.forge.raw("commit", edited(s, "\ngpgsig ", "\nx-note hello\ngpgsig ").as_bytes())
        }),
        (Reason::TooLarge, |s| {
            let large = "#".repeat((1 << 20) + 1);
            s.forge.commit("alice").on(&s.head).file(WEB, large).make()
        }),
        (Reason::PolicyMalformed, |s| {
            let policy = policy(s) + "[extra]\n";
            s.forge.commit("alice").on(&s.head).file(POLICY, policy).make()
        }),
        (Reason::Channel, |s| {
            let policy = policy(s).replace(":main", ":test");
            s.forge.commit("alice").on(&s.head).file(POLICY, policy).make()
        }),
        (Reason::Clock, |s| {
            let ahead = jiff::Timestamp::now().as_second() + 3600;
            s.forge.commit("alice").on(&s.head).at(ahead).make()
        }),
        (Reason::Expired, |s| evil(s, "old")),
        (Reason::Revoked, |s| evil(s, "gone")),
        (Reason::Unsupported, |s| {
            s.forge.commit("alice").on(&s.head).file(".writ/later.toml", "x").make()
        }),
    ]
}

#[tokio::test]
async fn an_attack_leaves_services_and_anchor_and_the_host_goes_on_afterwards() {
    let (mut scene, mut agent) = running().await;
    for (n, (reason, attack)) in attacks().into_iter().enumerate() {
        let (before, anchor) = (scene.world.state().changes, scene.ledger().anchor().unwrap());
        let head = attack(&scene);
        scene.point_main_at(&head);
        let report = agent.round().await;
        assert_eq!(report.refused.as_ref().map(|r| r.reason), Some(reason), "{report:?}");
        assert_eq!(scene.world.state().changes, before, "{reason:?}");
        assert_eq!(scene.ledger().anchor().unwrap(), anchor, "{reason:?}");
        scene.assert_runs(&[("web", &n.to_string())]);

        let next = (n + 1).to_string();
        scene.push_service("web", &next);
        let report = agent.round().await;
        assert_eq!((report.refused.is_none(), word(&report)), (true, "confirmed"), "{reason:?}");
        scene.assert_runs(&[("web", &next)]);
    }
}

/// What a server cannot send is not refused: it never arrives.
#[tokio::test]
async fn a_commit_whose_objects_are_nowhere_leaves_everything_as_well() {
    let (mut scene, mut agent) = running().await;
    let before = scene.world.state().changes;
    let payload = String::from_utf8(scene.forge.payload(&evil(&scene, "alice"))).unwrap();
    let tree = format!("tree {}", "1".repeat(40));
    let payload = payload.replacen(&payload[..45], &tree, 1);
    let head = scene.forge.raw_signed("alice", payload.as_bytes());
    scene.point_main_at(&head);
    let report = agent.round().await;
    assert!(report.faults[0].doing.contains("fetch main"), "{report:?}");
    assert_eq!(scene.world.state().changes, before);
    scene.assert_runs(&[("web", "0")]);
    scene.push_service("web", "1");
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}
