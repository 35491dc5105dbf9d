//! `--json` of the commands that read or steer a host: one object each, its times of one format.

use crate::desk::{text, writ};
use crate::json::{assert_is_for_programs, object};
use crate::three_generations;

#[tokio::test]
async fn every_command_of_a_host_prints_one_object() {
    let (scene, commits) = three_generations().await;
    let reset = ["trust", "reset", "--to", commits[3].as_str(), "--json"];
    let commands: [&[&str]; 14] = [
        &["status", "--json"],
        &["log", "--json"],
        &["show", "2", "--json"],
        &["show", "3", "--json"],
        &["diff", "1", "3", "--json"],
        &["doctor", "--timeout", "2", "--json"],
        &["trust", "show", "--json"],
        &["pause", "--reason", "noon", "--json"],
        &["resume", "--json"],
        &["resume", "--json"],
        &["report", "key", "--json"],
        &["gc", "--dry-run", "--json"],
        &reset,
        &["adopt", "web", "--json"],
    ];
    let objects = commands.map(|args| object(&writ(&scene, args)));
    assert_eq!(objects[7]["paused"]["reason"], "noon");
    assert_eq!([&objects[8]["wasPaused"], &objects[9]["wasPaused"]], [true, false]);
    assert_eq!(objects[13]["directories"][0], "web");
    assert_eq!(objects[12]["commit"], commits[3].as_str());
}

#[tokio::test]
async fn events_are_an_object_a_line() {
    let (scene, _) = three_generations().await;
    let output = writ(&scene, &["events", "--json"]);
    let lines = text(&output.stdout);
    assert!(lines.lines().count() > 3, "{lines}");
    for line in lines.lines() {
        assert_is_for_programs(&serde_json::from_str(line).unwrap());
    }
}
