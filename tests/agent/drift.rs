//! What somebody did to the host by hand: each kind is told, and put back within a round or left.

use writ::agent::drift::Healed;
use writ::agent::status::{Status, gather};
use writ::config::{Config, OnDrift};
use writ::events::{Events, Kind};
use writ::ledger::pause::Pause;
use writ::names::UnitName;
use writ::next::Next;
use writ::plan::drift::Drift;
use writ::plan::observed::{Override, OverrideKind, UnitState};

use crate::scene::{HOST, Scene, closure, word};
use crate::world::{How, Machine};

/// A hand on the machine.
type Hand = fn(&mut Machine);

/// Each kind of change, and how it is told.
const KINDS: &[(&str, Hand)] = &[
    ("a stopped unit", |machine| {
        machine.loaded.remove(&unit("web"));
    }),
    ("a failed unit", |machine| {
        machine.loaded.get_mut(&unit("web")).unwrap().state = UnitState::Failed;
    }),
    ("an edited unit", |machine| {
        let text = machine.files.get_mut(&unit("web")).unwrap();
        *text = text
            .replace("Restart=on-failure", "Restart=no")
            .replace("Restart=always", "Restart=no");
        text.push_str("Nice=5\n");
    }),
    ("a deleted unit", |machine| {
        machine.files.remove(&unit("web"));
    }),
    ("a unit masked in /run", |machine| {
        machine.files.insert(unit("web"), String::new());
    }),
    ("a unit masked in /etc", |machine| {
        over(machine, "/etc/systemd/system/writ-web.service", OverrideKind::Mask, "");
    }),
    ("a unit masked in /etc and stopped", |machine| {
        machine.loaded.remove(&unit("web"));
        over(machine, "/etc/systemd/system/writ-web.service", OverrideKind::Mask, "");
    }),
    ("a unit replaced in /etc", |machine| {
        let text = "[Service]\nExecStart=/bin/sleep 1000\n";
        over(machine, "/etc/systemd/system/writ-web.service", OverrideKind::Replacement, text);
    }),
    ("a drop-in", |machine| {
        let path = "/etc/systemd/system/writ-web.service.d/mine.conf";
        over(machine, path, OverrideKind::DropIn, "[Service]\nNice=5\n");
    }),
    ("systemctl set-property", |machine| {
        let path = "/etc/systemd/system.control/writ-web.service.d/50-MemoryMax.conf";
        over(machine, path, OverrideKind::DropIn, "[Service]\nMemoryMax=1\n");
    }),
    ("a drop-in that says nothing to the process", |machine| {
        let path = "/run/systemd/system/writ-web.service.d/mine.conf";
        over(machine, path, OverrideKind::DropIn, "[Unit]\nDescription=mine\n");
    }),
    ("a unit of nobody's", |machine| {
        machine.files.insert(unit("ghost"), "[Service]\nExecStart=/bin/ghost\n".to_owned());
    }),
    ("a route deleted", |machine| change_routes(machine, |routes| routes.retain(|r| !ours(r)))),
    ("a route changed", |machine| {
        change_routes(machine, |routes| {
            for route in routes.iter_mut().filter(|route| ours(route)) {
                route["handle"][0]["upstreams"][0]["dial"] = "127.0.0.1:1".into();
            }
        });
    }),
    ("a profile rolled back", |machine| {
        machine.profiles.get_mut(&"web".parse().unwrap()).unwrap().1 = 0;
    }),
    ("a profile deleted", |machine| {
        machine.profiles.remove(&"web".parse().unwrap());
    }),
    ("a closure collected", |machine| {
        machine.gone.insert(closure("web", "2"));
    }),
];

fn unit(name: &str) -> UnitName {
    format!("writ-{name}.service").parse().unwrap()
}

fn over(machine: &mut Machine, path: &str, kind: OverrideKind, text: &str) {
    let path = path.parse().unwrap();
    let file = Override { path, kind, text: text.to_owned(), movable: true };
    machine.overrides.entry(unit("web")).or_default().push(file);
}

fn ours(route: &serde_json::Value) -> bool {
    route["@id"].as_str().is_some_and(|id| id.starts_with("writ-web-"))
}

fn change_routes(machine: &mut Machine, change: fn(&mut Vec<serde_json::Value>)) {
    let servers = machine.config["apps"]["http"]["servers"].as_object_mut().unwrap();
    for server in servers.values_mut() {
        change(server["routes"].as_array_mut().unwrap());
    }
    machine.config_version += 1;
}

/// `web` at version 2, and `api`, which nobody touches.
async fn base() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.push_service("api", "1");
    scene.round().await;
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene
}

async fn status(scene: &Scene, agent: &writ::agent::Agent<crate::world::SimWorld>) -> Status {
    let snapshot = agent.shared().snapshot();
    gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, Some(snapshot)).await.unwrap()
}

