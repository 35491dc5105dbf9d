//! Fills a binary cache: what it lacks of a closure, each path behind those it needs.
//!
//! A path is in a cache once its narinfo is. That is written after the NAR and after
//! the narinfos of all references, so that what an interrupted upload leaves are
//! complete closures, and whoever uploads again goes on from there.

mod details;
mod pack;
mod secret;
mod ship;
mod stock;
mod tally;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use super::announced::{Lack, Lacks, OnShelf, lacks};
use super::local::{Closure, LocalNix};
use crate::fault::Fault;
use crate::names::StorePath;
use crate::plan::closure::PathInfo;
use crate::world::shelf::{Content, Created, Shelf};
use details::Details;
pub use secret::SecretKey;
pub use ship::ship;
pub use stock::{Sizes, Sources, Stock, stock};
pub use tally::{Look, Tally};

const INFO: &str = "nix-cache-info";
const STORE: &str = "StoreDir: /nix/store\n";
/// How nix calls what a cache holds.
const INFO_KIND: &str = "text/x-nix-cache-info";
const TEXT_KIND: &str = "text/x-nix-narinfo";
const NAR_KIND: &str = "application/x-nix-nar";

/// Uploads that run together: one packs while others are on their way.
fn side_by_side() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 4) + 2
}

/// Brings a cache what it lacks of `closure`, which is that of `roots`, signed by `key`
/// beside who signed it before. What the cache has stays as it is.
///
/// # Errors
/// The cache cannot be reached or takes nothing, it has other builds of these paths,
/// or the local store does not hold what its database says.
pub async fn fill<S: Shelf>(
    shelf: &S,
    closure: &Closure,
    supply: &Supply<'_>,
    tally: &Arc<Tally>,
) -> Result<(), Fault> {
    let missing = missing(shelf, closure, supply.key).await?;
    has_info(shelf).await?;
    tally.expect(missing.values().copied());
    if missing.is_empty() {
        return Ok(());
    }
    let details = supply.nix.details(supply.roots).await?;
    let work =
        Work { shelf, supply, tally, details, missing: &missing, there: watch::Sender::default() };
    work.somebody_signs()?;
    stream::iter(in_order(&missing).into_iter().map(|path| work.bring(path)))
        .buffer_unordered(side_by_side())
        .try_collect()
        .await
}

/// What is uploaded, out of which store, and who signs it.
#[derive(Clone, Copy, Debug)]
pub struct Supply<'a> {
    pub nix: &'a LocalNix,
    pub roots: &'a [StorePath],
    pub key: Option<&'a SecretKey>,
}

type Missing<'a> = BTreeMap<&'a StorePath, &'a PathInfo>;

struct Work<'a, S> {
    shelf: &'a S,
    supply: &'a Supply<'a>,
    tally: &'a Arc<Tally>,
    details: BTreeMap<StorePath, Details>,
    missing: &'a Missing<'a>,
    /// Paths that were missing and are in the cache now.
    there: watch::Sender<BTreeSet<StorePath>>,
}

/// What the cache lacks, if nothing else is wrong with what it has.
async fn missing<'a>(
    shelf: &impl Shelf,
    closure: &'a Closure,
    key: Option<&SecretKey>,
) -> Result<Missing<'a>, Fault> {
    let found = lacks(&OnShelf(shelf), closure, key.map(SecretKey::public)).await;
    let (absent, wrong): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, lack)| *lack == Lack::Absent);
    Lacks::of(shelf.name(), wrong).none()?;
    Ok(absent.into_iter().map(|(path, _)| (path, &closure.paths[path])).collect())
}

