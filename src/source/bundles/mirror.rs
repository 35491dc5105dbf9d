//! Publishes a branch at a place: bundles first, under names made of their content, and
//! the index last, so that however this is interrupted the place is in order.
//!
//! Several may publish at one place. The index is replaced only by who saw its last
//! version, so one of them is told that it lost, looks again and finds what is left to
//! do; none takes the branch back.
//!
//! A folder for a stick is filled by the same call:
//!
//! ```no_run
//! # use writ::source::bundles::{mirror::{How, Tally, publish}, site::{Purpose, SiteUrl}, snapshot::Snapshot};
//! # async fn kit() -> Result<(), Box<dyn std::error::Error>> {
//! let site = SiteUrl::read("dir:///media/stick/kit")?.open(Purpose::Publish)?;
//! let snapshot = Snapshot::of("deploy".as_ref(), &"main".parse()?, Some("v7"))?;
//! let since = Some(snapshot.commit("v6")?); // what the host has; none for a whole bundle
//! publish(&snapshot, &site, &How { since, ..How::default() }, &Tally::default()).await?;
//! # Ok(()) }
//! ```

mod next;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::index::{BadIndex, Digested, Index};
use super::site::{INDEX, Site};
use super::snapshot::{Made, Snapshot, Way};
use super::{growth, road};
use crate::fault::Fault;
use crate::names::CommitId;
use crate::source::git::PACK_LIMIT;
use crate::world::shelf::{Created, Listed, Look, Replaced, Tag};
use next::{Next, begin, follow, restate};

/// How often others may be faster.
const TRIES: usize = 10;
/// How old a file is that no index names, before it goes: it may be on its way into one,
/// or on its way to a host.
const GRACE: Duration = Duration::from_secs(3600);

/// How something is published.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Begin with what follows on this commit, where nothing is published yet; no whole
    /// bundle is made at all.
    pub since: Option<CommitId>,
    /// Begin again with one whole bundle, whatever is published: the history was reset,
    /// or what lies there is damaged.
    pub anew: bool,
}

/// How far an upload is, in bytes.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: AtomicU64,
    pub of: AtomicU64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Outcome {
    /// All of it was there; nothing was written.
    Unchanged {
        tip: CommitId,
    },
    /// What is published is newer; nothing was written.
    Ahead {
        tip: CommitId,
    },
    Published(Published),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub tip: CommitId,
    /// The new bundles.
    pub bundles: Vec<String>,
    /// Their size.
    pub bytes: u64,
    /// Old ones that were deleted.
    pub removed: usize,
    /// What could not be done and does no harm now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// An index that is there, readable or not.
struct Seen {
    index: Result<Index, BadIndex>,
    tag: Option<Tag>,
}

/// Publishes what a place lacks of a branch.
///
/// # Errors
/// The place cannot be written, holds something else, or has gone another way; then it
/// is as it was, but for bundles that nothing leads to.
pub async fn publish(
    snapshot: &Snapshot,
    site: &Site,
    how: &How,
    tally: &Tally,
) -> Result<Outcome, Fault> {
    for _ in 0..TRIES {
        let seen = see(site).await?;
        let known = known(site, seen.as_ref(), how)?;
        let next = match known {
            Some(known) => match judge(snapshot, site, known).await? {
                Course::On => Some(follow(snapshot, known, how)?),
                Course::Same => restate(snapshot, known)?,
                Course::Ahead => return Ok(Outcome::Ahead { tip: known.tip.clone() }),
            },
            None => {
                let old = seen.as_ref().and_then(|seen| seen.index.as_ref().ok());
                Some(begin(snapshot, old, how)?)
            }
        };
        let Some(next) = next else {
            return Ok(Outcome::Unchanged { tip: snapshot.tip.clone() });
        };
        bring(site, &next, tally).await?;
        let tag = seen.as_ref().and_then(|seen| seen.tag.as_ref());
        if seen.is_some() && tag.is_none() {
            return Err(fault(site, "the server gives no version of it (ETag)"));
        }
        match site.replace(&next.index.to_string(), tag).await? {
            Replaced::Done => return Ok(Outcome::Published(told(site, next).await)),
            Replaced::Lost => {}
        }
    }
    Err(fault(site, "others publish there all the time").remedy("run it again"))
}

async fn see(site: &Site) -> Result<Option<Seen>, Fault> {
    Ok(match site.look(None).await? {
        Look::New(bytes, tag) => Some(Seen { index: Index::read(&bytes), tag }),
        Look::Same | Look::Absent => None,
    })
}

/// The index to go on from, if there is one.
fn known<'a>(site: &Site, seen: Option<&'a Seen>, how: &How) -> Result<Option<&'a Index>, Fault> {
    match seen.map(|seen| &seen.index).filter(|_| !how.anew) {
        None => Ok(None),
        Some(Ok(index)) => Ok(Some(index)),
        Some(Err(bad)) => Err(refuse(site, format!("it is no index of bundles: {bad}"))
            .remedy("see that the URL is right; --anew replaces it")),
    }
}

/// Which way a place is from here.
enum Course {
    /// It lacks commits.
    On,
    /// It lacks no commits.
    Same,
    Ahead,
}