fn drifts(scene: &Scene) -> Vec<(Kind, String)> {
    let events = Events::at(scene.ledger().events()).read().unwrap();
    let of_drift = |kind| matches!(kind, Kind::DriftFound | Kind::DriftHealed);
    events.into_iter().filter(|e| of_drift(e.kind)).map(|e| (e.kind, e.text)).collect()
}

fn told(drift: &[Drift]) -> String {
    drift.iter().map(|drift| format!("{drift}\n")).collect()
}

fn reporting(scene: &Scene) -> Config {
    Config { drift: OnDrift::Report, ..scene.config() }
}

/// The host is what its generation says, in every respect.
fn assert_whole(scene: &Scene, what: &str) {
    scene.assert_runs(&[("api", "1"), ("web", "2")]);
    let machine = scene.world.state();
    for (name, text) in machine.running() {
        assert_eq!(Some(&text), machine.files.get(&name), "{what}: it runs from its file");
    }
    assert!(machine.overrides.is_empty() && machine.gone.is_empty(), "{what}");
}

#[tokio::test]
async fn each_kind_is_told_and_put_back_within_a_round_and_others_are_left_alone() {
    let base = base().await;
    let mut all = String::new();
    for (what, hand) in KINDS {
        let scene = base.twin();
        let mut agent = scene.agent();
        agent.round().await;
        let api = scene.world.state().loaded[&unit("api")].clone();
        scene.world.touch(hand);
        let report = agent.round().await;
        assert_eq!((report.next, report.faults), (Next::Settled, vec![]), "{what}");
        assert_whole(&scene, what);
        assert_eq!(scene.world.state().loaded[&unit("api")], api, "{what}: others are left alone");

        let status = status(&scene, &agent).await;
        let Some(Healed { drift, .. }) = &status.healed else { panic!("{what} is not told") };
        assert_eq!(status.drift, [], "{what}");
        all.push_str(&format!("{what}\n{}\n", told(drift)));
        let events = drifts(&scene);
        let kinds: Vec<_> = events.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::DriftFound, Kind::DriftHealed], "{what}");
        assert!(drift.iter().all(|drift| events[0].1.contains(&drift.to_string())), "{what}");

        let changes = scene.world.state().changes;
        assert_eq!(agent.round().await.next, Next::Settled);
        assert_eq!(scene.world.state().changes, changes, "{what}: it is over");
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_mask_and_a_description_cost_no_restart() {
    let base = base().await;
    for (what, hand) in KINDS {
        let spared = ["a unit masked in /etc", "a drop-in that says nothing to the process"];
        if !spared.contains(what) {
            continue;
        }
        let scene = base.twin();
        let before = scene.world.state().loaded[&unit("web")].clone();
        scene.world.touch(hand);
        scene.round().await;
        assert_eq!(scene.world.state().loaded[&unit("web")], before, "{what}");
        assert_eq!(scene.world.state().aside.len(), 1, "{what} is not lost");
    }
}

#[tokio::test]
async fn a_host_that_only_reports_is_left_as_somebody_made_it() {
    let base = base().await;
    for (what, hand) in KINDS {
        let scene = base.twin();
        let mut agent = scene.agent_with(reporting(&scene));
        agent.round().await;
        scene.world.touch(hand);
        let (changes, loaded) = (scene.world.state().changes, scene.world.state().loaded);
        for _ in 0..2 {
            assert_eq!(agent.round().await.next, Next::Settled, "{what}");
        }
        assert_eq!(scene.world.state().changes, changes, "{what}");
        assert!(scene.world.state().loaded == loaded, "{what}");
        let status = status(&scene, &agent).await;
        assert_ne!(status.drift, [], "{what}");
        assert!(
            status.to_string().contains("drift      web: ") || what.contains("nobody"),
            "{status}"
        );
        let events = drifts(&scene);
        assert_eq!(events.len(), 1, "{what} is told once: {events:?}");
    }
}

#[tokio::test]
async fn a_new_generation_takes_back_what_was_only_reported() {
    let mut scene = base().await;
    for (_, hand) in KINDS.iter().filter(|(what, _)| what.contains("drop-in")) {
        scene.world.touch(hand);
    }
    let mut agent = scene.agent_with(reporting(&scene));
    agent.round().await;
    assert_eq!(status(&scene, &agent).await.drift.len(), 2);
    scene.push_service("web", "3");
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("api", "1"), ("web", "3")]);
    assert!(scene.world.state().overrides.is_empty());
    assert_eq!(status(&scene, &agent).await.drift, []);
}

/// `/run` and Caddy's memory do not outlive a start: nobody took that away by hand.
#[tokio::test]
async fn what_a_start_lost_is_put_back_also_where_drift_is_only_reported() {
    let scene = base().await;
    let mut agent = scene.agent_with(reporting(&scene));
    scene.world.touch(|machine| {
        machine.config = serde_json::Value::Null;
        machine.config_version += 1;
    });
    agent.round().await;
    assert_whole(&scene, "Caddy was restarted");
    scene.world.touch(|machine| {
        machine.loaded.clear();
        machine.files.clear();
    });
    agent.round().await;
    assert_whole(&scene, "the host was booted");
}

