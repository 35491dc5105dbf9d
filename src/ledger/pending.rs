//! Which generations are not over yet, for those who decide what is kept.

use std::collections::BTreeSet;

use super::{Generation, Ledger};

/// Generations that a later round may still read.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// They may still be tried, so that their closures are needed.
    pub(super) tried: BTreeSet<u64>,
    /// What they say decides about those: one that did not pass bars them, and one
    /// that is urgent lets them through.
    pub(super) told: BTreeSet<u64>,
}

impl Ledger {
    /// Where a record cannot be read, everything since the last good generation.
    pub(super) fn pending(&self, numbers: &[u64]) -> Pending {
        let Ok((left, below)) = self.unsettled() else {
            let all: BTreeSet<u64> = self.since_good(numbers).collect();
            return Pending { tried: all.clone(), told: all };
        };
        if left.is_empty() {
            // The newest generation is over, or the host is on its way back from it.
            let told = below.filter(Generation::is_unfinished).into_iter().map(|g| g.number);
            return Pending { told: told.collect(), ..Pending::default() };
        }
        let tried: BTreeSet<u64> = left.iter().map(|generation| generation.number).collect();
        let bars = below.filter(|below| below.has_failed() || below.is_unfinished());
        let urgent = |n: &u64| self.generation(*n).is_ok_and(|generation| generation.record.urgent);
        let told = tried.iter().copied().chain(bars.map(|below| below.number));
        Pending { told: told.chain(self.since_good(numbers).filter(urgent)).collect(), tried }
    }

    fn since_good(&self, numbers: &[u64]) -> impl Iterator<Item = u64> {
        let good = self.last_good().ok().flatten().unwrap_or_default();
        numbers.iter().copied().filter(move |number| *number > good)
    }
}
