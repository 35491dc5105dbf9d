//! Trees that git would not write, and what hosts read and skip of those it does (rule O2).

use writ::names::CommitId;
use writ::trust::Reason::Malformed;

use crate::forge::Forge;
use crate::scene::{Row, Scene, WEB, run};

/// A commit by alice whose tree is the introduction's with raw entries for a folder
/// `docs`, which no host reads.
fn docs(scene: &Scene, entries: &[(&str, &str)]) -> CommitId {
    with_folder(scene, "docs", &files(scene, entries))
}

fn files<'a>(scene: &Scene, entries: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str, CommitId)> {
    let blob = scene.forge.raw("blob", b"text");
    entries.iter().map(|(mode, name)| (*mode, *name, blob.clone())).collect()
}

/// The introduction's tree with one folder more, whose name sorts between `.writ` and
/// `manifests`.
pub(crate) fn with_folder(
    scene: &Scene,
    folder: &str,
    entries: &[(&str, &str, CommitId)],
) -> CommitId {
    let folder_tree = raw_tree(&scene.forge, entries);
    beside(scene, "40000", folder, &folder_tree)
}

/// The introduction's tree with one entry more.
fn beside(scene: &Scene, mode: &str, name: &str, id: &CommitId) -> CommitId {
    let root = scene.forge.bytes("tree", &scene.forge.tree(&scene.root));
    let manifests = root.windows(15).position(|w| w == b"40000 manifests").unwrap();
    // Git sorts folders as if their names ended in a slash.
    let key = format!("{name}{}", if mode == "40000" { "/" } else { "" });
    let place = match key.as_str() {
        key if key < ".writ/" => 0,
        key if key < "manifests/" => manifests,
        _ => root.len(),
    };
    let tree = [&root[..place], &entry(mode, name, id), &root[place..]].concat();
    scene.next("alice").tree(&scene.forge.raw("tree", &tree)).make()
}

/// The introduction's tree with other entries in `manifests/`.
fn manifests(scene: &Scene, entries: &[(&str, &str)]) -> CommitId {
    let folder = raw_tree(&scene.forge, &files(scene, entries));
    rooted(scene, (".writ", "40000", &part(scene, ".writ")), ("40000", &folder))
}

fn rooted(
    scene: &Scene,
    policy: (&str, &str, &CommitId),
    manifests: (&str, &CommitId),
) -> CommitId {
    let (name, mode, id) = policy;
    let entries = [(mode, name, id.clone()), (manifests.0, "manifests", manifests.1.clone())];
    scene.next("alice").tree(&raw_tree(&scene.forge, &entries)).make()
}

/// The folder of the introduction.
pub(crate) fn part(scene: &Scene, folder: &str) -> CommitId {
    let out = scene.forge.git(["rev-parse", &format!("{}:{folder}", scene.root)], b"");
    String::from_utf8(out).unwrap().trim().parse().unwrap()
}

pub(crate) fn raw_tree(forge: &Forge, entries: &[(&str, &str, CommitId)]) -> CommitId {
    let bytes: Vec<u8> =
        entries.iter().flat_map(|(mode, name, id)| entry(mode, name, id)).collect();
    forge.raw("tree", &bytes)
}

/// A `\u{e000}` in the name stands for a byte that is not UTF-8.
fn entry(mode: &str, name: &str, id: &CommitId) -> Vec<u8> {
    let raw = (0..id.as_str().len()).step_by(2);
    let raw = raw.map(|i| u8::from_str_radix(&id.as_str()[i..i + 2], 16).unwrap());
    let pieces: Vec<&[u8]> = name.split('\u{e000}').map(str::as_bytes).collect();
    let name = pieces.join(&b"\xff"[..]);
    [mode.as_bytes(), b" ", &name, b"\0"].concat().into_iter().chain(raw).collect()
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "O2", reason: Malformed, attack, twin }
}

fn one_doc(scene: &Scene) -> CommitId {
    docs(scene, &[("100644", "a")])
}

/// How a tree is written, in every folder.
pub(crate) fn written() -> Vec<Row> {
    vec![
        row(
            "group-writable file",
            |s| docs(s, &[("100664", "a")]),
            |s| docs(s, &[("100755", "a")]),
        ),
        row(
            "unsorted",
            |s| docs(s, &[("100644", "b"), ("100644", "a")]),
            |s| docs(s, &[("100644", "a"), ("100644", "b")]),
        ),
        row("twice", |s| docs(s, &[("100644", "a"), ("100755", "a")]), one_doc),
        row("empty name", |s| docs(s, &[("100644", "")]), one_doc),
        row("dot", |s| docs(s, &[("100644", ".")]), one_doc),
        row("dot dot", |s| docs(s, &[("100644", "..")]), one_doc),
        row(
            "dot git",
            |s| docs(s, &[("100644", ".GIT")]),
            |s| docs(s, &[("100644", ".gitignore")]),
        ),
        row("slash", |s| docs(s, &[("100644", "a/b")]), one_doc),
        row("empty folder", |s| docs(s, &[]), one_doc),
        row(
            "a name that no file system has",
            |s| docs(s, &[("100644", &"a".repeat(256))]),
            |s| docs(s, &[("100644", &"a".repeat(255))]),
        ),
    ]
}

#[test]
fn a_tree_is_written_the_way_git_writes_it() {
    run(&Scene::new(), &written());
}

