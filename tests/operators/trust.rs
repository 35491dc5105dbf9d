//! `writ trust show`: a host's pins and memory, and a checkout's policy.

use std::path::Path;
use std::process::{Command, Output};

use writ::names::CommitId;
use writ::trust::{HEAD, HeadStatement, RESET, ResetStatement};

use crate::desk::{json, told, writ};
use crate::forge::CHANNEL;
use crate::scene::Scene;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600;
const PEOPLE: [&str; 6] = ["bob", "carol", "herald", "mallory", "safe-a", "safe-b"];

/// What was printed, with people's names in place of their keys.
fn named(scene: &Scene, output: &Output, commits: &[CommitId]) -> String {
    PEOPLE.iter().fold(told(scene, output, commits), |text, name| {
        text.replace(scene.forge.fingerprint(name).as_str(), &format!("SHA256:{name}"))
    })
}

fn state_head(scene: &Scene, commit: &CommitId, sequence: u64) {
    let (issued, expires) = (NEW_YEAR, NEW_YEAR + 86_400);
    let statement = HeadStatement { commit: commit.clone(), sequence, issued, expires, by: None };
    scene.forge.state("refs/writ/head/main", HEAD, &statement.text(CHANNEL), &["herald"]);
}

#[tokio::test]
async fn a_new_host_shows_its_pins() {
    let scene = Scene::new();
    insta::assert_snapshot!(named(
        &scene,
        &writ(&scene, &["trust", "show"]),
        std::slice::from_ref(&scene.root)
    ));
}

/// A host that has seen everything there is: a statement about the head, a key
/// revoked, and its history rewritten.
#[tokio::test]
async fn a_host_shows_what_it_pins_and_what_it_remembers() {
    let mut scene = Scene::new();
    let keys = ["safe-a", "safe-b"].map(|key| format!("{:?}", scene.forge.public(key)));
    scene.more = format!(
        "maxStaleness = \"26h\"\nrecoveryKeys = [{}]\nminimum = \"{}\"\n",
        keys.join(", "),
        scene.root
    );
    let lost = scene.push_service("web", "1");
    scene.round().await;
    scene.head = scene.root.clone();
    let herald = scene.forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    let policy = format!(
        "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\ngrants = [\"**\"]\n[[revoked]]\nkey = \"{}\"\ngoodUntil = \"{}\"\n",
        scene.forge.fingerprint("mallory"),
        scene.root
    );
    let commit = scene.push(&[
        (".writ/allowed_signers", Some(scene.forge.signers(&["alice"]) + &herald)),
        (".writ/policy.toml", Some(policy)),
    ]);
    let expires = jiff::Timestamp::now().as_second() + 3600;
    let recovery = ResetStatement { from: lost, to: commit.clone(), sequence: 3, expires };
    let text = recovery.text(CHANNEL);
    scene.forge.state("refs/writ/reset/main", RESET, &text, &["safe-a", "safe-b"]);
    state_head(&scene, &commit, 7);
    let report = scene.round().await;
    assert_eq!(report.commit.as_ref(), Some(&commit), "{report:?}");

    let names = [scene.root.clone(), commit.clone()];
    insta::assert_snapshot!(named(&scene, &writ(&scene, &["trust", "show"]), &names));
    let shown = json(&writ(&scene, &["trust", "show", "--json"]));
    assert_eq!(shown["statement"]["by"], "herald");
    assert_eq!(shown["accepted"], commit.as_str());
    assert_eq!(shown["revoked"][0], scene.forge.fingerprint("mallory").as_str());
    let recovered = (shown["recovered"].clone(), shown["recoveryThreshold"].clone());
    assert_eq!(recovered, (3.into(), 2.into()));
}

#[test]
fn a_checkout_shows_its_policy() {
    let scene = Scene::new();
    let dir = tempfile::tempdir().unwrap();
    let forge = &scene.forge;
    let windowed = forge.signers(&["carol"]).replace(
        "namespaces=\"git\"",
        "namespaces=\"git,writ-approve\",valid-after=\"20260101Z\",valid-before=\"20270101Z\"",
    );
    let herald = forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    let signers = forge.signers(&["alice", "bob"]) + &windowed + &herald;
    let rules = format!(
        "channel = \"{CHANNEL}\"\nrequireClosureDigest = true\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.bob]\ngrants = [\"manifests/services/**\"]\nonly = [\"artifact\", \"revision\"]\n[principals.carol]\nmay = \"everything\"\nroles = [\"rollback\"]\nverifyRequired = true\n[[protect]]\npaths = [\"manifests/profiles/**\"]\nthreshold = 2\n[[revoked]]\nkey = \"{}\"\ngoodUntil = \"{}\"\n",
        forge.fingerprint("mallory"),
        scene.root
    );
    write_policy(dir.path(), &signers, &rules);
    let show = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.args(["trust", "show", "--repo"]).arg(dir.path()).args(more);
        command.env("NO_COLOR", "1").output().unwrap()
    };
    insta::assert_snapshot!(named(&scene, &show(&[]), std::slice::from_ref(&scene.root)));
    let shown = json(&show(&["--json"]));
    assert_eq!(shown["people"][2]["keys"][0]["validAfter"], "2026-01-01T00:00:00Z");
    assert_eq!(shown["protected"][0]["threshold"], 2);
    write_policy(dir.path(), &signers, "channel = 1\n");
    let output = show(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(named(&scene, &output, &[]).contains(".writ/policy.toml"), "{output:?}");
}

fn write_policy(root: &Path, signers: &str, rules: &str) {
    let folder = root.join(".writ");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("allowed_signers"), signers).unwrap();
    std::fs::write(folder.join("policy.toml"), rules).unwrap();
}
