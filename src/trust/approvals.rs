//! Protected paths need several people (rule G5).
//!
//! The form: `c = merge(p, s)` without fast-forward, where p is an ancestor of s and
//! both commits have the same tree, signed by different people. Counted are the
//! signers of c and of the commits between p and s that hold the very content the
//! protected path ends up with: who signed an earlier state has not approved the
//! last. Who a key belongs to, and what it may approve, is p's policy's word alone,
//! since the branch could have invited its own approvers.

use std::collections::{BTreeSet, HashSet};

use super::breach::Breach;
use super::changes::{self, Change};
use super::judge::Judge;
use super::mainline::{self, Permit};
use super::policy::Policy;
use super::{Objects, Reason};
use crate::names::{CommitId, Principal};

/// Checks the thresholds of the paths that the mainline commit `id` changes, and
/// notes whose word counted.
pub(super) fn check<O: Objects>(
    judge: &Judge<'_, O>,
    id: &CommitId,
    policy: &Policy,
    permits: &mut [Permit],
) -> Result<(), Breach> {
    let mut protected: Vec<(&mut Permit, u32)> = permits
        .iter_mut()
        .map(|permit| (policy.threshold(&permit.change.path), permit))
        .filter(|(threshold, _)| *threshold > 1)
        .map(|(threshold, permit)| (permit, threshold))
        .collect();
    let Some((first, threshold)) = protected.first() else { return Ok(()) };
    let branch = branch(judge, id, policy).ok_or_else(|| {
        missing(&first.change, *threshold, "it is not a merge of the approving form")
    })?;
    let mut approved: Vec<BTreeSet<&Principal>> = vec![BTreeSet::new(); protected.len()];
    for commit in branch {
        let Some((principal, rights)) = judge.signer_under(policy, commit) else { continue };
        let unlike = differing_paths(judge, commit, id)?;
        for ((permit, _), people) in protected.iter().zip(&mut approved) {
            let same = !unlike.contains(&permit.change.path);
            if same && mainline::covered(&judge.reader, &permit.change, rights)?.is_ok() {
                people.insert(principal);
            }
        }
    }
    for ((permit, threshold), people) in protected.iter_mut().zip(approved) {
        if people.len() < *threshold as usize {
            let names: Vec<&str> = people.iter().map(|p| p.as_str()).collect();
            let found = format!("signed by {}", names.join(", "));
            return Err(missing(&permit.change, *threshold, &found));
        }
        permit.people = people.into_iter().cloned().collect();
    }
    Ok(())
}

/// The commits whose signers count: `id` itself and those between its parents; `None`
/// where it has not the form.
fn branch<'a, O: Objects>(
    judge: &'a Judge<'_, O>,
    id: &'a CommitId,
    policy: &Policy,
) -> Option<Vec<&'a CommitId>> {
    let node = judge.range.new.get(id)?;
    let [base, tip] = &node.parents[..] else { return None };
    let above = judge.range.down_from(tip);
    let on_base = above.values().any(|node| node.parents.contains(base));
    if !on_base || judge.range.new.get(tip)?.tree != node.tree {
        return None;
    }
    let (merger, _) = judge.signer_under(policy, id)?;
    let (author, _) = judge.signer_under(policy, tip)?;
    if merger == author {
        return None;
    }
    let below = judge.range.down_from(base);
    let between = above.into_keys().filter(|commit| !below.contains_key(commit));
    Some(std::iter::once(id).chain(between).collect())
}

/// Where an approving commit's tree is not the one that is merged.
fn differing_paths<O: Objects>(
    judge: &Judge<'_, O>,
    commit: &CommitId,
    merged: &CommitId,
) -> Result<HashSet<String>, Breach> {
    let (from, to) = (&judge.range.new[commit].tree, &judge.range.new[merged].tree);
    let changes = changes::between(&judge.reader, from, to)?;
    Ok(changes.into_iter().map(|change| change.path).collect())
}

fn missing(change: &Change, threshold: u32, found: &str) -> Breach {
    Breach::new(
        "G5",
        Reason::Threshold,
        format!("{} needs {threshold} people: {found}", change.path),
        "push the change as a branch from the tip, and let somebody else merge it: git merge --no-ff -S BRANCH",
    )
}
