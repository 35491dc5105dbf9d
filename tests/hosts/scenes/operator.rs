//! What a person finds out on a host, and how they make the agent keep its hands off.

use super::{Running, Scene};
use serde_json::Value;

pub(super) const SCENES: &[Scene] = &[
    ("the_doctor_finds_what_is_missing_and_nothing_else", doctor),
    ("log_show_diff_and_events_tell_what_happened", history),
    ("a_paused_host_is_left_alone_until_it_is_resumed", paused),
];

fn doctor() {
    let scene = Running::v1();
    // Whether a time server is followed is for the machine below to say.
    assert_eq!(wrong(&scene), Vec::<String>::new());
    let host = &scene.biz.host;
    host.must(&["systemctl", "stop", "caddy"]);
    host.must(&["mv", "/var/lib/writ/anchor.json", "/root/"]);
    host.sh(
        "sed -i 's#^substituters.*#substituters = [\"file:///srv/nothing\"]#' /etc/writ/agent.toml",
    );
    assert_eq!(wrong(&scene), ["anchor", "cache", "caddy", "services"]);
    host.must(&["mv", "/root/anchor.json", "/var/lib/writ/"]);
    scene.biz.stop();
    assert_eq!(wrong(&scene), ["cache", "caddy", "agent"]);
    let told = host.run(&["writ", "doctor"]);
    assert!(!told.ok && told.stdout.contains("systemctl start caddy"), "{told:?}");
}

/// The checks that found something.
fn wrong(scene: &Running) -> Vec<String> {
    let ran = scene.biz.host.run(&["writ", "doctor", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let checks = told["checks"].as_array().expect("a list of checks");
    let wrong = checks.iter().filter(|check| check["ok"] == false);
    wrong.map(|check| check["check"].as_str().unwrap_or_default().to_owned()).collect()
}

fn history() {
    let scene = Running::v1();
    scene.update("v2");
    scene.acme.publish("web", "v3", 8001, "--crash");
    let broken = scene.acme.release("web: version 3");
    scene.biz.judged(&broken, "rolled-back");

    let host = &scene.biz.host;
    let log = host.must(&["writ", "log"]);
    let lines: Vec<_> = log.lines().skip(1).collect(); // the headings
    assert!(lines[0].contains(&broken[..10]) && lines[0].contains("rolled-back"), "{log}");
    assert!(lines[1].contains("confirmed") && lines[1].ends_with("(runs, last good)"), "{log}");
    let shown = host.must(&["writ", "show"]);
    assert!(shown.contains("cannot find the database"), "{shown}");
    assert!(shown.contains("restart web"), "{shown}");
    let diff = host.must(&["writ", "diff", "current"]);
    assert!(diff.contains("web v2 → v3") || diff.contains("web-v2 → web-v3"), "{diff}");
    // Both closures are on the host, so that it is told what is in them.
    assert!(diff.contains("\n    + web-v3, +") && diff.contains("\n    - web-v2, -"), "{diff}");
    assert!(diff.contains("\n-ExecStart=") && diff.contains("\n+ExecStart="), "{diff}");
    let events = host.must(&["writ", "events"]);
    for word in ["accepted", "step", "confirmed", "rolled-back"] {
        assert!(events.contains(word), "{word}: {events}");
    }
}

fn paused() {
    let scene = Running::v1();
    scene.biz.host.must(&["chmod", "0644", "/etc/writ/agent.toml"]);
    let stranger = scene.biz.host.run(&["runuser", "-u", "nobody", "--", "writ", "pause"]);
    assert!(!stranger.ok && stranger.stderr.contains("only root"), "{stranger:?}");
    scene.biz.host.must(&["writ", "pause", "--reason", "moving the database"]);
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    scene.biz.sync();
    let pid = scene.biz.pid("web");
    scene.biz.status_where("the new commit accepted and not begun", |s| {
        s.head() == commit && s.kind().is_empty() && s.running() == scene.v1
    });
    scene.untouched(pid);
    let status = scene.biz.host.run(&["writ", "status"]).stdout;
    assert!(status.contains("paused since") && status.contains("moving the database"), "{status}");

    scene.biz.host.must(&["systemctl", "restart", "writ-agent"]);
    scene.biz.sync();
    scene.untouched(pid);
    scene.biz.host.must(&["writ", "resume"]);
    scene.biz.sync();
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}
