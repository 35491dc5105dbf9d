//! Asks this host's Caddy for a page, as a visitor who was sent here by the name would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use tokio::net::TcpStream;

use super::{HostProbes, innermost};
use crate::plan::routes::RouteCheck;
use crate::world::Visits;

/// Longer than Caddy itself waits for a service that is just starting.
const PATIENCE: Duration = Duration::from_secs(8);

/// Every name leads to this host.
struct Here;

impl Resolve for Here {
    fn resolve(&self, _: Name) -> Resolving {
        // The port is the URL's.
        let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Box::pin(async move { Ok(Box::new(std::iter::once(here)) as Addrs) })
    }
}

/// A client that knows no other host, and takes whatever certificate Caddy shows:
/// whether others trust it is not the question.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    patient_for(PATIENCE)
}

fn patient_for(patience: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Here))
        .tls_danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(0)
        .timeout(patience)
        .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Visits for HostProbes {
    async fn visit(&self, route: &RouteCheck) -> Result<(), String> {
        let RouteCheck { domain, path, port, tls, .. } = route;
        let scheme = if *tls { "https" } else { "http" };
        let url = format!("{scheme}://{domain}:{port}{path}");
        match self.visitor.get(&url).send().await {
            Ok(answer) if is_caddys(&answer) => {
                Err(format!("GET {} answered {}", route.url(), answer.status()))
            }
            Ok(_) => Ok(()),
            // Caddy is there. It has no certificate for the name yet, or asks visitors for
            // theirs, or the service takes its time: waiting here mends none of that.
            Err(_) if listens(*port).await => Ok(()),
            Err(error) => Err(format!("GET {}: {}", route.url(), innermost(&error))),
        }
    }
}

/// What Caddy says where nobody behind it answers: a status and no page. A service that
/// is a gateway itself has the same to say of those behind it, and says it in words.
fn is_caddys(answer: &Response) -> bool {
    let status = [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(&answer.status());
    status && answer.content_length() == Some(0)
}

async fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_service_that_takes_its_time_is_there() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let visitor = patient_for(Duration::from_millis(50)).unwrap();
        let probes = HostProbes { http: visitor.clone(), visitor };
        let route = RouteCheck {
            service: "web".parse().unwrap(),
            domain: "web.acme.example".parse().unwrap(),
            path: "/".to_owned(),
            port: listener.local_addr().unwrap().port(),
            tls: false,
            within: Duration::ZERO,
        };
        probes.visit(&route).await.unwrap();
        drop(listener);
        probes.visit(&route).await.unwrap_err();
    }
}
