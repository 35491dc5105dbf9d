//! Packs that a source brought, imported together or not at all.

use std::fs;
use std::path::PathBuf;

use super::repo::{ImportedPack, Repository};
use crate::fault::Fault;

/// Packs whose objects are in the repository and judged by nobody yet.
#[derive(Debug)]
pub struct Delivery {
    imported: Vec<ImportedPack>,
}

impl Delivery {
    /// Imports packs in their order. The files are gone afterwards, whatever comes of
    /// it, and so is their folder once it is empty.
    ///
    /// # Errors
    /// As [`Repository::import_pack`]; nothing of any pack is kept.
    pub fn import(repository: &Repository, packs: &[PathBuf]) -> Result<Self, Fault> {
        let mut delivery = Self { imported: Vec::with_capacity(packs.len()) };
        for pack in packs {
            match repository.import_pack_file(pack) {
                Ok(imported) => delivery.imported.push(imported),
                Err(fault) => {
                    refuse(packs);
                    // The first fault is the one to tell.
                    let _ = delivery.discard();
                    return Err(fault);
                }
            }
        }
        clear_folder(packs);
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
