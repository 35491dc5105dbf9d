//! docs/manifest.md and docs/manifest.schema.json, made from the list of keys that the
//! reader is held to.

use std::collections::BTreeSet;

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::prelude::*;
use serde_json::{Value, json};
use writ::manifest::schema;

use super::imports::manifest;
use super::spellings::as_json;
use super::*;

/// Says that a file should be so; writes it where `INSTA_UPDATE=always` is set.
#[track_caller]
fn current(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        std::fs::write(&file, wanted).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(there == wanted, "{path} is out of date: INSTA_UPDATE=always cargo test schema");
}

#[test]
fn the_schema_in_the_docs_is_current() {
    let text = serde_json::to_string_pretty(&schema::json()).unwrap();
    current("docs/manifest.schema.json", &format!("{text}\n"));
}

#[test]
fn the_tables_in_the_docs_are_current() {
    let mut text = include_str!("../../docs/manifest.md").to_owned();
    for group in schema::groups() {
        let begin = format!("<!-- keys of {} -->\n", group.name);
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{begin}"));
        let (_, after) = rest.split_once("<!-- end of keys -->").unwrap();
        text = format!("{before}{begin}{}<!-- end of keys -->{after}", group.markdown());
    }
    current("docs/manifest.md", &text);
}

/// The keys of each table that the reader knows, from what it tells of an unknown one.
fn known() -> BTreeMap<&'static str, BTreeSet<String>> {
    let tables = "artifact exec http health update systemd hardening schedule static";
    let tables = tables.split(' ').map(|table| format!("[{table}]\nzzzzzzzzzz = 1\n"));
    let service = format!("zzzzzzzzzz = 1\n{}", tables.collect::<String>());
    let profile = "zzzzzzzzzz = 1\n[confirm]\nzzzzzzzzzz = 1\n";
    let host = "zzzzzzzzzz = 1\nwindows = [{ zzzzzzzzzz = 1 }]\n";
    let files = Files::from([
        ("manifests/services/web.toml".to_owned(), service.into()),
        ("manifests/profiles/system.toml".to_owned(), profile.into()),
        ("manifests/hosts/biz.toml".to_owned(), host.into()),
        ("manifests/manifest.json".to_owned(), r#"{ "version": 1, "zzzzzzzzzz": 1 }"#.into()),
    ]);
    let Problems(problems) = draft(&files).unwrap_err();
    let unknown = problems.iter().filter(|problem| problem.what.contains("zzzzzzzzzz"));
    let keys = |remedy: &str| remedy.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    unknown.map(|problem| (table_of(problem), keys(&problem.remedy))).collect()
}

fn table_of(problem: &writ::manifest::Problem) -> &'static str {
    let named = schema::groups().iter().map(|group| group.name);
    let mut named = named.filter(|name| problem.what.contains(&format!("[{name}]")));
    match (named.next(), problem.file.as_str()) {
        (Some(name), _) => name,
        (None, _) if problem.what.contains("the window") => "window",
        (None, "manifests/services/web.toml") => "service",
        (None, "manifests/profiles/system.toml") => "profile",
        (None, "manifests/hosts/biz.toml") => "host",
        (None, _) => "json",
    }
}

#[test]
fn the_list_of_keys_is_that_of_the_reader() {
    let groups = schema::groups().iter();
    let listed: BTreeMap<_, BTreeSet<String>> =
        groups.map(|group| (group.name, group.names().map(str::to_owned).collect())).collect();
    assert_eq!(listed, known());
}

/// The schema, or the part of it for one kind of file.
struct Checker(Schemas, SchemaIndex);

impl Checker {
    fn of(fragment: &str) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("writ.json", schema::json()).unwrap();
        let index = compiler.compile(&format!("writ.json{fragment}"), &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value, self.1).map_err(|error| format!("{error:#}\n{value:#}"))
    }
}

