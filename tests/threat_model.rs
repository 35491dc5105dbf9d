//! docs/threat-model.md names tests; each of them exists.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let words = text.split('`').skip(1).step_by(2);
    let names: Vec<&str> = words
        .filter(|word| {
            word.contains('_') && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
        })
        .filter(|word| *word != "allowed_signers")
        .collect();
    assert!(names.len() > 50, "{}", names.len());
    let code: String =
        [root.join("src"), root.join("tests")].iter().map(|dir| below(dir)).collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| {
            // Scenes on hosts are named by a text.
            let spelled = ["fn NAME(", "fn NAME<", "\"NAME\""];
            !spelled.iter().any(|form| code.contains(&form.replace("NAME", name)))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The text of every Rust file below a folder.
fn below(dir: &Path) -> String {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => below(&path),
        false if path.extension().is_some_and(|e| e == "rs") => fs::read_to_string(path).unwrap(),
        false => String::new(),
    };
    entries.map(read).collect()
}
