//! A version-1 JSON file as TOML: the same manifest, whatever it says.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use serde_json::{Map, Value, json};
use writ::manifest::import::{Imported, JsonError, from_json};

use super::spellings::as_json;
use super::*;

const HASH: &str = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf";

fn imported(json: &[u8]) -> Imported {
    from_json(json, &Files::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn files_of(imported: &Imported) -> Files {
    imported.files.iter().map(|(path, text)| (path.clone(), text.clone().into())).collect()
}

#[test]
fn the_version_one_example_becomes_a_file() {
    let imported = imported(include_bytes!("data/v1.json"));
    assert_eq!(imported.files.len(), 1);
    insta::assert_snapshot!(imported.files["manifests/services/podcastitlater-web.toml"]);
}

#[test]
fn every_worked_example_comes_back_from_json() {
    let mut toml = examples();
    let profile = include_bytes!("data/profile.toml");
    toml.insert("manifests/profiles/system.toml".to_owned(), profile.to_vec());
    toml.remove("manifests/README.md");
    let back = imported(&as_json(&toml)["manifests/manifest.json"]);
    assert_eq!(back.files.keys().collect::<Vec<_>>(), toml.keys().collect::<Vec<_>>());
    for host in ["web-1", "web-2", "db-1", "biz", "unheard-of"] {
        assert_eq!(desired(&files_of(&back), host), desired(&toml, host), "{host}");
    }
}

#[test]
fn a_name_that_is_there_already_is_a_problem_and_no_file() {
    let path = "manifests/services/podcastitlater-web.toml";
    let beside = one(path, include_bytes!("data/v1.toml"));
    let Err(JsonError::Problems(problems)) = from_json(include_bytes!("data/v1.json"), &beside)
    else {
        panic!("taken");
    };
    assert!(problems.to_string().contains("is taken by"), "{problems}");
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let json = String::from_utf8(include_bytes!("data/v1.json").to_vec()).unwrap();
    let json = json.replace("\"revision\"", "\"replicas\": 3, \"revision\"");
    let Err(JsonError::Problems(problems)) = from_json(json.as_bytes(), &Files::new()) else {
        panic!("unknown");
    };
    assert!(problems.to_string().contains("unknown key `replicas`"), "{problems}");
}

/// Text as somebody may write it, with everything that either spelling has to escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        select(vec![
            "it's \"quoted\" \\ and \\n",
            "'''",
            "\"\"\"",
            "100% $HOME ${x} ; # no comment",
            "  spaces  ",
            "Grüße, 世界 🦀",
            "true",
            "1",
            "",
        ])
        .prop_map(str::to_owned),
        "[^\\p{Cc}]{0,12}",
    ]
}