/// Every file that the tests and the docs show as sound, with its kind.
fn samples() -> Vec<(&'static str, String, Value)> {
    let mut files = examples();
    files.extend(one("manifests/profiles/system.toml", include_bytes!("data/profile.toml")));
    files.extend(one("manifests/services/v1.toml", include_bytes!("data/v1.toml")));
    let docs = include_str!("../../docs/manifest.md");
    for (number, block) in docs.split("```toml\n# ").skip(1).enumerate() {
        let (path, text) = block.split_once('\n').unwrap();
        let path = path.replace(".toml", &format!("-docs-{number}.toml"));
        files.extend(one(&path, text.split("```").next().unwrap()));
    }
    let kinds = [("service", "services/"), ("profile", "profiles/"), ("host", "hosts/")];
    let mut samples: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".toml"))
        .map(|(path, bytes)| {
            let text = std::str::from_utf8(bytes).unwrap();
            let (kind, _) = kinds.iter().find(|(_, folder)| path.contains(folder)).unwrap();
            (*kind, path.clone(), toml::from_str(text).unwrap())
        })
        .collect();
    for json in [
        include_bytes!("data/v1.json").to_vec(),
        as_json(&examples()).into_values().next().unwrap(),
    ] {
        samples.push(("json", "json".to_owned(), serde_json::from_slice(&json).unwrap()));
    }
    samples
}

#[test]
fn the_schema_takes_every_sample_whole_and_by_its_kind() {
    let whole = Checker::of("");
    let samples = samples();
    assert!(samples.len() > 14, "{}", samples.len());
    for (kind, path, sample) in samples {
        whole.check(&sample).unwrap_or_else(|why| panic!("{path}: {why}"));
        let part = Checker::of(&format!("#/$defs/{kind}"));
        part.check(&sample).unwrap_or_else(|why| panic!("{path}: {why}"));
    }
}

/// Every table within a value, by its path.
fn tables(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            // Names in these two are the operator's own.
            if !at.ends_with("/env") && !at.ends_with("/headers") {
                found.push(at.to_owned());
            }
            entries.iter().for_each(|(key, value)| tables(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| tables(item, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

#[test]
fn the_schema_refuses_an_unknown_key_in_every_table() {
    let whole = Checker::of("");
    let mut count = 0;
    for (_, path, sample) in samples() {
        let mut found = Vec::new();
        tables(&sample, "", &mut found);
        for table in found {
            let mut wrong = sample.clone();
            wrong.pointer_mut(&table).unwrap()["stranger"] = 1.into();
            assert!(whole.check(&wrong).is_err(), "{path}: {table}");
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn the_schema_refuses_what_is_of_the_wrong_kind() {
    let service = Checker::of("#/$defs/service");
    let sound = json!({
        "hosts": ["biz"], "exec": { "command": "web" }, "http": { "domain": "a.org" },
        "artifact": { "storePath": "/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1" },
    });
    service.check(&sound).unwrap();
    for (at, wrong) in [
        ("hosts", json!([])),
        ("hosts", json!(["Biz"])),
        ("exec", Value::Null),
        ("exec", json!({})),
        ("exec", json!({ "command": "web", "type": "forking" })),
        ("artifact", json!({ "storePath": "/nix/store/abc123-web" })),
        ("artifact", json!({})),
        ("http", json!({ "domain": "a.org", "internalPort": 70000 })),
        ("http", json!([{ "domain": "https://a.org" }])),
        ("env", json!({ "PORT": 8000 })),
        ("envFile", json!("web.env")),
        ("health", json!({ "interval": "5 minutes" })),
        ("systemd", json!({ "memoryMax": "1.5G" })),
        ("hardening", json!({ "umask": 27 })),
    ] {
        let mut value = sound.clone();
        value[at] = wrong;
        assert!(service.check(&value).is_err(), "{value:#}");
    }
    let mut nothing = sound.clone();
    nothing.as_object_mut().unwrap().remove("exec");
    assert!(service.check(&nothing).is_err(), "neither a process nor files");
}

/// `null` is how Nix leaves a key out; nobody types it.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

proptest! {
    #[test]
    fn what_hosts_take_the_schema_takes(mut json in manifest()) {
        prop_assume!(draft(&one("manifests/manifest.json", json.to_string())).is_ok());
        without_null(&mut json);
        // Compiled once, as a schema of its own is much slower than a look.
        thread_local!(static CHECKER: Checker = Checker::of("#/$defs/json"));
        let checked = CHECKER.with(|checker| checker.check(&json));
        prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
    }
}
