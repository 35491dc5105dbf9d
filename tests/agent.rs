//! Rounds of the agent on a simulated machine, with git, keys, signatures and disk real.

#[path = "agent/closures.rs"]
mod closures;
#[path = "trust/forge.rs"]
mod forge;
#[path = "agent/scene.rs"]
mod scene;
mod world;

use std::time::Duration;

use scene::{Scene, closure, word};
use world::How;
use writ::next::Next;
use writ::trust::Reason;
use writ::verdict::Verdict;

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
    assert!(fault.evidence[0].contains("500 Internal Server Error"), "{fault:?}");
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
async fn unsigned_and_foreign_commits_change_nothing_and_the_branch_recovers() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let changes = scene.world.state().changes;
    let evil = scene.service("web", "2", "");
    let path = "manifests/services/web.toml";
    let unsigned = scene.forge.unsigned().on(&scene.head).file(path, &evil).make();
    let stranger = scene.forge.commit("mallory").on(&scene.head).file(path, &evil).make();
    for (commit, reason) in [(unsigned, Reason::Unsigned), (stranger, Reason::UnknownKey)] {
        scene.point_main_at(&commit);
        let report = scene.round().await;
        assert_eq!(report.refused.as_ref().map(|r| r.reason), Some(reason), "{report:?}");
        assert_eq!(word(&report), "confirmed", "the old generation's verdict stands");
        scene.assert_runs(&[("web", "1")]);
        assert_eq!(scene.world.state().changes, changes);
        assert!(scene.ledger().refused_head().unwrap().is_some());
    }
    scene.push_service("web", "3");
    let report = scene.round().await;
    assert_eq!((report.refused, report.verdict.map(|v| v.word())), (None, Some("confirmed")));
    assert!(scene.ledger().refused_head().unwrap().is_none());
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_branch_that_goes_back_is_refused() {
    let mut scene = Scene::new();
    let old = scene.push_service("web", "1");
    scene.push_service("web", "2");
    scene.round().await;
    scene.point_main_at(&old);
    let report = scene.round().await;
    assert_eq!(report.refused.map(|r| r.reason), Some(Reason::Rollback));
    scene.assert_runs(&[("web", "2")]);
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

#[tokio::test]
async fn a_host_that_cannot_reach_its_source_keeps_and_heals_what_it_has() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let (real, away) = (scene.forge.git_dir(), scene.forge.git_dir().with_extension("away"));
    std::fs::rename(&real, &away).unwrap();
    scene.world.touch(|machine| machine.loaded.clear());
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed");
    assert!(report.faults[0].doing.contains("fetch main"), "{:?}", report.faults);
    scene.assert_runs(&[("web", "1")]);
    std::fs::rename(&away, &real).unwrap();
    assert!(scene.round().await.faults.is_empty());
}

#[tokio::test]
async fn a_lost_copy_of_the_repository_is_fetched_again() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    std::fs::remove_dir_all(scene.state().join("repo.git")).unwrap();
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn damaged_state_is_a_refusal_and_not_a_first_boot() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let anchor = scene.state().join("anchor.json");
    let good = std::fs::read(&anchor).unwrap();
    std::fs::write(&anchor, b"{ \"version\": 1, \"comm").unwrap();
    scene.push_service("web", "2");
    let report = scene.round().await;
    assert!(report.faults[0].because.contains("anchor.json is damaged"), "{report:?}");
    assert!(report.faults[0].remedy.as_ref().unwrap().contains("writ trust reset"));
    scene.assert_runs(&[("web", "1")]);
    std::fs::write(&anchor, good).unwrap();
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

/// The world fails at each change in turn: nothing is rolled back for that, and as
/// soon as it works the generation is there.
#[tokio::test]
async fn a_world_that_fails_at_any_change_is_waited_for() {
    for n in 0.. {
        let mut scene = two_generations().await;
        scene.world.trouble_at(n, How::Fails);
        let report = scene.round().await;
        if scene.world.trouble_is_ahead() {
            assert!(n >= 8, "only {n} changes were tried");
            break;
        }
        assert!(matches!(report.next, Next::Again(_)), "after {n} changes: {report:?}");
        assert_eq!(word(&scene.round().await), "confirmed", "stuck after {n} changes");
        scene.assert_runs(&[("new", "1"), ("web", "2")]);
        scene.push_service("web", "3");
        assert_eq!(word(&scene.round().await), "confirmed");
    }
}

/// The agent is killed before and after each change in turn: the next start ends in
/// the new generation, with every unit, profile and route agreeing.
#[tokio::test]
async fn an_agent_killed_at_any_change_goes_on_where_it_was() {
    for how in [How::FreezesBefore, How::FreezesAfter] {
        for n in 0.. {
            let scene = two_generations().await;
            scene.world.trouble_at(n, how);
            let mut agent = scene.agent();
            let killed = tokio::select! {
                _ = agent.round() => false,
                () = frozen(&scene) => true,
            };
            drop(agent);
            if !killed {
                break;
            }
            let report = scene.round().await;
            assert_eq!(word(&report), "confirmed", "{how:?} after {n} changes: {report:?}");
            scene.assert_runs(&[("new", "1"), ("web", "2")]);
        }
    }
}

/// The same for a generation that does not work: wherever the agent is killed, the
/// next start ends on the last good one.
#[tokio::test]
async fn an_agent_killed_while_rolling_back_ends_on_the_last_good_generation() {
    for how in [How::FreezesBefore, How::FreezesAfter] {
        for n in 0.. {
            let scene = two_generations().await;
            scene.world.touch(|machine| {
                machine.crashing.insert(closure("web", "2"));
            });
            scene.world.trouble_at(n, how);
            let mut agent = scene.agent();
            let killed = tokio::select! {
                _ = agent.round() => false,
                () = frozen(&scene) => true,
            };
            drop(agent);
            if !killed {
                break;
            }
            let report = scene.round().await;
            assert_eq!(word(&report), "rolled-back", "{how:?} after {n} changes: {report:?}");
            scene.assert_runs(&[("old", "1"), ("web", "1")]);
        }
    }
}

/// A host on `old` 1 and `web` 1, and a branch with `web` 2, `new` 1 and no `old`.
async fn two_generations() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("old", "1");
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let (new, web) = (scene.service("new", "1", ""), scene.service("web", "2", ""));
    scene.push(&[
        ("manifests/services/old.toml", None),
        ("manifests/services/new.toml", Some(new)),
        ("manifests/services/web.toml", Some(web)),
    ]);
    scene
}

/// Returns once the machine has frozen, so that the agent can be dropped in the
/// middle of its call.
async fn frozen(scene: &Scene) {
    while scene.world.trouble_is_ahead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
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

#[tokio::test]
async fn a_copy_of_many_packs_is_fetched_anew_in_one() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let packs = scene.state().join("repo.git/objects/pack");
    let pack = std::fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path());
    let one: Vec<_> = pack.collect();
    for n in 0..200 {
        for file in &one {
            let name = format!("pack-{n:040}.{}", file.extension().unwrap().to_str().unwrap());
            std::fs::copy(file, packs.join(name)).unwrap();
        }
    }
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
    assert!(std::fs::read_dir(&packs).unwrap().count() < 10);
}
