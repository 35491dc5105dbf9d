//! The agent and root's `writ trust reset` move the anchor, each on its own.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, flock};
use writ::events::{Events, Kind};
use writ::ledger::LedgerError;
use writ::names::CommitId;
use writ::source::repo::Repository;
use writ::trust::{self, VerifiedCommit};

use crate::scene::{Scene, until, word};

impl Scene {
    /// A commit that has arrived, judged by what the host has accepted.
    fn verified(&self, id: &CommitId) -> VerifiedCommit {
        let ledger = self.ledger();
        let config = self.config();
        let format = config.repository.object_format;
        let repository = Repository::open_or_create(&ledger.repository(), format).unwrap();
        let pack =
            self.forge.git(["pack-objects", "--revs", "--stdout", "-q"], id.as_str().as_bytes());
        repository.import_pack(&mut &pack[..]).unwrap();
        let anchor = ledger.anchor().unwrap();
        let now = jiff::Timestamp::now().as_second();
        trust::verify(&repository, &config.pins(), anchor.as_ref(), id, now).unwrap()
    }
}

fn accepted(scene: &Scene) -> CommitId {
    scene.ledger().anchor().unwrap().unwrap().commit
}

#[tokio::test]
async fn what_was_verified_before_a_reset_is_judged_again() {
    let mut scene = Scene::new();
    let first = scene.push_service("web", "1");
    scene.round().await;
    let second = scene.push_service("web", "2");
    let (old, new) = (scene.verified(&first), scene.verified(&second));
    let root = scene.root.clone();
    assert!(scene.trust_reset(&root).status.success());
    let (ledger, now) = (scene.ledger(), "2026-01-01T00:00:00Z");
    for commit in [&old, &new] {
        assert!(matches!(ledger.accept(commit, now), Err(LedgerError::AnchorMoved)));
        assert_eq!(accepted(&scene), root);
    }
    let judged = scene.verified(&second);
    ledger.accept(&judged, now).unwrap();
    ledger.accept(&judged, now).unwrap();
    assert_eq!(accepted(&scene), second);
}

/// The look goes on for a while after the refusal: another source is slow.
#[tokio::test]
async fn a_reset_while_the_agent_still_looks_counts() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    assert_eq!(word(&scene.round().await), "confirmed");
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = slow.local_addr().unwrap().port();
    scene.more = format!(
        "[[source]]\nname = \"slow\"\nurl = \"http://127.0.0.1:{port}/deploy.git\"\n[poll]\ndeadline = \"50s\"\n"
    );
    let first = scene.web_on(&scene.root, "2");
    let second = scene.web_on(&first, "3");
    scene.point_main_at(&second);
    let mut agent = scene.agent();
    let events = Events::at(scene.ledger().events());
    let refused = || events.read().unwrap().iter().any(|event| event.kind == Kind::Refused);
    let reset = async {
        until("the branch is refused", refused).await;
        assert!(scene.trust_reset(&first).status.success());
        drop(slow);
    };
    tokio::join!(agent.round(), reset);
    let report = agent.round().await;
    assert_eq!((report.refused, report.commit), (None, Some(second)));
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn whoever_moves_the_anchor_is_alone() {
    let mut scene = Scene::new();
    let first = scene.push_service("web", "1");
    let commit = scene.verified(&first);
    let (path, changes) = (scene.state().join("anchor.lock"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&changes);
    let ledger = scene.ledger().witnessed(move || {
        let other = File::open(&path).unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        count.fetch_add(1, Ordering::Relaxed);
    });
    let now = "2026-01-01T00:00:00Z";
    ledger.accept(&commit, now).unwrap();
    let accepting = changes.swap(0, Ordering::Relaxed);
    ledger.reset(&commit, now).unwrap();
    assert!(accepting > 0 && changes.load(Ordering::Relaxed) > 0);
    let path = scene.state().join("anchor.lock");
    let other = File::open(path).unwrap();
    // A child that another test starts has a copy of what is open until it runs its program.
    let free = || flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok();
    until("nobody holds the lock", free).await;
}
