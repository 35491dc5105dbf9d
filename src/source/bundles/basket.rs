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
            self.leave_other_roads(&road);
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

    /// Deletes what was taken for a road that came to nothing. An index can name many, and
    /// on the disk is never more than one of them.
    fn leave_other_roads(&mut self, road: &[&Entry]) {
        let ahead = |token: &u64| road.iter().any(|entry| entry.token == *token);
        let others: Vec<PathBuf> =
            self.taken.extract_if(.., |token, _| !ahead(token)).map(|(_, pack)| pack).collect();
        delivery::refuse(&others);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::names::CommitId;
    use crate::source::bundles::Place;
    use crate::source::bundles::index::tests::{entry, index};
    use crate::world::folder::Folder;

    /// A bundle that is in order until somebody looks into its pack.
    fn publish(folder: &Path, entry: &mut Entry, leads_to: &CommitId) {
        let text = format!("# v2 git bundle\n{leads_to} refs/heads/main\n\nPACK{}", entry.token);
        let sha256 = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        entry.file = Digested { sha256, size: text.len() as u64 };
        fs::write(folder.join(entry.file.name()), text).unwrap();
    }

    #[tokio::test]
    async fn of_roads_that_come_to_nothing_no_bundle_stays_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bundles")).unwrap();
        let mut entries: Vec<Entry> = Vec::new();
        for (n, letter) in ['a', 'b', 'c', 'd'].into_iter().enumerate() {
            let n = 2 * n as u64;
            entries.extend([entry(n, 0, letter, None), entry(n + 1, 0, 'f', Some(letter))]);
        }
        for (n, entry) in entries.iter_mut().enumerate() {
            let leads_to = entry.tip.clone();
            // Only the last road leads where the index says.
            let elsewhere = "9".repeat(40).parse().unwrap();
            publish(dir.path(), entry, if n % 2 == 1 && n < 7 { &elsewhere } else { &leads_to });
        }
        let place = Place { url: format!("dir://{}", dir.path().display()), credentials: None };
        let source =
            BundleSource::at(place, "main".parse().unwrap(), Duration::from_secs(60)).unwrap();
        let (site, packs) = (Site::Folder(Folder::at(dir.path())), dir.path().join("incoming"));
        let mut basket = Basket::at(&source, &site, &packs);
        let (taken, newest) = basket.road(&index(entries), &Known::default()).await.unwrap();
        assert_eq!((taken.len(), newest), (2, Some(7)));
        assert_eq!(fs::read_dir(&packs).unwrap().count(), 2);
    }
}
