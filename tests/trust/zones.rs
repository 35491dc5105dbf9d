//! The example team of docs/trust.md: its policy is read as it stands there, and gives each
//! zone what the section says.

use writ::names::CommitId;
use writ::trust::Reason::{NotAuthorized, PathDenied, PrivilegeDenied, Threshold, UnknownKey};
use writ::trust::{Reason, verify};

use crate::forge::{Forge, NOW};
use crate::scene::{POLICY, SERVICE, Scene, WEB};

const DB: &str = "manifests/services/db.toml";
const HOST: &str = "manifests/hosts/biz.toml";
const DOCS: &str = include_str!("../../docs/trust.md");

/// The text in the fence behind a mark.
fn shown(mark: &str) -> &'static str {
    let (_, rest) = DOCS.split_once(&format!("<!-- {mark} -->\n```")).unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("\n```").unwrap().0
}

/// The team's lines with keys that exist.
fn signers(forge: &Forge) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, namespaces, _, "AAAA…"] = words[..] else { panic!("{line}") };
        format!("{name} {namespaces} {}\n", forge.public(name))
    };
    shown("the zones' signers").lines().map(line).collect()
}

/// The team, once it has a database.
fn team() -> Scene {
    let forge = Forge::new();
    let (signers, policy) = (signers(&forge), shown("the zones' policy"));
    let mut scene = Scene::introduce(forge, &signers, policy);
    let branch = scene.next("alice").file(DB, SERVICE).file(HOST, "tags = []\n").make();
    let head = merged(&scene, "dave", &branch);
    scene.anchor = scene.accept(&head);
    scene.root = head;
    scene
}

fn merged(scene: &Scene, by: &str, branch: &CommitId) -> CommitId {
    scene.forge.commit(by).on(&scene.root).on(branch).tree_of(branch).make()
}

fn moved() -> String {
    SERVICE.replace("\"old\"", "\"new\"")
}

/// `who` changes a file, and `merger` merges it, where there is one.
fn change(scene: &Scene, who: &str, (path, text): (&str, &str), merger: Option<&str>) -> CommitId {
    let own = scene.next(who).file(path, text).make();
    merger.map_or_else(|| own.clone(), |merger| merged(scene, merger, &own))
}

#[test]
fn each_zone_may_do_what_the_documentation_says() {
    let scene = team();
    let (moved, root) = (moved(), SERVICE.replace("\"web\"", "\"root\""));
    let rules = shown("the zones' policy").replace("threshold = 2", "threshold = 1");
    let (web, db, policy) = ((WEB, &*moved), (DB, &*moved), (POLICY, &*rules));
    let host = (HOST, "tags = [\"web\"]\n");
    type Case<'a> = (&'a str, (&'a str, &'a str), Option<&'a str>, Option<Reason>);
    let cases: [Case<'_>; 24] = [
        ("bob", web, None, None),
        ("bob", web, Some("forge"), None),
        ("bob", (WEB, &root), None, Some(PrivilegeDenied)),
        ("alice", (WEB, &root), None, None),
        ("bob", db, None, Some(PathDenied)),
        ("bob", policy, None, Some(PathDenied)),
        ("ci", web, None, None),
        ("ci", web, Some("forge"), None),
        ("ci", (WEB, &root), None, Some(PathDenied)),
        ("ci", host, None, Some(PathDenied)),
        ("ci", db, None, Some(Threshold)),
        ("ci", db, Some("alice"), None),
        ("alice", db, None, Some(Threshold)),
        ("alice", db, Some("dave"), None),
        ("alice", db, Some("forge"), None),
        ("alice", host, None, Some(Threshold)),
        ("alice", host, Some("dave"), None),
        ("alice", policy, None, Some(Threshold)),
        ("alice", policy, Some("forge"), Some(Threshold)),
        ("alice", policy, Some("dave"), None),
        ("forge", web, None, Some(PathDenied)),
        ("oncall", web, None, Some(PathDenied)),
        ("herald", web, None, Some(NotAuthorized)),
        ("biz", web, None, Some(UnknownKey)),
    ];
    for (who, file, merger, expected) in cases {
        let head = change(&scene, who, file, merger);
        let told = scene.verify(&head).err();
        let reason = told.as_ref().map(|refusal| refusal.reason);
        assert_eq!(reason, expected, "{who} {} {merger:?}: {told:?}", file.0);
    }
}

#[test]
fn whoever_is_on_call_brings_back_what_there_was() {
    let scene = team();
    let bad = change(&scene, "bob", (WEB, &moved()), None);
    let on_call = |text: &str| scene.forge.commit("oncall").on(&bad).file(WEB, text).make();
    let verdict = |head: &CommitId| verify(&scene.repo, &scene.pins, None, head, NOW);
    assert!(verdict(&on_call(SERVICE)).is_ok());
    assert!(verdict(&on_call("hosts = []\n")).is_err());
}
