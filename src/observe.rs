//! Reads the host for the planner: the only questions it ever asks.

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::manifest::Desired;
use crate::plan::observed::Observed;
use crate::plan::site::{self, Unfit};
use crate::world::{Facts as _, Routes as _, Store as _, Units as _, World};

/// Takes the snapshot the next plan starts from. What it costs does not grow with
/// processes: one D-Bus call, one request to Caddy, and files.
///
/// # Errors
/// systemd or the profiles cannot be read. A Caddy that does not answer is part
/// of the snapshot.
pub async fn observe<Source>(
    world: &impl World,
    desired: &Desired<Source>,
) -> Result<Observed, Fault> {
    let services = || desired.services.values();
    let users = services().filter_map(|s| s.process_of_somebody()?.user.clone()).collect();
    let groups = services().filter_map(|s| s.process_of_somebody()?.group.clone()).collect();
    let env_files: BTreeSet<_> = services().filter_map(|s| s.env_file.clone()).collect();
    let mut store = world.store().observe().await?;
    let unknown = site::unknown(desired, &store.rooted, &store.inspected);
    let unfit = match unknown.is_empty() {
        true => Unfit::new(),
        false => world.store().inspect(&unknown).await?,
    };
    store.inspected.extend(unknown.into_iter().filter(|site| !unfit.contains_key(site)));
    Ok(Observed {
        store,
        unfit,
        units: world.units().observe().await?,
        overrides: world.units().overrides()?,
        routes: world.routes().observe().await,
        unknown_accounts: world.facts().unknown_accounts(&users, &groups).await?,
        odd_env_files: world.facts().odd_env_files(&env_files).await?,
        environments: world.units().environments()?,
        env_files: world.facts().env_files(&env_files).await?,
    })
}