/// A cache says first of all which store it is one of.
async fn has_info(shelf: &impl Shelf) -> Result<(), Fault> {
    let there = match shelf.read(INFO).await? {
        None => {
            let info = Content::Text { text: STORE.to_owned(), kind: INFO_KIND };
            shelf.create(INFO, &info, &|_| ()).await?;
            return Ok(());
        }
        Some(there) => String::from_utf8_lossy(&there).into_owned(),
    };
    let store = there.lines().find_map(|line| line.strip_prefix("StoreDir:"));
    match store.map(str::trim) {
        None | Some("/nix/store") => Ok(()),
        Some(other) => Err(Fault::refuse(
            format!("upload to {}", shelf.name()),
            format!("it is a cache of another store, {other}"),
        )),
    }
}

/// Each path behind those it refers to.
fn in_order<'a>(missing: &Missing<'a>) -> Vec<&'a PathInfo> {
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    let mut left: Vec<(&PathInfo, bool)> = missing.values().map(|path| (*path, false)).collect();
    while let Some((info, ready)) = left.pop() {
        if ready {
            order.push(info);
        } else if seen.insert(&info.path) {
            left.push((info, true));
            let needed = info.references.iter().filter_map(|path| missing.get(path));
            left.extend(needed.map(|path| (*path, false)));
        }
    }
    order
}

impl<S: Shelf> Work<'_, S> {
    /// Nothing is uploaded that no host would take.
    fn somebody_signs(&self) -> Result<(), Fault> {
        let vouched = |path: &StorePath| {
            self.details.get(path).is_some_and(|d| d.ca.is_some() || !d.signatures.is_empty())
        };
        match self.missing.keys().find(|path| self.supply.key.is_none() && !vouched(path)) {
            None => Ok(()),
            Some(path) => Err(Fault::refuse(
                format!("upload to {}", self.shelf.name()),
                format!("nobody has signed {path}, and hosts take nothing unsigned"),
            )
            .remedy("name the cache's secret key with --key")),
        }
    }

    async fn bring(&self, info: &PathInfo) -> Result<(), Fault> {
        let packed = pack::pack(&self.supply.nix.programs, info, self.tally).await?;
        let place = packed.place();
        self.upload(info, &place, packed.content()).await?;
        self.references_are_there(info).await;
        let details = self.details.get(&info.path).cloned().unwrap_or_default();
        let text = text::narinfo(info, &packed.summary(), &signed(self.supply.key, info, details));
        let text = Content::Text { text, kind: TEXT_KIND };
        // One that is there by now is compared with ours when all is done.
        self.shelf.create(&format!("{}.narinfo", info.path.hash()), &text, &|_| ()).await?;
        self.tally.path();
        self.there.send_modify(|there| {
            there.insert(info.path.clone());
        });
        Ok(())
    }

    async fn upload(&self, info: &PathInfo, place: &str, nar: Content) -> Result<(), Fault> {
        let size = nar.size();
        let share = self.tally.share(info.nar_size, size);
        let created = self.shelf.create(place, &nar, &|bytes| share.sent(bytes)).await?;
        share.all(created == Created::New);
        if created == Created::There && self.shelf.size(place).await? != Some(size) {
            let doing = format!("upload {place} to {}", self.shelf.name());
            return Err(Fault::refuse(
                doing,
                "there is another file in its place, of another size",
            )
            .remedy("see who writes to the cache, and delete that file"));
        }
        Ok(())
    }

    /// Those are before this one in order, so that they have begun.
    async fn references_are_there(&self, info: &PathInfo) {
        let needs = |path: &&StorePath| **path != info.path && self.missing.contains_key(*path);
        let needed: Vec<&StorePath> = info.references.iter().filter(needs).collect();
        let mut there = self.there.subscribe();
        // Fails only where nobody sends any more, and we are one who could.
        let _ = there.wait_for(|there| needed.iter().all(|path| there.contains(*path))).await;
    }
}

fn signed(key: Option<&SecretKey>, info: &PathInfo, mut details: Details) -> Details {
    details.signatures.extend(key.map(|key| key.sign(info)));
    details.signatures.sort();
    details.signatures.dedup();
    details
}

/// The content of an open file.
fn file(file: &Arc<std::fs::File>, size: u64) -> Content {
    Content::File { file: Arc::clone(file), size, kind: NAR_KIND }
}
