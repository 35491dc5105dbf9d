//! How this host asks its own Caddy whether a route answers.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::merge;
use super::place::{self, Port};
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
    let wanted = merge(current, services.clone()).ok().and_then(|merged| merged.config);
    let config = wanted.as_ref().unwrap_or(current);
    services
        .flat_map(|service| service.http.iter().map(move |http| (service, http)))
        .filter_map(|(service, http)| {
            let tls = http.https != Https::Off;
            let port = if tls { Port::Https } else { Port::Http };
            let port = place::asked_at(config, port)?;
            let (domain, path) = (http.domain.clone(), http.path.clone());
            let within = service.health.deadline.min(LONGEST);
            Some(RouteCheck { service: service.name.clone(), domain, path, port, tls, within })
        })
        .collect()
}
