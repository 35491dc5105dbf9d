//! A branch in bundles, in a bucket (`s3://`) or a folder (`dir://`).
//!
//! `writ mirror` writes them, or whoever else keeps to [`index`]; nobody has to be
//! trusted for it. A host asks for the index, which is one small request with an answer
//! of no content while nothing has changed, and takes the bundles that it lacks.

mod basket;
pub mod growth;
pub mod header;
pub mod index;
pub mod mirror;
pub mod plugged;
pub mod road;
pub mod site;
pub mod snapshot;
mod taking;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::fetched::{Fetched, Known, Statements};
use super::secret::SecretFile;
use crate::fault::{Fault, Retry};
use crate::names::{BranchName, CommitId};
use crate::world::shelf::{Look, Tag};
use basket::Basket;
use index::{BadIndex, Index, Stated};
use site::{INDEX, Purpose, Site, SiteUrl};

const ANEW: &str = "see who writes there; writ mirror --anew publishes the branch afresh";

/// Where bundles lie, as the config says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `s3://bucket/prefix?region=…&endpoint=…&profile=…` or `dir:///path`.
    pub url: String,
    /// A file in the form of `~/.aws/credentials`, for a bucket.
    pub credentials: Option<SecretFile>,
}

/// One branch, as bundles and an index of them.
#[derive(Clone, Debug)]
pub struct BundleSource {
    place: Place,
    url: SiteUrl,
    branch: BranchName,
    deadline: Duration,
    /// What can be asked for again: it saves requests, and is right however old it is.
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    /// With a connection that is kept.
    site: Option<Site>,
    seen: Option<(Option<Tag>, Arc<Index>)>,
    /// A folder was not there at the last look.
    unplugged: bool,
}

impl BundleSource {
    /// The branch at a place.
    ///
    /// # Errors
    /// The URL is not one of a place, in words for whoever wrote it into a config.
    pub fn at(place: Place, branch: BranchName, deadline: Duration) -> Result<Self, String> {
        let url = SiteUrl::read(&place.url)?;
        Ok(Self { place, url, branch, deadline, memory: Arc::default() })
    }

    /// Its URL.
    pub fn name(&self) -> &str {
        &self.place.url
    }

    /// The folder, whose change is a reason to look at once ([`plugged`]).
    pub fn watched(&self) -> Vec<PathBuf> {
        match &self.url {
            SiteUrl::Bucket(..) => Vec::new(),
            SiteUrl::Folder(path) => vec![path.clone()],
        }
    }

    /// Whether this is a folder that was not there at the last look: a stick that is not
    /// plugged in is no trouble.
    pub fn is_unplugged(&self) -> bool {
        self.memory().unplugged
    }

    /// As [`super::roads::Source::fetch`].
    ///
    /// # Errors
    /// The place cannot be reached, is not in order, or takes longer than the deadline;
    /// all of them pass, or are mended there.
    pub async fn fetch(&self, known: &Known, folder: &Path) -> Result<Fetched, Fault> {
        self.in_time(async {
            let (site, index) = self.index().await?;
            let first = self.bring(&site, &index, known, folder).await;
            let Err(fault) = first else { return first };
            // Whoever publishes may have put newer bundles in the place of some.
            match self.index().await {
                Ok((site, newer)) if newer != index => {
                    self.bring(&site, &newer, known, folder).await
                }
                Ok(_) | Err(_) => Err(fault),
            }
        })
        .await
    }

    /// As [`super::roads::Source::look`].
    ///
    /// # Errors
    /// As [`BundleSource::fetch`].
    pub async fn look(&self) -> Result<CommitId, Fault> {
        self.in_time(async { Ok(self.index().await?.1.tip.clone()) }).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let done = match timeout(self.deadline, work).await {
            Ok(done) => done,
            Err(_) => {
                self.memory().unplugged = false;
                Err(self.fault(format!("it took longer than {:?}", self.deadline)))
            }
        };
        done.map_err(|fault| {
            // Keys may have been changed, and connections broken.
            self.memory().site = None;
            Fault { retry: Retry::Soon, ..fault }
        })
    }

