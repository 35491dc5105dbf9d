//! Another closure in a service's file, and not one byte else.

use proptest::prelude::*;
use proptest::sample::select;
use writ::manifest::edit::{EditError, Release, json_has, same_but_release, with_release};

use super::*;

const PATH: &str = "/nix/store/7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da-web-1.2.4";

fn release(store_path: &str, revision: Option<&str>) -> Release {
    Release {
        store_path: store_path.parse().unwrap(),
        closure_digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        closure_size: 12345,
        revision: revision.map(str::to_owned),
    }
}

/// The same file in the ways that people and programs write it.
const SPELLINGS: [(&str, &str); 8] = [
    (
        "a table with comments",
        "# the shop\nhosts = [ \"biz\",\n  \"tag:web\" ] # where\nrevision = 'abc'   # what\n\n[artifact] # from the cache\n  storePath   =  \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web\" # built\n# the program\n[exec]\ncommand = \"web\"\n",
    ),
    (
        "everything there already",
        "revision = \"abc\"\nhosts = [\"*\"]\n[artifact]\nclosureSize = 1_000\nclosureDigest = \"sha256:old\"\ntype = \"nix-closure\"\nstorePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web\"\n",
    ),
    (
        "inline",
        "hosts = [\"*\"]\nartifact = { storePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web\" } # here\nenvFile = \"/x\"\n",
    ),
    (
        "dotted",
        "artifact.storePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web\"\nhosts = [\"*\"]\nexec.command = \"web\"\n",
    ),
    ("no closure yet", "hosts = [\"*\"]\n\n[exec]\ncommand = \"web\""),
    ("no newline at the end", "hosts = [\"*\"]\n[artifact]\nstorePath = \"\""),
    ("the lines of Windows", "hosts = [\"*\"]\r\n[artifact]\r\nstorePath = \"x\"\r\n# end\r\n"),
    ("no hosts", "[artifact]\nstorePath = '''\nx'''\n"),
];

#[test]
fn a_release_is_written_into_every_spelling_and_the_rest_stays() {
    let mut told = String::new();
    for (name, text) in SPELLINGS {
        let new = with_release(text, &release(PATH, Some("it's \"new\""))).unwrap();
        told.push_str(&format!("--- {name}\n{}\n", new.replace('\r', "\\r")));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_cannot_be_changed_in_place_says_why() {
    let refused = |text: &str| with_release(text, &release(PATH, None)).unwrap_err();
    assert!(matches!(refused("hosts = ["), EditError::Syntax(_)));
    assert_eq!(refused("artifact = 1"), EditError::Table);
    assert_eq!(refused("[artifact]\nstorePath = [1]"), EditError::Kind("storePath"));
    assert_eq!(refused("hosts = [\"*\"]\n[artifact]\n[exec]\n"), EditError::Form);
    let large = Release { closure_size: u64::MAX, ..release(PATH, None) };
    assert_eq!(with_release("", &large), Err(EditError::Size(u64::MAX)));
}

#[test]
fn only_what_a_release_writes_may_differ() {
    let [text, _] = [SPELLINGS[0].1, SPELLINGS[1].1];
    let new = with_release(text, &release(PATH, None)).unwrap();
    assert!(same_but_release(text, text));
    assert!(same_but_release("not [ toml", "not [ toml"));
    assert!(!same_but_release(text, &text.replace("the shop", "a shop")));
    assert!(!same_but_release(text, &text.replace("\"biz\"", "\"bob\"")));
    let again = with_release(&new, &release(PATH, Some("later"))).unwrap();
    assert!(same_but_release(&new, &again));
}

#[test]
fn a_service_is_found_in_the_json_form() {
    let text = br#"{ "version": 1, "services": [ { "name": "web" } ] }"#;
    assert!(json_has(text, &"web".parse().unwrap()));
    assert!(!json_has(text, &"api".parse().unwrap()));
    assert!(!json_has(b"{", &"web".parse().unwrap()));
}

/// A worked example with notes, gaps and other line ends strewn in.
fn noted() -> impl Strategy<Value = (String, String)> {
    let services = examples().into_iter().filter(|(path, _)| path.contains("/services/"));
    let texts: Vec<(String, String)> =
        services.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect();
    let note = select(vec!["", "", "", "\n", "# a note", "  # closure", "\t", " # é \"x\" [y]"]);
    (select(texts), proptest::collection::vec(note, 80), any::<bool>()).prop_map(
        |((path, text), notes, windows)| {
            let end = if windows { "\r\n" } else { "\n" };
            let lines = text.lines().zip(notes).map(|(line, note)| {
                // After a comment or inside of a list a note may stand as well.
                format!("{line}{}", note.replace('\n', end)) + end
            });
            (path, lines.collect())
        },
    )
}

fn ours(line: &str) -> bool {
    ["storePath", "closureDigest", "closureSize", "revision"].iter().any(|key| line.contains(key))
}

/// What hosts read, without what a release says.
fn meaning(path: &str, text: &str) -> Desired<WorkingTree> {
    let mut files = examples();
    files.insert(path.to_owned(), text.as_bytes().to_vec());
    let mut desired = desired(&files, if path.contains("backup") { "db-1" } else { "web-2" });
    for service in desired.services.values_mut() {
        service.artifact.closure_digest = None;
        service.artifact.closure_size = None;
        service.revision = None;
    }
    desired
}

proptest! {
    #[test]
    fn nothing_else_changes_in_any_file((_, text) in noted(), revision in "\\PC{0,20}") {
        let new = with_release(&text, &release(PATH, Some(&revision))).unwrap();
        let rest = |text: &str| -> Vec<String> {
            text.split_inclusive('\n').filter(|line| !ours(line)).map(str::to_owned).collect()
        };
        prop_assert_eq!(rest(&text), rest(&new));
        prop_assert_eq!(&with_release(&new, &release(PATH, Some(&revision))).unwrap(), &new);
        prop_assert_eq!(&with_release(&new, &release(PATH, None)).unwrap(), &new);
        let table: toml::Table = new.parse().unwrap();
        prop_assert_eq!(table["revision"].as_str(), Some(revision.as_str()));
        prop_assert_eq!(table["artifact"]["storePath"].as_str(), Some(PATH));
        prop_assert_eq!(table["artifact"]["closureSize"].as_integer(), Some(12345));
    }

    #[test]
    fn hosts_read_the_same_otherwise((path, text) in noted()) {
        let table: toml::Table = text.parse().unwrap();
        let same = table["artifact"]["storePath"].as_str().unwrap();
        let new = with_release(&text, &release(same, None)).unwrap();
        prop_assert_eq!(meaning(&path, &text), meaning(&path, &new));
        prop_assert!(new.contains("closureSize = 12345"));
    }
}
