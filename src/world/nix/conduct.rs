//! What caches answer that is of no use.
//!
//! Nix gives up at the first such answer to a request for a narinfo, also where the next
//! cache has everything. So a cache that gives one is left out of the download.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was noted of caches while they were asked, by the URL that nix is given.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    unusable: Mutex<BTreeMap<String, String>>,
    denied: Mutex<BTreeMap<String, String>>,
}

impl Conduct {
    /// The cache is not to be asked for anything.
    pub(super) fn note_unusable(&self, cache: &str, because: String) {
        lock(&self.unusable).entry(cache.to_owned()).or_insert(because);
    }

    /// The cache did not let this host read a narinfo. Nix takes that for absent, as some
    /// servers answer so for what they do not have.
    pub(super) fn note_denied(&self, cache: &str, because: String) {
        lock(&self.denied).entry(cache.to_owned()).or_insert(because);
    }

    /// Why a cache is not to be asked for anything.
    pub(super) fn unusable(&self, cache: &str) -> Option<String> {
        lock(&self.unusable).get(cache).cloned()
    }

    /// How a cache keeps this host out.
    pub(super) fn denied(&self, cache: &str) -> Option<String> {
        lock(&self.denied).get(cache).cloned()
    }
}

fn lock(notes: &Mutex<BTreeMap<String, String>>) -> MutexGuard<'_, BTreeMap<String, String>> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
