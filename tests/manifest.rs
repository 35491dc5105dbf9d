//! The manifest as operators write it: the worked examples, the two spellings,
//! and every kind of mistake.

use std::collections::BTreeMap;
use std::path::Path;

use writ::manifest::service::{Check, Hardening, Restart, Service, Work};
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

/// The files of `tests/manifest/<tree>`, as if it were a repository's `manifests`.
fn tree(tree: &str) -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest").join(tree);
    below(&root).into_iter().map(|(path, bytes)| (format!("manifests/{path}"), bytes)).collect()
}

#[test]
fn every_mistake_is_shown_at_once_with_its_place_and_the_way_to_mend_it() {
    insta::assert_snapshot!(draft(&tree("broken")).unwrap_err());
}

fn one(path: &str, text: impl Into<Vec<u8>>) -> Files {
    Files::from([(path.to_owned(), text.into())])
}

/// The problems of a service `web`, as text.
fn problems(text: &str) -> String {
    match draft(&one("manifests/services/web.toml", text)) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

fn desired(files: &Files, host: &str) -> Desired<WorkingTree> {
    let manifest = draft(files).unwrap_or_else(|problems| panic!("{problems}"));
    manifest.desired(&host.parse().unwrap())
}

#[test]
fn the_version_one_json_form_is_loaded_unchanged() {
    let json = include_bytes!("manifest/v1.json");
    let desired = desired(&one("manifests/manifest.json", json), "biz");
    insta::assert_debug_snapshot!(desired.services.values().next().unwrap());
}

#[test]
fn the_two_spellings_of_the_version_one_example_mean_the_same() {
    let json = one("manifests/manifest.json", include_bytes!("manifest/v1.json"));
    let path = "manifests/services/podcastitlater-web.toml";
    let toml = one(path, include_bytes!("manifest/v1.toml"));
    assert_eq!(desired(&json, "biz"), desired(&toml, "biz"));
}

/// The same manifest as one JSON file, written from the TOML by other means than ours.
fn as_json(files: &Files) -> Files {
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
    let profile = include_bytes!("manifest/profile.toml");
    toml.insert("manifests/profiles/system.toml".to_owned(), profile.to_vec());
    let json = as_json(&toml);
    for host in ["web-1", "web-2", "db-1", "biz"] {
        assert_eq!(desired(&json, host), desired(&toml, host), "{host}");
    }
}

#[test]
fn a_name_is_given_once_across_both_spellings() {
    let mut files = one("manifests/manifest.json", include_bytes!("manifest/v1.json"));
    let path = "manifests/services/podcastitlater-web.toml";
    files.extend(one(path, include_bytes!("manifest/v1.toml")));
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
    let json = String::from_utf8(include_bytes!("manifest/v1.json").to_vec()).unwrap();
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

#[test]
fn a_profile_is_read_in_full() {
    let files = one("manifests/profiles/system.toml", include_bytes!("manifest/profile.toml"));
    insta::assert_debug_snapshot!(desired(&files, "biz").profiles);
}

const ARTIFACT: &str = "[artifact]\n\
    storePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1.2.3\"\n";

/// A service `web` on every host with these further lines; `exec` runs `web`.
fn web(rest: &str) -> Files {
    let text = format!("hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n{rest}");
    one("manifests/services/web.toml", text)
}

fn web_service(rest: &str) -> Service {
    desired(&web(rest), "any").services.into_values().next().unwrap()
}

#[test]
fn without_a_user_a_service_is_closed_and_its_user_made_up() {
    let service = web_service("");
    assert_eq!(service.hardening, Hardening::default());
    assert!(service.hardening.dynamic_user);
    assert!(service.hardening.capabilities.is_empty());
}

#[test]
fn a_named_user_loosens_nothing_but_the_user() {
    let closed = Hardening { dynamic_user: false, ..Hardening::default() };
    assert_eq!(web_service("user = \"web\"\n").hardening, closed);
    let named = Hardening { private_tmp: false, ..closed };
    assert_eq!(web_service("user = \"web\"\n[hardening]\nprivateTmp = false\n").hardening, named);
}

#[test]
fn root_is_only_ever_meant_explicitly() {
    let root = web("user = \"root\"\n[hardening]\ndynamicUser = false\n");
    assert!(draft(&root).is_ok());
    let left_over = draft(&web("[hardening]\ndynamicUser = false\n")).unwrap_err();
    assert!(left_over.to_string().contains("would run as root"));
}

#[test]
fn the_health_of_a_service_with_a_port_is_that_the_port_answers() {
    let http = "[http]\ndomain = \"a.example.org\"\ninternalPort = 8000\n";
    assert_eq!(web_service(http).health.check, Check::Tcp { port: 8000 });
    let path = format!("{http}[health]\npath = \"/up\"\n");
    assert_eq!(web_service(&path).health.check, Check::Http { port: 8000, path: "/up".into() });
    assert_eq!(web_service("").health.check, Check::Active);
}

#[test]
fn a_process_that_ends_is_not_started_again_by_itself() {
    assert_eq!(web_service("").systemd.restart, Restart::OnFailure);
    assert_eq!(web_service("type = \"oneshot\"\n").systemd.restart, Restart::No);
    let job = "[schedule]\ncron = \"@daily\"\n";
    assert_eq!(web_service(job).systemd.restart, Restart::No);
}

#[test]
fn a_bare_command_lies_in_the_closures_bin_and_an_absolute_one_inside_the_closure() {
    const CLOSURE: &str = "/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1.2.3";
    let command = |command: &str| {
        let text = format!("hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"{command}\"\n");
        let manifest = draft(&one("manifests/services/web.toml", text)).ok()?;
        let desired = manifest.desired(&"any".parse().unwrap());
        match desired.services.into_values().next()?.work {
            Work::Daemon { exec, .. } => Some(exec.command.to_string()),
            Work::Oneshot { .. } | Work::Job { .. } | Work::Static { .. } => None,
        }
    };
    assert_eq!(command("web"), Some(format!("{CLOSURE}/bin/web")));
    let inside = format!("{CLOSURE}/libexec/web");
    assert_eq!(command(&inside), Some(inside.clone()));
    // A sibling whose name begins like the closure's is another closure.
    for outside in [&format!("{CLOSURE}-evil/bin/web"), CLOSURE, "/bin/sh", "../web", "a/b", ""] {
        assert_eq!(command(outside), None, "{outside}");
    }
}

#[test]
fn what_only_one_service_of_a_host_can_have_is_free_on_another_host() {
    let service = |hosts: &str| {
        format!(
            "hosts = {hosts}\n{ARTIFACT}[exec]\ncommand = \"web\"\n\
             [http]\ndomain = \"a.example.org\"\ninternalPort = 8000\n"
        )
    };
    let pair = |hosts: [&str; 2]| {
        let mut files = one("manifests/services/one.toml", service(hosts[0]));
        files.extend(one("manifests/services/two.toml", service(hosts[1])));
        files.extend(one("manifests/hosts/a.toml", "tags = [\"web\"]\n"));
        draft(&files)
    };
    assert!(pair(["[\"a\"]", "[\"b\"]"]).is_ok());
    for together in [["[\"a\"]", "[\"a\"]"], ["[\"tag:web\"]", "[\"a\"]"], ["[\"*\"]", "[\"*\"]"]] {
        let Problems(problems) = pair(together).unwrap_err();
        let whats: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "a.example.org/ is taken by `one` already, at manifests/services/one.toml:7",
                "port 8000 is taken by `one` already, at manifests/services/one.toml:8",
            ]
        );
    }
}

