//! What a crash leaves: the host's disk and machine, caught after every single change of either.
//!
//! Whatever an agent had in memory is gone with it, so a copy of disk and machine in
//! the middle of a round is all there is of an agent that was killed there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use writ::ledger::Ledger;

use crate::scene::{Scene, copy, disk};
use crate::world::{Machine, SimWorld};

/// A host at a moment at which its agent was killed.
pub(crate) struct Wreck {
    disk: TempDir,
    machine: Machine,
}

/// Which hosts were met already: two that differ only in times and counters are one.
pub(crate) type Met = Arc<Mutex<BTreeSet<String>>>;

/// Looks at one host, and keeps a wreck of each moment that was not met before.
pub(crate) struct Eye {
    state: PathBuf,
    world: Arc<SimWorld>,
    met: Met,
    seen: Mutex<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) changes: usize,
    pub(crate) wrecks: Vec<Wreck>,
}

impl Wreck {
    pub(crate) fn of(scene: &Scene) -> Self {
        drop(scene.ledger());
        Self::at(&scene.state(), &scene.world)
    }

    fn at(state: &Path, world: &SimWorld) -> Self {
        let disk = disk();
        copy(state, disk.path());
        Self { disk, machine: world.state() }
    }

    /// Whether a file was begun that was not flushed.
    pub(crate) fn is_half_written(&self) -> bool {
        files(self.disk.path()).iter().any(|path| path.to_string_lossy().contains(".new"))
    }

    /// The host as its next agent finds it.
    pub(crate) fn found_by(&self, base: &Scene) -> Scene {
        base.with_disk(self.disk.path(), self.machine.clone())
    }

    /// The host after a power cut: what lay in memory is gone, what had not reached the
    /// disk yet is garbage, and `writ boot` has started the last good generation.
    pub(crate) fn booted_by(&self, base: &Scene, garbage: &[u8]) -> Scene {
        let scene = self.found_by(base);
        spoil(&scene.state(), garbage);
        let ledger = scene.ledger();
        let good = ledger.last_good().unwrap();
        let units = good.map(|good| ledger.units(good).unwrap()).unwrap_or_default();
        let own = good.map(|good| ledger.environments(good).unwrap()).unwrap_or_default();
        scene.world.touch(|machine| machine.reboot(units, own));
        scene
    }
}

impl Eye {
    /// Witnesses every change from here to [`Eye::close`].
    pub(crate) fn on(scene: &Scene, met: &Met) -> Arc<Self> {
        let (state, world) = (scene.state(), Arc::clone(&scene.world));
        let eye = Arc::new(Self { state, world, met: Arc::clone(met), seen: Mutex::default() });
        let looks = Arc::clone(&eye);
        scene.world.witnessed(Some(Arc::new(move || looks.look())));
        eye
    }

    /// A ledger whose changes are witnessed, too.
    pub(crate) fn ledger(self: &Arc<Self>, scene: &Scene) -> Ledger {
        let eye = Arc::clone(self);
        scene.ledger().witnessed(move || eye.look())
    }

    pub(crate) fn close(&self) -> Seen {
        self.world.witnessed(None);
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn look(&self) {
        let key = key(&self.state, &self.world.state());
        let mut seen = self.seen.lock().unwrap();
        seen.changes += 1;
        if self.met.lock().unwrap().insert(key) {
            seen.wrecks.push(Wreck::at(&self.state, &self.world));
        }
    }
}

/// Everything of a host that an agent may decide by, without times and counters.
pub(crate) fn key(state: &Path, machine: &Machine) -> String {
    let mut key = String::new();
    for path in files(state) {
        let name = path.strip_prefix(state).unwrap().to_str().unwrap().to_owned();
        let decides = !name.starts_with("events.jsonl");
        let told = name.starts_with("repo.git") || name.ends_with("plan.json");
        if decides {
            key += &format!("{name} {}\n", if told { String::new() } else { content(&path) });
        }
    }
    key + &machine.key()
}

/// A file without the times in it, or where a link leads.
fn content(path: &Path) -> String {
    if let Ok(target) = fs::read_link(path) {
        return target.display().to_string();
    }
    let bytes = if path.is_dir() { Vec::new() } else { fs::read(path).unwrap() };
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&bytes) else {
        return String::from_utf8_lossy(&bytes).into_owned();
    };
    object.retain(|key, _| !["at", "since", "accepted"].contains(&key.as_str()));
    Value::Object(object).to_string()
}

/// Every file and link below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found.sort();
    found
}

/// Files that were written and not yet flushed hold anything after a power cut.
fn spoil(state: &Path, garbage: &[u8]) {
    for path in files(state) {
        let name = path.strip_prefix(state).unwrap().to_str().unwrap();
        if path.is_file() && !path.is_symlink() && name.contains(".new") {
            fs::write(&path, garbage).unwrap();
        }
    }
    let events = state.join("events.jsonl");
    if let Ok(mut told) = fs::read(&events) {
        told.truncate(told.len().saturating_sub(5));
        told.extend([0; 40]);
        fs::write(&events, told).unwrap();
    }
}
