//! A host that is ill: its disk is full, its clock is wrong, its config was changed.

use std::fs;
use std::path::PathBuf;

use writ::config::Config;
use writ::names::CommitId;
use writ::trust::Reason;

use crate::scene::{Scene, closure, word};

/// Takes the room for a file of the ledger away, and gives it back: the place that a
/// file is written to before it is renamed is a folder, which no rights get past.
struct Blocked(PathBuf);

impl Blocked {
    fn at(path: PathBuf) -> Self {
        fs::create_dir_all(path.join("x")).unwrap();
        Self(path)
    }

    fn free(self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Every file that the ledger writes cannot be written in turn: what ran runs on or is
/// replaced whole, and as soon as there is room again the new generation is there.
#[tokio::test]
async fn a_disk_that_is_full_at_any_write_is_waited_for() {
    let mut base = Scene::new();
    base.push_service("web", "1");
    base.round().await;
    base.push_service("web", "2");
    for file in [
        "anchor.json.new",
        "generations/2/commit.json.new",
        "generations/2/plan.json.new",
        "generations/2/verdict.json.new",
        ".current.new",
        ".last-good.new",
    ] {
        let scene = base.twin();
        let blocked = Blocked::at(scene.state().join(file));
        let mut agent = scene.agent();
        for _ in 0..2 {
            let report = agent.round().await;
            let told = report.faults.iter().map(ToString::to_string).chain(report.waiting.clone());
            assert!(told.count() > 0, "{file}: {report:?}");
            assert_ne!(word(&report), "rolled-back", "{file}");
            let runs = scene.runs("web").unwrap_or_default();
            let whole = ["1", "2"].iter().any(|v| runs.contains(closure("web", v).as_str()));
            assert!(whole, "{file}: nothing runs");
        }
        blocked.free();
        let report = agent.round().await;
        assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]), "{file}");
        scene.assert_runs(&[("web", "2")]);
        assert_eq!(scene.ledger().last_good().unwrap(), Some(2), "{file}");
    }
}

/// The same for what a source sends.
#[tokio::test]
async fn a_disk_that_is_full_while_a_pack_arrives_is_waited_for() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    let blocked = Blocked::at(scene.state().join("incoming.0/branch.pack"));
    scene.push_service("web", "2");
    let report = agent.round().await;
    assert_eq!((word(&report), report.faults.len()), ("confirmed", 1), "{report:?}");
    scene.assert_runs(&[("web", "1")]);
    blocked.free();
    assert_eq!(agent.round().await.faults, []);
    scene.assert_runs(&[("web", "2")]);
    assert!(!scene.state().join("incoming.0").exists());
}

/// The same for a generation that does not work: it is not tried again and again.
#[tokio::test]
async fn a_disk_that_is_full_during_a_rollback_makes_no_loop() {
    let mut base = Scene::new();
    base.push_service("web", "1");
    base.round().await;
    base.world.touch(|machine| {
        machine.crashing.insert(closure("web", "2"));
    });
    base.push_service("web", "2");
    for file in ["generations/2/verdict.json.new", ".current.new"] {
        let scene = base.twin();
        let blocked = Blocked::at(scene.state().join(file));
        let mut agent = scene.agent();
        for _ in 0..3 {
            agent.round().await;
        }
        scene.assert_runs(&[("web", "1")]);
        blocked.free();
        let report = agent.round().await;
        assert_eq!(word(&report), "rolled-back", "{file}: {report:?}");
        scene.assert_runs(&[("web", "1")]);
    }
}

#[tokio::test]
async fn a_config_that_names_another_history_changes_nothing() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.forge.git(["update-ref", "refs/heads/other", scene.head.as_str()], b"");
    let changes = scene.world.state().changes;
    let edits: [fn(&mut Config); 3] = [
        |config| config.repository.branch = "other".parse().unwrap(),
        |config| config.repository.branch = "gone".parse().unwrap(),
        |config| config.repository.introduction = "1".repeat(40).parse().unwrap(),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let mut config = scene.config();
        edit(&mut config);
        let report = scene.agent_with(config).round().await;
        assert!(!report.faults.is_empty(), "{n}: {report:?}");
        assert_eq!(scene.world.state().changes, changes, "{n}");
    }
    let report = scene.round().await;
    assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
}

#[tokio::test]
async fn a_head_that_is_no_commit_is_refused_and_the_branch_recovers() {
    let mut scene = Scene::new();
    let good = scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    let of = |revision: &str| -> CommitId {
        let out = scene.forge.git(["rev-parse", revision], b"");
        String::from_utf8(out).unwrap().trim().parse().unwrap()
    };
    scene
        .forge
        .git(["-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "x", "t"], b"");
    let path = scene.forge.git_dir().join("refs/heads/main");
    for other in [of("t"), of("main^{tree}"), of("main:.writ/policy.toml")] {
        // git itself would not let a branch point there.
        fs::write(&path, format!("{other}\n")).unwrap();
        let report = agent.round().await;
        let refused = report.refused.as_ref().map(|r| r.reason);
        assert!(refused == Some(Reason::Malformed) || !report.faults.is_empty(), "{report:?}");
        assert_eq!(report.commit.as_ref(), Some(&good));
        scene.assert_runs(&[("web", "1")]);
    }
    fs::write(&path, format!("{good}\n")).unwrap();
    let report = agent.round().await;
    assert_eq!((report.refused, &report.faults[..]), (None, &[][..]));
}
