//! The bundles that one fetch takes, around those that are broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::header::Header;
use super::index::{Digested, Entry, Index, Stated};
use super::site::Site;
use super::taking::{self, Lost};
use super::{ANEW, BundleSource, road};
use crate::fault::Fault;
use crate::source::delivery;
use crate::source::fetched::Known;
use crate::source::git::PACK_LIMIT;

/// The largest bundle of statements that is taken, in bytes.
const STATEMENTS: u64 = 1 << 20;

/// The packs of bundles that were taken, by their tokens. They are deleted with it,
/// also where a fetch is dropped at its deadline: half of them serve nobody, least of all
/// on a full disk.
pub(super) struct Basket<'a> {
    source: &'a BundleSource,
    site: &'a Site,
    folder: &'a Path,
    taken: BTreeMap<u64, PathBuf>,
}

impl Drop for Basket<'_> {
    fn drop(&mut self) {
        let packs: Vec<PathBuf> = std::mem::take(&mut self.taken).into_values().collect();
        delivery::refuse(&packs);
    }
}

impl<'a> Basket<'a> {
    pub(super) fn at(source: &'a BundleSource, site: &'a Site, folder: &'a Path) -> Self {
        Self { source, site, folder, taken: BTreeMap::new() }
    }

    /// The packs that lead to the tip, around what is broken, and the newest token.
    pub(super) async fn road(
        &mut self,
        index: &Index,
        known: &Known,
    ) -> Result<(Vec<PathBuf>, Option<u64>), Fault> {
        let mut broken = BTreeSet::new();
        let mut told: Option<Fault> = None;
        loop {
            let Some(road) = road::cheapest(index, &known.have, &broken) else {
                return Err(told.unwrap_or_else(|| self.no_road(index)));
            };
            self.within_limits(&road)?;
            match self.take(&road, index).await {
                Ok(()) => {
                    let packs = road.iter().filter_map(|e| self.taken.get(&e.token)).cloned();
                    return Ok((packs.collect(), road.last().map(|entry| entry.token)));
                }
                Err((entry, Lost::Broken(why))) => {
                    let fault = self.broken(&entry.file.name(), &why);
                    tracing::warn!("{fault}; looking for another road");
                    broken.insert(entry.token);
                    told.get_or_insert(fault);
                }
                Err((_, Lost::Fault(fault))) => return Err(fault),
            }
        }
    }

    async fn take<'e>(
        &mut self,
        road: &[&'e Entry],
        index: &Index,
    ) -> Result<(), (&'e Entry, Lost)> {
        for entry in road {
            if self.taken.contains_key(&entry.token) {
                continue;
            }
            let taken = self.take_one(entry.token, &entry.file).await;
            let (header, _) = taken.map_err(|lost| (*entry, lost))?;
            let branch = format!("refs/heads/{}", index.branch);
            // A whole bundle that asks for something is none.
            let asks = entry.base.is_none() && !header.prerequisites.is_empty();
            if asks || header.find(&branch) != Some(&entry.tip) {
                let why = "it leads elsewhere than the index says".to_owned();
                return Err((*entry, Lost::Broken(why)));
            }
        }
        Ok(())
    }

    pub(super) async fn stated(&mut self, stated: &Stated) -> Result<PathBuf, Fault> {
        let name = stated.file.name();
        if stated.file.size > STATEMENTS {
            return Err(self.broken(&name, "it is too large for statements"));
        }
        match self.take_one(u64::MAX, &stated.file).await {
            Ok((_, pack)) => Ok(pack),
            Err(Lost::Broken(why)) => Err(self.broken(&name, &why)),
            Err(Lost::Fault(fault)) => Err(fault),
        }
    }

    async fn take_one(&mut self, token: u64, file: &Digested) -> Result<(Header, PathBuf), Lost> {
        let pack = self.folder.join(format!("bundle-{token}.pack"));
        self.taken.insert(token, pack.clone());
        match taking::take(self.site, file, &pack).await {
            Ok(header) => Ok((header, pack)),
            Err(lost) => {
                // A bundle that is broken is in nobody's way to another one.
                self.taken.remove(&token);
                delivery::refuse(&[pack]);
                Err(lost)
            }
        }
    }

    fn within_limits(&self, road: &[&Entry]) -> Result<(), Fault> {
        let sizes = road.iter().map(|entry| entry.file.size);
        let bytes = sizes.fold(0, u64::saturating_add);
        match bytes > PACK_LIMIT {
            true => Err(self.source.fault(format!(
                "the bundles to take have {bytes} bytes, and {PACK_LIMIT} are taken at once"
            ))),
            false => Ok(()),
        }
    }

    fn broken(&self, name: &str, why: &str) -> Fault {
        self.source.fault(format!("{}: {why}", self.site.told(name))).remedy(ANEW)
    }

    fn no_road(&self, index: &Index) -> Fault {
        let short = index.tip.short();
        self.source
            .fault(format!("no bundle leads from what this host has to {short}"))
            .remedy("publish a whole one there: writ mirror --anew")
    }

    /// Leaves the packs that are needed to whoever asked.
    pub(super) fn hand_over(&mut self, needed: &[PathBuf]) {
        self.taken.retain(|_, pack| !needed.contains(pack));
    }
}
