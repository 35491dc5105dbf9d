//! Static sites that hosts would not serve, found where this machine's own store has them.

use std::collections::BTreeSet;

use super::{Blame, Failure, whisper};
use crate::manifest::{Desired, Manifest, WorkingTree};
use crate::plan::site::{sites, told};
use crate::world::Store as _;
use crate::world::nix::{NixConfig, NixStore};

/// Says of each site of these hosts that has a link out of its closure that hosts will
/// refuse it.
pub(super) async fn warn(desired: &[Desired<WorkingTree>]) {
    for line in unfit(desired).await {
        whisper(&format!("warning: hosts will refuse this: {line}\n"));
    }
}

/// # Errors
/// A host would refuse a site, by the same look.
pub(super) async fn accepted(manifest: &Manifest<WorkingTree>) -> Result<(), Failure> {
    let desired: Vec<_> = manifest.hosts().iter().map(|host| manifest.desired(host)).collect();
    let unfit = unfit(&desired).await;
    if unfit.is_empty() {
        return Ok(());
    }
    Err(Failure {
        message: format!("hosts would refuse the result\n{}", unfit.join("\n")),
        hint: Some("build the site with copies in place of such links".to_owned()),
        blame: Blame::Refused,
    })
}

/// What cannot be looked through here is left to the hosts.
async fn unfit(desired: &[Desired<WorkingTree>]) -> Vec<String> {
    let store = NixStore::new(NixConfig::new(Vec::new(), Vec::new()));
    let here = desired.iter().flat_map(sites).map(|served| served.site);
    let here: BTreeSet<_> = here.filter(|site| store.has(&site.store_path)).collect();
    let mut lines = BTreeSet::new();
    for site in here {
        match store.inspect(&BTreeSet::from([site])).await {
            Ok(unfit) => lines.extend(desired.iter().flat_map(|desired| told(desired, &unfit))),
            Err(fault) => tracing::debug!("{fault}"),
        }
    }
    lines.into_iter().collect()
}
