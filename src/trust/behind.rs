//! Where commits lie on the mainline that the anchor vouches for.

use super::object::{Format, Reader};
use super::{Anchor, Objects};
use crate::names::CommitId;

/// Commits that are looked at on the way down (the budget of rule O5 for a range).
const FURTHEST: usize = 10_000;

/// The one of `ids` that is met first on the way down the accepted mainline (first
/// parents), the anchor itself included; none where no such commit is near.
///
/// It is evidence of nothing but an older view of the same branch: a source that shows
/// one of these commits is out of date.
pub(super) fn first_met<'i>(
    objects: &impl Objects,
    anchor: &Anchor,
    ids: &[&'i CommitId],
) -> Option<&'i CommitId> {
    let reader = Reader::new(objects, Format::of(&anchor.commit)).unbounded();
    let mut at = anchor.commit.clone();
    for _ in 0..FURTHEST {
        if let Some(met) = ids.iter().find(|id| ***id == at) {
            return Some(met);
        }
        if at == anchor.introduction {
            return None;
        }
        at = reader.commit(&at).ok()?.parents.into_iter().next()?;
    }
    None
}
