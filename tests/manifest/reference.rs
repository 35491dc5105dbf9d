//! docs/manifest.md tells of every key, and its examples are a manifest.

use super::*;

const TEXT: &str = include_str!("../../docs/manifest.md");

#[test]
fn the_examples_of_the_reference_are_a_manifest_without_a_problem() {
    let mut files = Files::new();
    for block in TEXT.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        let path = match language {
            "json" => "manifests/manifest.json",
            _ => text.lines().next().unwrap().strip_prefix("# ").unwrap(),
        };
        assert!(files.insert(path.to_owned(), text.into()).is_none(), "{path}");
    }
    assert_eq!(files.len(), 4);
    let manifest = draft(&files).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(manifest.hosts().len(), 1);
}

#[test]
fn the_reference_tells_of_every_key() {
    let headers = "artifact exec http health update systemd hardening schedule static".split(' ');
    let service = headers.map(|table| format!("[{table}]\nzzzzzzzzzz = 1\n"));
    let service = format!("zzzzzzzzzz = 1\n{}", service.collect::<String>());
    let profile = "zzzzzzzzzz = 1\n[confirm]\nzzzzzzzzzz = 1\nprobes = [{ zzzzzzzzzz = 1 }]\n";
    let files = Files::from([
        ("manifests/services/web.toml".to_owned(), service.into()),
        ("manifests/profiles/system.toml".to_owned(), profile.into()),
        ("manifests/hosts/biz.toml".to_owned(), "zzzzzzzzzz = 1\n".into()),
        ("manifests/manifest.json".to_owned(), r#"{ "version": 1, "zzzzzzzzzz": 1 }"#.into()),
    ]);
    let Problems(problems) = draft(&files).unwrap_err();
    let hints = problems.iter().filter(|problem| problem.what.contains("zzzzzzzzzz"));
    let remedies: Vec<&str> = hints.map(|problem| problem.remedy.as_str()).collect();
    assert_eq!(remedies.len(), 15, "one for each table");
    for key in remedies.iter().flat_map(|remedy| remedy.split('`').skip(1).step_by(2)) {
        assert!(TEXT.contains(&format!("`{key}`")), "docs/manifest.md lacks `{key}`");
    }
}
