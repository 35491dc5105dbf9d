//! What a branch is worth before it is merged: who signed it, who may write what it
//! changes, whose word is missing, and whose merge hosts would accept.
//!
//! The merge does not exist yet. It is put before the judge as a commit of its own,
//! with one person's key after the other's supposed to have signed it; everything else
//! is judged as in [`super::verify`]. No evidence comes of it.

mod judged;
mod overlay;

use std::collections::BTreeMap;

use serde::Serialize;

use super::judge::Judge;
use super::object::{Format, Reader};
use super::plans::SignedPlan;
use super::policy::Policy;
use super::signature::NAMESPACE;
use super::{Anchor, Objects, Pins, Refusal, files, range};
use super::{verify, verify::suppose};
use crate::names::{CommitId, Fingerprint, Principal};
use overlay::Overlay;

/// A merge that nobody has signed yet.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The newest commit of the branch that hosts follow.
    pub base: CommitId,
    /// The newest commit of the branch that is to go there.
    pub tip: CommitId,
    /// The tree that the merge has.
    pub tree: CommitId,
    /// With approvals, where there are any.
    pub message: String,
}

/// What hosts make of a branch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    pub base: CommitId,
    pub tip: CommitId,
    /// What it brings in, parents first.
    pub commits: Vec<Brought>,
    pub paths: Vec<Reviewed>,
    /// Why hosts would refuse the tip itself as the new head; nothing where they would not.
    pub forward: Option<Refusal>,
    /// Who could merge it. Empty where a commit of it is refused, and so every merge.
    pub merges: Vec<Merger>,
    /// Approvals that count for nothing, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// The merge's files below `manifests/`, where they can be read.
    #[serde(skip)]
    pub files: Option<BTreeMap<String, Vec<u8>>>,
    /// Whether its policy wants a digest with every artifact (rule C1).
    #[serde(skip)]
    pub closure_digests: bool,
    /// Whether its policy wants hosts to begin only a plan that the commit names.
    #[serde(skip)]
    pub requires_plan: bool,
    /// The plans that the tip names, where hosts would accept it as it is.
    #[serde(skip)]
    pub plans: Vec<SignedPlan>,
}

/// A commit of the branch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    pub commit: CommitId,
    /// The first line of the message, without control characters.
    pub subject: String,
    /// Who signed it; nobody where it is refused.
    pub principal: Option<Principal>,
    pub key: Option<Fingerprint>,
    pub refused: Option<Refusal>,
}

/// A path that the merge changes on the branch that hosts follow.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reviewed {
    pub path: String,
    /// `add`, `change` or `delete`.
    pub change: &'static str,
    /// Who may make this change, with a key that counts now.
    pub writers: Vec<Right>,
    /// How many people it takes.
    pub threshold: u32,
    /// Who has signed the branch with this content, or approved it.
    pub agreed: Vec<Principal>,
    /// Nothing where whoever may write it may merge it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// What lets somebody write a path.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Right {
    pub principal: Principal,
    /// `role admin`, `grant manifests/**`.
    pub by: String,
}

/// Whose word a protected path still lacks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    pub people: u32,
    /// Any of them.
    pub of: Vec<Principal>,
}

/// Somebody with a key, and what hosts would say to that person's merge.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Merger {
    pub principal: Principal,
    pub keys: Vec<Fingerprint>,
    /// Where it is of the merge itself, its commit is all zeros: there is none yet.
    pub refused: Option<Refusal>,
}

/// Reviews a merge onto `anchor`, the accepted head. `now` is the clock in seconds
/// since 1970.
///
/// # Errors
/// The branch cannot be judged at all: an object of it is missing or malformed, or it
/// does not descend from the introduction.
pub fn review(
    objects: &impl Objects,
    pins: &Pins,
    anchor: &Anchor,
    proposal: &Proposal,
    now: i64,
) -> Result<Review, Refusal> {
    let Proposal { base, tip, tree, .. } = proposal;
    let objects = &Overlay::of(objects, proposal, now);
    let merge = &objects.id;
    let reader = Reader::new(objects, Format::of(base));
    let range = range::load(&reader, pins, Some(anchor), merge)?;
    let mut judge = Judge::new(reader, pins, range, now);
    let commits = judge.brought(merge).map_err(|breach| breach.of(tip))?;
    let policy = judge.policy(base).map_err(|breach| breach.of(base))?;
    let (paths, ignored) = judge.paths(merge, &policy).map_err(|breach| breach.of(tip))?;
    let files = files::manifests(&judge.reader, tree).ok();
    let (forward, plans) = match verify::verify(objects, pins, Some(anchor), tip, now) {
        Ok(tip) => (None, tip.plans().to_vec()),
        Err(refusal) => (Some(refusal), Vec::new()),
    };
    let merges = match commits.iter().any(|commit| commit.refused.is_some()) {
        true => Vec::new(),
        false => mergers(&policy, |key| suppose(objects, pins, (anchor, merge), key, now).err()),
    };
    let own = judge.policy(merge);
    Ok(Review {
        base: base.clone(),
        tip: tip.clone(),
        commits,
        paths,
        forward,
        merges,
        ignored,
        files,
        closure_digests: own.as_ref().is_ok_and(|policy| policy.closure_digests),
        requires_plan: own.is_ok_and(|policy| policy.plans),
        plans,
    })
}

/// Everyone with a key that signs commits.
fn mergers(policy: &Policy, judge: impl Fn(&Fingerprint) -> Option<Refusal>) -> Vec<Merger> {
    let mut mergers: BTreeMap<Principal, Merger> = BTreeMap::new();
    for signer in policy.signers.iter().filter(|signer| signer.may_sign(NAMESPACE)) {
        let (principal, key) = (signer.principal.clone(), signer.fingerprint.clone());
        let refused = judge(&key);
        let fresh =
            Merger { principal: principal.clone(), keys: Vec::new(), refused: refused.clone() };
        let merger = mergers.entry(principal).or_insert(fresh);
        if refused.is_none() || merger.refused.is_some() {
            merger.refused = refused;
        }
        merger.keys.push(key);
        merger.keys.sort();
    }
    mergers.into_values().collect()
}
