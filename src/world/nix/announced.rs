//! Whether a binary cache has all of a closure: the same bytes as here, and signed.
//!
//! Nix never replaces what a cache has. So a path that was built elsewhere, or was
//! uploaded without a signature, stays as it is there, and hosts would refuse it.

use std::fmt;
use std::io;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use futures_util::stream::{self, StreamExt as _};
use reqwest::{Client, StatusCode};

use super::local::Closure;
use super::narinfo::{self, SIDE_BY_SIDE};
use crate::fault::{Fault, causes};
use crate::names::StorePath;
use crate::plan::closure::PathInfo;
use crate::trust::base64;

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
enum Lack {
    Absent,
    /// Other bytes or other references than the local store has.
    Other,
    Unsigned,
    Unreachable(String),
    /// The cache wants a password, which nix has and we have not.
    Closed,
}

impl CacheKey {
    /// The public half of a secret key as `nix key generate-secret` writes it:
    /// `NAME:` and, in base64, the seed and the public key (nix, `src/libstore/keys.cc`).
    ///
    /// # Errors
    /// The file cannot be read or is not such a key.
    pub fn of_secret(file: &std::path::Path) -> Result<Self, Fault> {
        let doing = || format!("read the secret key {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| Fault::refuse(doing(), error))?;
        let key = text.trim().split_once(':').and_then(|(name, secret)| {
            let bytes = base64::decode(secret.as_bytes())?;
            let public = bytes.get(32..).filter(|public| public.len() == 32)?.to_vec();
            Some(Self { name: name.to_owned(), public })
        });
        key.ok_or_else(|| {
            Fault::refuse(doing(), "it is not a secret key of a binary cache")
                .remedy("`nix key generate-secret --key-name NAME` makes one")
        })
    }

    fn made(&self, signature: &str, path: &PathInfo) -> bool {
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
pub async fn check_upload(
    cache: &str,
    closure: &Closure,
    key: Option<&CacheKey>,
) -> Result<(), Fault> {
    let doing = format!("find the whole closure in {cache}");
    let client = Client::builder()
        .connect_timeout(narinfo::CONNECT)
        .timeout(narinfo::ANSWER)
        .build()
        .map_err(|error| Fault::wait(&doing, causes(&error)))?;
    let asked = closure
        .paths
        .values()
        .map(|path| async { Some((&path.path, lack(&client, cache, path, key).await?)) });
    let lacks: Vec<_> = stream::iter(asked)
        .buffered(SIDE_BY_SIDE)
        .filter_map(|lack| async { lack })
        .collect()
        .await;
    match lacks.first() {
        None => Ok(()),
        Some((_, first)) => Err(first.fault(doing, &lacks).remedy(first.remedy(cache))),
    }
}

async fn lack(
    client: &Client,
    cache: &str,
    path: &PathInfo,
    key: Option<&CacheKey>,
) -> Option<Lack> {
    let text = match text(client, cache, &path.path).await {
        Ok(text) => text,
        Err(lack) => return Some(lack),
    };
    let Some(there) = narinfo::announced(&text, &path.path) else { return Some(Lack::Absent) };
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

/// The cache's text about a path.
async fn text(client: &Client, cache: &str, path: &StorePath) -> Result<Vec<u8>, Lack> {
    let place = narinfo::place(cache, path);
    if let Some(file) = place.strip_prefix("file://") {
        return std::fs::read(file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Lack::Absent,
            _ => Lack::Unreachable(error.to_string()),
        });
    }
    let lost = |error: reqwest::Error| Lack::Unreachable(causes(&error.without_url()));
    let answer = client.get(&place).send().await.map_err(lost)?;
    match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Lack::Absent),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Lack::Closed),
        status if !status.is_success() => Err(Lack::Unreachable(format!("it answered {status}"))),
        _ => narinfo::body(answer).await.ok_or(Lack::Absent),
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
            Self::Absent => "upload again; nix said that it was there".to_owned(),
            Self::Other => "deploy the cache's build: let go of the local one (nix-store --delete PATH) and fetch it from there".to_owned(),
            Self::Unsigned => format!(
                "sign what is there: nix store sign --store '{cache}' --recursive --key-file FILE PATH; or name the key with --key for what is new"
            ),
            Self::Unreachable(_) => "see that the cache is up".to_owned(),
            Self::Closed => "name a URL that may be read without a password, as hosts do".to_owned(),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the cache does not have"),
            Self::Other => f.write_str("the cache has another build of"),
            Self::Unsigned => f.write_str("no good signature in the cache on"),
            Self::Unreachable(why) => write!(f, "{why}, when asked for"),
            Self::Closed => f.write_str("the cache asks for a password for"),
        }
    }
}
