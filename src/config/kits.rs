//! The folders that kits come to: sources on disks that are carried here.

use std::path::PathBuf;

use super::Config;
use super::sources::{At, SourceConfig};
use crate::source::receipt::KitFolder;

impl Config {
    /// Folders of this machine where a kit may lie, with its commits and its closures.
    pub fn kits(&self) -> Vec<PathBuf> {
        self.sources.iter().filter_map(folder).collect()
    }

    /// Those among them where this host leaves a receipt.
    pub fn receipts(&self) -> Vec<KitFolder> {
        let wanted = self.sources.iter().filter(|source| source.receipt);
        wanted.filter_map(folder).map(KitFolder::at).collect()
    }
}

fn folder(source: &SourceConfig) -> Option<PathBuf> {
    match &source.place {
        At::Bundles(place) => place.url.strip_prefix("dir://").map(PathBuf::from),
        At::Git { .. } => None,
    }
}