/// What is refused where hosts read, and elsewhere a path that changed like any other.
pub(crate) fn read() -> Vec<Row> {
    vec![
        row("link", |s| manifests(s, &[("120000", "a")]), |s| docs(s, &[("120000", "a")])),
        row("submodule", |s| manifests(s, &[("160000", "a")]), |s| docs(s, &[("160000", "a")])),
        row(
            "control character",
            |s| manifests(s, &[("100644", "a\u{1b}b")]),
            |s| docs(s, &[("100644", "a\tb")]),
        ),
        row(
            "not UTF-8",
            |s| manifests(s, &[("100644", "a\u{e000}b")]),
            |s| docs(s, &[("100644", "a\u{e000}b")]),
        ),
        row(
            "manifests is a link",
            |s| rooted(s, (".writ", "40000", &part(s, ".writ")), ("120000", &text(s))),
            |s| beside(s, "120000", "links", &text(s)),
        ),
        row(
            "manifests is a submodule",
            |s| rooted(s, (".writ", "40000", &part(s, ".writ")), ("160000", &s.root)),
            |s| beside(s, "160000", "library", &s.root),
        ),
        row(
            "manifests is a file",
            |s| rooted(s, (".writ", "40000", &part(s, ".writ")), ("100644", &text(s))),
            |s| beside(s, "100644", "manifest", &text(s)),
        ),
        row(
            "the policy is a link",
            |s| rooted(s, (".writ", "120000", &text(s)), ("40000", &part(s, "manifests"))),
            |s| beside(s, "120000", ".write", &text(s)),
        ),
        row(
            "the policy is a submodule",
            |s| rooted(s, (".writ", "160000", &s.root), ("40000", &part(s, "manifests"))),
            |s| beside(s, "160000", ".writes", &s.root),
        ),
        row(
            "a file of the policy is a link",
            |s| s.next("alice").file_as("120000", ".writ/allowed_signers", "x").make(),
            |s| {
                s.next("alice").file_as("120000", "allowed_signers", ".writ/allowed_signers").make()
            },
        ),
        row(
            "a service is a link",
            |s| s.next("alice").file_as("120000", WEB, "api.toml").make(),
            |s| s.next("alice").file_as("120000", "web.toml", WEB).make(),
        ),
    ]
}

fn text(scene: &Scene) -> CommitId {
    scene.forge.raw("blob", b"docs")
}

#[test]
fn hosts_read_plain_files_and_folders_and_skip_the_rest_of_the_tree() {
    run(&Scene::new(), &read());
}

/// Names that are another one on some file system, or to the eye.
pub(crate) fn alike() -> Vec<Row> {
    vec![
        row(
            "dot git on NTFS",
            |s| docs(s, &[("40000", "git~1")]),
            |s| docs(s, &[("100644", "git~2")]),
        ),
        row(
            "dot git with a dot and a space",
            |s| docs(s, &[("100644", ".git. ")]),
            |s| docs(s, &[("100644", ".git-x")]),
        ),
        row(
            "a stream of dot git",
            |s| docs(s, &[("100644", ".git::$INDEX_ALLOCATION")]),
            |s| docs(s, &[("100644", "git::x")]),
        ),
        row(
            "dot git behind a backslash",
            |s| docs(s, &[("100644", "a\\.git\\config")]),
            |s| docs(s, &[("100644", "a\\git")]),
        ),
        row(
            "dot git with what HFS+ ignores",
            |s| docs(s, &[("100644", ".g\u{200c}it")]),
            |s| docs(s, &[("100644", "g\u{200c}it")]),
        ),
        row(
            "dot git in what hosts read",
            |s| manifests(s, &[("100644", "GIT~1")]),
            |s| manifests(s, &[("100644", ".gitkeep")]),
        ),
        row(
            "dot git at the root",
            |s| beside(s, "100644", ".Git", &text(s)),
            |s| beside(s, "100644", ".gitattributes", &text(s)),
        ),
        row("the policy in capitals", |s| twin(s, ".WRIT"), |s| docs(s, &[("100644", ".WRIT")])),
        row("the policy's short name", |s| twin(s, "WRIT~1"), |s| twin(s, "WRIT~9")),
        row("the policy with a space", |s| twin(s, ".writ "), |s| twin(s, ".writ x")),
        row(
            "the policy with what nobody sees",
            |s| twin(s, ".wr\u{200b}it"),
            |s| docs(s, &[("100644", ".wr\u{200b}it")]),
        ),
        row("manifests in capitals", |s| twin(s, "Manifests"), |s| twin(s, "Manifest")),
        row("manifests' short name", |s| twin(s, "MANIFE~1"), |s| twin(s, "MANIFE1")),
        row("manifests with a long s", |s| twin(s, "manife\u{17f}ts"), |s| twin(s, "mani\u{17f}t")),
        row(
            "a file for a twin",
            |s| beside(s, "100644", ".Writ", &text(s)),
            |s| beside(s, "100644", ".Writs", &text(s)),
        ),
    ]
}

/// A policy and services of mallory's, in a folder that looks like the team's.
fn twin(scene: &Scene, name: &str) -> CommitId {
    beside(scene, "40000", name, &part(scene, "manifests"))
}

#[test]
fn nothing_stands_beside_what_hosts_read_that_a_person_would_take_for_it() {
    run(&Scene::new(), &alike());
}
