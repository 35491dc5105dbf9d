//! How what is published grows: small bundles on top of each other, now and then a whole
//! one, and the old ones go.

use super::index::{Entry, Index};
use crate::names::CommitId;

/// Small bundles on top of a whole one, at most.
const STEPS: usize = 16;
/// Bytes of small bundles that are never too many.
const LITTLE: u64 = 64 << 10;
/// Whole bundles that stay, with all small ones since the oldest of them: a host that was
/// away finds the way from where it stood, and one that is at it keeps what it takes.
const WHOLES: usize = 2;

/// Whether a whole bundle belongs beside the next small one: whoever comes without
/// anything never takes much more than twice what is needed.
pub fn wants_whole(entries: &[Entry], step: u64) -> bool {
    let Some(last) = entries.iter().rposition(|entry| entry.base.is_none()) else { return true };
    let (whole, steps) = (entries[last].file.size, &entries[last + 1..]);
    let bytes = steps.iter().map(|entry| entry.file.size).fold(step, u64::saturating_add);
    steps.len() + 1 >= STEPS || bytes > whole.max(LITTLE)
}

/// What stays of the bundles: the newest whole ones, and all that followed them.
pub fn kept(mut entries: Vec<Entry>) -> Vec<Entry> {
    let wholes: Vec<usize> = (0..entries.len()).filter(|n| entries[*n].base.is_none()).collect();
    if let Some(oldest) = wholes.len().checked_sub(WHOLES) {
        entries.drain(..wholes[oldest]);
    }
    entries
}

/// The token of a bundle that is made now.
pub fn token(entries: &[Entry], now: u64) -> u64 {
    entries.last().map_or(now, |last| now.max(last.token.saturating_add(1)))
}

/// Whether what is published has been at a commit, or is.
pub fn has_been_at(index: &Index, commit: &CommitId) -> bool {
    index.entries.iter().any(|entry| entry.tip == *commit || entry.base.as_ref() == Some(commit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::bundles::index::tests::entry;

    #[test]
    fn a_whole_bundle_comes_when_the_small_ones_are_many_or_large() {
        let mut entries = vec![entry(1, 1 << 20, 'a', None)];
        assert!(wants_whole(&[], 1));
        assert!(!wants_whole(&entries, 1 << 20));
        assert!(wants_whole(&entries, (1 << 20) + 1));
        entries.push(entry(2, 1 << 19, 'b', Some('a')));
        assert!(wants_whole(&entries, (1 << 19) + 1));
        for token in 3..=15 {
            entries.push(entry(token, 1, 'b', Some('b')));
        }
        assert!(!wants_whole(&entries, 1));
        entries.push(entry(16, 1, 'b', Some('b')));
        assert!(wants_whole(&entries, 1));
        // Of a small repository, many small ones are no burden.
        assert!(!wants_whole(&[entry(1, 900, 'a', None)], LITTLE));
        // Nobody without anything could begin there.
        assert!(wants_whole(&[entry(1, 900, 'b', Some('a'))], 1));
    }

    #[test]
    fn the_last_two_wholes_stay_with_what_followed() {
        let step = |token| entry(token, 1, 'b', Some('a'));
        let whole = |token| entry(token, 9, 'b', None);
        let tokens = |entries| kept(entries).iter().map(|e| e.token).collect::<Vec<_>>();
        assert_eq!(tokens(vec![step(1), whole(2), step(3)]), [1, 2, 3]);
        assert_eq!(tokens(vec![whole(1), step(2), whole(3), step(4), whole(5)]), [3, 4, 5]);
    }

    #[test]
    fn tokens_rise_also_where_a_clock_goes_back() {
        assert_eq!(token(&[], 50), 50);
        assert_eq!(token(&[entry(70, 1, 'a', None)], 50), 71);
        assert_eq!(token(&[entry(70, 1, 'a', None)], 80), 80);
    }
}
