//! Digests of closures, and keys that were revoked (rules C1 and P3).

use writ::verdict::Verdict;

use crate::forge::CHANNEL;
use crate::scene::{Scene, closure, word};

fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

/// A service with a signed digest.
fn digested(scene: &Scene, name: &str, version: &str) -> String {
    let path = closure(name, version);
    let line = format!("storePath = \"{path}\"\n");
    let text = scene.service(name, version, "");
    scene.world.touch(|machine| {
        machine.digests.insert(path, digest().parse().unwrap());
    });
    text.replace(&line, &format!("{line}closureDigest = \"{}\"\n", digest()))
}

fn file(name: &str) -> String {
    format!("manifests/services/{name}.toml")
}

fn policy(more: &str) -> Option<String> {
    Some(format!(
        "channel = \"{CHANNEL}\"\n{more}\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\ngrants = [\"**\"]\n"
    ))
}

#[tokio::test]
async fn where_digests_are_required_an_artifact_without_one_is_refused() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let required = policy("requireClosureDigest = true");
    scene.push(&[(".writ/policy.toml", required)]);
    let report = scene.round().await;
    let Some(Verdict::Refused { rule, reason, because, .. }) = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!((rule.as_str(), reason.as_str()), ("C1", "closure-digest"));
    assert!(because[0].starts_with("web:"), "{because:?}");
    scene.assert_runs(&[("web", "1")]);

    let text = digested(&scene, "web", "1");
    scene.push(&[(&file("web"), Some(text))]);
    assert_eq!(word(&scene.round().await), "confirmed");
}

#[tokio::test]
async fn a_closure_that_came_without_a_digest_is_compared_once_it_has_one() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let downloads = scene.world.state().downloads;
    let text = digested(&scene, "web", "1");
    scene.push(&[(&file("web"), Some(text))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    assert_eq!(scene.world.state().downloads, downloads + 1, "it is looked at again");
    let changes = scene.world.state().changes;
    scene.round().await;
    assert_eq!(scene.world.state().changes, changes, "and once is enough");
}

#[tokio::test]
async fn a_revoked_key_is_remembered_when_the_anchor_is_reset() {
    let mut scene = Scene::new();
    scene.round().await;
    let key = scene.forge.fingerprint("gone");
    let revoked = format!("[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{}\"", scene.root);
    let text = policy("").map(|text| text + &revoked);
    scene.push(&[(".writ/policy.toml", text)]);
    scene.round().await;
    assert_eq!(scene.ledger().revoked().unwrap(), [key].into());

    // The history is rewritten without the revocation, and root is asked to follow.
    let rewritten = scene.forge.commit("alice").on(&scene.root).make();
    scene.forge.git(["branch", "-f", "rewritten", rewritten.as_str()], b"");
    let reset = scene.trust_reset(&rewritten);
    let told = String::from_utf8_lossy(&reset.stderr).into_owned();
    assert_eq!(reset.status.code(), Some(1), "{told}");
    assert!(told.contains("rule P3"), "{told}");
    assert_eq!(scene.ledger().anchor().unwrap().unwrap().commit, scene.head);
    assert!(scene.trust_reset(&scene.root.clone()).status.code() == Some(1), "nor further back");
}