/// Some of these keys, each with its value or `null`.
fn some_of(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let number = keys.len();
    let values: Vec<BoxedStrategy<(&'static str, Value)>> = keys
        .into_iter()
        .map(|(key, value)| {
            prop_oneof![5 => value, 1 => Just(Value::Null)].prop_map(move |v| (key, v)).boxed()
        })
        .collect();
    (values, subsequence((0..number).collect::<Vec<_>>(), 0..=number))
        .prop_map(|(values, chosen)| {
            let chosen =
                chosen.into_iter().map(|at| (values[at].0.to_owned(), values[at].1.clone()));
            Value::Object(chosen.collect::<Map<_, _>>())
        })
        .boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn string() -> BoxedStrategy<Value> {
    text().prop_map(Value::from).boxed()
}

fn among(values: &[Value]) -> BoxedStrategy<Value> {
    select(values.to_vec()).boxed()
}

fn span() -> BoxedStrategy<Value> {
    among(&[json!(5), json!(0), json!("1h30m"), json!("500ms"), json!("2d")])
}

fn systemd() -> BoxedStrategy<Value> {
    let units = || among(&[json!([]), json!(["a.target"]), json!(["b.service", "c.socket"])]);
    some_of(vec![
        ("after", units()),
        ("requires", units()),
        ("wants", units()),
        ("restart", among(&[json!("no"), json!("on-failure")])),
        ("restartSec", span()),
        ("stateDirectory", among(&[json!("web"), json!(["web", "web/cache"]), json!([])])),
        ("memoryMax", among(&[json!("1G"), json!(1024), json!("50%"), json!("infinity")])),
        ("cpuQuota", among(&[json!("150%"), json!(20)])),
        ("tasksMax", among(&[json!(9), json!("infinity")])),
        ("limitNofile", among(&[json!(65536)])),
        ("watchdogSec", span()),
        ("notifyAccess", among(&[json!("main"), json!("exec"), json!("all")])),
    ])
}

fn hardening() -> BoxedStrategy<Value> {
    some_of(vec![
        ("privateTmp", flag()),
        ("protectSystem", among(&[json!("full"), json!(true), json!("no")])),
        ("protectHome", among(&[json!("tmpfs"), json!(false)])),
        ("noNewPrivileges", flag()),
        ("capabilities", among(&[json!([]), json!(["CAP_CHOWN", "CAP_KILL"])])),
        ("readWritePaths", among(&[json!(["/srv/a b", "/var/x"]), json!([])])),
        ("systemCallFilter", among(&[json!([]), json!(["@system-service", "~@mount"])])),
        ("memoryDenyWriteExecute", flag()),
        ("restrictAddressFamilies", among(&[json!(["AF_UNIX"])])),
        ("umask", among(&[json!("0027")])),
    ])
}

fn exec() -> BoxedStrategy<Value> {
    let more = some_of(vec![
        ("args", prop::collection::vec(text(), 0..4).prop_map(Value::from).boxed()),
        ("user", among(&[json!("root"), json!("web")])),
        ("group", among(&[json!("web")])),
        ("workingDirectory", among(&[json!("/srv/it's \"here\"")])),
    ]);
    more.prop_map(|mut exec| {
        exec["command"] = "web".into();
        exec
    })
    .boxed()
}

fn env() -> BoxedStrategy<Value> {
    prop::collection::btree_map("X[A-Z0-9_]{0,6}", text(), 0..4)
        .prop_map(|env| Value::Object(env.into_iter().map(|(k, v)| (k, v.into())).collect()))
        .boxed()
}

/// A route; each has a path and port of its own, by its number.
fn route(number: usize, service: usize) -> BoxedStrategy<Value> {
    let header = prop::collection::btree_map("[A-Za-z][A-Za-z-]{0,6}[a-z]", text(), 0..3)
        .prop_map(|headers| {
            let mut seen = std::collections::BTreeSet::new();
            let once = headers.into_iter().filter(|(k, _)| seen.insert(k.to_lowercase()));
            Value::Object(once.map(|(k, v)| (k, v.into())).collect())
        })
        .boxed();
    let more = some_of(vec![
        ("stagingDomain", among(&[json!(format!("s{service}-{number}.example.org"))])),
        ("redirectFrom", among(&[json!([]), json!([format!("r{service}-{number}.example.org")])])),
        ("headers", header),
        ("compress", flag()),
    ]);
    more.prop_map(move |mut route| {
        route["domain"] = format!("d{service}.example.org").into();
        route["path"] = format!("/p{number}").into();
        route["internalPort"] = (8000 + service).into();
        route
    })
    .boxed()
}

/// A table for one route, a list for several or none.
fn http(service: usize) -> BoxedStrategy<Value> {
    let routes: Vec<_> = (0..3).map(|number| route(number, service)).collect();
    (routes, 0..=3_usize, any::<bool>())
        .prop_map(|(routes, number, list)| match (number, list) {
            (1, false) => routes[0].clone(),
            (number, _) => Value::from(&routes[..number]),
        })
        .boxed()
}

fn health() -> BoxedStrategy<Value> {
    let port = some_of(vec![
        ("interval", among(&[json!("2s"), json!(1)])),
        ("timeout", among(&[json!("500ms")])),
        ("healthyFor", span()),
    ]);
    (port, among(&[json!({}), json!({"command": ["web", "it's fine"]}), json!({"command": "web"})]))
        .prop_map(|(mut health, check)| {
            health["deadline"] = "10d".into();
            health.as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
            health
        })
        .boxed()
}

fn service(number: usize) -> BoxedStrategy<Value> {
    let parts = vec![
        ("revision", string()),
        ("envFile", among(&[json!("/var/lib/it's/a b.env")])),
        ("env", env()),
        ("http", http(number)),
        ("health", health()),
        ("update", some_of(vec![("strategy", among(&[json!("restart")])), ("drain", span())])),
        ("systemd", systemd()),
        ("hardening", hardening()),
        ("dependsOn", among(&[json!([])])),
        ("static", among(&[Value::Null])),
    ];
    let hosts = among(&[json!(["*"]), json!(["biz"]), json!(["tag:web", "db"])]);
    let size = among(&[Value::Null, json!(1), json!(9_223_372_036_854_775_807_i64)]);
    (some_of(parts), exec(), hosts, size)
        .prop_map(move |(mut service, exec, hosts, size)| {
            service["name"] = format!("s{number}").into();
            service["exec"] = exec;
            service["hosts"] = hosts;
            let path = format!("/nix/store/{HASH}-web-1");
            service["artifact"] = json!({ "storePath": path, "closureSize": size });
            service
        })
        .boxed()
}

pub(super) fn manifest() -> impl Strategy<Value = Value> {
    let services: Vec<_> = (0..3).map(service).collect();
    let windows = among(&[
        json!([]),
        json!(["0 0 2-5 * * Mon-Fri", { "cron": "0 30 2 * * Sat", "for": "45m" }]),
    ]);
    let probes = json!([{ "port": 22 }, { "port": 80, "path": "/" }, { "command": ["check"] }]);
    let confirm = among(&[
        Value::Null,
        json!({}),
        json!({ "timeout": "90s", "probes": probes }),
        json!({ "probes": [] }),
    ]);
    (services, 0..=3_usize, windows, confirm, string()).prop_map(
        |(services, number, windows, confirm, generation)| {
            json!({
                "version": 1, "generation": generation, "services": services[..number],
                "profiles": [{ "name": "system", "hosts": ["biz"], "kind": "nixos", "confirm": confirm,
                    "storePath": format!("/nix/store/{HASH}-nixos-1") }],
                "hosts": [{ "name": "web-1", "tags": ["web"], "windows": windows }, { "name": "db" }],
            })
        },
    )
}

proptest! {
    #[test]
    fn any_version_one_file_means_the_same_to_every_host_as_its_toml(json in manifest()) {
        let json = json.to_string();
        let old = one("manifests/manifest.json", json.clone());
        // Two services may ask for one port; such a manifest is none.
        prop_assume!(draft(&old).is_ok(), "{}", draft(&old).unwrap_err());
        let new = files_of(&imported(json.as_bytes()));
        prop_assert!(!new.contains_key("manifests/manifest.json"));
        for host in ["biz", "web-1", "db", "unheard-of"] {
            prop_assert_eq!(desired(&old, host), desired(&new, host));
        }
    }
}

#[test]
fn most_of_the_generated_manifests_are_ones_that_hosts_take() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sound = (0..100).filter(|_| {
        let json = manifest().new_tree(&mut runner).unwrap().current().to_string();
        draft(&one("manifests/manifest.json", json)).is_ok()
    });
    assert!(sound.count() > 90);
}
