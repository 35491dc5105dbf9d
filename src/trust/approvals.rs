//! Protected paths need several people (rule G5).
//!
//! In a merge of the approving form ([`super::merge`]) the merger counts, and those
//! whose word on the path lies in the branch. With it or instead of it, people approve
//! in the commit's message ([`super::detached`]); then the commit's own signer is one
//! of them.

use std::collections::BTreeSet;

use super::breach::Breach;
use super::changes::Change;
use super::detached::{self, Approver};
use super::judge::Judge;
use super::mainline::{self, Permit};
use super::merge::{Merge, Word};
use super::policy::{self, Policy, Rights};
use super::{Objects, Reason};
use crate::names::{CommitId, Fingerprint, Principal};

/// Checks the thresholds of the paths that the mainline commit `id` changes, and
/// notes whose word counted. Returns the keys of detached approvals among them.
pub(super) fn check<O: Objects>(
    judge: &Judge<'_, O>,
    id: &CommitId,
    policy: &Policy,
    merge: Option<&Merge<'_>>,
    permits: &mut [Permit],
) -> Result<Vec<Fingerprint>, Breach> {
    let mut protected: Vec<Protected<'_, '_>> =
        permits.iter_mut().filter_map(Protected::of).collect();
    if protected.is_empty() {
        return Ok(Vec::new());
    }
    let own = Word::of(judge, id, id, policy)?;
    for word in own.iter().chain(merge.iter().flat_map(|merge| &merge.words)) {
        for path in protected.iter_mut().filter(|p| word.is_for(&p.permit.change)) {
            path.agrees(judge, word.principal, word.rights)?;
        }
    }
    if let (Some(own), Some(_)) = (&own, merge) {
        protected.iter_mut().for_each(|path| path.is_merged(own.principal, own.rights));
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
    people: BTreeSet<&'p Principal>,
}

impl<'a, 'p> Protected<'a, 'p> {
    fn of(permit: &'a mut Permit) -> Option<Self> {
        (permit.threshold > 1).then(|| Self { permit, people: BTreeSet::new() })
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

    /// Counts a merger who may only merge: that too is a second look, but never one
    /// at the policy itself.
    fn is_merged(&mut self, merger: &'p Principal, rights: &Rights) {
        if rights.may_merge() && !policy::is_policy(&self.permit.change.path) {
            self.people.insert(merger);
        }
    }

    fn settle(self, merge: bool, bad: &[String]) -> Result<(), Breach> {
        if self.people.len() >= self.permit.threshold as usize {
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
        Err(missing(&self.permit.change, self.permit.threshold, &found))
    }
}

fn missing(change: &Change, threshold: u32, found: &str) -> Breach {
    Breach::new(
        "G5",
        Reason::Threshold,
        format!("{} needs {threshold} people: {found}", change.path),
        "push the change as a branch from the tip, and let somebody else merge it (git merge --no-ff -S BRANCH), or have somebody approve it (writ trust approve COMMIT)",
    )
}
