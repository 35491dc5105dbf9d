//! The manifest as operators write it: the worked examples, the two spellings,
//! and every kind of mistake.

use std::collections::BTreeMap;
use std::path::Path;

use writ::manifest::{Manifest, Problems, WorkingTree};

type Files = BTreeMap<String, Vec<u8>>;

fn draft(files: &Files) -> Result<Manifest<WorkingTree>, Problems> {
    Manifest::draft(files)
}

/// The files below the repository's own `manifests/`.
fn examples() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Files::new();
    let mut folders = vec![root.join("manifests")];
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
