//! What `writ doctor` finds on a machine that has little of what a host needs.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desk::{json, text};
use crate::scene::Scene;

const KEY: &str = "k1:j8puWMXyQU0Rff+8c1F6yXhQpPURHmV+kPaMzh0N0Yg=";

#[tokio::test]
async fn what_is_there_is_ok_and_what_is_missing_has_a_remedy() {
    let scene = accepted().await;
    let output = doctor(&scene, "", &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    let short = scene.head.short();
    for line in [
        "ok     config   ",
        &format!("ok     anchor   commit {short} was accepted last, and is here"),
        &format!("is at {short}, which is accepted"),
        "WRONG  agent    could not ask the agent",
        "hint     systemctl enable --now writ-agent",
        "WRONG  caddy    could not ask Caddy at unix://",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

/// It has a folder from the first upload on.
#[tokio::test]
async fn a_cache_that_nobody_has_uploaded_to_is_a_note_where_nothing_runs() {
    let scene = accepted().await;
    let url = format!("file://{}/cache", scene.state().display());
    let nix = format!("[nix]\nsubstituters = [\"{url}\"]\ntrustedPublicKeys = [\"{KEY}\"]\n");
    let told = text(&doctor(&scene, &nix, &[]).stdout);
    assert!(
        told.contains(&format!("note   cache    {url}: there is no such folder yet")),
        "{told}"
    );
    assert!(told.contains("hint     the first upload makes it: writ push"), "{told}");
    let found = one(&doctor(&scene, &nix, &["--json"]), "cache");
    assert_eq!((found["grade"].clone(), found["ok"].clone()), ("note".into(), true.into()));
    let gone = one(&doctor(&scene, &nix, &["--json"]), "agent");
    assert_eq!((gone["grade"].clone(), gone["ok"].clone()), ("wrong".into(), false.into()));
    std::fs::create_dir(scene.state().join("cache")).unwrap();
    assert_eq!(one(&doctor(&scene, &nix, &["--json"]), "cache")["grade"], "wrong");
}

#[tokio::test]
async fn a_branch_that_moved_on_or_went_away_is_told() {
    let mut scene = accepted().await;
    scene.push_service("web", "2");
    let found = one(&doctor(&scene, "", &["--json"]), "source");
    assert!(found["text"].as_str().unwrap().ends_with("which is not the accepted one"), "{found}");
    let packs = std::fs::read_dir(scene.state().join("repo.git/objects/pack")).unwrap().count();
    std::fs::remove_dir_all(scene.forge.git_dir()).unwrap();
    let output = doctor(&scene, "", &["--json"]);
    let found = one(&output, "source");
    assert_eq!(found["ok"], false);
    assert!(found["remedy"].as_str().unwrap().contains("is a git repository"), "{found}");
    let now = std::fs::read_dir(scene.state().join("repo.git/objects/pack")).unwrap().count();
    assert_eq!((now, scene.state().join("incoming.0").exists()), (packs, false));
}

#[tokio::test]
async fn a_lost_anchor_and_a_lost_repository_are_told_apart() {
    let scene = accepted().await;
    std::fs::rename(scene.state().join("repo.git"), scene.state().join("away")).unwrap();
    let found = one(&doctor(&scene, "", &["--json"]), "anchor");
    assert!(found["text"].as_str().unwrap().contains("repo.git"), "{found}");
    std::fs::rename(scene.state().join("away"), scene.state().join("repo.git")).unwrap();
    std::fs::remove_file(scene.state().join("anchor.json")).unwrap();
    let found = one(&doctor(&scene, "", &["--json"]), "anchor");
    assert!(found["remedy"].as_str().unwrap().contains("writ trust reset"), "{found}");
}

#[tokio::test]
async fn each_cache_is_asked_and_told_by_itself() {
    let scene = accepted().await;
    let folder = scene.state().join("cache");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let good = serve("200 OK", "StoreDir: /nix/store\nPriority: 30\n");
    let foreign = serve("200 OK", "StoreDir: /gnu/store\n");
    let closed = serve("401 Unauthorized", "");
    let empty = serve("404 Not Found", "");
    let urls =
        [format!("file://{}", folder.display()), good, closed, foreign, empty, silent(), gone()];
    // The passwords are where nix says.
    let (programs, netrc) = (scene.state().join("bin"), scene.state().join("passwords"));
    std::fs::create_dir(&programs).unwrap();
    let nix = format!("#!/bin/sh\necho {}\n", netrc.display());
    for name in ["nix", "nix-store"] {
        std::fs::write(programs.join(name), &nix).unwrap();
        std::fs::set_permissions(programs.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let caches = format!("[nix]\nsubstituters = {urls:?}\ntrustedPublicKeys = [\"{KEY}\"]\n");
    let began = Instant::now();
    let output = doctor(&scene, &caches, &["--json", "--timeout", "2"]);
    assert!(began.elapsed() < Duration::from_secs(20), "checks run side by side");
    let found: Vec<Value> = checks(&output, "cache");
    let ok: Vec<_> = found.iter().map(|finding| finding["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, true, false, false, false, false, false], "{found:#?}");
    let text = |n: usize| found[n]["text"].as_str().unwrap().to_owned();
    let closed = format!("it asks for a password, and {} has none for 127.0.0.1", netrc.display());
    assert!(text(2).contains(&closed), "{}", text(2));
    assert!(text(3).contains("/gnu/store"), "{}", text(3));
    assert!(text(4).contains("404"), "{}", text(4));
    assert!(found[2..].iter().all(|finding| finding["remedy"].is_string()), "{found:#?}");
    assert_eq!(one(&output, "keys")["ok"], true);
}

#[tokio::test]
async fn caches_without_a_good_key_are_told() {
    let scene = accepted().await;
    for (keys, words) in [("[]", "there is none"), ("[\"k1\"]", "NAME:BASE64")] {
        let caches =
            format!("[nix]\nsubstituters = [\"{}\"]\ntrustedPublicKeys = {keys}\n", gone());
        let found = one(&doctor(&scene, &caches, &["--json", "--timeout", "1"]), "keys");
        assert_eq!(found["ok"], false);
        assert!(found["text"].as_str().unwrap().contains(words), "{found}");
    }
}

#[tokio::test]
async fn a_config_folder_that_others_may_write_is_told() {
    let scene = accepted().await;
    let open = |mode| {
        let folder = scene.config_path().parent().unwrap().to_owned();
        std::fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        one(&doctor(&scene, "", &["--json"]), "config")["ok"].clone()
    };
    assert_eq!([open(0o777), open(0o1777), open(0o755)], [false, true, true]);
}

#[tokio::test]
async fn a_config_with_a_mistake_is_all_there_is_to_tell() {
    let scene = accepted().await;
    let output = doctor(&scene, "[unknown]\n", &[]);
    let told = text(&output.stdout);
    assert!(told.starts_with("WRONG  config") && told.contains("unknown"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_clock_behind_the_commits_is_told() {
    let mut scene = accepted().await;
    let day_after_tomorrow = jiff::Timestamp::now().as_second() + 172_800;
    scene.head = scene.forge.commit("alice").on(&scene.head).at(day_after_tomorrow).make();
    scene.point_main_at(&scene.head);
    assert!(scene.round().await.refused.is_some());
    let found = one(&doctor(&scene, "", &["--json"]), "clock");
    assert_eq!(found["ok"], false);
    assert!(found["text"].as_str().unwrap().contains("ahead of this host's clock"), "{found}");
    assert!(found["remedy"].as_str().unwrap().contains("timedatectl"), "{found}");
}

async fn accepted() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene
}

/// The doctor with a config that says more, and a Caddy that is nowhere.
fn doctor(scene: &Scene, more: &str, args: &[&str]) -> Output {
    // It may lie where nobody loads it from.
    if !scene.config_path().exists() {
        scene.config();
    }
    let base = std::fs::read_to_string(scene.config_path()).unwrap();
    let path: PathBuf = scene.config_path().with_file_name("doctor.toml");
    let caddy =
        format!("[caddy]\nadmin = \"unix://{}\"\n", scene.state().join("no.sock").display());
    std::fs::write(&path, format!("{base}{caddy}{more}")).unwrap();
    let usual = std::env::var("PATH").unwrap();
    Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["doctor", "--config"])
        .arg(path)
        .args(args)
        .env("PATH", format!("{}:{usual}", scene.state().join("bin").display()))
        .env("WRIT_LOG", "off")
        .output()
        .unwrap()
}

fn checks(output: &Output, check: &str) -> Vec<Value> {
    let all = json(output);
    all["checks"].as_array().unwrap().iter().filter(|f| f["check"] == check).cloned().collect()
}

fn one(output: &Output, check: &str) -> Value {
    let mut found = checks(output, check);
    assert_eq!(found.len(), 1, "{check}");
    found.remove(0)
}

/// An HTTP server that gives everybody the same answer.
fn serve(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

/// A server that takes connections and never answers.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let streams: Vec<_> = listener.incoming().collect();
        drop(streams);
    });
    url
}

/// An address where nobody listens.
fn gone() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
