//! Malformed, missing and oversized objects (rules O1, O2, O3, O5).

use writ::names::CommitId;
use writ::trust::Reason::{Malformed, MissingObject, TooLarge, Unsigned};

use crate::scene::{Row, SERVICE, Scene, WEB, run};
use crate::trees::{part, raw_tree, with_folder};

/// A good commit by alice, whose payload is edited before she signs it.
fn edited(scene: &Scene, edit: impl Fn(String) -> String) -> CommitId {
    let good = scene.next("alice").file(WEB, "a = 2\n").make();
    let payload = String::from_utf8(scene.forge.payload(&good)).unwrap();
    scene.forge.raw_signed("alice", edit(payload).as_bytes())
}

fn header(scene: &Scene, line: &str) -> CommitId {
    edited(scene, |payload| payload.replacen("\n\n", &format!("\n{line}\n\n"), 1))
}

/// A good signed commit, edited afterwards: for what is not part of the payload.
fn resealed(scene: &Scene, edit: impl Fn(String) -> String) -> CommitId {
    let good = scene.next("alice").file(WEB, "a = 2\n").make();
    let text = String::from_utf8(scene.forge.bytes("commit", &good)).unwrap();
    scene.forge.raw("commit", edit(text).as_bytes())
}

fn good(scene: &Scene) -> CommitId {
    edited(scene, |payload| payload)
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "O1", reason: Malformed, attack, twin }
}

pub(crate) fn commits() -> Vec<Row> {
    vec![
        row("unknown header", |s| header(s, "x-note hello"), good),
        row("mergetag", |s| header(s, "mergetag object 1"), good),
        row("encoding twice", |s| header(s, "encoding a\nencoding b"), |s| header(s, "encoding a")),
        row("stray continuation", |s| header(s, " folded"), good),
        row("signature of the other kind", |s| header(s, "gpgsig-sha256 x"), good),
        row("signature of no kind", |s| header(s, "gpgsigs x"), good),
        row(
            "two authors",
            |s| edited(s, |p| p.replacen("author", "author A <a> 1 +0000\nauthor", 1)),
            good,
        ),
        row("committer first", |s| edited(s, swap_people), good),
        row("NUL in the message", |s| edited(s, |p| p + "\0"), good),
        row("negative time", |s| edited(s, |p| p.replace("> 1", "> -1")), good),
        row("time with a leading zero", |s| edited(s, |p| p.replace("> 1", "> 01")), good),
        row(
            "control character in a name",
            |s| edited(s, |p| p.replace("Somebody", "Some\u{1b}body")),
            good,
        ),
        row(
            "a zone that nobody lives in",
            |s| edited(s, |p| p.replace(" +0000", " +9999")),
            |s| edited(s, |p| p.replace(" +0000", " +1400")),
        ),
        row("two addresses", |s| edited(s, |p| p.replace("Somebody", "<a@b>")), good),
        row("parent twice", |s| edited(s, parent_twice), good),
        row("nine parents", |s| many_parents(s, 9), |s| many_parents(s, 8)),
        row(
            "a signature on the line below its header",
            |s| resealed(s, |t| t.replacen("gpgsig ", "gpgsig\n ", 1)),
            |s| resealed(s, |t| t),
        ),
        row("a second signature", |s| resealed(s, second_signature), |s| resealed(s, |t| t)),
        Row {
            name: "no signature",
            rule: "O1",
            reason: Unsigned,
            attack: |s| s.forge.unsigned().on(&s.root).file(WEB, "a = 2\n").make(),
            twin: |s| s.next("alice").file(WEB, "a = 2\n").make(),
        },
        Row {
            name: "a message over 1 MiB",
            rule: "O1",
            reason: TooLarge,
            attack: |s| s.next("alice").message(&"long ".repeat(300_000)).make(),
            twin: |s| s.next("alice").message(&"long ".repeat(200_000)).make(),
        },
    ]
}

#[test]
fn a_commit_is_written_the_way_git_writes_it() {
    run(&Scene::new(), &commits());
}

fn swap_people(payload: String) -> String {
    payload.replacen("author", "X", 1).replacen("committer", "author", 1).replacen(
        'X',
        "committer",
        1,
    )
}

fn parent_twice(payload: String) -> String {
    let line = payload.lines().find(|l| l.starts_with("parent")).unwrap().to_owned();
    payload.replacen(&line, &format!("{line}\n{line}"), 1)
}

fn many_parents(scene: &Scene, count: usize) -> CommitId {
    let tips: Vec<CommitId> =
        (0..count).map(|n| scene.next("alice").message(&format!("branch {n}")).make()).collect();
    tips.iter().fold(scene.forge.commit("alice"), |draft, tip| draft.on(tip)).make()
}

fn second_signature(text: String) -> String {
    let (start, end) = (text.find("gpgsig").unwrap(), text.find("\n\n").unwrap() + 1);
    let signature = text[start..end].to_owned();
    text.replacen("\n\n", &format!("\n{signature}\n"), 1)
}

