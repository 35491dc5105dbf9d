//! How far an upload is, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::plan::closure::PathInfo;

/// Counts while an upload runs. Bytes are those of the unpacked NARs, which are known
/// beforehand; half of each is done when it is packed, and half when it is there.
#[derive(Debug, Default)]
pub struct Tally {
    paths: AtomicU64,
    of_paths: AtomicU64,
    packed: AtomicU64,
    sent: AtomicU64,
    of_bytes: AtomicU64,
    /// Bytes that were really sent.
    uploaded: AtomicU64,
    begun: Notify,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub paths: u64,
    pub of_paths: u64,
    pub bytes: u64,
    pub of_bytes: u64,
    pub uploaded: u64,
}

/// What one path counts for.
pub(super) struct Share<'a> {
    tally: &'a Tally,
    nar: u64,
    file: u64,
    sent: AtomicU64,
}

impl Tally {
    pub fn look(&self) -> Look {
        let (packed, sent) = (self.packed.load(Relaxed), self.sent.load(Relaxed));
        Look {
            paths: self.paths.load(Relaxed),
            of_paths: self.of_paths.load(Relaxed),
            bytes: packed.midpoint(sent),
            of_bytes: self.of_bytes.load(Relaxed),
            uploaded: self.uploaded.load(Relaxed),
        }
    }

    pub(super) fn expect<'a>(&self, paths: impl Iterator<Item = &'a PathInfo>) {
        for path in paths {
            self.of_paths.fetch_add(1, Relaxed);
            self.of_bytes.fetch_add(path.nar_size, Relaxed);
            self.begun.notify_one();
        }
    }

    /// Waits until it is known what is missing; for ever where nothing is.
    pub async fn begun(&self) {
        self.begun.notified().await;
    }

    pub(super) fn packed(&self, bytes: u64) {
        self.packed.fetch_add(bytes, Relaxed);
    }

    pub(super) fn path(&self) {
        self.paths.fetch_add(1, Relaxed);
    }

    pub(super) fn share(&self, nar: u64, file: u64) -> Share<'_> {
        Share { tally: self, nar, file: file.max(1), sent: AtomicU64::new(0) }
    }
}

impl Share<'_> {
    /// Bytes of the packed file went up.
    pub(super) fn sent(&self, bytes: u64) {
        let part = u128::from(bytes) * u128::from(self.nar) / u128::from(self.file);
        self.count(u64::try_from(part).unwrap_or(self.nar));
    }

    /// It is there, whether by us or by somebody before us.
    pub(super) fn all(&self, by_us: bool) {
        self.count(self.nar);
        if by_us {
            self.tally.uploaded.fetch_add(self.file, Relaxed);
        }
    }

    fn count(&self, bytes: u64) {
        let before = self.sent.load(Relaxed);
        let now = before.saturating_add(bytes).min(self.nar);
        self.sent.store(now, Relaxed);
        self.tally.sent.fetch_add(now - before, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_for_its_nar_however_it_got_there() {
        let tally = Tally::default();
        tally.packed(1000);
        let share = tally.share(1000, 30);
        share.sent(10);
        assert_eq!(tally.look().bytes, 666);
        share.all(true);
        share.all(false);
        assert_eq!(tally.look(), Look { bytes: 1000, uploaded: 30, ..Look::default() });
        tally.share(120, 0).all(false);
        assert_eq!(tally.look().bytes, 1060);
    }
}
