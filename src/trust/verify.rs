//! The whole decision on a new head or an old commit, and the evidence it ends in.

use std::sync::Arc;

use super::breach::Breach;
use super::judge::Judge;
use super::object::{Format, Reader};
use super::range::{self, Range, payload_digest};
use super::stages::Below;
use super::{Anchor, Objects, Pins, Reason, Refusal, Verified, VerifiedCommit, files, statement};
use crate::names::{CommitId, Fingerprint};

pub(super) fn verify<O: Objects>(
    objects: &O,
    pins: &Pins,
    anchor: Option<&Anchor>,
    head: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    let question = Question { pins, anchor, head, now, signer: None };
    let (judge, below) = judged(objects, &question)?;
    judge.evidence(head, question.vouching(), below)
}

/// What [`verify`] would say to `head`, which nobody has signed yet, once the owner of
/// `signer` has. It ends in no evidence.
pub(super) fn suppose<O: Objects>(
    objects: &O,
    pins: &Pins,
    (anchor, head): (&Anchor, &CommitId),
    signer: &Fingerprint,
    now: i64,
) -> Result<(), Refusal> {
    let question = Question { pins, anchor: Some(anchor), head, now, signer: Some(signer) };
    let (mut judge, below) = judged(objects, &question)?;
    let verified = judge.verified(head, question.vouching(), below);
    verified.map(drop).map_err(|breach| breach.of(head))
}

/// What is asked about a new head.
struct Question<'a> {
    pins: &'a Pins,
    anchor: Option<&'a Anchor>,
    head: &'a CommitId,
    now: i64,
    /// Whose key is supposed to have signed the head.
    signer: Option<&'a Fingerprint>,
}

impl<'a> Question<'a> {
    /// An anchor below another introduction vouches for nothing but the way forward.
    fn vouching(&self) -> Option<&'a Anchor> {
        self.anchor.filter(|anchor| anchor.introduction == self.pins.introduction)
    }
}

/// Every rule but those on what the head's own files are.
fn judged<'a, O: Objects>(
    objects: &'a O,
    question: &Question<'a>,
) -> Result<(Judge<'a, O>, Below), Refusal> {
    let &Question { pins, anchor, head, now, signer } = question;
    let reader = reader(objects, pins, head, anchor)?;
    let range = range::load(&reader, pins, question.vouching(), head)?;
    if let Some(anchor) = anchor.filter(|anchor| !range.continues(anchor, head)) {
        return Err(no_way_back(anchor).of(head));
    }
    if !range.meets(pins) {
        return Err(below_minimum(pins).of(head));
    }
    let mut judge = Judge::new(reader, pins, range, now);
    judge.supposed = signer.map(|key| (head.clone(), key.clone()));
    judge.since = anchor.cloned();
    judge.new_commits()?;
    if judge.range.new.get(head).is_some_and(|node| !node.twin) {
        judge.valid_now(head).map_err(|breach| breach.of(head))?;
    }
    judge.revocations(head)?;
    judge.remembered(head)?;
    let below = judge.below(head, anchor).map_err(|breach| breach.of(head))?;
    Ok((judge, below))
}

pub(super) fn recall<O: Objects>(
    objects: &O,
    pins: &Pins,
    anchor: &Anchor,
    id: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    let reader = reader(objects, pins, id, Some(anchor))?.unbounded();
    let accepted = range::load_accepted(&reader, pins, &anchor.commit)?;
    let id = &on_mainline(&reader, &accepted, anchor, id)?;
    // What was accepted is not in the future, whatever this host's clock says since:
    // it must be able to go back while it waits for the time.
    let mut judge = Judge::new(reader, pins, accepted.up_to(id), now.max(anchor.time));
    judge.new_commits()?;
    judge.revocations(&anchor.commit)?;
    judge.evidence(id, None, Below::default())
}

