//! Nothing that somebody could commit makes the reader panic, and every
//! problem can be found in its file.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::spellings::as_json;
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
                activate probes tags windows reportKey artifact exec http static schedule confirm";
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