#[test]
fn a_broken_dependency_is_not_reported_as_an_unknown_one() {
    let mut files = web("");
    let text =
        format!("hosts = [\"*\"]\ndependsOn = [\"broken\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n");
    files.insert("manifests/services/web.toml".to_owned(), text.into_bytes());
    files.insert("manifests/services/broken.toml".to_owned(), b"hosts = [".to_vec());
    let Problems(problems) = draft(&files).unwrap_err();
    assert!(problems.iter().all(|p| p.file == "manifests/services/broken.toml"), "{problems:?}");
}

#[test]
fn an_empty_folder_is_no_manifest() {
    for files in [Files::new(), one("manifests/README.md", "hello")] {
        let problems = draft(&files).unwrap_err().to_string();
        assert!(problems.starts_with("manifests: there is no manifest here"), "{problems}");
    }
}

#[test]
fn a_file_is_bounded_in_size_and_in_depth() {
    let large = format!("# {}\n", "x".repeat(1 << 20));
    assert!(problems(&large).contains("bytes, more than"));
    let deep = [
        format!("a = {}1{}", "[".repeat(60), "]".repeat(60)),
        format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(60)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("a = {}1{}", format!("{{{}a = ", "a.".repeat(70)).repeat(70), "}".repeat(70)),
    ];
    for text in &deep {
        assert!(!problems(text).is_empty());
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let problems = draft(&one("manifests/manifest.json", text)).unwrap_err().to_string();
        assert!(problems.contains("nested more than"), "{problems}");
    }
}

