//! The role `rollback`: one person may bring back what the branch had a moment ago (rule G6).

use super::breach::Breach;
use super::judge::Judge;
use super::range::Node;
use super::tree::Entry;
use super::{Objects, policy};
use crate::names::CommitId;

/// How many commits of the mainline one can go back over.
const REACH: usize = 20;

/// The mainline commit that `node` restores: one of the last [`REACH`] from its first
/// parent down, all of its tree but `.writ/`, which stays the parent's.
pub(super) fn restored<O: Objects>(
    judge: &Judge<'_, O>,
    node: &Node,
) -> Result<Option<CommitId>, Breach> {
    let Some(parent) = node.parents.first() else { return Ok(None) };
    let (new_policy, new) = split(judge.reader.root(&node.tree)?);
    let (old_policy, _) = split(judge.reader.any_tree(&judge.tree_of(parent)?)?);
    if new_policy != old_policy {
        return Ok(None);
    }
    let mut next = Some(parent.clone());
    for _ in 0..REACH {
        let Some(past) = next else { break };
        let (_, old) = split(judge.reader.any_tree(&judge.tree_of(&past)?)?);
        if old == new {
            return Ok(Some(past));
        }
        // Nothing below the introduction was ever accepted.
        next = match past == judge.pins.introduction {
            true => None,
            false => judge.parents_of(&past)?.into_iter().next(),
        };
    }
    Ok(None)
}

/// The policy among the entries of a root tree, and all the others.
fn split(root: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    root.into_iter().partition(|entry| policy::is_policy(&entry.name))
}
