//! Deploy windows and commits that must pass, on a real host.

use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_push_waits_for_the_window_unless_it_is_urgent", window),
    ("a_host_that_was_away_applies_each_commit_that_must_pass", away),
];

const HOST: &str = "manifests/hosts/biz.toml";

fn window() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    // On one day of a leap year, at the other end of the calendar.
    scene.acme.workshop.write(
        HOST,
        "timezone = \"Europe/Berlin\"\nwindows = [{ cron = \"0 30 2 29 2 *\", for = \"45m\" }]\n",
    );
    scene.acme.publish("web", "v2", 8001, "");
    let held = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&held, "waiting");
    let why = status.why();
    assert!(why.contains("the deploy window opens 20"), "{why}");
    assert!(why.contains("-02-29 02:30 Europe/Berlin"), "{why}");
    scene.untouched(pid);
    let text = scene.biz.host.run(&["writ", "status"]).stdout;
    assert!(text.contains("\n  for      the deploy window opens 20"), "{text}");
    let file = scene.acme.workshop.host.must(&["cat", "/root/deploy/manifests/services/web.toml"]);
    let path = file.lines().find_map(|line| line.strip_prefix("storePath = ")).expect("a path");
    scene.biz.host.must(&["nix-store", "--check-validity", path.trim_matches('"')]);

    // A stop by hand is no deployment.
    scene.biz.host.must(&["systemctl", "stop", "writ-web"]);
    scene.biz.sync();
    scene.biz.serves("web.acme.example", "v1");

    let urgent = scene.acme.release("web: at once\n\nWrit-Urgent: yes");
    scene.biz.confirmed(&urgent);
    scene.biz.serves("web.acme.example", "v2");
}

fn away() {
    let scene = Running::v1();
    scene.biz.stop();
    for version in ["v2", "v3"] {
        scene.acme.publish("web", version, 8001, "");
        scene.acme.release(&format!("web: {version}\n\nWrit-Must-Pass: yes"));
    }
    scene.acme.publish("web", "v4", 8001, "--crash");
    scene.acme.release("web: passed over, broken");
    scene.acme.publish("web", "v5", 8001, "");
    let newest = scene.acme.release("web: v5");
    scene.biz.host.must(&["systemctl", "start", "writ-agent"]);
    scene.biz.confirmed(&newest);
    scene.biz.serves("web.acme.example", "v5");
    let log = scene.biz.host.must(&["writ", "log"]);
    let words: Vec<(&str, &str)> = log
        .lines()
        .skip(1) // the headings
        .map(|line| (line.split_whitespace().nth(2).unwrap(), line.contains("must pass")))
        .map(|(word, must)| (word, if must { "must pass" } else { "" }))
        .collect();
    let must = ("confirmed", "must pass");
    assert_eq!(words, [("confirmed", ""), must, must, ("confirmed", "")], "{log}");
}
