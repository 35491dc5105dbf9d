//! Merges of the approving form, and whose word on their content lies in them (rules G4, G5).
//!
//! The form: `c = merge(p, s)` without fast-forward, where p is an ancestor of s and
//! both commits have the same tree, signed by different people. Somebody's word counts
//! for a path by a commit between p and s that holds the very content the path ends up
//! with: who signed an earlier state has not approved the last. Between are those that
//! p is an ancestor of: who signed without having seen p has said nothing about what
//! becomes of it. Who a key belongs to, and what it may do, is p's policy's word alone,
//! since the branch could have invited its own approvers.

use std::collections::HashSet;

use super::breach::Breach;
use super::changes::{self, Change};
use super::judge::Judge;
use super::mainline::{self, Denial};
use super::policy::{self, Cover, Policy, Rights};
use super::{Objects, Reason};
use crate::names::{CommitId, Principal};

/// What the people of a merge have signed.
pub(super) struct Merge<'p> {
    pub(super) words: Vec<Word<'p>>,
}

/// One commit's signer, and where what that person signed is not what is merged.
pub(super) struct Word<'p> {
    pub(super) principal: &'p Principal,
    pub(super) rights: &'p Rights,
    unlike: HashSet<String>,
}

impl<'p> Merge<'p> {
    /// The merge that the commit `id` is; `None` where it has not the form.
    pub(super) fn of<O: Objects>(
        judge: &Judge<'_, O>,
        id: &CommitId,
        policy: &'p Policy,
    ) -> Result<Option<Self>, Breach> {
        let Some(node) = judge.range.new.get(id) else { return Ok(None) };
        let [_, tip] = &node.parents[..] else { return Ok(None) };
        let (Some((merger, _)), Some((author, _))) =
            (judge.signer_under(policy, id), judge.signer_under(policy, tip))
        else {
            return Ok(None);
        };
        if merger == author { Ok(None) } else { Self::by_anybody(judge, id, policy) }
    }

    /// The same, whoever merges it; for a review, before somebody does.
    pub(super) fn by_anybody<O: Objects>(
        judge: &Judge<'_, O>,
        id: &CommitId,
        policy: &'p Policy,
    ) -> Result<Option<Self>, Breach> {
        let Some(node) = judge.range.new.get(id) else { return Ok(None) };
        let [base, tip] = &node.parents[..] else { return Ok(None) };
        let between = between(judge, id, (base, tip));
        let alike = judge.range.new.get(tip).is_some_and(|tip| tip.tree == node.tree);
        if between.is_empty() || !alike {
            return Ok(None);
        }
        let words =
            between.into_iter().filter_map(|by| Word::of(judge, by, id, policy).transpose());
        Ok(Some(Self { words: words.collect::<Result<_, _>>()? }))
    }

    /// Whose rights cover a change, of those whose word counts for it; or what they lack
    /// who may write the path.
    pub(super) fn cover<O: Objects>(
        &self,
        judge: &Judge<'_, O>,
        change: &Change,
    ) -> Result<Result<Cover, Option<Breach>>, Breach> {
        let mut lacking = None;
        for word in self.words.iter().filter(|word| word.is_for(change)) {
            match mainline::covered(&judge.reader, change, word.rights)? {
                Ok(cover) => {
                    return Ok(Ok(Cover::Merged(word.principal.clone(), Box::new(cover))));
                }
                Err(denial @ Denial::Privileges(_)) => {
                    lacking = Some(denial.of(word.principal, change));
                }
                Err(Denial::Path(_)) => {}
            }
        }
        Ok(Err(lacking))
    }
}

impl<'p> Word<'p> {
    /// What the signer of `by` says about what is merged in `id`; `None` where
    /// `policy` does not know that person.
    pub(super) fn of<O: Objects>(
        judge: &Judge<'_, O>,
        by: &CommitId,
        id: &CommitId,
        policy: &'p Policy,
    ) -> Result<Option<Self>, Breach> {
        let Some((principal, rights)) = judge.signer_under(policy, by) else { return Ok(None) };
        let (from, to) = (&judge.range.new[by].tree, &judge.range.new[id].tree);
        let changes = changes::between(&judge.reader, from, to)?;
        let unlike = changes.into_iter().map(|change| change.path).collect();
        Ok(Some(Self { principal, rights, unlike }))
    }

    pub(super) fn is_for(&self, change: &Change) -> bool {
        !self.unlike.contains(&change.path)
    }
}

/// Of what the mainline commit `id` brings in, what lies between its parents.
fn between<'a, O: Objects>(
    judge: &'a Judge<'_, O>,
    id: &'a CommitId,
    (base, tip): (&'a CommitId, &'a CommitId),
) -> Vec<&'a CommitId> {
    let brought_in = judge.range.brought_in(id);
    let parents = |id| judge.range.new.get(id).map_or(&[][..], |node| &node.parents);
    let mut below = HashSet::from([tip]);
    for id in brought_in.iter().rev() {
        if below.contains(id) {
            below.extend(parents(id));
        }
    }
    let mut above = HashSet::from([base]);
    for id in brought_in {
        if parents(id).iter().any(|parent| above.contains(parent)) {
            above.insert(id);
        }
    }
    brought_in.iter().filter(|id| below.contains(id) && above.contains(id)).collect()
}

/// What a merger without rights of its own to a path did wrong.
pub(super) fn path_denied(merge: Option<&Merge<'_>>, by: &Principal, change: &Change) -> Breach {
    let why = match merge {
        Some(_) => "nobody who signed the branch with its present content may change it",
        None => {
            "with the role merge it may only merge a branch from the tip that somebody else signed, without a change of its own"
        }
    };
    Breach::new(
        if policy::is_policy(&change.path) { "P2" } else { "G4" },
        Reason::PathDenied,
        format!("{by} may not change {}: {why}", change.path),
        "rebase the branch onto the tip, have it signed by somebody who may change this path, and merge it without fast-forward",
    )
}
