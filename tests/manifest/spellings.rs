//! TOML and JSON are two spellings of one schema.

use super::*;

#[test]
fn the_version_one_json_form_is_loaded_unchanged() {
    let json = include_bytes!("data/v1.json");
    let desired = desired(&one("manifests/manifest.json", json), "biz");
    insta::assert_debug_snapshot!(desired.services.values().next().unwrap());
}

#[test]
fn the_two_spellings_of_the_version_one_example_mean_the_same() {
    let json = one("manifests/manifest.json", include_bytes!("data/v1.json"));
    let path = "manifests/services/podcastitlater-web.toml";
    let toml = one(path, include_bytes!("data/v1.toml"));
    assert_eq!(desired(&json, "biz"), desired(&toml, "biz"));
}

/// The same manifest as one JSON file, written from the TOML by other means than ours.
pub(super) fn as_json(files: &Files) -> Files {
    let mut json = serde_json::json!({ "version": 1 });
    for (path, bytes) in files {
        let Some((folder, stem)) = path
            .strip_prefix("manifests/")
            .and_then(|rest| rest.strip_suffix(".toml"))
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        let text = std::str::from_utf8(bytes).unwrap();
        let mut value: serde_json::Value = toml::from_str(text).unwrap();
        value["name"] = stem.into();
        match json[folder].as_array_mut() {
            Some(list) => list.push(value),
            None => json[folder] = serde_json::json!([value]),
        }
    }
    one("manifests/manifest.json", json.to_string())
}

#[test]
fn every_worked_example_means_the_same_as_json() {
    let mut toml = examples();
    let profile = include_bytes!("data/profile.toml");
    toml.insert("manifests/profiles/system.toml".to_owned(), profile.to_vec());
    let json = as_json(&toml);
    for host in ["web-1", "web-2", "db-1", "biz"] {
        assert_eq!(desired(&json, host), desired(&toml, host), "{host}");
    }
}

#[test]
fn a_name_is_given_once_across_both_spellings() {
    let mut files = one("manifests/manifest.json", include_bytes!("data/v1.json"));
    let path = "manifests/services/podcastitlater-web.toml";
    files.extend(one(path, include_bytes!("data/v1.toml")));
    let problems = draft(&files).unwrap_err().to_string();
    assert!(problems.contains("is taken by manifests/manifest.json:2 already"), "{problems}");
}

#[test]
fn a_manifest_of_another_version_is_refused_and_not_guessed_at() {
    let text = r#"{ "version": 2, "services": [{ "title": "web" }], "fleet": {} }"#;
    let Problems(problems) = draft(&one("manifests/manifest.json", text)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].what, "unknown version of the manifest");
}

#[test]
fn null_is_how_a_nix_expression_leaves_a_key_out() {
    let json = String::from_utf8(include_bytes!("data/v1.json").to_vec()).unwrap();
    let nulls = json.replace("\"revision\"", "\"health\": null, \"static\": null, \"revision\"");
    assert_ne!(json, nulls);
    let (json, nulls) =
        (one("manifests/manifest.json", json), one("manifests/manifest.json", nulls));
    assert_eq!(desired(&json, "biz"), desired(&nulls, "biz"));
}

#[test]
fn json_is_strict() {
    for text in [
        "",
        "{ \"version\": 1, }",
        "{ version: 1 }",
        "{ 'version': 1 }",
        "{ \"version\": 0x1 }",
        "{ \"version\": 1 } // done",
        "{ \"version\": 1 } {}",
        "[]",
    ] {
        assert!(draft(&one("manifests/manifest.json", text)).is_err(), "{text}");
    }
    assert!(draft(&one("manifests/manifest.json", "{ \"version\": 1 }")).is_ok());
}
