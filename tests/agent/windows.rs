//! Generations that wait for their host's deploy window.

use jiff::{Timestamp, ToSpan as _};
use writ::next::Next;
use writ::plan::programs::Flaw;
use writ::verdict::Verdict;

use crate::scene::{HOST, Scene, closure, word};
use crate::trouble::frozen;
use crate::world::How;

/// A window of an hour that opens in `hours`.
pub(crate) fn opens_in(hours: i64) -> String {
    let opens = Timestamp::now() + hours.hours();
    let cron = opens.strftime("%S %M %H * * *");
    format!("tags = [\"web\"]\nwindows = [\"{cron}\"]\n")
}

fn host_file() -> String {
    format!("manifests/hosts/{HOST}.toml")
}

impl Scene {
    /// Version `version` of `web`, with the host's file and a message.
    pub(crate) fn push_told(&mut self, version: &str, host: &str, message: &str) {
        let text = self.service("web", version, "");
        self.head = self
            .forge
            .commit("alice")
            .on(&self.head)
            .message(message)
            .file(&host_file(), host)
            .file("manifests/services/web.toml", text)
            .make();
        self.point_main_at(&self.head);
    }

    /// A host on `web` 1, and `web` 2 with a window that opens in three hours.
    async fn held() -> Self {
        let mut scene = Self::new();
        scene.push_service("web", "1");
        assert_eq!(word(&scene.round().await), "confirmed");
        scene.push_told("2", &opens_in(3), "a change");
        scene
    }
}

