//! Judges the new commits one after the other, parents before children.

use std::collections::HashMap;
use std::rc::Rc;

use super::breach::Breach;
use super::mainline;
use super::object::Reader;
use super::policy::{self, Policy};
use super::range::{Node, Range};
use super::seal::{Seal, moment};
use super::tree::Entry;
use super::{Anchor, Objects, Pins, Reason, Refusal};
use crate::names::{CommitId, Fingerprint};

/// Seconds that a commit may lie ahead of this host's clock.
const AHEAD: i64 = 600;

/// What one decision remembers while it is made.
pub(super) struct Judge<'a, O> {
    pub(super) reader: Reader<'a, O>,
    pub(super) pins: &'a Pins,
    pub(super) range: Range,
    /// Who signed each new commit.
    pub(super) seals: HashMap<CommitId, Seal>,
    /// Keys whose detached approvals counted, each with the commit it approved.
    pub(super) approvals: Vec<(CommitId, Fingerprint)>,
    /// The host's clock.
    pub(super) now: i64,
    /// What the host had accepted before.
    pub(super) since: Option<Anchor>,
    /// A commit that nobody has signed yet, and whose key is to be taken for its signer's.
    pub(super) supposed: Option<(CommitId, Fingerprint)>,
    /// Policies by the id of their `.writ/`, and by commit.
    by_folder: HashMap<CommitId, Rc<Policy>>,
    by_commit: HashMap<CommitId, Rc<Policy>>,
}

impl<'a, O: Objects> Judge<'a, O> {
    pub(super) fn new(reader: Reader<'a, O>, pins: &'a Pins, range: Range, now: i64) -> Self {
        Self {
            reader,
            pins,
            range,
            now,
            since: None,
            supposed: None,
            seals: HashMap::new(),
            approvals: Vec::new(),
            by_folder: HashMap::new(),
            by_commit: HashMap::new(),
        }
    }

    /// Judges every new commit, parents before children; then, with everyone's
    /// signature known, what the mainline changes.
    pub(super) fn new_commits(&mut self) -> Result<(), Refusal> {
        self.signatures()?;
        for id in self.mainline() {
            mainline::check(self, &id).map_err(|breach| breach.of(&id))?;
        }
        Ok(())
    }

    /// Who signed each new commit, and that they might sign at all.
    pub(super) fn signatures(&mut self) -> Result<(), Refusal> {
        for place in 0..self.range.order.len() {
            let id = self.range.order[place].clone();
            let seal = self.commit(&id).map_err(|breach| breach.of(&id))?;
            self.seals.insert(id, seal);
        }
        Ok(())
    }

    /// The new commits of the mainline, the oldest first.
    pub(super) fn mainline(&self) -> Vec<CommitId> {
        let Some(head) = self.range.order.last() else { return Vec::new() };
        self.range.mainline(head).into_iter().rev().cloned().collect()
    }

    /// Everything that one commit and its parents' policies decide.
    pub(super) fn commit(&mut self, id: &CommitId) -> Result<Seal, Breach> {
        let node = self.range.new[id].clone();
        if !node.twin {
            self.clock(&node)?;
        }
        let commit = self.reader.commit(id)?;
        let seal = match self.supposed.clone().filter(|(unsigned, _)| unsigned == id) {
            Some((_, key)) => self.as_if_signed(&commit, &key, node.effective)?,
            None => self.authenticate(id, &commit, node.effective)?,
        };
        self.inherit(id, &node)?;
        Ok(seal)
    }

    /// Rule K1.
    fn clock(&self, node: &Node) -> Result<(), Breach> {
        let ahead = node.time.saturating_sub(self.now);
        if ahead <= AHEAD {
            return Ok(());
        }
        Err(Breach::new(
            "K1",
            Reason::Clock,
            format!(
                "its committer time lies {ahead} seconds ahead of this host's clock ({})",
                moment(self.now)
            ),
            "check this host's clock first (timedatectl); if it is right, the committer's was wrong and the commit has to be made again",
        ))
    }

