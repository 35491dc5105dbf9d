//! Orders changes so that each service comes after the changed services it depends on.

use std::collections::BTreeSet;

use super::Change;
use crate::names::ServiceName;

/// Splits changes into waves. A dependency that does not change is no reason to
/// wait. The manifest has refused cycles; should one get here, its members make
/// up the last wave rather than wait for each other.
pub(super) fn waves(changes: Vec<Change<'_>>) -> Vec<Vec<Change<'_>>> {
    let mut left = changes;
    let mut waves = Vec::new();
    while !left.is_empty() {
        let pending: BTreeSet<ServiceName> = left
            .iter()
            .filter(|change| change.begins())
            .map(|change| change.service.name.clone())
            .collect();
        let (late, ready): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|change| !change.service.depends_on.is_disjoint(&pending));
        if ready.is_empty() {
            waves.push(late);
            break;
        }
        waves.push(ready);
        left = late;
    }
    waves
}
