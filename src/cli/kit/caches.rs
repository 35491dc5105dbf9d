//! The caches that closures may be copied from.

use crate::cli::{Blame, Failure};
use crate::fault::Fault;
use crate::world::bucket::{Bucket, BucketUrl};
use crate::world::depot::{Depot, Saved, Sink};
use crate::world::folder::Folder;
use crate::world::nix::LocalNix;
use crate::world::web::Web;

/// A cache by where it is.
pub(super) enum Cache {
    Bucket(Box<Bucket>),
    Folder(Folder),
    Web(Web),
}

impl Cache {
    /// # Errors
    /// Nothing can be read from such a URL.
    pub(super) async fn named(url: &str, nix: &LocalNix) -> Result<Self, Failure> {
        if url.starts_with("s3://") {
            let parsed = BucketUrl::parse(url).map_err(|error| usage(url, &error))?;
            return Ok(Self::Bucket(Box::new(Bucket::open(&parsed)?)));
        }
        if ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            // A machine without nix has none of its passwords, and may still pack.
            let netrc = if nix.is_here() { Some(nix.netrc().await?) } else { None };
            return Ok(Self::Web(Web::of_url(url, netrc.as_ref())?));
        }
        let folder = Folder::of_url(url).map(Self::Folder);
        folder.ok_or_else(|| usage(url, &"copied from are http(s)://, s3:// and file:/// caches"))
    }
}

fn usage(url: &str, why: &dyn std::fmt::Display) -> Failure {
    let message = format!("--from {url}: {why}");
    Failure { message, hint: None, blame: Blame::Usage }
}

impl Depot for Cache {
    fn name(&self) -> &str {
        match self {
            Self::Bucket(bucket) => Depot::name(bucket.as_ref()),
            Self::Folder(folder) => Depot::name(folder),
            Self::Web(web) => web.name(),
        }
    }

    async fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::Bucket(bucket) => bucket.as_ref().text(name).await,
            Self::Folder(folder) => folder.text(name).await,
            Self::Web(web) => web.text(name).await,
        }
    }

    async fn save(&self, name: &str, into: Sink) -> Result<Saved, Fault> {
        match self {
            Self::Bucket(bucket) => bucket.as_ref().save(name, into).await,
            Self::Folder(folder) => folder.save(name, into).await,
            Self::Web(web) => web.save(name, into).await,
        }
    }
}
