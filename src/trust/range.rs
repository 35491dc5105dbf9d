//! Which commits are new, in an order that has parents first (rules G2, G7, T1, T2).
//!
//! What the anchor already vouches for is not looked at again. Usually every way
//! down from the head ends at the anchor; only where a side branch forked earlier
//! are the anchor's ancestors walked, to know where the branch left them.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::breach::Breach;
use super::commit::Commit;
use super::object::Reader;
use super::{Anchor, Objects, Pins, Reason, Refusal, limits};
use crate::names::CommitId;

/// What the walk keeps of a commit; its bytes are read again when it is verified.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) tree: CommitId,
    pub(super) parents: Vec<CommitId>,
    /// The SHA-256 of the payload in hexadecimal.
    pub(super) payload: String,
    /// The committer's time.
    pub(super) time: i64,
    /// The latest time of this commit and everything below it (rule K1).
    pub(super) effective: i64,
    /// The anchor's content under another id (rule T2).
    pub(super) twin: bool,
    /// Where it stands in [`Range::order`].
    place: usize,
}

/// The commits between what is accepted and the new head.
#[derive(Debug, Default)]
pub(super) struct Range {
    /// The new commits.
    pub(super) new: HashMap<CommitId, Node>,
    /// Those of them that are judged, parents before children.
    pub(super) order: Vec<CommitId>,
    /// Accepted commits that the walk has met, with their effective times.
    pub(super) accepted: HashMap<CommitId, i64>,
}

/// Loads what is new between `anchor` and `head`.
pub(super) fn load<O: Objects>(
    reader: &Reader<'_, O>,
    pins: &Pins,
    anchor: Option<&Anchor>,
    head: &CommitId,
) -> Result<Range, Refusal> {
    let Some(anchor) = anchor else {
        return Walk::new(reader, pins, None, HashMap::new(), limits::COMMITS).run(head);
    };
    let near = HashMap::from([(anchor.commit.clone(), anchor.time)]);
    let range = Walk::new(reader, pins, Some(anchor), near, limits::COMMITS).run(head);
    match range {
        Ok(range) if !range.bypasses_anchor(pins) && range.meets(pins) => Ok(range),
        Err(refusal)
            if refusal.reason != Reason::TooLarge && refusal.reason != Reason::ForeignRoot =>
        {
            Err(refusal)
        }
        Ok(_) | Err(_) => {
            let far = history(reader, pins, &anchor.commit)?;
            Walk::new(reader, pins, Some(anchor), far, limits::COMMITS).run(head)
        }
    }
}

/// Loads everything from the introduction to `head`, which is accepted already:
/// without budgets.
pub(super) fn load_accepted<O: Objects>(
    reader: &Reader<'_, O>,
    pins: &Pins,
    head: &CommitId,
) -> Result<Range, Refusal> {
    Walk::new(reader, pins, None, HashMap::new(), usize::MAX).run(head)
}

/// The effective times of `anchor` and everything below it.
fn history<O: Objects>(
    reader: &Reader<'_, O>,
    pins: &Pins,
    anchor: &CommitId,
) -> Result<HashMap<CommitId, i64>, Refusal> {
    let range = load_accepted(&reader.unbounded(), pins, anchor)?;
    Ok(range.new.into_iter().map(|(id, node)| (id, node.effective)).collect())
}

impl Range {
    /// Whether some way down from the head reached the introduction beside the anchor.
    fn bypasses_anchor(&self, pins: &Pins) -> bool {
        self.new.contains_key(&pins.introduction)
    }

    /// Whether the pinned minimum has been met on the way, so far as it is pinned.
    pub(super) fn meets(&self, pins: &Pins) -> bool {
        let Some(minimum) = &pins.minimum else { return true };
        self.new.contains_key(minimum) || self.accepted.contains_key(minimum)
    }

    /// The new commits of the mainline, the head first; it ends where the accepted
    /// history begins or at the introduction.
    pub(super) fn mainline(&self, head: &CommitId) -> Vec<&CommitId> {
        let first = self.new.get_key_value(head);
        std::iter::successors(first, |(_, node)| self.new.get_key_value(node.parents.first()?))
            .map(|(id, _)| id)
            .collect()
    }

    /// Rule T1: whether the mainline of `head` goes through the anchor, or through
    /// a commit with the anchor's very content.
    pub(super) fn continues(&self, anchor: &Anchor, head: &CommitId) -> bool {
        let mainline = self.mainline(head);
        let lowest = mainline.last().and_then(|id| self.new.get(*id));
        let below = lowest.map_or(Some(head), |node| node.parents.first());
        below == Some(&anchor.commit)
            || mainline.iter().any(|id| {
                **id == anchor.commit
                    || self.new.get(*id).is_some_and(|n| n.payload == anchor.payload)
            })
    }

    /// The same with only what leads up to the mainline commit `id` to be judged: the
    /// walk goes down the mainline first, so that this comes first. What came later stays
    /// known, since a revocation may name one of it.
    pub(super) fn up_to(mut self, id: &CommitId) -> Self {
        let end = self.new.get(id).map_or(0, |node| node.place + 1);
        self.order.truncate(end);
        self
    }

