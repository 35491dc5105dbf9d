//! What a mainline commit changes, and whether its signer may (rules P2 and G4).

use super::breach::Breach;
use super::changes::{self, Change, Content};
use super::judge::Judge;
use super::merge::{self, Merge};
use super::object::Reader;
use super::policy::{self, Cover, Policy, Rights};
use super::seal::Seal;
use super::signature::NAMESPACE;
use super::tree::Mode;
use super::{Objects, Reason, approvals, rollback};
use crate::names::{CommitId, Principal};

/// A path that a mainline commit changes, and what lets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    pub(super) change: Change,
    pub(super) cover: Cover,
    /// Those whose word counted, where the path is protected.
    pub(super) people: Vec<Principal>,
}

/// Judges the difference between a new mainline commit and its first parent, by the
/// policy of that parent, and gives what lets each path be.
pub(super) fn check<O: Objects>(
    judge: &mut Judge<'_, O>,
    id: &CommitId,
) -> Result<Vec<Permit>, Breach> {
    let node = judge.range.new[id].clone();
    // The introduction is pinned; a twin's content was judged under its other id.
    let (Some(parent), false) = (node.parents.first(), node.twin || *id == judge.pins.introduction)
    else {
        return Ok(Vec::new());
    };
    let policy = judge.policy(parent)?;
    let before = judge.tree_of(parent)?;
    let changes = changes::between(&judge.reader, &before, &node.tree)?;
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let (principal, rights) = judge.signer_under(&policy, id).ok_or_else(|| no_rights(parent))?;
    if rights.may_roll_back()
        && let Some(past) = rollback::restored(judge, &node)?
    {
        let cover = Cover::Rollback(past);
        let permit = |change| Permit { change, cover: cover.clone(), people: Vec::new() };
        return Ok(changes.into_iter().map(permit).collect());
    }
    let who = (principal, rights);
    let several = changes.iter().any(|change| policy.threshold(&change.path) > 1);
    let merge = if several || rights.may_merge() { Merge::of(judge, id, &policy)? } else { None };
    let mut permits = Vec::with_capacity(changes.len());
    for change in changes {
        permits.push(permit(judge, change, who, merge.as_ref())?);
    }
    let approvals = approvals::check(judge, id, &policy, merge.as_ref(), &mut permits)?;
    judge.approvals.extend(approvals.into_iter().map(|key| (id.clone(), key)));
    Ok(permits)
}

/// What lets one change be: a right of the signer, or of those whose branch it merges.
fn permit<O: Objects>(
    judge: &Judge<'_, O>,
    change: Change,
    (principal, rights): (&Principal, &Rights),
    merge: Option<&Merge<'_>>,
) -> Result<Permit, Breach> {
    let cover = match covered(&judge.reader, &change, rights)? {
        Ok(cover) => cover,
        Err(_) if rights.may_merge() => merge
            .map_or(Ok(None), |merge| merge.cover(judge, &change))?
            .ok_or_else(|| merge::path_denied(merge, principal, &change))?,
        Err(why) => return Err(path_denied(principal, &change, &why)),
    };
    Ok(Permit { change, cover, people: Vec::new() })
}

/// What of `rights` covers a change, or why nothing does.
pub(super) fn covered<O: Objects>(
    reader: &Reader<'_, O>,
    change: &Change,
    rights: &Rights,
) -> Result<Result<Cover, String>, Breach> {
    let Some(cover) = rights.cover(&change.path) else {
        return Ok(Err(if policy::is_policy(&change.path) {
            "changing the policy takes the role admin".to_owned()
        } else {
            "nothing grants this path".to_owned()
        }));
    };
    match rights.only() {
        Some(only) if !only_fields(reader, change, only)? => {
            Ok(Err(format!("only the fields {} of a TOML manifest may change", only.join(", "))))
        }
        Some(_) | None => Ok(Ok(cover)),
    }
}

/// Whether the change is one of top-level fields in `only`: the file is TOML on both
/// sides, of the same mode, and equal without those fields.
fn only_fields<O: Objects>(
    reader: &Reader<'_, O>,
    change: &Change,
    only: &[String],
) -> Result<bool, Breach> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(false) };
    if before.mode != after.mode || !change.path.ends_with(".toml") {
        return Ok(false);
    }
    let rest = |content: &Content| -> Result<Option<toml::Table>, Breach> {
        if content.mode == Mode::Other {
            return Ok(None);
        }
        let bytes = reader.file(&content.id).map_err(|breach| breach.at(&change.path))?;
        let table = str::from_utf8(&bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
        Ok(table.map(|mut table| {
            table.retain(|field, _| !only.iter().any(|o| o == field));
            table
        }))
    };
    let (before, after) = (rest(before)?, rest(after)?);
    Ok(before.is_some() && before == after)
}

fn no_rights(parent: &CommitId) -> Breach {
    Breach::new(
        "G4",
        Reason::NotAuthorized,
        format!("the policy of {} gives its signer no rights", parent.short()),
        "let an administrator extend .writ/ first, or let somebody else sign this commit",
    )
}

fn path_denied(principal: &Principal, change: &Change, why: &str) -> Breach {
    let rule = if policy::is_policy(&change.path) { "P2" } else { "G4" };
    Breach::new(
        rule,
        Reason::PathDenied,
        format!("{principal} may not change {}: {why}", change.path),
        format!(
            "let somebody sign this change who may, or let an administrator extend the grants of {principal} first"
        ),
    )
}

impl<O: Objects> Judge<'_, O> {
    /// The tree of a commit, new or accepted.
    pub(super) fn tree_of(&self, id: &CommitId) -> Result<CommitId, Breach> {
        match self.range.new.get(id) {
            Some(node) => Ok(node.tree.clone()),
            None => Ok(self.reader.commit(id)?.tree),
        }
    }

    /// The parents of a commit, new or accepted.
    pub(super) fn parents_of(&self, id: &CommitId) -> Result<Vec<CommitId>, Breach> {
        match self.range.new.get(id) {
            Some(node) => Ok(node.parents.clone()),
            None => Ok(self.reader.commit(id)?.parents),
        }
    }

    /// Who signed a new commit, as `policy` knows the key, and that person's rights;
    /// `None` where it does not let the key sign commits at that commit's time, or asks for
    /// more of the signature.
    pub(super) fn signer_under<'p>(
        &self,
        policy: &'p Policy,
        id: &CommitId,
    ) -> Option<(&'p Principal, &'p Rights)> {
        let Seal { key, maker, .. } = self.seals.get(id)?;
        let signer = policy.signers.iter().find(|signer| signer.fingerprint == *key)?;
        let time = self.range.new.get(id)?.effective;
        let counts = signer.may_sign(NAMESPACE)
            && !policy.revoked.contains_key(maker)
            && signer.vouches_for(maker, time).is_ok();
        let rights = policy.rights(&signer.principal).filter(|_| counts)?;
        let verified = !rights.verify_required || self.user_was_verified(signer, id);
        verified.then_some((&signer.principal, rights))
    }
}
