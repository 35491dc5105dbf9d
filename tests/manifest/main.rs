//! The manifest as operators write it: the worked examples, the two spellings,
//! what it comes to mean, and every kind of mistake.

mod agrees;
mod any_text;
mod claims;
mod edit;
mod imports;
mod meaning;
mod mistakes;
mod privileges;
mod reference;
mod schedules;
mod schema;
mod spellings;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;

use writ::manifest::{Desired, Manifest, Problems, WorkingTree};

type Files = BTreeMap<String, Vec<u8>>;

fn draft(files: &Files) -> Result<Manifest<WorkingTree>, Problems> {
    Manifest::draft(files)
}

/// The files of a folder by their path in it.
fn below(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

/// The worked examples at the repository's top.
fn examples() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    below(&root).into_iter().map(|(path, bytes)| (format!("manifests/{path}"), bytes)).collect()
}

/// The files of `tests/manifest/data/<tree>`, as if it were a repository's `manifests`.
fn tree(tree: &str) -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest/data").join(tree);
    below(&root).into_iter().map(|(path, bytes)| (format!("manifests/{path}"), bytes)).collect()
}

fn one(path: &str, text: impl Into<Vec<u8>>) -> Files {
    Files::from([(path.to_owned(), text.into())])
}

fn desired(files: &Files, host: &str) -> Desired<WorkingTree> {
    let manifest = draft(files).unwrap_or_else(|problems| panic!("{problems}"));
    manifest.desired(&host.parse().unwrap())
}

const ARTIFACT: &str = "[artifact]\n\
    storePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1.2.3\"\n";

/// A service `web` on every host with these further lines; `exec` runs `web`.
fn web(rest: &str) -> Files {
    let text = format!("hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n{rest}");
    one("manifests/services/web.toml", text)
}

#[test]
fn the_worked_examples_are_a_manifest_without_a_problem() {
    let manifest = draft(&examples()).unwrap_or_else(|problems| panic!("{problems}"));
    let hosts: Vec<String> = manifest.hosts().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["db-1", "web-1", "web-2"]);
    let services = |host: &str| {
        let desired = manifest.desired(&host.parse().unwrap());
        desired.services.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(services("web-1"), "docs migrate resolver web");
    assert_eq!(services("web-2"), "docs migrate resolver web worker");
    assert_eq!(services("db-1"), "backup docs resolver");
    assert_eq!(services("unheard-of"), "docs");
}
