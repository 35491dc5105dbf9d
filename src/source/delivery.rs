//! Packs that a source brought, moved in together or not at all.

use std::fs;
use std::path::PathBuf;

use super::pack_import::IndexedPacks;
use super::repo::{ImportedPack, Repository};
use crate::fault::Fault;

/// Packs whose objects are in the repository and judged by nobody yet.
#[derive(Debug)]
pub struct Delivery {
    imported: Vec<ImportedPack>,
}

impl Delivery {
    /// Moves packs that were checked into the repository. Their folder is gone
    /// afterwards, whatever comes of it.
    ///
    /// # Errors
    /// The disk is in the way; nothing of any pack is kept.
    pub fn take(repository: &Repository, packs: IndexedPacks) -> Result<Self, Fault> {
        let mut delivery = Self { imported: Vec::with_capacity(packs.packs.len()) };
        for pack in &packs.packs {
            match repository.adopt(pack) {
                Ok(imported) => delivery.imported.push(imported),
                Err(fault) => {
                    // The first fault is the one to tell.
                    let _ = delivery.discard();
                    return Err(fault);
                }
            }
        }
        Ok(delivery)
    }

    /// Deletes the packs from the repository again.
    ///
    /// # Errors
    /// As [`ImportedPack::discard`].
    pub fn discard(self) -> Result<(), Fault> {
        self.imported.into_iter().try_for_each(ImportedPack::discard)
    }
}

/// Deletes packs that nobody needs.
pub fn refuse(packs: &[PathBuf]) {
    for pack in packs {
        // It may not be there any more; one that stays is swept or written over.
        let _ = fs::remove_file(pack);
    }
    clear_folder(packs);
}

fn clear_folder(packs: &[PathBuf]) {
    if let Some(folder) = packs.first().and_then(|pack| pack.parent()) {
        // Others may have something in it.
        let _ = fs::remove_dir(folder);
    }
}
