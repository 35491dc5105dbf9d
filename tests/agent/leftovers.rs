//! What an agent leaves when it is killed inside a single change: while a pack is being
//! imported, while the copy of the repository is being replaced, between a verdict and
//! what follows from it.

use std::fs;
use std::path::Path;

use crate::scene::{Scene, closure, copy, word};

/// A host that runs `web` 1, and a branch with `web` 2.
async fn behind() -> Scene {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.push_service("web", "2");
    scene
}

/// The files that the next import brings: the pack and its index.
async fn next_pack(base: &Scene) -> Vec<(String, Vec<u8>)> {
    let scene = base.twin();
    let packs = scene.state().join("repo.git/objects/pack");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&packs).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    let before = names();
    scene.round().await;
    let new = names().into_iter().filter(|name| !before.contains(name));
    new.map(|name| (name.clone(), fs::read(packs.join(name)).unwrap())).collect()
}

#[tokio::test]
async fn an_import_that_was_cut_off_anywhere_is_made_again() {
    let base = behind().await;
    let new = next_pack(&base).await;
    let file = |kind: &str| new.iter().find(|(name, _)| name.ends_with(kind)).unwrap().clone();
    let (pack, index) = (file(".pack"), file(".idx"));
    let keep = (pack.0.replace(".pack", ".keep"), Vec::new());
    let half = |(name, bytes): &(String, Vec<u8>)| (name.clone(), bytes[..bytes.len() / 2].into());
    let temporary = |(_, bytes): &(String, Vec<u8>)| (".tmpA1b2C3".to_owned(), bytes.clone());
    let left: [&[(String, Vec<u8>)]; 9] = [
        &[temporary(&half(&pack))],
        &[temporary(&pack)],
        std::slice::from_ref(&pack),
        &[pack.clone(), keep.clone()],
        &[pack.clone(), keep.clone(), temporary(&half(&index))],
        &[pack.clone(), index.clone(), keep.clone()],
        &[pack.clone(), index.clone()],
        // A power cut: the names are there, the bytes are not.
        &[half(&pack), index.clone(), keep.clone()],
        &[(pack.0.clone(), Vec::new()), (index.0.clone(), Vec::new())],
    ];
    for (n, files) in left.into_iter().enumerate() {
        for incoming in [None, Some(&pack.1[..20]), Some(&pack.1[..])] {
            let scene = base.twin();
            let folder = scene.state().join("repo.git/objects/pack");
            for (name, bytes) in files {
                fs::write(folder.join(name), bytes).unwrap();
            }
            if let Some(bytes) = incoming {
                fs::create_dir_all(scene.state().join("incoming.0")).unwrap();
                fs::write(scene.state().join("incoming.0/branch.pack"), bytes).unwrap();
            }
            let mut agent = scene.agent();
            let report = agent.round().await;
            assert_eq!(word(&report), "confirmed", "{n}: {report:?}");
            assert_eq!(report.commit.as_ref(), Some(&scene.head), "{n}: {report:?}");
            scene.assert_runs(&[("web", "2")]);
            assert!(!scene.state().join("incoming.0").exists(), "{n}");
            assert!(!folder.join(".tmpA1b2C3").exists(), "{n}");
        }
    }
}

type Harm = fn(&Path);

#[tokio::test]
async fn a_replacement_of_the_copy_that_was_cut_off_anywhere_is_cleared_away() {
    let base = behind().await;
    let harms: [Harm; 4] = [
        |state| fs::create_dir(state.join("repo.fresh")).unwrap(),
        |state| copy(&state.join("repo.git"), &state.join("repo.fresh")),
        |state| {
            copy(&state.join("repo.git"), &state.join("repo.fresh"));
            fs::rename(state.join("repo.git"), state.join("repo.old")).unwrap();
        },
        |state| copy(&state.join("repo.git"), &state.join("repo.old")),
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let scene = base.twin();
        harm(&scene.state());
        let report = scene.round().await;
        assert_eq!(word(&report), "confirmed", "{n}: {report:?}");
        scene.assert_runs(&[("web", "2")]);
        for left in ["repo.fresh", "repo.old"] {
            assert!(!scene.state().join(left).exists(), "{n}: {left}");
        }
    }
}

#[tokio::test]
async fn the_closures_of_a_version_that_was_taken_back_are_held_no_longer() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.world.touch(|machine| {
        machine.crashing.insert(closure("web", "1"));
    });
    assert_eq!(word(&scene.round().await), "rolled-back");
    assert!(scene.world.state().fetched.is_empty());
}

#[tokio::test]
async fn a_verdict_that_a_newer_commit_overtook_keeps_its_links() {
    let mut scene = behind().await;
    assert_eq!(word(&scene.round().await), "confirmed");
    // Killed after the verdict and before the links; then somebody pushes nonsense.
    for link in ["last-good", "current"] {
        fs::remove_file(scene.state().join(link)).unwrap();
        std::os::unix::fs::symlink("generations/1", scene.state().join(link)).unwrap();
    }
    scene.push(&[("manifests/services/web.toml", Some("hosts = [".to_owned()))]);
    assert_eq!(word(&scene.round().await), "refused");
    scene.assert_runs(&[("web", "2")]);
    assert_eq!(scene.ledger().last_good().unwrap(), Some(2));
}

#[tokio::test]
async fn what_runs_is_healed_in_the_round_that_refuses_a_commit() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    scene.world.touch(|machine| machine.loaded.clear());
    scene.push(&[("manifests/services/web.toml", Some("hosts = [".to_owned()))]);
    assert_eq!(word(&scene.round().await), "refused");
    scene.assert_runs(&[("web", "1")]);
}