fn reasons(verdict: Option<Verdict>) -> Vec<String> {
    match verdict {
        Some(Verdict::Waiting { reasons, .. }) => reasons,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_generation_waits_for_the_window_with_everything_fetched() {
    let scene = Scene::held().await;
    let mut agent = scene.agent();
    let report = agent.round().await;
    let Next::Later(pause) = report.next else { panic!("{report:?}") };
    assert!((3595..=3600 * 3).contains(&pause.as_secs()), "{pause:?}");
    let told = reasons(report.verdict);
    let opens = (Timestamp::now() + 3.hours()).strftime("%Y-%m-%d %H:").to_string();
    assert!(told[0].starts_with(&format!("the deploy window opens {opens}")), "{told:?}");
    assert!(told[0].ends_with(" UTC") && told.len() == 1, "{told:?}");
    scene.assert_runs(&[("web", "1")]);
    let machine = scene.world.state();
    assert!(machine.fetched.contains(&closure("web", "2")), "its closure is here");
    assert_eq!(scene.ledger().current().unwrap(), Some(1), "nothing of it was begun");
    // Another look changes nothing and fetches nothing.
    let downloads = machine.downloads;
    agent.round().await;
    assert_eq!(scene.world.state().downloads, downloads);
}

#[tokio::test]
async fn a_first_generation_waits_too() {
    let mut scene = Scene::new();
    scene.push_told("1", &opens_in(3), "a change");
    assert_eq!(word(&scene.round().await), "waiting");
    scene.assert_runs(&[]);
}

#[tokio::test]
async fn an_open_window_holds_nothing_back() {
    let mut scene = Scene::new();
    scene.push_told("1", "windows = [\"* * * * * *\"]\n", "a change");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_generation_begins_when_its_window_opens() {
    let mut scene = Scene::held().await;
    let opens = Timestamp::now().round(jiff::Unit::Second).unwrap() + 4.seconds();
    let cron = opens.strftime("%S %M %H * * *");
    scene.push_told("3", &format!("windows = [{{ cron = \"{cron}\", for = \"5m\" }}]\n"), "soon");
    let mut agent = scene.agent();
    let mut report = agent.round().await;
    // On a very slow machine it is open by now.
    assert!(word(&report) == "waiting" || Timestamp::now() >= opens);
    while let Next::Later(pause) = report.next {
        tokio::time::sleep(pause).await;
        report = agent.round().await;
    }
    assert_eq!(word(&report), "confirmed", "{report:?}");
    assert!(Timestamp::now() >= opens);
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_commit_that_changes_nothing_here_needs_no_window() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_told("1", &opens_in(3), "only the window");
    assert_eq!(word(&scene.round().await), "confirmed");
}

#[tokio::test]
async fn a_revert_waits_unless_it_is_urgent() {
    let mut scene = Scene::held().await;
    scene.push_told("2", "", "no window");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.push_told("1", &opens_in(3), "Revert \"no window\"");
    assert_eq!(word(&scene.round().await), "waiting");
    scene.push_told("1", &opens_in(3), "the same again\n\nwrit-urgent: yes\n");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn an_urgent_commit_below_the_head_is_urgent_for_both() {
    let urgent = "a fix\n\nWrit-Urgent: yes\n";
    // Seen together, and one after the other by an agent that starts anew.
    for apart in [false, true] {
        let mut scene = Scene::held().await;
        scene.push_told("3", &opens_in(3), urgent);
        if apart {
            scene.world.touch(|machine| {
                machine.cached.remove(&closure("web", "3"));
            });
            assert!(!reasons(scene.round().await.verdict)[0].contains("window"));
        }
        scene.push_told("4", &opens_in(3), "a change");
        assert_eq!(word(&scene.round().await), "confirmed", "{apart}");
        // What it let through is over: the next one waits again.
        scene.push_told("5", &opens_in(3), "a change");
        assert_eq!(word(&scene.round().await), "waiting");
    }
}

#[tokio::test]
async fn what_only_looks_urgent_waits_and_says_why() {
    for (message, why) in [
        ("a fix\n\nWrit-Urgent: true\n", "it takes `yes`"),
        ("a fix\n\nWrit-Urgent: yes\n\nmore text\n", "the last paragraph"),
    ] {
        let mut scene = Scene::held().await;
        scene.push_told("3", &opens_in(3), message);
        let told = reasons(scene.round().await.verdict);
        assert!(told.len() == 2 && told[1].contains(why), "{told:?}");
        scene.assert_runs(&[("web", "1")]);
    }
}

#[tokio::test]
async fn drift_is_healed_while_a_generation_waits() {
    let scene = Scene::held().await;
    let mut agent = scene.agent();
    agent.round().await;
    scene.world.touch(|machine| machine.loaded.clear());
    assert_eq!(word(&agent.round().await), "waiting");
    scene.assert_runs(&[("web", "1")]);
    agent.round().await;
    let fetched = scene.world.state().fetched;
    assert!(fetched.contains(&closure("web", "2")), "and what waits is kept");
}

#[tokio::test]
async fn a_generation_that_was_begun_is_brought_to_its_end_outside_of_the_window() {
    let mut base = Scene::new();
    base.push_service("web", "1");
    base.round().await;
    // Begun because it is urgent, and not urgent any more when the agent starts again:
    // the same as a window that has closed.
    base.push_told("2", &opens_in(3), "a fix\n\nWrit-Urgent: yes\n");
    for n in 2..5 {
        let scene = base.twin();
        scene.world.trouble_at(n, How::FreezesAfter);
        let mut agent = scene.agent();
        tokio::select! {
            report = agent.round() => panic!("{report:?}"),
            () = frozen(&scene) => {}
        }
        drop(agent);
        forget_urgency(&scene);
        assert_eq!(word(&scene.round().await), "confirmed", "killed after {n} changes");
        scene.assert_runs(&[("web", "2")]);
    }
}

#[tokio::test]
async fn a_half_applied_generation_that_is_overtaken_goes_back_at_once() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.push_service("web", "2");
    scene.world.trouble_at(3, How::FreezesAfter);
    let mut agent = scene.agent();
    tokio::select! {
        report = agent.round() => panic!("{report:?}"),
        () = frozen(&scene) => {}
    }
    drop(agent);
    scene.push_told("3", &opens_in(3), "a change");
    assert_eq!(word(&scene.round().await), "waiting");
    scene.assert_runs(&[("web", "1")]);
    assert_eq!(scene.ledger().current().unwrap(), Some(1));
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_a_window() {
    let mut scene = Scene::held().await;
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "3"));
    });
    scene.push_told("3", &opens_in(3), "a fix\n\nWrit-Urgent: yes\n");
    assert_eq!(word(&scene.round().await), "rolled-back");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_closure_that_is_not_the_signed_one_fails_before_the_window() {
    let mut scene = Scene::held().await;
    let digest = format!("closureDigest = \"sha256:{}\"\n", "a".repeat(64));
    let text = scene.service("web", "3", "").replace("[exec]", &format!("{digest}[exec]"));
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let report = scene.round().await;
    let Some(Verdict::RolledBack { step, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(step.starts_with("fetch"), "{step}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_before_the_window() {
    let mut scene = Scene::held().await;
    let path = format!("{}/bin/run", closure("web", "3")).parse().unwrap();
    scene.world.touch(|machine| {
        machine.flawed.insert(path, Flaw::Absent);
    });
    let text = scene.service("web", "3", "");
    scene.push(&[("manifests/services/web.toml", Some(text))]);
    let report = scene.round().await;
    let Some(Verdict::RolledBack { step, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(step.starts_with("check"), "{step}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_cache_that_is_down_is_told_before_the_window() {
    let scene = Scene::held().await;
    scene.world.touch(|machine| {
        machine.cached.clear();
    });
    let report = scene.round().await;
    assert!(matches!(report.next, Next::Again(_)), "{report:?}");
    assert!(reasons(report.verdict)[0].contains("no cache has"));
}

/// As if the window had been open when the newest generation was begun.
fn forget_urgency(scene: &Scene) {
    let newest = scene.ledger().newest().unwrap().unwrap().number;
    let path = scene.state().join(format!("generations/{newest}/commit.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"urgent\": true", "\"urgent\": false")).unwrap();
    assert!(!scene.ledger().newest().unwrap().unwrap().record.urgent);
}
