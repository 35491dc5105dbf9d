//! Mainline commits below a new head that hosts may not pass over, or that hurry it.

use super::breach::Breach;
use super::commit::Commit;
use super::judge::Judge;
use super::policy::Rights;
use super::trailers::Orders;
use super::{Anchor, Objects, Reason, VerifiedCommit, limits};
use crate::names::{CommitId, Fingerprint, Principal};

/// A commit that was verified with a later head and has to be a generation of its own
/// before it (`Writ-Must-Pass: yes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub id: CommitId,
    pub principal: Principal,
    pub key: Fingerprint,
    /// The author's line as written; it authorises nothing.
    pub author: String,
    /// Committer time in seconds since 1970.
    pub committed: i64,
    pub message: String,
}

/// What the new mainline commits below a head ask for.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// The oldest first.
    stages: Vec<Stage>,
    urgent: bool,
    ignored: Vec<String>,
}

impl<O: Objects> Judge<'_, O> {
    /// What lies between the anchor and the head, once all of it is verified. A host
    /// that has accepted nothing yet goes straight to the head.
    pub(super) fn below(
        &mut self,
        head: &CommitId,
        anchor: Option<&Anchor>,
    ) -> Result<Below, Breach> {
        let mut below = Below::default();
        let Some(anchor) = anchor else { return Ok(below) };
        let passed = |id: &CommitId| {
            let twin = self.range.new.get(id).is_some_and(|n| n.payload == anchor.payload);
            *id == anchor.commit || twin
        };
        let mainline = self.range.mainline(head);
        let new = mainline.iter().take_while(|id| !passed(id)).filter(|id| **id != head);
        for id in new.copied().cloned().collect::<Vec<_>>().into_iter().rev() {
            let Some(seal) = self.seals.get(&id).cloned() else { continue };
            let commit = self.reader.commit(&id)?;
            let Orders { urgent, must_pass, plans: _, ignored } =
                self.orders(&id, &commit, &seal.principal)?;
            below.urgent |= urgent;
            below.ignored.extend(ignored.into_iter().map(|why| told(&id, &why)));
            if must_pass && below.stages.len() == limits::STAGES {
                return Err(too_many());
            }
            if must_pass {
                below.stages.push(Stage {
                    id,
                    principal: seal.principal,
                    key: seal.key,
                    author: commit.author,
                    committed: commit.time,
                    message: commit.message,
                });
            }
        }
        Ok(below)
    }

    /// What a commit's message orders, as far as the policy before it lets `signer` order.
    pub(super) fn orders(
        &mut self,
        id: &CommitId,
        commit: &Commit,
        signer: &Principal,
    ) -> Result<Orders, Breach> {
        let orders = Orders::of(&commit.message);
        if orders == Orders::default() {
            return Ok(orders);
        }
        let before = commit.parents.first().filter(|_| *id != self.pins.introduction);
        let policy = self.policy(before.unwrap_or(id))?;
        let may = policy.rights(signer).is_some_and(Rights::may_order);
        Ok(if may { orders } else { orders.denied(signer) })
    }
}

impl VerifiedCommit {
    /// What has to pass before it, the oldest first: the mainline commits with the
    /// trailer `Writ-Must-Pass: yes` that it was verified with, above the anchor.
    pub fn stages(&self) -> &[Stage] {
        &self.inner.below.stages
    }

    /// Whether a generation of its own may not be passed over.
    pub fn must_pass(&self) -> bool {
        self.inner.orders.must_pass
    }

    /// Whether it, or a mainline commit that it was verified with, has the trailer
    /// `Writ-Urgent: yes`.
    pub fn is_urgent(&self) -> bool {
        self.inner.orders.urgent || self.inner.below.urgent
    }

    /// Trailers of these kinds that count for nothing, and why.
    pub fn ignored_trailers(&self) -> Vec<String> {
        let own = self.inner.orders.ignored.iter().map(|why| told(self.id(), why));
        self.inner.below.ignored.iter().cloned().chain(own).collect()
    }
}

fn too_many() -> Breach {
    Breach::new(
        "O5",
        Reason::TooLarge,
        format!(
            "more than {} new commits below it have the trailer Writ-Must-Pass",
            limits::STAGES
        ),
        "take the trailer out of those that may be passed over; a host that was away for so long goes straight to a commit with `writ trust reset`",
    )
}

fn told(id: &CommitId, why: &str) -> String {
    format!("commit {}: {why}", id.short())
}