/// The accepted commit with this id. A server may have shown a re-signed twin of it, and
/// the branch gone on from the one that its author signed: who was at either was at both.
fn on_mainline<O: Objects>(
    reader: &Reader<'_, O>,
    accepted: &Range,
    anchor: &Anchor,
    id: &CommitId,
) -> Result<CommitId, Refusal> {
    let mainline = accepted.mainline(&anchor.commit);
    if mainline.contains(&id) {
        return Ok(id.clone());
    }
    let twin = reader.commit(id).ok().and_then(|commit| {
        let payload = payload_digest(&commit.payload);
        mainline.into_iter().find(|known| accepted.new[*known].payload == payload)
    });
    twin.cloned().ok_or_else(|| not_on_mainline(anchor).of(id))
}

fn reader<'a, O: Objects>(
    objects: &'a O,
    pins: &Pins,
    id: &CommitId,
    anchor: Option<&Anchor>,
) -> Result<Reader<'a, O>, Refusal> {
    let format = Format::of(&pins.introduction);
    let alike = |other: &CommitId| Format::of(other) == format;
    if !alike(id) || anchor.is_some_and(|anchor| !alike(&anchor.commit)) {
        let because = "its id is of another object format than the pinned introduction";
        return Err(Breach::malformed("O1", because).of(id));
    }
    Ok(Reader::new(objects, format))
}

impl<O: Objects> Judge<'_, O> {
    /// Makes the evidence. Only what passed [`verify`] or [`recall`] gets here.
    fn evidence(
        mut self,
        head: &CommitId,
        anchor: Option<&Anchor>,
        below: Below,
    ) -> Result<VerifiedCommit, Refusal> {
        let verified = self.verified(head, anchor, below).map_err(|breach| breach.of(head))?;
        Ok(VerifiedCommit { inner: Arc::new(verified) })
    }

    fn verified(
        &mut self,
        head: &CommitId,
        anchor: Option<&Anchor>,
        below: Below,
    ) -> Result<Verified, Breach> {
        let commit = self.reader.commit(head)?;
        let payload = payload_digest(&commit.payload);
        let time = match (self.range.new.get(head), anchor) {
            (Some(node), _) => node.effective,
            (None, Some(anchor)) if anchor.payload == payload => anchor.time,
            (None, _) => return Err(foreign_anchor()),
        };
        let policy = self.policy(head)?;
        let seal = match self.seals.get(head) {
            Some(seal) => seal.clone(),
            None => self.authenticate(head, &commit, time)?,
        };
        let orders = self.orders(head, &commit, &seal.principal)?;
        let files = files::manifests(&self.reader, &commit.tree)?;
        let introduction = self.pins.introduction.clone();
        Ok(Verified {
            anchor: Anchor { commit: head.clone(), payload, time, introduction },
            since: self.since.take(),
            principal: seal.principal,
            key: seal.key,
            author: commit.author,
            committed: commit.time,
            orders,
            below,
            message: commit.message,
            files,
            revoked: policy.revoked.keys().cloned().collect(),
            closure_digests: policy.closure_digests,
            plans: policy.plans,
            parent: commit.parents.first().cloned(),
            heralds: statement::heralds(policy.signers.with_keys()),
        })
    }
}

fn no_way_back(anchor: &Anchor) -> Breach {
    Breach::new(
        "T1",
        Reason::Rollback,
        format!(
            "its mainline does not go through {}, which this host has accepted",
            anchor.commit.short()
        ),
        "undo with `git revert`, which goes forward; if the branch was rewritten on purpose, run `writ trust reset` on the host",
    )
}

fn below_minimum(pins: &Pins) -> Breach {
    let minimum = pins.minimum.as_ref().map_or("", |minimum| minimum.short());
    Breach::new(
        "T1",
        Reason::Rollback,
        format!("it does not descend from the minimum commit {minimum} of the host's config"),
        "push the newest state of the branch, or correct the minimum in the host's config",
    )
}

fn not_on_mainline(anchor: &Anchor) -> Breach {
    Breach::new(
        "T1",
        Reason::Rollback,
        format!(
            "it is not on the mainline of {}, which this host has accepted",
            anchor.commit.short()
        ),
        "roll back to a commit that was on the branch",
    )
}

fn foreign_anchor() -> Breach {
    Breach::new(
        "T2",
        Reason::Rollback,
        "the host's record of the accepted commit does not fit its content",
        "the trust state on this host is damaged; run `writ trust reset` after checking the branch",
    )
}