    /// Rules P1, P3 and P4: the commit's own policy is valid and forgets no revocation.
    fn inherit(&mut self, id: &CommitId, node: &Node) -> Result<(), Breach> {
        let own = self.policy(id)?;
        if *id == self.pins.introduction {
            return Ok(());
        }
        for parent in &node.parents {
            let parents = self.policy(parent)?;
            if Rc::ptr_eq(&own, &parents) {
                continue;
            }
            if let Some(key) = parents.revoked.keys().find(|key| !own.revoked.contains_key(*key)) {
                return Err(Breach::new(
                    "P3",
                    Reason::Revoked,
                    format!("it drops the revocation of {key}"),
                    "keep every [[revoked]] entry: a key once revoked never comes back",
                ));
            }
        }
        Ok(())
    }

    /// Rule K3: a compromised key counts up to the commit that the newest policy
    /// names, wherever in the history it signed.
    pub(super) fn revocations(&mut self, newest: &CommitId) -> Result<(), Refusal> {
        let policy = self.policy(newest).map_err(|breach| breach.of(newest))?;
        for (key, good_until) in &policy.revoked {
            let good = self.range.down_from(good_until);
            let signed = self.range.order.iter().flat_map(|id| {
                let Seal { key, maker, .. } = &self.seals[id];
                [(id, key), (id, maker)]
            });
            let approved = self.approvals.iter().map(|(id, key)| (id, key));
            let bad = signed
                .chain(approved)
                .filter(|(_, by)| *by == key)
                .find(|(id, _)| !good.contains_key(id) && !self.range.new[*id].twin);
            if let Some((bad, _)) = bad {
                return Err(revoked(key, good_until).of(bad));
            }
        }
        Ok(())
    }

    /// Rule P3 beyond one history: a key that this host has seen revoked stays so.
    pub(super) fn remembered(&mut self, head: &CommitId) -> Result<(), Refusal> {
        let policy = self.policy(head).map_err(|breach| breach.of(head))?;
        match self.pins.revoked.iter().find(|key| !policy.revoked.contains_key(*key)) {
            None => Ok(()),
            Some(key) => Err(Breach::new(
                "P3",
                Reason::Revoked,
                format!("this host has seen {key} revoked, and its policy does not revoke it"),
                "carry every [[revoked]] entry over into the rewritten history",
            )
            .of(head)),
        }
    }

    /// From here on every commit is judged by one policy, whatever its parents say.
    pub(super) fn suppose(&mut self, policy: Policy) {
        let policy = Rc::new(policy);
        let judged = self.range.new.keys().chain(self.range.accepted.keys());
        self.by_commit = judged.map(|id| (id.clone(), Rc::clone(&policy))).collect();
    }

    /// The policy of a commit, read once for each `.writ/`.
    pub(super) fn policy(&mut self, id: &CommitId) -> Result<Rc<Policy>, Breach> {
        if let Some(policy) = self.by_commit.get(id) {
            return Ok(Rc::clone(policy));
        }
        let tree = match self.range.new.get(id) {
            Some(node) => node.tree.clone(),
            None => self.reader.commit(id)?.tree,
        };
        let root = self.reader.root(&tree)?;
        let folder = policy::folder(&root)?;
        let policy = match self.by_folder.get(&folder.id) {
            Some(policy) => Rc::clone(policy),
            None => self.read_policy(folder)?,
        };
        self.by_commit.insert(id.clone(), Rc::clone(&policy));
        Ok(policy)
    }

    fn read_policy(&mut self, folder: &Entry) -> Result<Rc<Policy>, Breach> {
        let entries = self.reader.tree(&folder.id).map_err(|breach| breach.at(policy::FOLDER))?;
        let policy = Rc::new(Policy::read(&self.reader, &entries, &self.pins.channel)?);
        self.by_folder.insert(folder.id.clone(), Rc::clone(&policy));
        Ok(policy)
    }
}

fn revoked(key: &Fingerprint, good_until: &CommitId) -> Breach {
    Breach::new(
        "K3",
        Reason::Revoked,
        format!("its key {key} is revoked and counts only up to {}", good_until.short()),
        "rebase without this commit, or let an administrator name a later goodUntil if it is harmless",
    )
}