#[test]
fn what_has_ended_well_is_healthy_at_once() {
    assert_eq!(web_service("").health.healthy_for.as_secs(), 10);
    assert_eq!(web_service("type = \"oneshot\"\n").health.healthy_for.as_secs(), 0);
}

mod any_text {
    //! Nothing that somebody could commit makes the reader panic, and every
    //! problem can be found in its file.

    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    const PATHS: [&str; 6] = [
        "manifests/services/web.toml",
        "manifests/profiles/system.toml",
        "manifests/hosts/biz.toml",
        "manifests/manifest.json",
        "manifests/services/Ünder.toml",
        "elsewhere",
    ];

    fn read(files: &Files) {
        match draft(files) {
            Ok(manifest) => {
                for host in manifest.hosts() {
                    manifest.desired(&host);
                }
            }
            Err(Problems(problems)) => {
                assert!(!problems.is_empty());
                for problem in &problems {
                    assert!(!problem.what.is_empty() && !problem.remedy.is_empty());
                    assert_eq!(problem.line == 0, problem.column == 0);
                    let bytes = files.get(&problem.file).map(Vec::as_slice).unwrap_or_default();
                    let text = String::from_utf8_lossy(bytes);
                    let line = text.split('\n').nth(problem.line.saturating_sub(1));
                    let columns = line.unwrap().chars().count() + 1;
                    assert!(problem.column <= columns, "{problem}\nin {text}");
                }
            }
        }
    }

    /// A key of the schema with a value that may or may not fit.
    fn line() -> impl Strategy<Value = String> {
        let headers = "artifact exec env http health update systemd hardening schedule static \
                       confirm http.headers";
        let keys = "hosts revision envFile dependsOn type storePath closureDigest closureSize \
                    command args user group workingDirectory reload domain path internalPort https \
                    stagingDomain redirectFrom headers compress port interval timeout healthyFor \
                    deadline strategy drain after restart restartSec stateDirectory memoryMax \
                    cpuQuota tasksMax limitNofile dynamicUser protectSystem protectHome umask \
                    capabilities systemCallFilter privateNetwork cron timezone root kind mode \
                    activate probes tags windows artifact exec http static schedule confirm";
        let values = [
            "1",
            "-1",
            "0",
            "8000",
            "9223372036854775807",
            "1.5",
            "true",
            "\"\"",
            "\"web\"",
            "\"*\"",
            "\"/\"",
            "\"5s\"",
            "\"50%\"",
            "\"0 3 * * 7\"",
            "\"*/5,1-3 * 1 jan mon\"",
            "\"Ünïcode\"",
            "\"SIGHUP\"",
            "[]",
            "[\"*\"]",
            "[\"web\", \"tag:a\"]",
            "[[]]",
            "{}",
            "{ a = 1 }",
            "2020-01-01",
            "[{ port = 1 }]",
            "\"restart\"",
            "\"custom\"",
            "\"example.org\"",
            "\"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1.2.3\"",
            "\"a\\nb\"",
        ];
        let pair = (select(keys.split_whitespace().collect::<Vec<_>>()), select(values.to_vec()));
        prop_oneof![
            1 => select(headers.split_whitespace().collect::<Vec<_>>()).prop_map(|h| format!("[{h}]")),
            4 => pair.prop_map(|(key, value)| format!("{key} = {value}")),
        ]
    }

    /// One of the worked examples, somewhat damaged.
    fn damaged() -> impl Strategy<Value = Files> {
        let mut texts = examples();
        texts.extend(as_json(&texts));
        let texts: Vec<(String, Vec<u8>)> = texts.into_iter().collect();
        let splice = (any::<Index>(), 0..40_usize, proptest::collection::vec(any::<u8>(), 0..6));
        (select(texts), proptest::collection::vec(splice, 1..4)).prop_map(
            |((path, mut bytes), splices)| {
                for (at, gone, new) in splices {
                    let from = at.index(bytes.len() + 1);
                    bytes.splice(from..bytes.len().min(from + gone), new);
                }
                Files::from([(path, bytes)])
            },
        )
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            path in select(PATHS.to_vec()),
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            read(&one(path, bytes));
        }

        #[test]
        fn any_characters_are_read_or_refused(path in select(PATHS.to_vec()), text in ".{0,200}") {
            read(&one(path, text));
        }

        #[test]
        fn any_keys_with_any_values_are_read_or_refused(
            path in select(PATHS.to_vec()),
            lines in proptest::collection::vec(line(), 0..20),
        ) {
            read(&one(path, lines.join("\n")));
        }

        #[test]
        fn any_damage_is_survived(files in damaged()) {
            read(&files);
        }
    }
}

