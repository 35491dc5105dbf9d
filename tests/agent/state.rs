//! State that was lost or damaged between two rounds.

use std::fs;
use std::path::{Path, PathBuf};

use writ::source::repo::{ObjectFormat, Repository};

use crate::scene::{Scene, word};

#[tokio::test]
async fn a_lost_copy_of_the_repository_is_fetched_again() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    fs::remove_dir_all(scene.state().join("repo.git")).unwrap();
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
    let good = fs::read(&anchor).unwrap();
    fs::write(&anchor, b"{ \"version\": 1, \"comm").unwrap();
    scene.push_service("web", "2");
    let report = scene.round().await;
    assert!(report.faults[0].because.contains("anchor.json is damaged"), "{report:?}");
    assert!(report.faults[0].remedy.as_ref().unwrap().contains("writ trust reset"));
    scene.assert_runs(&[("web", "1")]);
    fs::write(&anchor, good).unwrap();
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_copy_of_many_packs_is_fetched_anew_in_one() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let packs = scene.state().join("repo.git/objects/pack");
    let pack = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path());
    let one: Vec<_> = pack.collect();
    for n in 0..200 {
        for file in &one {
            let name = format!("pack-{n:040}.{}", file.extension().unwrap().to_str().unwrap());
            fs::copy(file, packs.join(name)).unwrap();
        }
    }
    scene.push_service("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
    assert!(fs::read_dir(&packs).unwrap().count() < 10);
}

/// Beside a commit that is accepted, a server can send whatever fills the disk.
#[tokio::test]
async fn a_copy_that_has_grown_large_is_fetched_anew() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let large = scene.state().join(format!("repo.git/objects/pack/pack-{:040}.pack", 0));
    fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(word(&scene.round().await), "confirmed");
    assert!(!large.exists());
}

type Damage = fn(&Path);

/// Ways to spoil the copy of the repository.
const DAMAGES: [(&str, Damage); 9] = [
    ("half made", |git| {
        fs::remove_dir_all(git).unwrap();
        fs::create_dir(git).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/he").unwrap();
    }),
    ("empty", |git| {
        fs::remove_dir_all(git).unwrap();
        fs::create_dir(git).unwrap();
    }),
    ("no config", |git| fs::remove_file(git.join("config")).unwrap()),
    ("alternates", |git| {
        fs::create_dir_all(git.join("objects/info")).unwrap();
        fs::write(git.join("objects/info/alternates"), "/elsewhere").unwrap();
    }),
    ("another format", |git| {
        fs::remove_dir_all(git).unwrap();
        Repository::create(git, ObjectFormat::Sha256).unwrap();
    }),
    ("no packs", |git| fs::remove_dir_all(git.join("objects/pack")).unwrap()),
    ("half a pack", |git| halve(git, "pack")),
    ("half an index", |git| halve(git, "idx")),
    ("a flipped byte", |git| {
        for file in packs(git, "pack") {
            let mut bytes = fs::read(&file).unwrap();
            // Past the header and before the checksum, in every object's bytes.
            for at in (40..bytes.len() - 20).step_by(16) {
                bytes[at] ^= 0xff;
            }
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
        }
    }),
];

fn packs(git: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(git.join("objects/pack")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn halve(git: &Path, extension: &str) {
    for file in packs(git, extension) {
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_copy_of_the_repository_is_fetched_anew() {
    let mut base = Scene::new();
    base.push_service("web", "1");
    base.round().await;
    let first = base.head.clone();
    let second = base.push_service("web", "2");
    for (what, damage) in DAMAGES {
        for restarted in [true, false] {
            let scene = base.twin();
            scene.point_main_at(&first);
            let mut agent = scene.agent();
            agent.round().await;
            damage(&scene.state().join("repo.git"));
            if restarted {
                agent = scene.agent();
                let report = agent.round().await;
                assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]), "{what}");
            }
            scene.point_main_at(&second);
            let report = agent.round().await;
            assert_eq!((report.refused, &report.faults[..]), (None, &[][..]), "{what}");
            assert_eq!(report.commit.as_ref(), Some(&second), "{what}, restarted: {restarted}");
            scene.assert_runs(&[("web", "2")]);
        }
    }
}

#[tokio::test]
async fn a_damaged_copy_is_kept_while_the_server_shows_nothing_better() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let good = scene.head.clone();
    let text = scene.service("web", "2", "");
    let bad =
        scene.forge.commit("alice").on(&good).file("manifests/services/web.toml", &text).make();
    // The server has lost a part of its newest commit.
    let tree = scene.forge.git(["rev-parse", &format!("{bad}^{{tree}}")], b"");
    let tree = String::from_utf8(tree).unwrap();
    let (folder, file) = tree.trim().split_at(2);
    fs::remove_file(scene.forge.git_dir().join("objects").join(folder).join(file)).unwrap();
    scene.point_main_at(&bad);
    let mut agent = scene.agent();
    for _ in 0..2 {
        let report = agent.round().await;
        assert_eq!(word(&report), "confirmed", "{report:?}");
        assert!(!report.faults.is_empty() || report.refused.is_some(), "{report:?}");
        scene.assert_runs(&[("web", "1")]);
    }
    scene.point_main_at(&good);
    let report = agent.round().await;
    assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
}

#[tokio::test]
async fn a_generation_that_was_moved_away_is_made_again() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    scene.push_service("web", "2");
    agent.round().await;
    fs::write(scene.state().join("generations/2/verdict.json"), "{").unwrap();
    let report = agent.round().await;
    assert!(report.faults[0].remedy.as_ref().unwrap().contains("move its generation"));
    scene.assert_runs(&[("web", "2")]);
    fs::remove_dir_all(scene.state().join("generations/2")).unwrap();
    let report = agent.round().await;
    assert_eq!((word(&report), report.generation), ("confirmed", Some(2)), "{report:?}");
    scene.assert_runs(&[("web", "2")]);
}
