//! How this host asks its own Caddy whether a route answers.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::place::{self, Port};
use super::{Features, merge};
use crate::manifest::service::{Https, Service};
use crate::names::{Domain, ServiceName};

/// The service behind it was seen healthy before it is asked.
const LONGEST: Duration = Duration::from_secs(30);

/// A question to Caddy over the loopback interface, as a visitor would ask it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteCheck {
    pub service: ServiceName,
    pub domain: Domain,
    pub path: String,
    pub port: u16,
    pub tls: bool,
    /// How long it may take until it answers.
    #[serde(skip)]
    pub within: Duration,
}

impl RouteCheck {
    /// `https://example.org/api`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.domain, self.path)
    }
}

/// The routes of services that can be asked from here; one whose server listens on
/// some other address alone cannot.
pub fn asked<'a>(
    current: &Value,
    services: impl Iterator<Item = &'a Service> + Clone,
) -> Vec<RouteCheck> {
    let merged = merge(current, services.clone(), Features::default());
    let config = merged.config.as_ref().unwrap_or(current);
    let contested = |service: &Service, n: usize| {
        let id = format!("writ-{}-{n}", service.name);
        merged.contested.iter().any(|conflict| conflict.id == id)
    };
    services
        .flat_map(|service| service.http.iter().zip(1..).map(move |(http, n)| (service, http, n)))
        .filter(|(service, _, n)| !contested(service, *n))
        .filter_map(|(service, http, _)| {
            let tls = http.https != Https::Off;
            let port = if tls { Port::Https } else { Port::Http };
            let port = place::asked_at(config, port)?;
            let (domain, path) = (http.domain.clone(), http.path.clone());
            let within = service.health.deadline.min(LONGEST);
            Some(RouteCheck { service: service.name.clone(), domain, path, port, tls, within })
        })
        .collect()
}
