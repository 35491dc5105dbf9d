//! What closures are made of, as far as somebody knows it: for how much a change downloads, and which packages it brings.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::StorePath;

/// One store path, as a nix database or a cache describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes on the disk, without what its blocks waste.
    pub nar_size: u64,
    /// Bytes over the network; only a cache knows.
    pub download: Option<u64>,
    pub references: BTreeSet<StorePath>,
}

/// What is known, by path.
pub type Contents = BTreeMap<StorePath, Content>;

/// Paths, and how much they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub disk: u64,
    /// None where a cache was not asked about each of them.
    pub download: Option<u64>,
}

/// Everything that `roots` need; `None` where something of it is not known.
pub fn reach<'a>(
    contents: &'a Contents,
    roots: impl IntoIterator<Item = &'a StorePath>,
) -> Option<BTreeSet<&'a StorePath>> {
    let mut left: Vec<&StorePath> = roots.into_iter().collect();
    let mut seen: BTreeSet<&StorePath> = left.iter().copied().collect();
    while let Some(path) = left.pop() {
        let content = contents.get(path)?;
        left.extend(content.references.iter().filter(|reference| seen.insert(reference)));
    }
    Some(seen)
}

/// What `paths` come to, where each of them is known.
pub fn load<'a>(contents: &Contents, paths: impl IntoIterator<Item = &'a StorePath>) -> Load {
    let mut load = Load { disk: 0, download: Some(0) };
    for content in paths.into_iter().filter_map(|path| contents.get(path)) {
        load.disk = load.disk.saturating_add(content.nar_size);
        load.download = load.download.zip(content.download).map(|(a, b)| a.saturating_add(b));
    }
    load
}
