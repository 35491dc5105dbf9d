//! A host beside something that takes all the time there is: status, healing and the other
//! sources go on.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use gix::zlib::Compression;
use gix::zlib::stream::deflate;
use rustix::fs::FileType;
use sha2::{Digest as _, Sha256};
use writ::agent::sources::{SourceState, SourceStatus};
use writ::agent::status::{Status, gather};
use writ::fault::{Fault, causes};
use writ::source::bundles::index::{Digested, Entry, Index};

use crate::scene::{HOST, Scene, closure, word};
use crate::sources::{Running, stopped};
use crate::world::Part;

/// Blobs of 16 MiB of zeros, each of them the same: a small bundle that is 10 GiB.
const BLOBS: u32 = 640;

/// Publishes a bundle whose name and size are right, and that no host has the time to unpack.
fn publish_bomb(folder: &Path) {
    let tip = "6b".repeat(20);
    let mut deflate = deflate::Write::new(Vec::new(), Compression::BEST_SPEED);
    deflate.write_all(&vec![0; 16 << 20]).unwrap();
    deflate.flush().unwrap();
    // A blob (3) of 1 << 24 bytes (gitformat-pack(5)).
    let blob = [&[0xb0, 0x80, 0x80, 0x40][..], &deflate.into_inner()].concat();
    let mut pack = [b"PACK", &2_u32.to_be_bytes()[..], &BLOBS.to_be_bytes()].concat();
    pack.extend(blob.repeat(BLOBS as usize));
    let mut hash = gix::hash::hasher(gix::hash::Kind::Sha1);
    hash.update(&pack);
    pack.extend(hash.try_finalize().unwrap().as_slice());
    let bundle = [format!("# v2 git bundle\n{tip} refs/heads/main\n\n").as_bytes(), &pack].concat();
    let file = Digested::of(Sha256::new_with_prefix(&bundle), bundle.len() as u64);
    fs::create_dir_all(folder.join("bundles")).unwrap();
    fs::write(folder.join(file.name()), bundle).unwrap();
    let tip: writ::names::CommitId = tip.parse().unwrap();
    let entry = Entry { token: 1, file, tip: tip.clone(), base: None };
    let branch = "main".parse().unwrap();
    let index = Index { branch, tip, stated: None, entries: vec![entry] };
    fs::write(folder.join("index"), index.to_string()).unwrap();
}

/// A second source, after the forge.
fn second(agent: &Running) -> SourceStatus {
    agent.shared.snapshot().sources[1].clone()
}

#[tokio::test]
async fn a_bundle_that_takes_for_ever_to_unpack_holds_nobody_up_and_is_not_tried_again() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let stick = tempfile::tempdir().unwrap();
    publish_bomb(stick.path());
    scene.more = format!(
        "[[source]]\nname = \"stick\"\nurl = \"dir://{}\"\n[poll]\ndeadline = \"15s\"\ninterval = \"1s\"\n",
        stick.path().display()
    );
    let agent = scene.agent();
    let world = Arc::clone(&scene.world);
    let (pushed, text) = (scene.push_service("web", "2"), closure("web", "2"));
    Running::beside(agent, async |agent| {
        let report = agent.sync().await;
        assert_eq!((report.commit.as_ref(), word(&report)), (Some(&pushed), "confirmed"));
        world.touch(stopped);
        let runs = || world.state().running().values().any(|unit| unit.contains(text.as_str()));
        agent.until("it is healed", runs).await;
        // Under load the bundle itself may take too long at first.
        let unpacking = |fault: &Fault| fault.doing.starts_with("unpack");
        let given_up = || second(&agent).fault.is_some_and(|fault| unpacking(&fault));
        agent.until("it is given up", given_up).await;
        let because = second(&agent).fault.unwrap();
        // Whoever fetched it again would find nothing.
        fs::remove_dir_all(stick.path().join("bundles")).unwrap();
        for _ in 0..3 {
            agent.sync().await;
            agent.until("it was heard", || second(&agent).state == SourceState::Lost).await;
            assert_eq!(second(&agent).fault.unwrap(), because);
        }
    })
    .await;
    assert!(!scene.state().join("incoming.1").exists(), "nothing is left of it");
}

/// What a person is told while one part of the host answers nothing.
async fn status_while(scene: &Scene, hanging: Part) -> Status {
    scene.world.hangs(Some(hanging));
    let told = gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, None).await;
    scene.world.hangs(None);
    told.unwrap()
}

#[tokio::test]
async fn a_status_comes_whatever_does_not_answer() {
    let mut scene = Scene::new();
    let head = scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let whole = gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, None).await;
    assert_eq!(whole.unwrap().services.len(), 1);
    for hanging in [Part::Store, Part::Units] {
        let status = status_while(&scene, hanging).await;
        assert_eq!((status.commit.as_ref(), status.services.len()), (Some(&head), 0));
        assert_eq!(status.routes.len(), 1, "{hanging:?}");
        assert!(status.faults[0].because.contains("not answered within"), "{:?}", status.faults);
    }
    let status = status_while(&scene, Part::Routes).await;
    assert_eq!((status.commit.as_ref(), status.services.len()), (Some(&head), 1));
    assert!(status.caddy.unwrap().contains("no answer within"));
}

#[tokio::test]
async fn a_disk_that_hangs_is_told_to_whoever_asks_for_the_status() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    // Whoever opens a pipe waits for the other end.
    let pause = scene.state().join("pause.json");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pause, FileType::Fifo, mode, 0).unwrap();
    let told = gather(&HOST.parse().unwrap(), &scene.ledger(), &*scene.world, None).await;
    let why = causes(&told.unwrap_err());
    // The thread that still waits ends with the test.
    drop(fs::OpenOptions::new().read(true).write(true).open(&pause).unwrap());
    assert!(why.contains("not answered within"), "{why}");
}
