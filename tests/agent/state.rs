//! State that was lost or damaged between two rounds.

use crate::scene::{Scene, word};

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
