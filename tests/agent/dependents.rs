//! After a rollback nothing is taken for granted that the bad generation never touched.

use writ::next::Next;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

/// `db`, `web` and `api`; systemd stops `web` with `db`.
async fn base() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("db", "1");
    scene.push_service("web", "1");
    scene.push_service("api", "1");
    scene.round().await;
    scene.world.touch(|machine| {
        let [db, web] = ["writ-db.service", "writ-web.service"].map(|unit| unit.parse().unwrap());
        machine.dependents.entry(db).or_default().insert(web);
        machine.sick.insert(closure("db", "2"));
        machine.crashing.insert(closure("db", "3"));
    });
    scene
}

#[tokio::test]
async fn a_service_that_systemd_stopped_with_the_bad_one_runs_again() {
    for version in ["2", "3"] {
        let mut scene = base().await;
        scene.push_service("db", version);
        let report = scene.round().await;
        assert_eq!(word(&report), "rolled-back", "{report:?}");
        scene.assert_runs(&[("api", "1"), ("db", "1"), ("web", "1")]);
    }
}

#[tokio::test]
async fn the_way_back_shows_that_every_service_is_watched_and_every_route_asked() {
    let mut scene = base().await;
    scene.push_service("db", "3");
    scene.round().await;
    let events = std::fs::read_to_string(scene.ledger().events()).unwrap();
    let (_, back) = events.split_once("rolling-back").unwrap();
    assert!(back.contains("watch   db  GET") && back.contains("watch   api  GET"), "{back}");
    assert!(
        back.contains("ask     http://api.example.org/, http://db.example.org/, http://web"),
        "{back}"
    );
}

#[tokio::test]
async fn a_rollback_is_over_once_every_route_answers() {
    let mut scene = base().await;
    scene.push_service("db", "3");
    scene.world.touch(|machine| {
        machine.unreachable.insert("web.example.org".to_owned());
    });
    let mut agent = scene.agent();
    let report = agent.round().await;
    let Some(Verdict::Failed { rollback, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(rollback.to_string().contains("http://web.example.org/"), "{rollback}");
    assert!(rollback.because.contains("502"), "{rollback}");
    let report = agent.round().await;
    assert_eq!(word(&report), "failed", "it still does not answer");
    assert!(matches!(report.next, Next::Again(_)), "{report:?}");
    scene.world.touch(|machine| machine.unreachable.clear());
    assert_eq!(word(&agent.round().await), "rolled-back");
    scene.assert_runs(&[("api", "1"), ("db", "1"), ("web", "1")]);
}
