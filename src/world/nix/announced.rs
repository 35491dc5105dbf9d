//! Whether a binary cache has all of a closure: the same bytes as here, and signed.
//!
//! Nix never replaces what a cache has. So a path that was built elsewhere, or was
//! uploaded without a signature, stays as it is there, and hosts would refuse it.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use futures_util::stream::{self, StreamExt as _};

use super::local::Closure;
use super::narinfo::{self, SIDE_BY_SIDE};
use crate::fault::Fault;
use crate::names::StorePath;
use crate::plan::closure::PathInfo;
use crate::trust::base64;
use crate::world::shelf::Shelf;

/// Paths that are named in a fault; the rest is counted.
const NAMED: usize = 5;

/// The public half of a cache's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey {
    name: String,
    public: Vec<u8>,
}

/// What is wrong with one path of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Absent,
    /// What is there is no narinfo, or that of another path.
    Foreign,
    /// Other bytes or other references than the local store has.
    Other,
    Unsigned,
    /// What reads the cache says itself what is wrong with it.
    Lost(Fault),
}

/// Where a cache's texts are read.
pub(super) trait Texts: Sync {
    fn text(&self, path: &StorePath) -> impl Future<Output = Result<Vec<u8>, Lack>> + Send;
}

/// A cache that is read by whoever fills it.
pub(super) struct OnShelf<'a, S>(pub(super) &'a S);

/// What is wrong with a cache's paths.
pub(super) struct Lacks<'a> {
    cache: &'a str,
    found: Vec<(&'a StorePath, Lack)>,
}

/// As a host's config has it.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 32 bytes leave two over, which base64 fills with one.
        write!(f, "{}:{}=", self.name, base64::encode_unpadded(&self.public))
    }
}

impl CacheKey {
    /// A public key as a host's config has it: `NAME:` and 32 bytes in base64.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, base64) = text.trim().split_once(':')?;
        let public = base64::decode(base64.as_bytes()).filter(|bytes| bytes.len() == 32)?;
        Some(Self::new(name, &public))
    }

    pub(super) fn new(name: &str, public: &[u8]) -> Self {
        Self { name: name.to_owned(), public: public.to_vec() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn made(&self, signature: &str, path: &PathInfo) -> bool {
        let Some((name, base64)) = signature.split_once(':') else { return false };
        let Some(bytes) = base64::decode(base64.as_bytes()) else { return false };
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        name == self.name && key.verify(path.fingerprint().as_bytes(), &bytes).is_ok()
    }
}

/// Whether a cache has every path of a closure as the local store has it, signed by
/// `key` or, where none is named, by anybody.
///
/// # Errors
/// The cache cannot be reached, or what is wrong with which path.
pub async fn check_shelf<S: Shelf>(
    shelf: &S,
    closure: &Closure,
    key: Option<&CacheKey>,
) -> Result<(), Fault> {
    let found = lacks(&OnShelf(shelf), closure, key).await;
    Lacks::of(shelf.name(), found).none()
}

/// What is wrong with which path, in their order.
pub(super) async fn lacks<'a>(
    texts: &impl Texts,
    closure: &'a Closure,
    key: Option<&CacheKey>,
) -> Vec<(&'a StorePath, Lack)> {
    let asked = closure
        .paths
        .values()
        .map(|path| async move { Some((&path.path, lack(texts, path, key).await?)) });
    stream::iter(asked).buffered(SIDE_BY_SIDE).filter_map(|lack| async { lack }).collect().await
}

async fn lack(texts: &impl Texts, path: &PathInfo, key: Option<&CacheKey>) -> Option<Lack> {
    let text = match texts.text(&path.path).await {
        Ok(text) => text,
        Err(lack) => return Some(lack),
    };
    let Some(there) = narinfo::announced(&text, &path.path) else { return Some(Lack::Foreign) };
    if there.fingerprint != path.fingerprint() {
        return Some(Lack::Other);
    }
    let signed = match key {
        Some(key) => there.signatures.iter().any(|signature| key.made(signature, path)),
        // What its own content names needs no signature.
        None => there.by_content || !there.signatures.is_empty(),
    };
    (!signed).then_some(Lack::Unsigned)
}

impl<S: Shelf> Texts for OnShelf<'_, S> {
    async fn text(&self, path: &StorePath) -> Result<Vec<u8>, Lack> {
        let text = self.0.read(&format!("{}.narinfo", path.hash())).await;
        text.map_err(Lack::Lost)?.ok_or(Lack::Absent)
    }
}

fn find(cache: &str) -> String {
    format!("find the whole closure in {cache}")
}

impl<'a> Lacks<'a> {
    pub(super) fn of(cache: &'a str, found: Vec<(&'a StorePath, Lack)>) -> Self {
        Self { cache, found }
    }

    /// # Errors
    /// There are some.
    pub(super) fn none(self) -> Result<(), Fault> {
        match self.found.first() {
            None => Ok(()),
            Some((_, Lack::Lost(fault))) => Err(fault.clone()),
            Some((_, first)) => {
                Err(first.fault(find(self.cache), &self.found).remedy(first.remedy(self.cache)))
            }
        }
    }
}

impl Lack {
    fn fault(&self, doing: String, lacks: &[(&StorePath, Self)]) -> Fault {
        let same: Vec<&StorePath> =
            lacks.iter().filter(|(_, lack)| lack == self).map(|(path, _)| *path).collect();
        let mut named: Vec<&str> = same.iter().take(NAMED).map(|path| path.as_str()).collect();
        let more = format!("and {} more", same.len().saturating_sub(NAMED));
        if same.len() > NAMED {
            named.push(&more);
        }
        Fault::wait(doing, format!("{self}: {}", named.join(", ")))
    }

    fn remedy(&self, cache: &str) -> String {
        match self {
            Self::Absent if cache.starts_with("s3://") => {
                "upload again; the keys also need to read what they write (s3:GetObject)".to_owned()
            }
            Self::Absent => "upload again; the server said that it was there".to_owned(),
            Self::Foreign => "see who writes to the cache, and delete that file".to_owned(),
            Self::Other => "deploy the cache's build: let go of the local one (nix-store --delete PATH) and fetch it from there".to_owned(),
            Self::Unsigned if cache.starts_with("s3://") => {
                "a narinfo is never replaced: delete it in the bucket, and upload again with --key".to_owned()
            }
            Self::Unsigned => format!(
                "sign what is there: nix store sign --store '{cache}' --recursive --key-file FILE PATH; or name the key with --key for what is new"
            ),
            Self::Lost(_) => "see that the cache is up".to_owned(),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the cache does not have"),
            Self::Foreign => f.write_str("the cache has something else in the place of"),
            Self::Other => f.write_str("the cache has another build of"),
            Self::Unsigned => f.write_str("no good signature in the cache on"),
            Self::Lost(fault) => write!(f, "{fault}, when asked for"),
        }
    }
}
