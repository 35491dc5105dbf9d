//! What a judge makes of a merge that nobody has signed: commits, paths, and whose word there is.

use std::collections::BTreeSet;

use super::super::breach::Breach;
use super::super::changes::{self, Change};
use super::super::explain::{subject, told, word};
use super::super::judge::Judge;
use super::super::merge::Merge;
use super::super::policy::{self, Policy};
use super::super::signature::{NAMESPACE, Signature};
use super::super::{Objects, detached, mainline};
use super::{Brought, Missing, Reviewed, Right};
use crate::names::{CommitId, Principal};

impl<O: Objects> Judge<'_, O> {
    /// Judges what `merge` brings in, going on after what is refused.
    pub(super) fn brought(&mut self, merge: &CommitId) -> Result<Vec<Brought>, Breach> {
        let mut brought = Vec::new();
        for id in self.range.order.clone().into_iter().filter(|id| id != merge) {
            let commit = self.reader.commit(&id)?;
            let judged = self.commit(&id);
            let key = Signature::of(&commit).ok().map(|signature| signature.maker());
            let mut told = Brought {
                commit: id.clone(),
                subject: subject(&commit.message),
                principal: None,
                key,
                refused: None,
            };
            match judged {
                Ok(seal) => {
                    told.principal = Some(seal.principal.clone());
                    told.key = Some(seal.key.clone());
                    self.seals.insert(id, seal);
                }
                Err(breach) => told.refused = Some(breach.of(&id)),
            }
            brought.push(told);
        }
        Ok(brought)
    }

    /// What `merge` changes on the mainline, and which approvals of it do not count.
    pub(super) fn paths(
        &self,
        merge: &CommitId,
        policy: &Policy,
    ) -> Result<(Vec<Reviewed>, Vec<String>), Breach> {
        let node = &self.range.new[merge];
        let before = self.tree_of(&node.parents[0])?;
        let changes = changes::between(&self.reader, &before, &node.tree)?;
        let form = Merge::by_anybody(self, merge, policy)?;
        let commit = self.reader.commit(merge)?;
        let (approvers, bad) = detached::approvers(self, merge, &commit, policy);
        let mut paths = Vec::with_capacity(changes.len());
        for change in changes {
            let words = form.iter().flat_map(|form| &form.words).filter(|w| w.is_for(&change));
            let words = words.map(|word| word.principal);
            let said = words.chain(approvers.iter().map(|approver| approver.principal)).collect();
            paths.push(self.reviewed(change, policy, said)?);
        }
        Ok((paths, bad))
    }

    /// `said`: whose word there is; it counts where that person may write the path.
    fn reviewed(
        &self,
        change: Change,
        policy: &Policy,
        said: BTreeSet<&Principal>,
    ) -> Result<Reviewed, Breach> {
        let (mut writers, mut agreed, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (name, rights) in policy.people() {
            let cover = mainline::covered(&self.reader, &change, rights)?.ok();
            let fit = self.has_a_key(policy, name);
            let merges = rights.may_merge() && !policy::is_policy(&change.path);
            if cover.is_some() && said.contains(name) {
                agreed.push(name.clone());
            } else if fit && (cover.is_some() || merges) {
                others.push(name.clone());
            }
            if let Some(cover) = cover.filter(|_| fit) {
                writers.push(Right { principal: name.clone(), by: told(&cover) });
            }
        }
        let threshold = mainline::threshold(&self.reader, &change, policy)?;
        let people = threshold.saturating_sub(u32::try_from(agreed.len()).unwrap_or(u32::MAX));
        let missing = (threshold > 1 && people > 0).then_some(Missing { people, of: others });
        let change_word = word(&change);
        Ok(Reviewed { path: change.path, change: change_word, writers, threshold, agreed, missing })
    }

    /// Whether somebody has a key whose signature would count now.
    fn has_a_key(&self, policy: &Policy, name: &Principal) -> bool {
        policy.signers.iter().filter(|signer| signer.principal == *name).any(|signer| {
            let signs = signer.may_sign(NAMESPACE) || signer.may_sign(detached::NAMESPACE);
            signs && signer.vouches_for(&signer.maker_at(self.now), self.now).is_ok()
        })
    }
}
