//! `writ upload`: brings a binary cache what it lacks of closures, and sees that it is there.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Blame, Failure, whisper};
use crate::names::StorePath;
use crate::world::nix::{CacheKey, Closure, LocalNix, check_upload};

/// Upload closures to a binary cache, signed, and check that all of it is there.
///
/// Nix skips what the cache has, and never replaces it. Afterwards the cache's word on
/// every path is compared with the local store: the same bytes, and a signature.
///
/// Example: writ upload /nix/store/…-web-1.2.3 --to https://cache.example.org --key cache.sec
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Store paths; all that they need is uploaded with them.
    #[arg(required = true)]
    paths: Vec<StorePath>,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Where closures are uploaded.
#[derive(Clone, Debug, ClapArgs)]
pub struct CacheArgs {
    /// The binary cache: file:///DIRECTORY, or http(s)://HOST where it takes uploads.
    #[arg(long, value_name = "CACHE")]
    pub(super) to: Option<String>,
    /// The cache's secret key, to sign the closure with.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
}

/// A cache that can be uploaded to.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    url: String,
    key: Option<(PathBuf, CacheKey)>,
}

impl Cache {
    /// # Errors
    /// Nothing can be uploaded to such a URL, or the key is none.
    pub(super) fn new(url: &str, key: Option<PathBuf>) -> Result<Self, Failure> {
        if !["file:///", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Failure {
                message: format!("{url}: file:///, http:// and https:// caches are uploaded to"),
                hint: Some("bring it there by other means, then writ push --no-upload".to_owned()),
                blame: Blame::Usage,
            });
        }
        let key = match key {
            Some(file) => Some((file.clone(), CacheKey::of_secret(&file)?)),
            None => None,
        };
        Ok(Self { url: url.to_owned(), key })
    }

    /// Signs, uploads, and looks whether everything is there.
    pub(super) async fn bring(
        &self,
        nix: &LocalNix,
        closure: &Closure,
        roots: &[StorePath],
    ) -> Result<(), Failure> {
        let count = closure.count();
        whisper(&format!("uploading to {} what it lacks of {count} store paths\n", self.url));
        if let Some((file, _)) = &self.key {
            nix.sign(file.as_os_str(), roots).await?;
        }
        nix.upload(&self.url, roots).await?;
        let key = self.key.as_ref().map(|(_, key)| key);
        check_upload(&self.url, closure, key).await?;
        whisper("the cache has all of it, signed\n");
        Ok(())
    }
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let url = args.cache.to.ok_or_else(|| Failure {
        message: "no cache is named".to_owned(),
        hint: Some("name it with --to".to_owned()),
        blame: Blame::Usage,
    })?;
    let cache = Cache::new(&url, args.cache.key)?;
    let nix = LocalNix::default();
    let closure = nix.closure(&args.paths).await?;
    cache.bring(&nix, &closure, &args.paths).await
}