#[tokio::test]
async fn a_paused_host_tells_its_drift_and_keeps_it() {
    let base = base().await;
    for (what, hand) in KINDS {
        let scene = base.twin();
        let by = "root".parse().unwrap();
        let pause = Pause { since: "2026-11-21T10:00:00Z".to_owned(), by, reason: None };
        scene.ledger().pause(&pause).unwrap();
        let mut agent = scene.agent();
        scene.world.touch(hand);
        let changes = scene.world.state().changes;
        agent.round().await;
        assert_eq!(scene.world.state().changes, changes, "{what}");
        assert_ne!(status(&scene, &agent).await.drift, [], "{what}");
        assert_eq!(drifts(&scene).len(), 1, "{what}");
        scene.ledger().resume().unwrap();
        agent.round().await;
        assert_whole(&scene, what);
    }
}

#[tokio::test]
async fn a_paused_host_with_a_generation_ahead_is_compared_with_what_it_runs() {
    let mut scene = base().await;
    let by = "root".parse().unwrap();
    let pause = Pause { since: "2026-11-21T10:00:00Z".to_owned(), by, reason: None };
    scene.ledger().pause(&pause).unwrap();
    scene.push_service("web", "3");
    let mut agent = scene.agent();
    agent.round().await;
    assert_eq!(status(&scene, &agent).await.drift, []);
    scene.world.touch(KINDS[0].1);
    agent.round().await;
    assert_eq!(
        told(&status(&scene, &agent).await.drift),
        "web: unit-stopped, expected active, found inactive\n"
    );
}

#[tokio::test]
async fn what_cannot_be_moved_away_is_told_and_waited_for_and_all_else_is_healed() {
    let mut scene = base().await;
    scene.world.touch(|machine| {
        let path = "/etc/systemd/system/writ-web.service.d/system.conf";
        over(machine, path, OverrideKind::DropIn, "[Service]\nNice=5\n");
        machine.overrides.get_mut(&unit("web")).unwrap()[0].movable = false;
        machine.loaded.remove(&unit("api"));
    });
    let mut agent = scene.agent();
    let mut changes = 0;
    for n in 0..3 {
        let report = agent.round().await;
        assert!(matches!(report.next, Next::Again(_)), "{report:?}");
        assert!(report.waiting[0].contains("system.conf changes its unit"), "{report:?}");
        assert!(scene.runs("api").is_some());
        assert_eq!(status(&scene, &agent).await.drift.len(), 1);
        if n > 0 {
            assert_eq!(scene.world.state().changes, changes, "no busy loop");
        }
        changes = scene.world.state().changes;
    }
    let events = drifts(&scene);
    assert_eq!(events.len(), 2, "what was found, and what is left: {events:?}");
    // A generation would not be what was signed, so it waits as well.
    scene.push_service("web", "3");
    assert_eq!(word(&agent.round().await), "waiting");
    scene.world.touch(|machine| machine.overrides.clear());
    assert_eq!(word(&agent.round().await), "confirmed");
}

#[tokio::test]
async fn while_a_generation_waits_the_one_that_runs_is_kept_as_it_is() {
    let mut scene = base().await;
    let text = scene.service("web", "3", "envFile = \"/etc/web.env\"");
    scene.world.touch(|machine| {
        machine.files_missing.insert("/etc/web.env".parse().unwrap());
    });
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let mut agent = scene.agent();
    for (_, hand) in &KINDS[..2] {
        scene.world.touch(hand);
        assert_eq!(word(&agent.round().await), "waiting");
        assert_whole(&scene, "a generation waits");
        assert!(status(&scene, &agent).await.waiting[0].contains("/etc/web.env"));
    }
    scene.world.touch(|machine| machine.files_missing.clear());
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("api", "1"), ("web", "3")]);
}

/// The agent is killed before and after each change of healing a drop-in: no process
/// goes on with settings that nobody can see any more.
#[tokio::test]
async fn an_agent_killed_while_it_heals_leaves_nothing_half_done() {
    let base = base().await;
    for how in [How::FreezesBefore, How::FreezesAfter, How::Fails] {
        for n in 0.. {
            let scene = base.twin();
            scene.world.touch(|machine| {
                let path = "/etc/systemd/system/writ-web.service.d/mine.conf";
                over(machine, path, OverrideKind::DropIn, "[Service]\nNice=5\n");
                let loaded = machine.loaded.get_mut(&unit("web")).unwrap();
                loaded.text.push_str("[Service]\nNice=5\n");
            });
            scene.world.trouble_at(n, how);
            let mut agent = scene.agent();
            let killed = std::time::Duration::from_secs(2);
            let _ = tokio::time::timeout(killed, agent.round()).await;
            if scene.world.trouble_is_ahead() {
                assert!(n >= 3, "only {n} changes");
                break;
            }
            scene.agent().round().await;
            assert_whole(&scene, &format!("{how:?} at {n}"));
        }
    }
}
