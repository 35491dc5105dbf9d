//! The folders that kits come to: sources on disks that are carried here.

use std::path::PathBuf;

use super::Config;
use super::sources::At;
use crate::source::receipt::KitFolder;

impl Config {
    /// Folders of this machine where a kit may lie, with its commits, its closures and a
    /// place for this host's receipt.
    pub fn kits(&self) -> Vec<PathBuf> {
        let folder = |place: &At| match place {
            At::Bundles(place) => place.url.strip_prefix("dir://").map(PathBuf::from),
            At::Git { .. } => None,
        };
        self.sources.iter().filter_map(|source| folder(&source.place)).collect()
    }

    /// Where receipts are left.
    pub fn receipts(&self) -> Vec<KitFolder> {
        self.kits().into_iter().map(KitFolder::at).collect()
    }
}
