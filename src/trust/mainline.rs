//! What a mainline commit changes, and whether its signer may (rules P2 and G4).

use super::Objects;
use super::breach::Breach;
use super::verify::Judge;
use crate::names::CommitId;

/// Judges the difference between a new mainline commit and its first parent.
pub(super) fn check<O: Objects>(judge: &mut Judge<'_, O>, id: &CommitId) -> Result<(), Breach> {
    let parent = match judge.range.new.get(id) {
        Some(node) if !node.twin && *id != judge.pins.introduction => node.parents.first().cloned(),
        _ => None,
    };
    let Some(parent) = parent else { return Ok(()) };
    let policy = judge.policy(&parent)?;
    if !policy.protect.is_empty() {
        return Err(Breach::unsupported("G5", "the policy protects paths by a threshold"));
    }
    match judge.rights(&policy, id) {
        Some(rights) if rights.reach(super::policy::FOLDER) && rights.only().is_none() => Ok(()),
        _ => Err(Breach::unsupported("G4", "its signer may write some paths only")),
    }
}
