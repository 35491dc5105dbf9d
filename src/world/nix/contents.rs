//! What closures are made of, from this machine's store and from caches, for people who have no host at hand.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::timeout;

use super::conduct::Conduct;
use super::narinfo::{self, Asking, NarInfo};
use super::passwords::Passwords;
use super::{LocalNix, NixConfig, NixStore};
use crate::names::StorePath;
use crate::plan::contents::{Content, Contents};

/// How long to look; what is not found by then is not known.
const PATIENCE: Duration = Duration::from_secs(60);
/// A larger closure is not looked through.
const MOST: usize = 100_000;

/// All that `roots` need. Caches are asked about everything, since they alone know how
/// much is downloaded; where no cache has a root, the local store is asked. What
/// cannot be found is left out.
pub async fn contents(caches: &[String], roots: &BTreeSet<&StorePath>) -> Contents {
    let mut found = Contents::new();
    // What was found is kept when the time is up.
    let _ = timeout(PATIENCE, announced(caches, roots, &mut found)).await;
    let nix = NixStore::new(NixConfig::new(Vec::new(), Vec::new()));
    let left = |path: &&StorePath| crate::plan::contents::reach(&found, [*path]).is_none();
    let local: Vec<&StorePath> =
        roots.iter().copied().filter(left).filter(|p| nix.has(p)).collect();
    if local.is_empty() {
        return found;
    }
    match nix.closures(&local).await {
        Ok(known) => {
            for (path, info) in known {
                let (nar_size, references) = (info.nar_size, info.references);
                found.entry(path).or_insert(Content { nar_size, download: None, references });
            }
        }
        Err(fault) => tracing::warn!("{fault}"),
    }
    found
}

async fn announced(caches: &[String], roots: &BTreeSet<&StorePath>, found: &mut Contents) {
    if caches.is_empty() {
        return;
    }
    let (client, nix) = (narinfo::client().ok(), LocalNix::default());
    let passwords = Passwords::of(move || nix.program("nix"));
    let conduct = Conduct::default();
    let asking = Asking { client: client.as_ref(), passwords: &passwords, conduct: &conduct };
    let mut seen: BTreeSet<StorePath> = roots.iter().map(|path| (*path).clone()).collect();
    let mut left: Vec<StorePath> = seen.iter().cloned().collect();
    while !left.is_empty() && seen.len() < MOST {
        let asked = std::mem::take(&mut left)
            .into_iter()
            .map(|path| async move { (path.clone(), narinfo::ask(&asking, caches, path).await) });
        let mut told = stream::iter(asked).buffer_unordered(narinfo::SIDE_BY_SIDE);
        while let Some((path, info)) = told.next().await {
            let Some(NarInfo { download, unpacked, references }) = info else { continue };
            let new = references.iter().filter(|path| seen.insert((*path).clone())).cloned();
            left.extend(new);
            let references = references.into_iter().collect();
            found
                .insert(path, Content { nar_size: unpacked, download: Some(download), references });
        }
    }
}
