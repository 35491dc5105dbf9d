//! `writ upload`: brings a binary cache what it lacks of closures, and sees that it is there.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::cache_config::CacheConfig;
use super::output::JsonFlag;
use super::progress::Progress;
use super::{Blame, Failure, whisper};
use crate::names::StorePath;
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::world::bucket::{Bucket, BucketUrl};
use crate::world::folder::Folder;
use crate::world::http_shelf::HttpShelf;
use crate::world::netrc::Netrc;
use crate::world::nix::{
    Closure, LocalNix, Look, SecretKey, Supply, Tally, check_shelf, check_substituter, fill,
};
use crate::world::shelf::Shelf;
use crate::world::stop;

/// Upload signed closures to a binary cache and check that they arrived.
///
/// Existing paths are skipped, never replaced. Afterwards every path's narinfo in the cache is
/// compared with the local store: same contents, and signed.
///
/// Example: writ upload /nix/store/…-web-1.2.3 --to https://cache.example.org --key cache.sec
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Store paths; their closures are uploaded.
    #[arg(required = true)]
    paths: Vec<StorePath>,
    #[command(flatten)]
    cache: CacheArgs,
    /// The deploy repository, for the caches in its git config.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

/// Where closures are uploaded.
#[derive(Clone, Debug, ClapArgs)]
pub struct CacheArgs {
    /// The binary cache: s3://BUCKET?profile=…&endpoint=…, file:///FOLDER, or http(s)://HOST if
    /// it accepts uploads (default: git config writ.cache).
    #[arg(long, value_name = "CACHE")]
    pub(super) to: Option<String>,
    /// The cache's secret key to sign the closure with (default: git config writ.cacheKey).
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// For http(s)://HOST: the netrc file with its password (default: git config
    /// writ.cacheNetrc, or else netrc-file of nix.conf).
    #[arg(long, value_name = "FILE")]
    pub(super) netrc: Option<PathBuf>,
}

impl CacheArgs {
    /// The cache that is named here or in git's config.
    ///
    /// # Errors
    /// Nothing can be uploaded to it, or its key is none.
    pub(super) async fn cache(&self, checkout: &Checkout) -> Result<Option<Cache>, Failure> {
        let config = CacheConfig(checkout);
        let or = |named: &Option<PathBuf>, configured: Result<Option<PathBuf>, Failure>| {
            Ok::<_, Failure>(named.clone().or(configured?))
        };
        let to = match &self.to {
            Some(url) => Some(url.clone()),
            None => config.upload_to()?,
        };
        let (key, netrc) = (or(&self.key, config.key())?, or(&self.netrc, config.netrc())?);
        match to {
            Some(url) => Cache::new(&Self { to: None, key, netrc }, &url).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A cache that can be uploaded to.
#[derive(Debug)]
pub(super) struct Cache {
    place: Place,
    key: Option<SecretKey>,
}

#[derive(Debug)]
enum Place {
    Bucket(Box<Bucket>),
    Folder(Folder),
    Web(Box<HttpShelf>),
}

/// What a cache lacked, and has now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploaded {
    cache: String,
    /// Store paths of the closure.
    closure_paths: usize,
    paths: u64,
    /// Of the unpacked NARs.
    bytes: u64,
    /// As they were sent.
    sent_bytes: u64,
}

impl Cache {
    /// # Errors
    /// Nothing can be uploaded to such a URL, or a key is none.
    async fn new(args: &CacheArgs, url: &str) -> Result<Self, Failure> {
        let place = Place::named(url, args.netrc.as_ref()).await?;
        let key = args.key.as_deref().map(SecretKey::read).transpose()?;
        Ok(Self { place, key })
    }

    /// Signs, uploads, and looks whether everything is there.
    pub(super) async fn bring(
        &self,
        nix: &LocalNix,
        closure: &Closure,
        roots: &[StorePath],
    ) -> Result<Uploaded, Failure> {
        let supply = Supply { nix, roots, key: self.key.as_ref() };
        let uploaded = match &self.place {
            Place::Bucket(bucket) => bring(bucket.as_ref(), closure, &supply).await?,
            Place::Folder(folder) => bring(folder, closure, &supply).await?,
            Place::Web(web) => {
                web.answers().await?;
                bring(web.as_ref(), closure, &supply).await?
            }
        };
        whisper("the cache has all of it, signed\n");
        Ok(uploaded)
    }
}

impl Place {
    async fn named(url: &str, netrc: Option<&PathBuf>) -> Result<Self, Failure> {
        let usage = |message: String, hint: &str| Failure {
            message,
            hint: Some(hint.to_owned()),
            blame: Blame::Usage,
        };
        if url.starts_with("s3://") {
            let parsed = BucketUrl::parse(url).map_err(|error| {
                usage(format!("the cache's URL: {error}"), "docs/pushing.md tells what it may say")
            })?;
            return Ok(Self::Bucket(Box::new(Bucket::open(&parsed)?)));
        }
        if ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            // Zstandard is what we pack with.
            let plain = url.strip_suffix("?compression=zstd").unwrap_or(url);
            check_substituter(plain).map_err(|error| {
                usage(format!("the cache's URL: {error}"), "docs/pushing.md tells what it may say")
            })?;
            let netrc = match netrc {
                Some(file) => Netrc::Named(file.clone()),
                None => LocalNix::default().netrc().await?,
            };
            return Ok(Self::Web(Box::new(HttpShelf::open(plain, netrc)?)));
        }
        if let Some(folder) = Folder::of_url(url) {
            return Ok(Self::Folder(folder));
        }
        let message = if url.starts_with("file://") {
            format!("{url}: a folder is file:///FOLDER, without options and escapes")
        } else {
            format!("{url}: s3://, file:///, http:// and https:// caches are uploaded to")
        };
        Err(usage(message, "bring it there by other means, then writ push --no-upload"))
    }
}

/// Uploads to a place that we fill ourselves, until it is done or somebody stops it.
async fn bring<S: Shelf>(
    shelf: &S,
    closure: &Closure,
    supply: &Supply<'_>,
) -> Result<Uploaded, Failure> {
    let (cache, count) = (shelf.name(), closure.count());
    whisper(&format!("uploading to {cache} what it lacks of {count} store paths\n"));
    let (progress, tally) = (Progress::begin(), Arc::<Tally>::default());
    let own = stop::answering();
    let filled = fill(shelf, closure, supply, &tally);
    let left = "what is uploaded stays, and hosts were told nothing";
    let outcome = progress.beside(&own, &tally, filled, left).await;
    if let Err(failure) = outcome {
        drop(progress);
        stop::end_children();
        shelf.tidy().await;
        return Err(failure);
    }
    drop(own);
    progress.end(&tally);
    check_shelf(shelf, closure, supply.key.map(SecretKey::public)).await?;
    let Look { of_paths, of_bytes, uploaded, .. } = tally.look();
    Ok(Uploaded {
        cache: cache.to_string(),
        closure_paths: count,
        paths: of_paths,
        bytes: of_bytes,
        sent_bytes: uploaded,
    })
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let cache = args.cache.cache(&checkout).await?.ok_or_else(|| Failure {
        message: "no cache is named".to_owned(),
        hint: Some(
            "name it with --to; `git config writ.cache URL` in the deploy repository keeps it"
                .to_owned(),
        ),
        blame: Blame::Usage,
    })?;
    let nix = LocalNix::default();
    let closure = nix.closure(&args.paths).await?;
    let uploaded = cache.bring(&nix, &closure, &args.paths).await?;
    args.json.print(&serde_json::json!({ "roots": args.paths, "uploaded": uploaded }))
}