async fn judge(snapshot: &Snapshot, site: &Site, known: &Index) -> Result<Course, Fault> {
    if known.branch != snapshot.branch {
        let because = format!("it is of the branch {}, not {}", known.branch, snapshot.branch);
        return Err(refuse(site, because)
            .remedy("each branch has a folder of its own: s3://BUCKET/FOLDER, dir:///FOLDER"));
    }
    if known.tip == snapshot.tip {
        return Ok(Course::Same);
    }
    let there = known.tip.short();
    let mut way = snapshot.way_from(&known.tip)?;
    if way == Way::Unknown && !growth::has_been_at(known, &snapshot.tip) {
        learn(snapshot, site, known).await?;
        way = snapshot.way_from(&known.tip)?;
    }
    match way {
        Way::Onward => Ok(Course::On),
        Way::Back => Ok(Course::Ahead),
        Way::Unknown if growth::has_been_at(known, &snapshot.tip) => Ok(Course::Ahead),
        // Not even the bundles tell.
        Way::Unknown => {
            let because = format!("it is at {there}, which this repository does not have");
            Err(fault(site, because).remedy(
                "git fetch, and run it again; where the history was reset and hosts follow that: --anew",
            ))
        }
        Way::Forked => {
            let because =
                format!("it is at {there}, and {} went another way", snapshot.tip.short());
            Err(refuse(site, because)
                .remedy("where the history was reset and hosts follow that: --anew"))
        }
    }
}

/// Takes the published commits, so that it can be told which way they went: somebody with
/// newer ones may have been faster.
async fn learn(snapshot: &Snapshot, site: &Site, known: &Index) -> Result<(), Fault> {
    let mut have = Vec::new();
    for entry in &known.entries {
        if snapshot.has(&entry.tip)? {
            have.push(entry.tip.clone());
        }
    }
    let road = road::cheapest(known, &have, &BTreeSet::new());
    for entry in road.unwrap_or_default() {
        let path = snapshot.room(&format!("published-{}", entry.token));
        let unwritten = |error| Fault::wait(format!("write {}", path.display()), error);
        let mut file = File::create(&path).map_err(unwritten)?;
        let (mut left, mut written) = (entry.file.size.min(PACK_LIMIT), Ok(()));
        let mut write = |piece: &[u8]| {
            written = file.write_all(piece);
            left = left.saturating_sub(piece.len() as u64);
            if written.is_err() || left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        site.carry(&entry.file.name(), &mut write).await?;
        written.map_err(unwritten)?;
        if !snapshot.learn(&path)? {
            break;
        }
    }
    Ok(())
}

async fn bring(site: &Site, next: &Next, tally: &Tally) -> Result<(), Fault> {
    let bytes = next.made.iter().map(|made| made.file.size).sum();
    tally.of.store(bytes, Ordering::Relaxed);
    tally.sent.store(0, Ordering::Relaxed);
    for made in &next.made {
        put(site, made, tally).await?;
    }
    Ok(())
}

/// Puts a bundle there. One that is there under this name already came from an earlier
/// run or from somebody else, or is damaged; then it is written again.
async fn put(site: &Site, made: &Made, tally: &Tally) -> Result<(), Fault> {
    let Made { file, path } = made;
    let name = file.name();
    let on_sent = |bytes| {
        tally.sent.fetch_add(bytes, Ordering::Relaxed);
    };
    let opened =
        || File::open(path).map_err(|error| Fault::wait(format!("read {}", path.display()), error));
    match site.create(&name, opened()?, file.size, &on_sent).await? {
        Created::New => return Ok(()),
        Created::There if is_whole(site, file).await? => return Ok(()),
        Created::There => site.remove(&name).await?,
    }
    site.create(&name, opened()?, file.size, &on_sent).await.map(drop)
}

async fn is_whole(site: &Site, file: &Digested) -> Result<bool, Fault> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut count = |piece: &[u8]| {
        hash.update(piece);
        size += piece.len() as u64;
        if size > file.size { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let there = site.carry(&file.name(), &mut count).await?;
    Ok(there && Digested::of(hash, size) == *file)
}

async fn told(site: &Site, next: Next) -> Published {
    let Next { index, made } = next;
    let (removed, left) = match prune(site, &index).await {
        Ok(removed) => (removed, None),
        Err(fault) => (0, Some(format!("old bundles stay there: {fault}"))),
    };
    let bytes = made.iter().map(|made| made.file.size).sum();
    let bundles = made.iter().map(|made| made.file.name()).collect();
    Published { tip: index.tip, bundles, bytes, removed, left }
}

/// Deletes what no index leads to any more.
async fn prune(site: &Site, index: &Index) -> Result<usize, Fault> {
    let stated = index.stated.iter().map(|stated| stated.file.name());
    let named: Vec<String> = index.entries.iter().map(|e| e.file.name()).chain(stated).collect();
    let ours = |name: &str| name.ends_with(".bundle") || name.starts_with("bundles/.writ-");
    let mut removed = 0;
    for Listed { name, age } in site.list().await? {
        if age > GRACE && ours(&name) && !named.contains(&name) {
            site.remove(&name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn fault(site: &Site, because: impl std::fmt::Display) -> Fault {
    Fault::wait(format!("publish to {}", site.told(INDEX)), because)
}

fn refuse(site: &Site, because: impl std::fmt::Display) -> Fault {
    Fault::refuse(format!("publish to {}", site.told(INDEX)), because)
}
