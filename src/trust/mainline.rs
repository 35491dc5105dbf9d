//! What a mainline commit changes, and whether its signer may (rules P2 and G4).

use super::breach::Breach;
use super::changes::{self, Change, Content};
use super::judge::Judge;
use super::merge::{self, Merge};
use super::object::Reader;
use super::policy::{self, Cover, Policy, Rights};
use super::privileges::{self, Request};
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
    /// How many people it takes.
    pub(super) threshold: u32,
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
        let people = Vec::new;
        let permit =
            |change| Permit { change, cover: cover.clone(), threshold: 1, people: people() };
        return Ok(changes.into_iter().map(permit).collect());
    }
    let who = (principal, rights);
    let thresholds: Vec<u32> = changes
        .iter()
        .map(|change| threshold(&judge.reader, change, &policy))
        .collect::<Result<_, _>>()?;
    let several = thresholds.iter().any(|threshold| *threshold > 1);
    let merge = if several || rights.may_merge() { Merge::of(judge, id, &policy)? } else { None };
    let mut permits = Vec::with_capacity(changes.len());
    for (change, threshold) in changes.into_iter().zip(thresholds) {
        let cover = cover(judge, &change, who, merge.as_ref())?;
        permits.push(Permit { change, cover, threshold, people: Vec::new() });
    }
    let approvals = approvals::check(judge, id, &policy, merge.as_ref(), &mut permits)?;
    judge.approvals.extend(approvals.into_iter().map(|key| (id.clone(), key)));
    Ok(permits)
}

/// How many distinct people a change takes: for its path, and for each privilege that it
/// brings in (rules G5 and M2).
pub(super) fn threshold<O: Objects>(
    reader: &Reader<'_, O>,
    change: &Change,
    policy: &Policy,
) -> Result<u32, Breach> {
    let of_path = policy.threshold(&change.path);
    if !policy.protects_privileges() {
        return Ok(of_path);
    }
    let gained = privileges::gained(reader, change)?;
    let of_privileges = gained.iter().map(|request| policy.threshold_of(request));
    Ok(of_privileges.max().unwrap_or(1).max(of_path))
}

/// What lets one change be: a right of the signer, or of those whose branch it merges.
fn cover<O: Objects>(
    judge: &Judge<'_, O>,
    change: &Change,
    (principal, rights): (&Principal, &Rights),
    merge: Option<&Merge<'_>>,
) -> Result<Cover, Breach> {
    match covered(&judge.reader, change, rights)? {
        Ok(cover) => Ok(cover),
        Err(_) if rights.may_merge() => {
            let theirs = merge.map_or(Ok(Err(None)), |merge| merge.cover(judge, change))?;
            theirs.map_err(|lacking| {
                lacking.unwrap_or_else(|| merge::path_denied(merge, principal, change))
            })
        }
        Err(denial) => Err(denial.of(principal, change)),
    }
}

/// Why a person's rights do not cover a change.
pub(super) enum Denial {
    /// The path itself, or fields of it.
    Path(String),
    /// What the file asks for that nothing grants.
    Privileges(Vec<Request>),
}

/// What of `rights` covers a change, or why nothing does.
pub(super) fn covered<O: Objects>(
    reader: &Reader<'_, O>,
    change: &Change,
    rights: &Rights,
) -> Result<Result<Cover, Denial>, Breach> {
    let Some(cover) = rights.cover(&change.path) else {
        return Ok(Err(Denial::Path(if policy::is_policy(&change.path) {
            "changing the policy takes the role admin".to_owned()
        } else {
            "nothing grants this path".to_owned()
        })));
    };
    if let Some(only) = rights.only()
        && !only_fields(reader, change, only)?
    {
        let why = format!("only the fields {} of a TOML manifest may change", only.join(", "));
        return Ok(Err(Denial::Path(why)));
    }
    // Reading the file is spared where everything is granted.
    if !rights.may().is_everything() {
        let gained = privileges::gained(reader, change)?;
        let denied: Vec<Request> =
            gained.into_iter().filter(|request| !rights.may().covers(request)).collect();
        if !denied.is_empty() {
            return Ok(Err(Denial::Privileges(denied)));
        }
    }
    Ok(Ok(cover))
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

impl Denial {
    pub(super) fn of(self, principal: &Principal, change: &Change) -> Breach {
        match self {
            Self::Path(why) => path_denied(principal, change, &why),
            Self::Privileges(denied) => privilege_denied(principal, change, &denied),
        }
    }
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

/// Privileges that are named in one message; a file may ask for very many.
const NAMED: usize = 5;

/// Rule M1.
fn privilege_denied(principal: &Principal, change: &Change, denied: &[Request]) -> Breach {
    let named: Vec<String> = denied.iter().take(NAMED).map(Request::to_string).collect();
    let more = match denied.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let keys: std::collections::BTreeSet<&str> =
        denied.iter().filter_map(|request| request.privilege.grant()).collect();
    let keys: Vec<String> = keys.into_iter().map(|key| format!("`{key}`")).collect();
    let grant = if denied.iter().any(|request| request.privilege.grant().is_none()) {
        "correct the file, or let somebody sign it who has `may = \"everything\"`".to_owned()
    } else {
        format!(
            "take it out of the file, let somebody sign it who may, or let an administrator add {} to [principals.{principal}.may] in .writ/policy.toml first",
            keys.join(", ")
        )
    };
    Breach::new(
        "M1",
        Reason::PrivilegeDenied,
        format!("{principal} may not let {} ask for this: {}{more}", change.path, named.join("; ")),
        grant,
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
