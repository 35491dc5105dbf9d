//! The layers, held by a test rather than by memory.

use std::fs;
use std::path::{Path, PathBuf};

/// Functions from values to values.
const PURE: [&str; 10] = [
    "names.rs",
    "fault.rs",
    "trust",
    "manifest",
    "plan",
    "next.rs",
    "verdict.rs",
    "report",
    "condition.rs",
    "lib.rs",
];

const EFFECTS: [&str; 10] = [
    "crate::world",
    "crate::observe",
    "crate::converge",
    "crate::ledger",
    "crate::events",
    "crate::source",
    "std::fs",
    "std::process",
    "tokio::",
    "async fn",
];

/// Crates and modules that touch the machine, and who alone may name them. The
/// control socket has a file with a mode of its own.
const TOUCHING: [&str; 7] =
    ["gix::", "zbus::", "reqwest::", "hyper::", "object_store::", "std::fs", "std::process::"];
const MAY_TOUCH: [&str; 9] = [
    "world",
    "source",
    "ledger.rs",
    "ledger",
    "events.rs",
    "events",
    "config.rs",
    "main.rs",
    "agent/socket.rs",
];

/// From the top down: a module names only those below it.
const ORDER: [&[&str]; 10] = [
    &["cli"],
    &["agent"],
    &["config"],
    &["retire"],
    &["observe", "converge", "ledger", "events"],
    &["world", "source"],
    &["report", "condition"],
    &["next", "verdict", "plan"],
    &["manifest"],
    &["trust"],
];

#[test]
fn a_pure_module_names_no_effect() {
    for file in files_below(&PURE) {
        for (number, line) in code(&file) {
            let effect = EFFECTS.iter().find(|effect| line.contains(**effect));
            assert_eq!(effect, None, "{}:{number}: {line}", file.display());
        }
    }
}

#[test]
fn only_adapters_touch_the_machine() {
    let may = files_below(&MAY_TOUCH);
    for file in files_below(&["."]).into_iter().filter(|file| !may.contains(file)) {
        for (number, line) in code(&file) {
            let touch = TOUCHING.iter().find(|touch| line.contains(**touch));
            assert_eq!(touch, None, "{}:{number}: {line}", file.display());
        }
    }
}

#[test]
fn imports_point_down_only() {
    for (layer, modules) in ORDER.iter().enumerate() {
        let above: Vec<String> =
            ORDER[..layer].iter().flat_map(|m| m.iter()).map(|m| format!("crate::{m}::")).collect();
        let paths: Vec<String> =
            modules.iter().flat_map(|m| [format!("{m}.rs"), (*m).to_owned()]).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        for file in files_below(&paths) {
            for (number, line) in code(&file) {
                let up = above.iter().find(|up| line.contains(up.as_str()));
                assert_eq!(up, None, "{}:{number}: {line}", file.display());
            }
        }
    }
}

#[test]
fn adapters_never_know_each_other() {
    let adapters = [
        "bucket",
        "caddy",
        "clock",
        "facts",
        "folder",
        "http_shelf",
        "nix",
        "probes",
        "systemd",
        "web",
    ];
    for adapter in adapters {
        let (file, folder) = (format!("world/{adapter}.rs"), format!("world/{adapter}"));
        for file in files_below(&[&file, &folder]) {
            for (number, line) in code(&file) {
                let other = adapters
                    .iter()
                    .filter(|other| **other != adapter)
                    .find(|other| line.contains(&format!("world::{other}")));
                assert_eq!(other, None, "{}:{number}: {line}", file.display());
            }
        }
    }
}

/// The lines of a file that are code of the program: no comments, no unit tests.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect()
}

/// The Rust files at or below some paths of `src`, none for a path that is not there.
fn files_below(paths: &[&str]) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = paths.iter().map(|path| source.join(path)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ext| ext == "rs") && path.exists() {
            found.push(path.components().collect());
        }
    }
    assert!(!found.is_empty() || paths.iter().all(|path| !source.join(path).exists()));
    found
}