    /// What the mainline commit `id` brings in beside its first parent, parents before
    /// children: the walk goes down the mainline first, so that this lies together.
    /// Nothing before `id` is lost by [`Range::up_to`].
    pub(super) fn brought_in(&self, id: &CommitId) -> &[CommitId] {
        let Some(node) = self.new.get(id) else { return &[] };
        let first = node.parents.first().and_then(|base| self.new.get(base));
        let places = first.map_or(0, |base| base.place + 1)..node.place;
        let found = self.order.get(places).unwrap_or_default();
        debug_assert!(self.lies_together(id, node, found), "{id}");
        found
    }

    /// Whether `found` is all that leads to `id` and not to its first parent.
    fn lies_together(&self, id: &CommitId, node: &Node, found: &[CommitId]) -> bool {
        let below = node.parents.first().map(|base| self.down_from(base)).unwrap_or_default();
        let all = self.down_from(id).into_keys().filter(|c| *c != id && !below.contains_key(*c));
        all.collect::<HashSet<_>>() == found.iter().collect()
    }

    /// `id` and its ancestors among the new commits.
    pub(super) fn down_from<'a>(&'a self, id: &'a CommitId) -> HashMap<&'a CommitId, &'a Node> {
        let mut found = HashMap::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Some(node) = self.new.get(id) else { continue };
            if found.insert(id, node).is_none() {
                open.extend(&node.parents);
            }
        }
        found
    }
}

struct Walk<'a, O> {
    reader: &'a Reader<'a, O>,
    pins: &'a Pins,
    anchor: Option<&'a Anchor>,
    most: usize,
    /// Commits whose parents are being walked, with the next parent's place.
    open: Vec<(CommitId, usize)>,
    range: Range,
}

impl<'a, O: Objects> Walk<'a, O> {
    fn new(
        reader: &'a Reader<'a, O>,
        pins: &'a Pins,
        anchor: Option<&'a Anchor>,
        accepted: HashMap<CommitId, i64>,
        most: usize,
    ) -> Self {
        let range = Range { accepted, ..Range::default() };
        Self { reader, pins, anchor, most, open: Vec::new(), range }
    }

    /// Walks depth first without recursion, each commit once.
    fn run(mut self, head: &CommitId) -> Result<Range, Refusal> {
        self.enter(head.clone())?;
        while let Some((id, place)) = self.open.last_mut() {
            let node = &self.range.new[id];
            let ends = node.twin || *id == self.pins.introduction;
            match node.parents.get(*place).filter(|_| !ends) {
                Some(parent) => {
                    *place += 1;
                    let parent = parent.clone();
                    self.enter(parent)?;
                }
                None => self.leave(),
            }
        }
        Ok(self.range)
    }

    fn enter(&mut self, id: CommitId) -> Result<(), Refusal> {
        if self.range.new.contains_key(&id) || self.range.accepted.contains_key(&id) {
            return Ok(());
        }
        let node = self.node(&id).map_err(|breach| breach.of(&id))?;
        self.range.new.insert(id.clone(), node);
        self.open.push((id, 0));
        Ok(())
    }

    fn leave(&mut self) {
        let Some((id, _)) = self.open.pop() else { return };
        let node = &self.range.new[&id];
        let below = node.parents.iter().filter_map(|p| self.effective(p)).max();
        let effective = match self.anchor {
            Some(anchor) if node.twin => anchor.time,
            _ if id == self.pins.introduction => node.time,
            _ => below.map_or(node.time, |below| below.max(node.time)),
        };
        if let Some(node) = self.range.new.get_mut(&id) {
            node.effective = effective;
            node.place = self.range.order.len();
        }
        self.range.order.push(id);
    }

    fn effective(&self, id: &CommitId) -> Option<i64> {
        let new = self.range.new.get(id).map(|node| node.effective);
        new.or_else(|| self.range.accepted.get(id).copied())
    }

    fn node(&self, id: &CommitId) -> Result<Node, Breach> {
        if self.range.new.len() >= self.most {
            return Err(too_many(self.most));
        }
        let commit = self.reader.commit(id)?;
        if commit.parents.is_empty() && *id != self.pins.introduction {
            return Err(foreign(id, self.pins));
        }
        let payload = payload_digest(&commit.payload);
        // The introduction is pinned by its id: a twin of it is not the introduction.
        let twin = self.anchor.is_some_and(|anchor| {
            anchor.payload == payload && anchor.commit != self.pins.introduction
        });
        let Commit { tree, parents, time, .. } = commit;
        Ok(Node { tree, parents, payload, time, effective: time, twin, place: 0 })
    }
}

/// The SHA-256 of a commit without its signature, in hexadecimal.
pub(super) fn payload_digest(payload: &[u8]) -> String {
    Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn too_many(most: usize) -> Breach {
    Breach::new(
        "O5",
        Reason::TooLarge,
        format!("there are more than {most} new commits"),
        "pin a later introduction commit in the host's config, or let the host follow in smaller steps",
    )
}

fn foreign(id: &CommitId, pins: &Pins) -> Breach {
    Breach::new(
        "G2",
        Reason::ForeignRoot,
        format!(
            "the history leads to the root {} beside the introduction {}",
            id.short(),
            pins.introduction.short()
        ),
        "rebase the foreign commits onto the branch; only descendants of the introduction count",
    )
}
