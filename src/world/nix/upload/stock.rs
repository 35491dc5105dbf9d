//! What a cache of one's own is to hold, and where each path of it comes from: this
//! machine's store, or a cache that has it.

mod search;

use std::collections::{BTreeMap, BTreeSet};

use super::super::announced::CacheKey;
use super::super::local::LocalNix;
use super::details::Details;
use super::secret::SecretKey;
use crate::fault::Fault;
use crate::names::{ClosureDigest, StorePath};
use crate::plan::closure::{PathInfo, closure_digest, closure_of};
use crate::world::depot::Depot;
use search::Search;

/// Where paths are looked for, and whose word on them counts.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a, D> {
    pub nix: &'a LocalNix,
    pub depots: &'a [D],
    /// Signs what comes from the local store.
    pub key: Option<&'a SecretKey>,
    /// The keys that hosts trust; none where nobody knows them, and then any signature
    /// is taken for a good one.
    pub trusted: &'a [CacheKey],
}

/// Paths, each with where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    pub(super) items: BTreeMap<StorePath, Item>,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) info: PathInfo,
    pub(super) origin: Origin,
}

#[derive(Clone, Debug)]
pub(super) enum Origin {
    Local(Details),
    Depot(Announcement),
}

/// What a cache says of a path.
#[derive(Clone, Debug)]
pub(super) struct Announcement {
    /// Which of the caches.
    pub(super) depot: usize,
    pub(super) text: String,
    /// Where the packed NAR is in it.
    pub(super) place: String,
    pub(super) hash: Option<[u8; 32]>,
    pub(super) size: Option<u64>,
}

/// How large it is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub paths: usize,
    /// Of the unpacked NARs.
    pub unpacked: u64,
    /// What is known of the packed ones, and what they cannot be above.
    pub at_least: u64,
    pub at_most: u64,
}

/// Finds everything that `wanted` needs, but for what hosts have that hold `had`.
///
/// # Errors
/// A path is nowhere, signed by nobody, or a closure is not the one that was signed for.
pub async fn stock<D: Depot>(
    wanted: &BTreeMap<StorePath, Option<ClosureDigest>>,
    had: &BTreeSet<StorePath>,
    sources: &Sources<'_, D>,
) -> Result<Stock, Fault> {
    let roots: BTreeSet<StorePath> = wanted.keys().cloned().collect();
    let mut search = Search::new(sources, false);
    search.find(&roots).await?;
    if other_build(&search.found, wanted).is_some() && !sources.depots.is_empty() {
        // It was built here too, and not bit for bit.
        search = Search::new(sources, true);
        search.find(&roots).await?;
    }
    if let Some(fault) = other_build(&search.found, wanted) {
        return Err(fault);
    }
    let mut items = search.found;
    for path in there(had, sources).await? {
        items.remove(&path);
    }
    Ok(Stock { items })
}

/// What is known to be in the closures of `had`; more may be.
async fn there<D: Depot>(
    had: &BTreeSet<StorePath>,
    sources: &Sources<'_, D>,
) -> Result<Vec<StorePath>, Fault> {
    let mut search = Search::new(sources, false);
    search.lenient = true;
    search.find(had).await?;
    Ok(search.found.into_keys().chain(had.iter().cloned()).collect())
}

fn other_build(
    found: &BTreeMap<StorePath, Item>,
    wanted: &BTreeMap<StorePath, Option<ClosureDigest>>,
) -> Option<Fault> {
    let infos = found.iter().map(|(path, item)| (path.clone(), item.info.clone())).collect();
    wanted.iter().find_map(|(root, digest)| {
        let wanted = digest.as_ref()?;
        let here = closure_digest(closure_of(root, &infos).ok()?);
        let because = format!("the manifest says {wanted}, and the one found is {here}");
        (here != *wanted).then(|| {
            Fault::refuse(format!("find the closure of {root}"), because)
                .remedy("name the cache that has the build which was signed: --from CACHE")
        })
    })
}

/// What does not get smaller by packing gets larger by a little.
fn packed_at_most(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 128).saturating_add(64)
}

impl Stock {
    pub fn sizes(&self) -> Sizes {
        self.items.values().fold(Sizes::default(), |sum, item| {
            let unpacked = item.info.nar_size;
            let announced = match &item.origin {
                Origin::Local(_) => None,
                Origin::Depot(announced) => announced.size,
            };
            Sizes {
                paths: sum.paths + 1,
                unpacked: sum.unpacked.saturating_add(unpacked),
                at_least: sum.at_least.saturating_add(announced.unwrap_or(0)),
                at_most: sum.at_most.saturating_add(announced.unwrap_or(packed_at_most(unpacked))),
            }
        })
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
