//! The commands that read a host, through the binary, over ledgers that real rounds wrote.

#[path = "operators/desk.rs"]
mod desk;
#[path = "operators/doctor.rs"]
mod doctor;
#[path = "trust/forge.rs"]
mod forge;
#[path = "cli/programs.rs"]
mod json;
#[path = "operators/pause.rs"]
mod pause;
#[path = "operators/programs.rs"]
mod programs;
#[path = "agent/scene.rs"]
#[allow(dead_code, reason = "the rounds of tests/agent.rs ask more of a scene")]
mod scene;
#[path = "operators/trust.rs"]
mod trust;
mod world;

use desk::{fix_times, told, writ};
use json::object;
use scene::{Scene, closure};
use writ::names::CommitId;

/// Three generations: `web` 1 confirmed, `web` 2 rolled back, `web` 3 with `api` confirmed.
async fn three_generations() -> (Scene, Vec<CommitId>) {
    let mut scene = Scene::new();
    let first = scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    let second = scene.push_service("web", "2");
    scene.round().await;
    let web = scene.service("web", "3", "");
    let api = scene.service("api", "1", "");
    let third = scene.push(&[
        ("manifests/services/web.toml", Some(web)),
        ("manifests/services/api.toml", Some(api)),
    ]);
    scene.round().await;
    fix_times(&scene);
    let root = scene.root.clone();
    (scene, vec![root, first, second, third])
}

#[tokio::test]
async fn log_tells_the_generations_newest_first() {
    let (scene, commits) = three_generations().await;
    insta::assert_snapshot!(told(&scene, &writ(&scene, &["log"]), &commits));
    let one = object(&writ(&scene, &["log", "-n", "1", "--json"]));
    let generations = one["generations"].as_array().unwrap();
    assert_eq!(generations.len(), 1);
    let newest = &generations[0];
    assert_eq!(newest["generation"], 3);
    assert_eq!(newest["commit"], commits[3].as_str());
    assert_eq!(newest["verdict"]["kind"], "confirmed");
    assert_eq!((newest["runs"].clone(), newest["lastGood"].clone()), (true.into(), true.into()));
    assert_eq!(newest["seconds"], 21);
}

#[tokio::test]
async fn log_of_a_new_host_says_that_there_is_nothing() {
    let scene = Scene::new();
    let output = writ(&scene, &["log"]);
    assert_eq!(told(&scene, &output, &[]), "this host has accepted nothing yet\nexit 0\n");
}

#[tokio::test]
async fn log_tells_the_others_where_one_generation_is_damaged() {
    let (scene, commits) = three_generations().await;
    std::fs::write(scene.state().join("generations/2/verdict.json"), "{").unwrap();
    let output = writ(&scene, &["log"]);
    let text = told(&scene, &output, &commits);
    assert!(text.contains("commit-003") && text.contains("commit-001"), "{text}");
    assert!(text.contains("generations/2/verdict.json is damaged"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn show_tells_commit_verdict_and_plan() {
    let (scene, commits) = three_generations().await;
    insta::assert_snapshot!(told(&scene, &writ(&scene, &["show"]), &commits));
}

#[tokio::test]
async fn show_of_a_rollback_tells_why() {
    let (scene, commits) = three_generations().await;
    insta::assert_snapshot!(told(&scene, &writ(&scene, &["show", "2"]), &commits));
    let shown = object(&writ(&scene, &["show", "2", "--json"]));
    assert_eq!(shown["verdict"]["to"], commits[1].as_str());
    assert_eq!(shown["plan"]["steps"][0]["step"], "fetch");
}

#[tokio::test]
async fn show_finds_a_generation_by_what_it_is() {
    let (mut scene, _) = three_generations().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "4"));
    });
    scene.push_service("web", "4");
    scene.round().await;
    for (which, number) in [("newest", 4), ("current", 3), ("last-good", 3), ("1", 1)] {
        assert_eq!(object(&writ(&scene, &["show", which, "--json"]))["generation"], number);
    }
    let output = writ(&scene, &["show", "9"]);
    assert_eq!(
        told(&scene, &output, &[]),
        "error: there is no generation 9; this host has 1 to 4\nexit 2\n"
    );
    assert_eq!(writ(&scene, &["show", "latest"]).status.code(), Some(2));
}

#[tokio::test]
async fn events_tell_what_happened_in_order() {
    let (scene, commits) = three_generations().await;
    let text = told(&scene, &writ(&scene, &["events"]), &commits);
    let untimed: Vec<_> = text.lines().map(|line| line.get(20..).unwrap_or(line)).collect();
    insta::assert_snapshot!(untimed.join("\n"));
    let lines = desk::text(&writ(&scene, &["events", "-n", "2", "--json"]).stdout);
    let kinds: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["step", "confirmed"]);
}

#[tokio::test]
async fn events_tell_once_what_goes_on() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let known = kinds(&scene).len();

    let (real, away) = (scene.forge.git_dir(), scene.forge.git_dir().with_extension("away"));
    std::fs::rename(&real, &away).unwrap();
    scene.round().await;
    scene.round().await;
    std::fs::rename(&away, &real).unwrap();
    scene.world.touch(|machine| machine.loaded.clear());
    scene.round().await;
    scene.round().await;
    scene.world.touch(|machine| machine.caddy_down = true);
    scene.round().await;
    scene.round().await;
    scene.world.touch(|machine| machine.caddy_down = false);
    scene.round().await;
    let stranger = scene.forge.commit("mallory").on(&scene.head).file("a", "b").make();
    scene.point_main_at(&stranger);
    scene.round().await;
    scene.round().await;
    scene.point_main_at(&scene.head);
    scene.round().await;
    scene.round().await;
    assert_eq!(
        kinds(&scene)[known..],
        [
            "source-lost",
            "source-found",
            "drift-found",
            "drift-healed",
            "drift-found",
            "drift-healed",
            "refused",
            "obeyed"
        ]
    );
}