mod schedules {
    //! A job's calendar events against the `cron` crate, which knows nothing of ours.

    use std::str::FromStr;

    use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
    use proptest::prelude::*;

    use super::*;

    /// A field as our crontab and the crate's both spell it, days of the week by name.
    fn field(first: u8, last: u8, names: &'static [&'static str]) -> BoxedStrategy<String> {
        let word = move |value: u8| match names {
            [] => value.to_string(),
            names => names[usize::from(value - first)].to_owned(),
        };
        let range = (first..=last, first..=last).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let item = prop_oneof![
            (first..=last).prop_map(word),
            range.clone().prop_map(move |(a, b)| format!("{}-{}", word(a), word(b))),
            (range, 1..=last).prop_map(move |((a, b), n)| format!("{}-{}/{n}", word(a), word(b))),
        ];
        prop_oneof![
            2 => Just("*".to_owned()),
            1 => (1..=last).prop_map(|n| format!("*/{n}")),
            3 => proptest::collection::vec(item, 1..4).prop_map(|items| items.join(",")),
        ]
        .boxed()
    }

    const MONTHS: &[&str] =
        &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    fn calendar(cron: &str) -> Option<Vec<String>> {
        let rest = format!("[schedule]\ncron = \"{cron}\"\n");
        let manifest = draft(&web(&rest)).ok()?;
        let desired = manifest.desired(&"any".parse().unwrap());
        match desired.services.into_values().next()?.work {
            Work::Job { schedule, .. } => Some(schedule.calendar),
            Work::Daemon { .. } | Work::Oneshot { .. } | Work::Static { .. } => None,
        }
    }

    /// Whether a calendar event of the form `Mon,Tue *-01,02-03 04,05:06:00` elapses.
    fn elapses(event: &str, at: DateTime<Utc>) -> bool {
        let among = |list: &str, value: u32| {
            list == "*" || list.split(',').any(|item| item.parse() == Ok(value))
        };
        let mut words = event.split(' ').peekable();
        let weekday = words.next_if(|word| word.starts_with(char::is_alphabetic));
        let date: Vec<&str> = words.next().unwrap().split('-').collect();
        let time: Vec<&str> = words.next().unwrap().split(':').collect();
        assert_eq!((date[0], time[2], words.next()), ("*", "00", None));
        weekday.is_none_or(|days| days.split(',').any(|day| day == at.weekday().to_string()))
            && among(date[1], at.month())
            && among(date[2], at.day())
            && among(time[0], at.hour())
            && among(time[1], at.minute())
            && at.second() == 0
    }

    proptest! {
        #[test]
        fn a_job_runs_when_its_crontab_line_says(
            minute in field(0, 59, &[]),
            hour in field(0, 23, &[]),
            day in field(1, 31, &[]),
            month in field(1, 12, MONTHS),
            weekday in field(0, 6, DAYS),
            start in 1_700_000_000_i64..1_900_000_000,
        ) {
            let events = calendar(&format!("{minute} {hour} {day} {month} {weekday}"));
            // The crate wants both days to match where crontab(5) wants either.
            let either = !day.starts_with('*') && !weekday.starts_with('*');
            let days = if either { vec![(day.as_str(), "*"), ("*", weekday.as_str())] }
                else { vec![(day.as_str(), weekday.as_str())] };
            let oracles: Vec<cron::Schedule> = days
                .iter()
                .map(|(d, w)| format!("0 {minute} {hour} {d} {month} {w}"))
                .map(|line| cron::Schedule::from_str(&line).unwrap())
                .collect();
            let start = DateTime::from_timestamp(start, 0).unwrap();
            let first = oracles.iter().filter_map(|oracle| oracle.after(&start).next()).min();
            let Some(events) = events else {
                // Refused, because there is no such day.
                prop_assert_eq!(first, None);
                return Ok(());
            };
            let from = first.unwrap_or(start) - TimeDelta::hours(2);
            for minutes in 0..2 * 24 * 60 {
                let at = from + TimeDelta::minutes(minutes);
                let at = at.with_second(0).unwrap();
                let expected = oracles.iter().any(|oracle| oracle.includes(at));
                prop_assert_eq!(events.iter().any(|e| elapses(e, at)), expected, "{} {:?}", at, events);
            }
        }
    }
}

mod reference {
    //! docs/manifest.md tells of every key, and its examples are a manifest.

    use super::*;

    const TEXT: &str = include_str!("../docs/manifest.md");

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
        let headers =
            "artifact exec http health update systemd hardening schedule static".split(' ');
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
}
