//! Looks for closures, one step of references after the other.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::super::super::narinfo::{self, NarInfo, SIDE_BY_SIDE};
use super::super::details::Details;
use super::super::secret::SecretKey;
use super::{Announcement, Item, Origin, Sources};
use crate::fault::Fault;
use crate::names::StorePath;
use crate::plan::closure::{PathInfo, from_nix_base32};
use crate::world::depot::Depot;

/// A larger closure is none that anybody carries around.
const MOST: usize = 100_000;

pub(super) struct Search<'a, D> {
    sources: &'a Sources<'a, D>,
    depots_first: bool,
    /// Unsigned is good enough, and what is nowhere is left out.
    pub(super) lenient: bool,
    local: BTreeMap<StorePath, (PathInfo, Details)>,
    pub(super) found: BTreeMap<StorePath, Item>,
}

impl<'a, D: Depot> Search<'a, D> {
    pub(super) fn new(sources: &'a Sources<'a, D>, depots_first: bool) -> Self {
        let (local, found) = Default::default();
        Self { sources, depots_first, lenient: false, local, found }
    }

    /// From the roots on, one step of references after the other.
    pub(super) async fn find(&mut self, roots: &BTreeSet<StorePath>) -> Result<(), Fault> {
        let mut left = roots.clone();
        while !left.is_empty() {
            let begun = left.clone();
            if !self.depots_first {
                left = self.take_local(left).await?;
            }
            left = self.take_announced(left).await?;
            if self.depots_first {
                left = self.take_local(left).await?;
            }
            if let (Some(path), false) = (left.first(), self.lenient) {
                return Err(self.lacking(path));
            }
            if self.found.len() > MOST {
                let because = format!("there are more than {MOST} paths");
                return Err(Fault::refuse("gather the closures", because));
            }
            left = self.references(&begun);
        }
        Ok(())
    }

    fn references(&self, of: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        let items = of.iter().filter_map(|path| self.found.get(path));
        let references = items.flat_map(|item| &item.info.references);
        references.filter(|path| !self.found.contains_key(*path)).cloned().collect()
    }

    /// Takes those that the local store has in good order; what is left.
    async fn take_local(
        &mut self,
        left: BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, Fault> {
        let new: Vec<StorePath> =
            left.iter().filter(|path| !self.local.contains_key(*path)).cloned().collect();
        let valid = self.sources.nix.valid(&new).await?;
        if !valid.is_empty() {
            let closure = self.sources.nix.closure(&valid).await?;
            let mut details = self.sources.nix.details(&valid).await?;
            for (path, info) in closure.paths {
                let details = details.remove(&path).unwrap_or_default();
                self.local.insert(path, (info, details));
            }
        }
        let mut rest = BTreeSet::new();
        for path in left {
            match self.local.get(&path).filter(|(info, details)| self.vouched(info, details)) {
                Some((info, details)) => {
                    let item = Item { info: info.clone(), origin: Origin::Local(details.clone()) };
                    self.found.insert(path, item);
                }
                None => {
                    rest.insert(path);
                }
            }
        }
        Ok(rest)
    }

    /// Whether a host will take what the local store has.
    fn vouched(&self, info: &PathInfo, details: &Details) -> bool {
        self.lenient
            || self.signs()
            || details.ca.is_some()
            || self.trusts(&details.signatures, info)
    }

    /// Whether the key at hand is one that counts.
    fn signs(&self) -> bool {
        let trusted = self.sources.trusted;
        let counts = |key: &SecretKey| trusted.is_empty() || trusted.contains(key.public());
        self.sources.key.is_some_and(counts)
    }

    fn trusts(&self, signatures: &[String], info: &PathInfo) -> bool {
        let keys = self.sources.trusted;
        let known = |signature: &String| keys.iter().any(|key| key.made(signature, info));
        match keys {
            [] => !signatures.is_empty(),
            _ => signatures.iter().any(known),
        }
    }

    /// Takes those that a cache has; what is left.
    async fn take_announced(
        &mut self,
        left: BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, Fault> {
        if self.sources.depots.is_empty() {
            return Ok(left);
        }
        let search: &Self = self;
        let asked = left.into_iter().map(|path| async move {
            let item = search.ask(&path).await?;
            Ok::<_, Fault>((path, item))
        });
        let told: Vec<(StorePath, Option<Item>)> =
            stream::iter(asked).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let mut rest = BTreeSet::new();
        for (path, item) in told {
            match item {
                Some(item) => {
                    self.found.insert(path, item);
                }
                None => {
                    rest.insert(path);
                }
            }
        }
        Ok(rest)
    }

    /// What the first cache says that has the path, signed.
    async fn ask(&self, path: &StorePath) -> Result<Option<Item>, Fault> {
        let name = format!("{}.narinfo", path.hash());
        for (depot, cache) in self.sources.depots.iter().enumerate() {
            let Some(text) = cache.text(&name).await? else { continue };
            let Some(item) = announced(&text, path, depot) else {
                tracing::warn!("{}: {name} is not about {path}, or not understood", cache.name());
                continue;
            };
            let told = narinfo::announced(&text, path);
            let good = told.is_some_and(|told| {
                self.lenient || told.by_content || self.trusts(&told.signatures, &item.info)
            });
            if good {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn lacking(&self, path: &StorePath) -> Fault {
        let doing = format!("find {path}");
        let asked: Vec<&str> = self.sources.depots.iter().map(Depot::name).collect();
        let asked = match &asked[..] {
            [] => String::new(),
            asked => format!(", nor is it in {} with a signature that counts", asked.join(", ")),
        };
        match self.local.contains_key(path) {
            true => Fault::refuse(
                doing,
                format!("in the local store no key that hosts trust has signed it{asked}"),
            )
            .remedy(
                "name a cache that has it signed with --from, or the cache's secret key with --key",
            ),
            false => Fault::refuse(doing, format!("it is not in the local store{asked}"))
                .remedy("build it here, or name a cache that has it: --from CACHE"),
        }
    }
}

/// What a cache's text says, where it is one about this path that can be copied.
fn announced(text: &[u8], path: &StorePath, depot: usize) -> Option<Item> {
    let text = str::from_utf8(text).ok()?;
    let NarInfo { unpacked, references, .. } = narinfo::parse(text.as_bytes(), path)?;
    let field = |name: &str| narinfo::fields(text, name).next();
    let hash = |text: &str| from_nix_base32(text.strip_prefix("sha256:")?);
    let place = field("URL").filter(|place| is_inside(place))?.to_owned();
    let info = PathInfo {
        path: path.clone(),
        nar_hash: hash(field("NarHash")?)?,
        nar_size: unpacked,
        references: references.into_iter().collect(),
    };
    let announcement = Announcement {
        depot,
        text: text.to_owned(),
        place,
        hash: field("FileHash").and_then(hash),
        size: field("FileSize").and_then(|size| size.parse().ok()),
    };
    Some(Item { info, origin: Origin::Depot(announcement) })
}

/// A place in the cache itself.
fn is_inside(place: &str) -> bool {
    let plain = !place.is_empty() && !place.starts_with('/') && !place.contains("://");
    plain && place.split('/').all(|part| part != "..") && !place.contains(char::is_whitespace)
}
