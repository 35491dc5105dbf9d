//! `writ import` of a JSON file, as somebody runs it who leaves that form behind.

use std::collections::BTreeMap;
use std::fs;

use writ::source::placing;

use crate::desk::{Desk, ok};

const V1: &str = include_str!("../manifest/data/v1.json");
const NAME: &str = "manifests/services/podcastitlater-web.toml";

/// A deploy repository with these files below `manifests/`.
fn desk(files: &[(&str, &str)]) -> Desk {
    let desk = Desk::new();
    ok(&desk.run("git", &["init", "-q", "deploy"]));
    fs::create_dir_all(desk.deploy().join("manifests")).unwrap();
    for (path, text) in files {
        let path = desk.deploy().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    desk
}

fn import(desk: &Desk, args: &[&str]) -> String {
    desk.told(&desk.run_in(&desk.deploy(), "writ", &[&["import"], args].concat()))
}

/// Every file of the checkout but git's own.
fn files(desk: &Desk) -> BTreeMap<String, String> {
    let root = desk.deploy();
    let (mut found, mut left) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != ".git" {
                left.push(path);
            } else if path.is_file() {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// Nothing is left of an attempt, in git's folder either.
fn clean(desk: &Desk) -> bool {
    let names = fs::read_dir(desk.deploy().join(".git")).unwrap();
    !names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(".writ"))
}

#[test]
fn the_json_of_a_repository_is_replaced_by_files_that_hosts_take() {
    let desk = desk(&[("manifests/manifest.json", V1)]);
    let told = import(&desk, &["manifests/manifest.json", "--replace"]);
    assert_eq!(told, format!("wrote {NAME}\nremoved manifests/manifest.json\nexit 0\n"));
    assert_eq!(files(&desk).keys().collect::<Vec<_>>(), [NAME]);
    assert!(clean(&desk));
    ok(&desk.run_in(&desk.deploy(), "writ", &["check"]));
}

#[test]
fn without_replace_nothing_is_named_twice() {
    let desk = desk(&[("manifests/manifest.json", V1)]);
    let before = files(&desk);
    let told = import(&desk, &["manifests/manifest.json"]);
    assert!(told.contains("would give each name twice\nhint: --replace"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
    assert_eq!(files(&desk), before);
}

#[test]
fn a_file_from_elsewhere_stays_there() {
    let desk = desk(&[("manifests/hosts/biz.toml", ""), ("../old.json", V1)]);
    assert_eq!(import(&desk, &["../old.json"]), format!("wrote {NAME}\nexit 0\n"));
    assert_eq!(fs::read_to_string(desk.dir.path().join("old.json")).unwrap(), V1);
    let told = import(&desk, &["../old.json", "--replace"]);
    assert!(told.ends_with("exit 2\n"), "{told}");
}

#[test]
fn problems_are_told_in_the_file_that_was_given_and_nothing_is_written() {
    let bad = V1.replace("\"revision\"", "\"replicas\": 3, \"revision\"");
    let desk = desk(&[("manifests/hosts/biz.toml", ""), ("../old.json", &bad)]);
    let before = files(&desk);
    let told = import(&desk, &["../old.json"]);
    assert!(told.contains("../old.json:11:5: unknown key `replicas`"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
    assert_eq!(files(&desk), before);
}

#[test]
fn a_repository_with_json_of_its_own_is_told_to_begin_with_that() {
    let desk = desk(&[("manifests/manifest.json", V1), ("../old.json", V1)]);
    let told = import(&desk, &["../old.json"]);
    assert!(told.contains("first: writ import manifests/manifest.json --replace"), "{told}");
}

#[test]
fn where_one_file_cannot_be_written_none_is() {
    let desk = desk(&[("manifests/services/b.toml", "theirs"), ("old", "{}")]);
    let before = files(&desk);
    let new = ["manifests/hosts/a.toml", "manifests/services/b.toml", "manifests/services/c.toml"];
    let new = new.map(|path| (path.to_owned(), "ours".to_owned())).into();
    let old = desk.deploy().join("old");
    let refused = placing::place(&desk.deploy(), &new, Some(&old)).unwrap_err();
    assert!(refused.to_string().ends_with("manifests/services/b.toml"), "{refused}");
    assert_eq!(files(&desk), before);
    assert!(clean(&desk));
}
