//! Protected paths need several people (rule G5).
//!
//! The form: `c = merge(p, s)` without fast-forward, where p is an ancestor of s and
//! both commits have the same tree, signed by different people. Counted are the
//! signers of c and of the commits between p and s that hold the very content the
//! protected path ends up with: who signed an earlier state has not approved the
//! last. With it or instead of it, people approve in the commit's message
//! ([`super::detached`]); then the commit's own signer is one of them. Who a key belongs to, and what it may approve, is p's policy's word alone,
//! since the branch could have invited its own approvers.

use std::collections::{BTreeSet, HashSet};

use super::breach::Breach;
use super::changes::{self, Change};
use super::detached::{self, Approver};
use super::judge::Judge;
use super::mainline::{self, Permit};
use super::policy::{Policy, Rights};
use super::{Objects, Reason};
use crate::names::{CommitId, Fingerprint, Principal};

/// Checks the thresholds of the paths that the mainline commit `id` changes, and
/// notes whose word counted. Returns the keys of detached approvals among them.
pub(super) fn check<O: Objects>(
    judge: &Judge<'_, O>,
    id: &CommitId,
    policy: &Policy,
    permits: &mut [Permit],
) -> Result<Vec<Fingerprint>, Breach> {
    let mut protected: Vec<Protected<'_, '_>> =
        permits.iter_mut().filter_map(|permit| Protected::of(permit, policy)).collect();
    if protected.is_empty() {
        return Ok(Vec::new());
    }
    let merge = branch(judge, id, policy);
    for commit in merge.clone().unwrap_or_else(|| vec![id]) {
        let Some((principal, rights)) = judge.signer_under(policy, commit) else { continue };
        let unlike = differing_paths(judge, commit, id)?;
        for path in protected.iter_mut().filter(|p| !unlike.contains(&p.permit.change.path)) {
            path.agrees(judge, principal, rights)?;
        }
    }
    let (approvers, bad) = detached::approvers(judge, id, &judge.reader.commit(id)?, policy);
    for Approver { principal, rights, .. } in &approvers {
        for path in &mut protected {
            path.agrees(judge, principal, rights)?;
        }
    }
    for path in protected {
        path.settle(merge.is_some(), &bad)?;
    }
    Ok(approvers.into_iter().map(|approver| approver.key.clone()).collect())
}

/// A path that takes several people, and who of them has been found.
struct Protected<'a, 'p> {
    permit: &'a mut Permit,
    threshold: u32,
    people: BTreeSet<&'p Principal>,
}

impl<'a, 'p> Protected<'a, 'p> {
    fn of(permit: &'a mut Permit, policy: &Policy) -> Option<Self> {
        let threshold = policy.threshold(&permit.change.path);
        (threshold > 1).then(|| Self { permit, threshold, people: BTreeSet::new() })
    }

    /// Counts somebody who could have made the change alone, were it not protected.
    fn agrees<O: Objects>(
        &mut self,
        judge: &Judge<'_, O>,
        principal: &'p Principal,
        rights: &Rights,
    ) -> Result<(), Breach> {
        if mainline::covered(&judge.reader, &self.permit.change, rights)?.is_ok() {
            self.people.insert(principal);
        }
        Ok(())
    }

    fn settle(self, merge: bool, bad: &[String]) -> Result<(), Breach> {
        if self.people.len() >= self.threshold as usize {
            self.permit.people = self.people.into_iter().cloned().collect();
            return Ok(());
        }
        let names: Vec<&str> = self.people.iter().map(|p| p.as_str()).collect();
        let mut found = format!("agreed to by {}", names.join(", "));
        if !merge {
            found.push_str("; it is not a merge of the approving form");
        }
        for why in bad {
            found.push_str(&format!("; an approval does not count: {why}"));
        }
        Err(missing(&self.permit.change, self.threshold, &found))
    }
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
        "push the change as a branch from the tip, and let somebody else merge it (git merge --no-ff -S BRANCH), or have somebody approve it (writ trust approve COMMIT)",
    )
}