#[tokio::test]
async fn events_tell_once_what_a_generation_waits_for() {
    let mut scene = Scene::new();
    let commit = scene.push_service("web", "1");
    scene.world.touch(|machine| {
        machine.cached.clear();
    });
    scene.round().await;
    scene.round().await;
    assert_eq!(kinds(&scene), ["accepted", "step", "waiting"]);
    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "1"));
    });
    scene.round().await;
    let kinds = kinds(&scene);
    assert_eq!((kinds.len() > 4, kinds.last().map(String::as_str)), (true, Some("confirmed")));
    let last = writ(&scene, &["events", "-n", "1"]);
    assert!(desk::text(&last.stdout).contains(commit.short()));
}

#[tokio::test]
async fn events_are_followed_as_they_happen() {
    let mut scene = Scene::new();
    let following = desk::Running::start(&scene, &["events", "--follow"]);
    scene.push_service("web", "1");
    scene.round().await;
    following.line_with("confirmed");
    scene.push_service("web", "2");
    scene.round().await;
    assert!(following.line_with("accepted").contains("   2  "));
    following.line_with("confirmed");
}

#[test]
fn a_second_agent_leaves_the_host_to_the_first() {
    let scene = Scene::new();
    let first = scene.ledger().claim().unwrap();
    for args in [&["agent"][..], &["agent", "--once"]] {
        let said = told(&scene, &writ(&scene, args), &[]);
        let wanted = format!(
            "error: another agent (process {}) works on this host: it holds /var/lib/writ/agent.lock\nhint: stop the other agent, or ask it: writ sync, writ status\nexit 1\n",
            std::process::id()
        );
        assert_eq!(said, wanted);
    }
    drop(first);
}

/// The world is in order; what this host remembers is not.
#[tokio::test]
async fn every_command_blames_a_damaged_ledger_alike() {
    let mut scene = Scene::new();
    let commit = scene.push_service("web", "1");
    scene.round().await;
    let state = scene.state();
    std::fs::write(state.join("generations/1/commit.json"), "{").unwrap();
    std::fs::write(state.join("revoked.json"), "{").unwrap();
    std::fs::write(state.join("anchor.json"), "{").unwrap();
    std::fs::remove_dir_all(state.join("generations/1/units")).unwrap();
    std::fs::write(state.join("generations/1/units"), "").unwrap();
    let reset = ["trust", "reset", "--to", commit.as_str()];
    for args in [&["status"][..], &["boot"], &["log"], &["show"], &["trust", "show"], &reset] {
        let output = writ(&scene, args);
        let said = desk::text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(said.contains("generations/1/") || said.contains("damaged"), "{args:?}: {said}");
    }
}

fn kinds(scene: &Scene) -> Vec<String> {
    let events = writ::events::Events::at(scene.ledger().events()).read().unwrap();
    events.into_iter().map(|event| event.kind.word().to_owned()).collect()
}

#[tokio::test]
async fn diff_tells_what_two_generations_ask_differently() {
    let (mut scene, mut commits) = three_generations().await;
    let api = scene.service("api", "1", "[env]\nAREA = \"live\"");
    let api = api.replace("healthyFor = \"50ms\"", "healthyFor = \"60ms\"");
    commits.push(scene.push(&[
        ("manifests/services/web.toml", None),
        ("manifests/services/api.toml", Some(api.replace("api.example.org", "api.example.com"))),
    ]));
    scene.round().await;
    insta::assert_snapshot!(told(&scene, &writ(&scene, &["diff", "1", "3"]), &commits));
    insta::assert_snapshot!(told(&scene, &writ(&scene, &["diff", "3"]), &commits));
    let same = writ(&scene, &["diff", "current", "newest"]);
    assert!(desk::text(&same.stdout).contains("no difference"), "{same:?}");

    let found = object(&writ(&scene, &["diff", "1", "3", "--json"]));
    assert_eq!(found["verified"], false);
    assert_eq!(found["to"]["commit"], commits[3].as_str());
    assert_eq!(found["added"], serde_json::json!(["api"]));
    assert_eq!(found["closures"][1]["from"]["version"], "1");
    assert_eq!(found["closures"][1]["to"]["version"], "3");
}

#[tokio::test]
async fn diff_names_a_manifest_that_cannot_be_read() {
    let (mut scene, _) = three_generations().await;
    scene.push(&[("manifests/services/web.toml", Some("hosts = [".to_owned()))]);
    scene.round().await;
    let output = writ(&scene, &["diff", "3"]);
    let text = desk::text(&output.stderr);
    assert!(text.contains("the manifest of generation 4"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    std::fs::remove_dir_all(scene.state().join("repo.git")).unwrap();
    assert_eq!(writ(&scene, &["diff", "1", "3"]).status.code(), Some(3));
    assert_eq!(writ(&scene, &["diff", "HEAD"]).status.code(), Some(2));
}
