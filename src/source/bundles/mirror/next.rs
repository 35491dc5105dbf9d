//! The next index of a place, and the bundles that come with it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::How;
use crate::fault::Fault;
use crate::names::CommitId;
use crate::source::bundles::growth;
use crate::source::bundles::index::{Entry, Index, Noted, Stated};
use crate::source::bundles::snapshot::{Made, Snapshot};
use crate::source::git::PACK_LIMIT;

/// What is to be written.
pub(super) struct Next {
    pub(super) index: Index,
    pub(super) made: Vec<Made>,
}

/// The first index, of one bundle.
pub(super) fn begin(snapshot: &Snapshot, old: Option<&Index>, how: &How) -> Result<Next, Fault> {
    // Somebody may have read the old one: newer bundles have newer tokens.
    let token = growth::token(old.map_or(&[], |old| &old.entries), now());
    let base = how.since.as_ref().filter(|since| !how.anew && **since != snapshot.tip);
    let first = snapshot.bundle(base)?;
    check_size(snapshot, &first)?;
    let file = first.file.clone();
    let entry = Entry { token, file, tip: snapshot.tip.clone(), base: base.cloned() };
    let mut made = vec![first];
    let stated = stated(snapshot, None, token, &mut made)?;
    let (branch, tip) = (snapshot.branch.clone(), snapshot.tip.clone());
    Ok(Next { index: Index { branch, tip, stated, entries: vec![entry] }, made })
}

/// The index after new commits: a small bundle, and a whole one now and then.
pub(super) fn follow(snapshot: &Snapshot, known: &Index, how: &How) -> Result<Next, Fault> {
    let first = growth::token(&known.entries, now());
    let tip = snapshot.tip.clone();
    let step = snapshot.bundle(Some(&known.tip))?;
    let mut entries = known.entries.clone();
    let whole = how.since.is_none() && growth::wants_whole(&entries, step.file.size);
    let add = |made: &Made, token: u64, base: Option<&CommitId>| Entry {
        token,
        file: made.file.clone(),
        tip: tip.clone(),
        base: base.cloned(),
    };
    entries.push(add(&step, first, Some(&known.tip)));
    let mut made = vec![step];
    if whole {
        let whole = snapshot.bundle(None)?;
        check_size(snapshot, &whole)?;
        entries.push(add(&whole, first + 1, None));
        made.push(whole);
    }
    let stated = stated(snapshot, known.stated.as_ref(), first, &mut made)?;
    let (branch, entries) = (snapshot.branch.clone(), growth::kept(entries));
    Ok(Next { index: Index { branch, tip, stated, entries }, made })
}

/// The index after new statements; none where there are no new ones.
pub(super) fn restate(snapshot: &Snapshot, known: &Index) -> Result<Option<Next>, Fault> {
    let mut made = Vec::new();
    let next = growth::token(&known.entries, now());
    let stated = stated(snapshot, known.stated.as_ref(), next, &mut made)?;
    if made.is_empty() {
        return Ok(None);
    }
    Ok(Some(Next { index: Index { stated, ..known.clone() }, made }))
}

/// The statements to publish, with their bundle where there is a new one; bundles from
/// the token `next` on carry those of the snapshot.
fn stated(
    snapshot: &Snapshot,
    known: Option<&Stated>,
    next: u64,
    made: &mut Vec<Made>,
) -> Result<Option<Stated>, Fault> {
    let (head, reset) = (snapshot.head.clone(), snapshot.reset.clone());
    if let Some(known) = known {
        if known.head == head && known.reset == reset {
            return Ok(Some(known.clone()));
        }
        if is_older(&head, &known.head) || is_older(&reset, &known.reset) {
            // Somebody published newer ones, which are not in the bundle that is made now.
            return Ok(Some(Stated { since: next.saturating_add(2), ..known.clone() }));
        }
    }
    let Some(bundle) = snapshot.statements()? else { return Ok(None) };
    let file = bundle.file.clone();
    made.push(bundle);
    Ok(Some(Stated { head, reset, file, since: next }))
}

fn is_older(ours: &Option<Noted>, theirs: &Option<Noted>) -> bool {
    let sequence = |noted: &Option<Noted>| noted.as_ref().map(|noted| noted.sequence);
    sequence(ours) < sequence(theirs)
}

fn check_size(snapshot: &Snapshot, made: &Made) -> Result<(), Fault> {
    match made.file.size > PACK_LIMIT {
        true => Err(Fault::refuse(
            format!("publish {}", snapshot.branch),
            format!("it takes {} bytes, and hosts take {PACK_LIMIT} at once", made.file.size),
        )
        .remedy("a deploy repository holds manifests; closures belong into a binary cache")),
        false => Ok(()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
