//! This host: the real nix, systemd and Caddy, reached as its config says.

use std::sync::Arc;

use crate::config::{Config, Nix};
use crate::fault::Fault;
use crate::source::secret::SecretFile;
use crate::world::World;
use crate::world::bucket::Reader;
use crate::world::caddy::CaddyRoutes;
use crate::world::facts::HostFacts;
use crate::world::nix::{NixConfig, NixStore, Room};
use crate::world::probes::HostProbes;
use crate::world::stock::{Keeper, Stock};
use crate::world::systemd::Systemd;

/// The machine this program runs on.
pub struct ThisHost {
    store: NixStore,
    units: Systemd,
    routes: CaddyRoutes,
    probes: HostProbes,
    facts: HostFacts,
}

impl ThisHost {
    /// The machine, reached as the host's config says. Nothing is connected yet.
    ///
    /// # Errors
    /// The config names what cannot be used.
    pub fn new(config: &Config) -> Result<Self, Fault> {
        let admin = config
            .caddy
            .admin
            .parse()
            .map_err(|error| Fault::refuse("read caddy.admin of the agent's config", error))?;
        let Nix { substituters, trusted_public_keys, credentials_file } = config.nix.clone();
        let reserve = config.store.reserve;
        let room = Room { reserve, ledger: Some(config.state_directory.clone()) };
        let keeper = Keeper::new(move |url| reader(url, credentials_file.as_ref()));
        let sticks = config.kits();
        let nix =
            NixConfig { room, keeper, sticks, ..NixConfig::new(substituters, trusted_public_keys) };
        Ok(Self {
            store: NixStore::new(nix),
            units: Systemd::new().keeping_in(config.state_directory.join("drift")),
            routes: CaddyRoutes::new(&admin)?,
            probes: HostProbes::new().map_err(|error| Fault::wait("make an HTTP client", error))?,
            facts: HostFacts::default(),
        })
    }
}

/// The keys are read again for each download, and so may be changed at any time.
fn reader(url: &str, keys: Option<&SecretFile>) -> Result<Arc<dyn Stock>, Fault> {
    let keys = keys.map(SecretFile::kept).transpose();
    let keys = keys.map_err(|error| Fault::wait("read the keys to the caches", error))?;
    Ok(Arc::new(Reader::open(url, keys.as_deref())?))
}

impl World for ThisHost {
    type Store = NixStore;
    type Units = Systemd;
    type Routes = CaddyRoutes;
    type Probes = HostProbes;
    type Facts = HostFacts;

    fn store(&self) -> &NixStore {
        &self.store
    }

    fn units(&self) -> &Systemd {
        &self.units
    }

    fn routes(&self) -> &CaddyRoutes {
        &self.routes
    }

    fn probes(&self) -> &HostProbes {
        &self.probes
    }

    fn facts(&self) -> &HostFacts {
        &self.facts
    }
}
