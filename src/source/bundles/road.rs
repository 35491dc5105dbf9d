//! The cheapest bundles from what a host has to where the branch stands.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{Entry, Index};
use crate::names::CommitId;

/// What a request costs besides its bytes, in bytes.
const REQUEST: u64 = 4096;

/// The bundles to take, in order, for a host that has the history of some commits. It is
/// empty where the tip is one of them, and `None` where no road leads there without the
/// bundles that are known to be broken.
///
/// That each bundle can be taken after those before it is what the index says; whoever
/// imports them finds out.
pub fn cheapest<'a>(
    index: &'a Index,
    have: &[CommitId],
    broken: &BTreeSet<u64>,
) -> Option<Vec<&'a Entry>> {
    // A bundle leads on from commits of older ones, so one pass in their order is enough.
    let mut reached: BTreeMap<&CommitId, (u64, Vec<&Entry>)> =
        have.iter().map(|id| (id, (0, Vec::new()))).collect();
    for entry in index.entries.iter().filter(|entry| !broken.contains(&entry.token)) {
        let (cost, road) = match &entry.base {
            None => (0, &[][..]),
            Some(base) => match reached.get(base) {
                Some((cost, road)) => (*cost, &road[..]),
                None => continue,
            },
        };
        let cost = cost.saturating_add(entry.file.size).saturating_add(REQUEST);
        if reached.get(&entry.tip).is_none_or(|(known, _)| cost < *known) {
            let road = [road, &[entry]].concat();
            reached.insert(&entry.tip, (cost, road));
        }
    }
    reached.remove(&index.tip).map(|(_, road)| road)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::bundles::index::tests::{entry, id, index};

    fn tokens(index: &Index, have: &[char], broken: &[u64]) -> Option<Vec<u64>> {
        let have: Vec<CommitId> = have.iter().map(|c| id(*c)).collect();
        let road = cheapest(index, &have, &broken.iter().copied().collect())?;
        Some(road.iter().map(|entry| entry.token).collect())
    }

    #[test]
    fn each_host_takes_what_it_lacks_and_no_more() {
        const BIG: u64 = 1 << 20;
        let index = index(vec![
            entry(1, BIG, 'a', None),
            entry(2, 500, 'b', Some('a')),
            entry(3, 500, 'c', Some('b')),
            entry(4, BIG, 'c', None),
            entry(5, 500, 'd', Some('c')),
        ]);
        for (have, broken, road) in [
            (&['d'][..], &[][..], Some(&[][..])),
            (&['c'], &[], Some(&[5])),
            (&['a'], &[], Some(&[2, 3, 5])),
            (&[], &[], Some(&[4, 5])),
            (&['f'], &[], Some(&[4, 5])),
            // Around what is broken, also by an older whole bundle; and not at all.
            (&['a'], &[3], Some(&[4, 5])),
            (&[], &[4], Some(&[1, 2, 3, 5])),
            (&['c'], &[5], None),
            (&[], &[1, 4], None),
            (&['b'], &[1, 4], Some(&[3, 5])),
        ] {
            assert_eq!(tokens(&index, have, broken).as_deref(), road, "{have:?} {broken:?}");
        }
    }

    #[test]
    fn many_small_bundles_are_not_better_than_a_whole_one() {
        let index = index(vec![
            entry(1, 3000, 'a', None),
            entry(2, 1000, 'b', Some('a')),
            entry(3, 1000, 'c', Some('b')),
            entry(4, 4000, 'c', None),
        ]);
        assert_eq!(tokens(&index, &['a'], &[]), Some(vec![4]));
        assert_eq!(tokens(&index, &['b'], &[]), Some(vec![3]));
    }

    #[test]
    fn a_road_never_goes_back_in_time() {
        // The index of somebody hostile; at worst nothing is found.
        let index = index(vec![
            entry(1, 1, 'b', Some('a')),
            entry(2, 1, 'a', None),
            entry(3, 1, 'c', Some('x')),
        ]);
        assert_eq!(tokens(&index, &[], &[]), None);
    }
}
