//! Before anything is stopped: what a generation is about to take of the host is nobody else's.

use std::collections::BTreeMap;

use super::Agent;
use crate::fault::Fault;
use crate::manifest::Desired;
use crate::names::{AccountName, Literal, ServiceName};
use crate::plan::Waiting;
use crate::plan::observed::{Observed, ObservedRoutes};
use crate::plan::unit::has_state_directory;
use crate::world::{Facts as _, Foreign, Wanted, World};

/// Each state directory and port that a service is about to have for the first time.
struct Claims {
    directories: BTreeMap<Literal, (ServiceName, Option<AccountName>)>,
    ports: BTreeMap<u16, ServiceName>,
}

impl<W: World> Agent<W> {
    /// Directories that exist and were not made for the service that asks for them, and
    /// ports on which others listen.
    pub(super) async fn foreign<S>(
        &self,
        desired: &Desired<S>,
        observed: &Observed,
    ) -> Result<Vec<Waiting>, Fault> {
        let claims = Claims::of(desired, observed);
        let mut waiting = Vec::new();
        let mut wanted =
            Wanted { directories: BTreeMap::new(), ports: claims.ports.keys().copied().collect() };
        for (directory, (service, account)) in &claims.directories {
            match self.ledger.owner_of_state(directory)? {
                Some(owner) if owner == *service => {}
                Some(owner) => waiting.push(Waiting::StateDirectory {
                    service: service.clone(),
                    directory: directory.clone(),
                    owner: Some(owner),
                }),
                None => {
                    wanted.directories.insert(directory.clone(), account.clone());
                }
            }
        }
        if wanted == Wanted::default() {
            return Ok(waiting);
        }
        let Foreign { directories, ports } = self.world.facts().foreign(&wanted).await?;
        waiting.extend(directories.into_iter().filter_map(|directory| {
            let (service, _) = claims.directories.get(&directory)?;
            Some(Waiting::StateDirectory { service: service.clone(), directory, owner: None })
        }));
        waiting.extend(ports.into_iter().filter_map(|(port, by)| {
            Some(Waiting::Port { service: claims.ports.get(&port)?.clone(), port, by })
        }));
        Ok(waiting)
    }

    /// Remembers for which services the directories are made that a generation brings.
    pub(super) fn own_state<S>(&self, desired: &Desired<S>) -> Result<(), Fault> {
        let services = desired.services.values();
        let directories = services.flat_map(|service| {
            let own = service.systemd.state_directory.iter();
            own.map(|directory| (directory.clone(), service.name.clone()))
        });
        Ok(self.ledger.own_state(&directories.collect())?)
    }
}

impl Claims {
    fn of<S>(desired: &Desired<S>, observed: &Observed) -> Self {
        let mut claims = Self { directories: BTreeMap::new(), ports: BTreeMap::new() };
        let routes = match &observed.routes {
            ObservedRoutes::Up { config, .. } => config.to_string(),
            ObservedRoutes::Down { .. } => String::new(),
        };
        for service in desired.services.values() {
            let unit = observed.units.get(&service.name.unit());
            let before = unit.and_then(|unit| unit.file.as_deref());
            let account = service.process_of_somebody().and_then(|exec| exec.user.clone());
            for directory in &service.systemd.state_directory {
                // What its unit has already was its own before this program kept a record.
                if !before.is_some_and(|text| has_state_directory(text, directory)) {
                    let claim = (service.name.clone(), account.clone());
                    claims.directories.insert(directory.clone(), claim);
                }
            }
            // A port that Caddy leads to already was looked at when it came.
            let ports = service.http.iter().filter_map(|route| route.internal_port);
            let new = ports.filter(|port| !routes.contains(&format!(":{port}\"")));
            claims.ports.extend(new.map(|port| (port, service.name.clone())));
        }
        claims
    }
}