pub(crate) fn missing() -> Vec<Row> {
    let row =
        |name, attack, twin| Row { rule: "O3", reason: MissingObject, ..row(name, attack, twin) };
    vec![
        row(
            "a parent that does not exist",
            |s| edited(s, |p| p.replace(s.root.as_str(), &"1".repeat(40))),
            good,
        ),
        row(
            "a tree that does not exist",
            |s| edited(s, |p| p.replacen(&p[5..45].to_owned(), &"1".repeat(40), 1)),
            good,
        ),
        row(
            "a manifest that does not exist",
            |s| {
                let gone = [("100644", "x.toml", "1".repeat(40).parse().unwrap())];
                let folder = raw_tree(&s.forge, &gone);
                let root = raw_tree(
                    &s.forge,
                    &[("40000", ".writ", part(s, ".writ")), ("40000", "manifests", folder)],
                );
                s.next("alice").tree(&root).make()
            },
            good,
        ),
        Row {
            name: "a tree that is a file",
            rule: "O3",
            reason: Malformed,
            attack: |s| {
                let blob = s.forge.raw("blob", b"text");
                edited(s, |p| p.replacen(&p[5..45].to_owned(), blob.as_str(), 1))
            },
            twin: good,
        },
        Row {
            name: "a parent that is a tree",
            rule: "O3",
            reason: Malformed,
            attack: |s| {
                let tree = s.forge.tree(&s.root);
                edited(s, |p| p.replace(s.root.as_str(), tree.as_str()))
            },
            twin: good,
        },
    ]
}

#[test]
fn what_is_named_exists_and_is_of_its_kind() {
    run(&Scene::new(), &missing());
}

/// A path whose file lies `depth` names deep.
fn deep(first: &str, depth: usize) -> String {
    format!("{first}/{}/x.toml", vec!["d"; depth - 2].join("/"))
}

/// A file below `docs` in as many folders with the longest names.
fn long_path(scene: &Scene, folders: usize) -> CommitId {
    let mut id = raw_tree(&scene.forge, &[("100644", "x", scene.forge.raw("blob", b"x"))]);
    for _ in 0..folders - 1 {
        id = raw_tree(&scene.forge, &[("40000", &"d".repeat(255), id)]);
    }
    with_folder(scene, "docs", &[("40000", "d", id)])
}

pub(crate) fn endless() -> Vec<Row> {
    let row = |name, attack, twin| Row { rule: "O5", reason: TooLarge, ..row(name, attack, twin) };
    vec![
        row(
            "a manifest over 1 MiB",
            |s| s.next("alice").file(WEB, "#".repeat((1 << 20) + 1)).make(),
            |s| s.next("alice").file(WEB, "#".repeat(1 << 20)).make(),
        ),
        row(
            "folders too deep",
            |s| s.next("alice").file(&deep("manifests", 17), SERVICE).make(),
            |s| s.next("alice").file(&deep("manifests", 16), SERVICE).make(),
        ),
        row(
            "folders too deep, and other ones deeper",
            |s| s.next("alice").file(&deep("manifests", 40), SERVICE).make(),
            |s| s.next("alice").file(&deep("docs", 40), "x").make(),
        ),
        row("a path longer than any system opens", |s| long_path(s, 17), |s| long_path(s, 15)),
        row("a tree of ten to the twelfth files", bomb, good),
    ]
}

#[test]
fn nobody_can_make_a_host_read_without_end() {
    run(&Scene::new(), &endless());
}

/// Twelve levels of a folder that holds the next one ten times.
fn bomb(scene: &Scene) -> CommitId {
    let mut id = raw_tree(&scene.forge, &[("100644", "x", scene.forge.raw("blob", b"x"))]);
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|n| ("40000", n.as_str(), id.clone())).collect();
        id = raw_tree(&scene.forge, &entries);
    }
    with_folder(scene, "docs", &[("40000", "bomb", id)])
}

#[test]
fn ten_thousand_new_commits_are_the_limit() {
    let scene = Scene::new();
    let mut stream = String::new();
    for n in 0..=10_000 {
        let from = if n == 0 { format!("from {}\n", scene.root) } else { String::new() };
        stream.push_str(&format!(
            "commit refs/heads/flood\ncommitter A <a@b> 1700000000 +0000\ndata 1\nx\n{from}\n"
        ));
    }
    scene.forge.git(["fast-import", "--quiet"], stream.as_bytes());
    let head = scene.forge.git(["rev-parse", "refs/heads/flood"], b"");
    let head = String::from_utf8(head).unwrap().trim().parse().unwrap();
    let repo = scene.forge.repository();
    let refusal = writ::trust::verify(&repo, &scene.pins, Some(&scene.anchor), &head, scene.now);
    let refusal = refusal.unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("O5", TooLarge));
}
