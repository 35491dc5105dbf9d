//! Every rule has a message that names the place and the way to mend it.

use super::*;

#[test]
fn every_mistake_is_shown_at_once_with_its_place_and_the_way_to_mend_it() {
    insta::assert_snapshot!(draft(&tree("broken")).unwrap_err());
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
fn what_nix_would_build_or_a_cache_not_find_is_no_path_to_deploy() {
    let told = |name: &str| {
        problems(&format!(
            "hosts = [\"*\"]\n[artifact]\nstorePath = \"/nix/store/{}-{name}\"\n\
             [exec]\ncommand = \"web\"\n",
            "0".repeat(32)
        ))
    };
    assert_eq!(told("web-1.0=+_x"), "");
    assert!(told("web-1.0.drv").contains("is a derivation"), "{}", told("web-1.0.drv"));
    assert!(told("web?x=y").contains("has a `?`"), "{}", told("web?x=y"));
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
fn routes_are_told_apart_as_caddy_does() {
    let service = |path: &str| {
        format!(
            "hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n\
             [[http]]\ndomain = \"a.example.org\"\ninternalPort = 8000\npath = \"/api\"\n\
             [[http]]\ndomain = \"a.example.org\"\ninternalPort = 8000\npath = \"{path}\"\n"
        )
    };
    assert_eq!(problems(&service("/apis")), "");
    assert!(problems(&service("/API")).contains("is given twice"));
    assert!(problems(&service("/api./x")).contains("is no path of a route"));
}

#[test]
fn nobody_waits_for_a_job() {
    let mut files = one(
        "manifests/services/web.toml",
        format!(
            "hosts = [\"*\"]\ndependsOn = [\"nightly\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n"
        ),
    );
    files.extend(one(
        "manifests/services/nightly.toml",
        format!(
            "hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n[schedule]\ncron = \"@daily\"\n"
        ),
    ));
    let problems = draft(&files).unwrap_err().to_string();
    assert!(problems.contains("services/web.toml:2:14: `nightly` is a job"), "{problems}");
}

#[test]
fn a_programs_name_has_no_quotes() {
    for name in ["we'b", "we\\\\b"] {
        let text = format!("hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"{name}\"\n");
        assert!(problems(&text).contains("is no program's name"), "{}", problems(&text));
    }
}

#[test]
fn an_empty_folder_is_no_manifest() {
    for files in [Files::new(), one("manifests/README.md", "hello")] {
        let problems = draft(&files).unwrap_err().to_string();
        assert!(problems.starts_with("manifests: there is no manifest here"), "{problems}");
    }
}

/// The problems of a service `web`, as text.
fn problems(text: &str) -> String {
    match draft(&one("manifests/services/web.toml", text)) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
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