    async fn index(&self) -> Result<(Site, Arc<Index>), Fault> {
        let (site, seen) = (self.site()?, self.memory().seen.clone());
        let tag = seen.as_ref().and_then(|(tag, _)| tag.as_ref());
        let look = site.look(tag).await;
        // A stick that is there and cannot be read is trouble.
        let absent = look.as_ref().is_ok_and(|look| *look == Look::Absent);
        self.memory().unplugged = absent && matches!(site, Site::Folder(_));
        let look = look?;
        let index = match (look, &seen) {
            (Look::New(bytes, tag), _) => {
                let index = Index::read(&bytes).map_err(|bad| self.unreadable(&site, &bad))?;
                let index = Arc::new(index);
                self.memory().seen = Some((tag, Arc::clone(&index)));
                index
            }
            (Look::Same, Some((_, index))) => Arc::clone(index),
            (Look::Same | Look::Absent, _) => return Err(self.absent(&site)),
        };
        if index.branch != self.branch {
            let other = format!("{} is of the branch {}", site.told(INDEX), index.branch);
            return Err(self
                .fault(other)
                .remedy("each branch is published in a folder of its own"));
        }
        Ok((site, index))
    }

    fn site(&self) -> Result<Site, Fault> {
        if let Some(site) = &self.memory().site {
            return Ok(site.clone());
        }
        let keys = self.place.credentials.as_ref().map(SecretFile::kept).transpose();
        let keys = keys.map_err(|why| self.fault(why))?;
        let site = self.url.open(Purpose::Take(keys.as_deref()))?;
        self.memory().site = Some(site.clone());
        Ok(site)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what leads from what is known to what the index shows.
    async fn bring(
        &self,
        site: &Site,
        index: &Index,
        known: &Known,
        folder: &Path,
    ) -> Result<Fetched, Fault> {
        let (tip, statements) = (index.tip.clone(), statements(index));
        if known.covers(&tip, &statements) {
            return Ok(Fetched::Unchanged { tip });
        }
        let mut basket = Basket::at(self, site, folder);
        let (mut packs, newest) = basket.road(index, known).await?;
        if let Some(stated) = &index.stated {
            let unknown = stated.ids().any(|id| !known.tips.contains(id));
            if unknown && newest.is_none_or(|token| token < stated.since) {
                packs.push(basket.stated(stated).await?);
            }
        }
        basket.hand_over(&packs);
        Ok(Fetched::Packs { tip, statements, packs })
    }

    fn fault(&self, because: impl std::fmt::Display) -> Fault {
        Fault::wait(format!("fetch {} of {}", self.branch, self.place.url), because)
    }

    fn absent(&self, site: &Site) -> Fault {
        let because = format!("there is no {}", site.told(INDEX));
        self.fault(because).remedy(match &self.url {
            SiteUrl::Bucket(..) => {
                "see whether bucket and folder in the URL are right, something was published there (writ mirror), and the keys allow s3:GetObject: S3 says the same of what is absent and what is denied"
            }
            SiteUrl::Folder(_) => "plug it in or mount it; writ mirror publishes there",
        })
    }

    fn unreadable(&self, site: &Site, bad: &BadIndex) -> Fault {
        let because = format!("{} is no index of bundles: {bad}", site.told(INDEX));
        self.fault(because).remedy(match bad {
            BadIndex::WebPage => {
                "something else answers there, as a portal that wants a login: see that the URL is right"
            }
            BadIndex::Large | BadIndex::Binary | BadIndex::Line { .. } | BadIndex::Whole(_) => ANEW,
        })
    }
}

fn statements(index: &Index) -> Statements {
    let id = |noted: &Option<index::Noted>| noted.as_ref().map(|noted| noted.id.clone());
    match &index.stated {
        Some(Stated { head, reset, .. }) => Statements { head: id(head), reset: id(reset) },
        None => Statements::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stick_that_is_there_and_cannot_be_read_is_not_told_as_away() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { url: format!("dir://{}", dir.path().display()), credentials: None };
        let deadline = Duration::from_secs(20);
        let source = BundleSource::at(place, "main".parse().unwrap(), deadline).unwrap();
        assert!(source.look().await.is_err() && source.is_unplugged());
        std::fs::create_dir(dir.path().join("index")).unwrap();
        assert!(source.look().await.is_err() && !source.is_unplugged());
    }
}
