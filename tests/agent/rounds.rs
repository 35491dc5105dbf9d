//! Whole rounds: what a push, a revert, a failing version and a lacking host come to.

use writ::next::Next;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

#[tokio::test]
async fn a_signed_push_runs_and_a_quiet_round_changes_nothing() {
    let mut scene = Scene::new();
    let commit = scene.push_service("web", "1");
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    assert_eq!(report.commit, Some(commit));
    scene.assert_runs(&[("web", "1")]);

    let (changes, written) = (scene.world.state().changes, listing(&scene));
    assert_eq!(scene.round().await.next, Next::Settled);
    assert_eq!(scene.world.state().changes, changes, "a quiet round changes nothing");
    assert_eq!(listing(&scene), written, "a quiet round writes nothing");
}

#[tokio::test]
async fn a_change_of_one_service_leaves_the_other_alone() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.push_service("api", "1");
    scene.round().await;
    let before = invocation(&scene, "api");
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("api", "1"), ("web", "2")]);
    assert_eq!(invocation(&scene, "api"), before);
}

#[tokio::test]
async fn a_revert_restores_the_old_version_and_downloads_nothing() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_service("web", "2");
    scene.round().await;
    let downloads = scene.world.state().downloads;
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
    assert_eq!(scene.world.state().downloads, downloads);
}

#[tokio::test]
async fn a_service_that_left_the_manifest_is_stopped_and_forgotten() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.push_service("api", "1");
    scene.round().await;
    scene.push(&[("manifests/services/api.toml", None)]);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_version_that_crashes_is_rolled_back_once_and_not_tried_again() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let good = scene.round().await.commit;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    scene.push_service("web", "2");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { to, fault, step, .. }) = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(*to, good);
    assert!(fault.because.contains("exit-code, status 1"), "{fault}");
    assert!(fault.evidence.iter().any(|line| line.contains("something happened")), "{fault:?}");
    assert!(step.contains("web"), "{step}");
    scene.assert_runs(&[("web", "1")]);

    let changes = scene.world.state().changes;
    assert_eq!(word(&scene.round().await), "rolled-back");
    assert_eq!(scene.world.state().changes, changes, "it is not tried again");

    scene.push_service("web", "3");
    assert_eq!(word(&scene.round().await), "confirmed", "a new commit is");
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_version_that_never_answers_its_check_is_rolled_back_with_the_last_answer() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| {
        machine.sick.insert(closure("web", "2"));
    });
    scene.push_service("web", "2");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { fault, .. }) = &report.verdict else { panic!("{report:?}") };
    // The unit's own last words come first.
    let answer = fault.evidence.iter().any(|line| line.contains("500 Internal Server Error"));
    assert!(answer && fault.evidence[0].starts_with("journal: "), "{fault:?}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_first_generation_that_fails_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "1"));
    });
    scene.push_service("web", "1");
    let report = scene.round().await;
    let Some(Verdict::RolledBack { to: None, .. }) = &report.verdict else { panic!("{report:?}") };
    scene.assert_runs(&[]);
}

#[tokio::test]
async fn an_invalid_manifest_is_a_refused_generation() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push(&[("manifests/services/web.toml", Some("hosts = [\"biz\"\n".to_owned()))]);
    let report = scene.round().await;
    let Some(Verdict::Refused { because, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(because[0].contains("manifests/services/web.toml:"), "{because:?}");
    scene.assert_runs(&[("web", "1")]);
    assert_eq!(word(&scene.round().await), "refused");
    scene.assert_runs(&[("web", "1")]);
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
}

#[tokio::test]
async fn what_the_host_lacks_is_waited_for_and_then_taken() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let text = scene.service("web", "2", "envFile = \"/etc/web.env\"");
    let text = text.replace("command = \"run\"", "command = \"run\"\nuser = \"pil\"");
    scene.world.touch(|machine| {
        machine.accounts_missing.insert("pil".parse().unwrap());
        machine.files_missing.insert("/etc/web.env".parse().unwrap());
        machine.caddy_down = true;
        machine.cached.remove(&closure("web", "2"));
    });
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let reasons = |verdict: Option<Verdict>| match verdict {
        Some(Verdict::Waiting { reasons, .. }) => reasons.join("\n"),
        other => panic!("{other:?}"),
    };
    let told = reasons(scene.round().await.verdict);
    for word in ["`pil`", "/etc/web.env", "Caddy"] {
        assert!(told.contains(word), "{told}");
    }
    assert!(scene.runs("web").unwrap().contains(closure("web", "1").as_str()));

    scene.world.touch(|machine| {
        machine.accounts_missing.clear();
        machine.files_missing.clear();
        machine.caddy_down = false;
    });
    let told = reasons(scene.round().await.verdict);
    assert!(told.contains(closure("web", "2").as_str()), "{told}");
    scene.assert_runs(&[("web", "1")]);

    scene.world.touch(|machine| {
        machine.cached.insert(closure("web", "2"));
    });
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn what_was_stopped_or_changed_by_hand_is_put_back() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| {
        machine.loaded.clear();
        machine.config = serde_json::Value::Null;
        machine.config_version += 1;
    });
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
    scene.world.touch(|machine| {
        for text in machine.files.values_mut() {
            text.push_str("# somebody was here\n");
        }
    });
    scene.round().await;
    assert!(!scene.runs("web").unwrap().contains("somebody"));
    scene.assert_runs(&[("web", "1")]);
}

fn invocation(scene: &Scene, name: &str) -> String {
    scene.world.state().loaded[&format!("writ-{name}.service").parse().unwrap()].invocation.clone()
}

/// Every file of the ledger with the time of its last change.
fn listing(scene: &Scene) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    fn walk(dir: &std::path::Path, found: &mut Vec<(std::path::PathBuf, std::time::SystemTime)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            found.push((entry.path(), metadata.modified().unwrap()));
            if metadata.is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&scene.state(), &mut found);
    found.sort();
    found
}

/// systemd would start it without the variable.
#[tokio::test]
async fn an_environment_file_that_systemd_would_not_read_stops_nothing() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let text = scene.service("web", "2", "envFile = \"/etc/web.env\"");
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let path: writ::names::AbsolutePath = "/etc/web.env".parse().unwrap();
    scene.world.touch(|machine| {
        machine.odd_env_files.insert(path.clone(), "line 3 begins with `export`".to_owned());
    });
    let report = scene.round().await;
    let Some(Verdict::Waiting { reasons, .. }) = report.verdict else { panic!("{report:?}") };
    assert!(reasons[0].contains("/etc/web.env") && reasons[0].contains("line 3"), "{reasons:?}");
    scene.assert_runs(&[("web", "1")]);

    scene.world.touch(|machine| machine.odd_env_files.clear());
    assert_eq!(word(&scene.round().await), "confirmed");
    // What runs already is left alone, and others go on.
    scene.world.touch(|machine| {
        machine.odd_env_files.insert(path, "line 3 begins with `export`".to_owned());
    });
    scene.push_service("api", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("api", "1"), ("web", "2")]);
}
