//! What a decision costs: each commit is read a fixed number of times (rule G7).

use std::cell::Cell;
use std::time::{Duration, Instant};

use writ::names::CommitId;
use writ::trust::{Kind, Objects, Unreadable, verify};

use crate::scene::{Scene, WEB};

/// Counts what is read.
struct Counting<'a> {
    scene: &'a Scene,
    reads: Cell<usize>,
}

impl Objects for Counting<'_> {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        self.reads.set(self.reads.get() + 1);
        self.scene.repo.find(id, limit)
    }
}

impl<'a> Counting<'a> {
    fn new(scene: &'a Scene) -> Self {
        Self { scene, reads: Cell::new(0) }
    }
}

const DIAMONDS: usize = 40;

/// Forty merges of two branches each, one above the other: 2^40 ways down.
fn diamonds(scene: &Scene) -> CommitId {
    let mut tip = scene.root.clone();
    for n in 0..DIAMONDS {
        let left = scene.forge.commit("alice").on(&tip).message(&format!("left {n}")).make();
        let right = scene.forge.commit("dave").on(&tip).message(&format!("right {n}")).make();
        tip = scene.forge.commit("alice").on(&left).on(&right).make();
    }
    tip
}

#[test]
fn forty_diamonds_cost_what_their_commits_cost() {
    let scene = Scene::new();
    let head = diamonds(&scene);
    let counting = Counting::new(&scene);
    let started = Instant::now();
    let whole = verify(&counting, &scene.pins, None, &head, scene.now).unwrap();
    let took = started.elapsed();
    let commits = 3 * DIAMONDS + 1;
    // Twice its commit (walk, verdict), once its root tree; the policy and the files once.
    assert!(counting.reads.get() <= 3 * commits + 20, "{} reads", counting.reads.get());
    assert!(took < Duration::from_secs(1), "{took:?} in a debug build");

    // One more commit on top of what is accepted does not read the history again.
    let next = scene.forge.commit("bob").on(&head).file(WEB, "a = 2\n").make();
    let counting = Counting::new(&scene);
    let step = verify(&counting, &scene.pins, Some(whole.anchor()), &next, scene.now).unwrap();
    assert!(counting.reads.get() <= 24, "{} reads", counting.reads.get());
    assert_eq!(step.anchor().commit, next);
}

/// A message of one trailer that goes on over very many lines is read once.
#[test]
fn a_long_message_costs_what_its_bytes_cost() {
    let scene = Scene::new();
    let message = format!("a change\n\nWrit-Urgent: yes\n{}", " a\n".repeat(340_000));
    let head = scene.next("erin").message(&message).make();
    let started = Instant::now();
    let verified = scene.verify(&head).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!verified.is_urgent());
    let told = verified.ignored_trailers().concat();
    assert!(told.len() < 300, "{} bytes", told.len());
}
