//! Programs that are not in their closure: the version that runs is not stopped for them.

use writ::names::AbsolutePath;
use writ::plan::programs::Flaw;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

fn program(name: &str, version: &str, program: &str) -> AbsolutePath {
    format!("{}/bin/{program}", closure(name, version)).parse().unwrap()
}

#[tokio::test]
async fn a_program_that_is_not_in_the_closure_is_found_before_anything_stops() {
    let health = "[health]\ncommand = [\"ready\", \"now\"]\n";
    let reload = "command = \"run\"\nreload = [\"again\"]\n";
    for (missing, flaw) in
        [("run", Flaw::Absent), ("ready", Flaw::NotExecutable), ("again", Flaw::NotAFile)]
    {
        let mut scene = Scene::new();
        scene.push_service("web", "1");
        scene.round().await;
        let before = scene.world.state();

        let path = program("web", "2", missing);
        let text = scene.service("web", "2", "").replace("command = \"run\"\n", reload);
        let text = text.replace("[health]\npath = \"/\"\n", health);
        scene.world.touch(|machine| {
            machine.flawed.insert(path.clone(), flaw);
        });
        scene.push(&[("manifests/services/web.toml", Some(text))]);
        let report = scene.round().await;
        let Some(Verdict::RolledBack { step, fault, .. }) = &report.verdict else {
            panic!("{report:?}")
        };
        assert!(step.starts_with("check   web  "), "{step}");
        assert_eq!(fault.to_string(), format!("could not run web: {path} {flaw}"));
        assert_eq!(fault.evidence, [format!("service web: {path} {flaw}")]);
        let after = scene.world.state();
        assert_eq!(after.loaded, before.loaded, "what runs was not touched");
        assert_eq!(after.profiles, before.profiles);
        scene.assert_runs(&[("web", "1")]);
    }
}

/// The store was damaged since; healing the others does not wait for it.
#[tokio::test]
async fn what_was_confirmed_is_healed_without_looking() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.world.touch(|machine| {
        machine.flawed.insert(program("web", "1", "run"), Flaw::Absent);
        machine.loaded.clear();
    });
    scene.round().await;
    scene.assert_runs(&[("web", "1")]);
}
