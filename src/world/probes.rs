//! Asks running services whether they are well: over HTTP, over TCP, by a command of theirs.

mod command;
mod visit;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::HOST;
use reqwest::redirect::Policy;
use tokio::net::TcpStream;

use crate::manifest::service::Check;
use crate::names::{Domain, ServiceName};
use crate::world::Probes;

/// How much of an answer's body is read for the error's text.
const LONGEST_BODY: usize = 4096;
/// Characters of an answer that are shown.
const LONGEST_EXCERPT: usize = 200;

/// Probes from this host to its own services, over the loopback interface only.
#[derive(Clone, Debug)]
pub struct HostProbes {
    http: reqwest::Client,
    visitor: reqwest::Client,
}

impl HostProbes {
    /// # Errors
    ///
    /// Where no HTTP client can be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            // A redirect is an answer, and where it leads is not the service.
            .redirect(Policy::none())
            .no_proxy()
            // Each probe finds out whether the service takes new connections.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, visitor: visit::client()? })
    }

    async fn http(&self, port: u16, path: &str, host: Option<&Domain>) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{port}{path}");
        let request = self.http.get(&url);
        let request = match host {
            Some(host) => request.header(HOST, host.as_str()),
            None => request,
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(format!("GET {url}: {}", innermost(&error))),
        };
        let status = answer.status();
        if status.as_u16() < 400 {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= LONGEST_BODY {
                break;
            }
        }
        Err(with_excerpt(format!("GET {url} answered {status}"), &body))
    }
}

impl Probes for HostProbes {
    async fn ask(
        &self,
        service: &ServiceName,
        check: &Check,
        timeout: Duration,
    ) -> Result<(), String> {
        let answer = async {
            match check {
                Check::Active => Ok(()),
                Check::Http { port, path, host } => self.http(*port, path, host.as_ref()).await,
                Check::Tcp { port } => tcp(*port).await,
                Check::Command { command, args } => {
                    command::run(service, command, args, timeout).await
                }
            }
        };
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{}: no answer within {timeout:?}", name(check))),
        }
    }
}

/// What is asked, for a person.
fn name(check: &Check) -> String {
    match check {
        Check::Active => "nothing".to_owned(),
        Check::Http { port, path, .. } => format!("GET http://127.0.0.1:{port}{path}"),
        Check::Tcp { port } => format!("connect to 127.0.0.1:{port}"),
        Check::Command { command, .. } => command.to_string(),
    }
}

async fn tcp(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect(address).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("connect to {address}: {error}")),
    }
}

/// The cause that says what happened (`Connection refused`), below those that
/// say what was being done.
fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().unwrap_or(error).to_string()
}

/// Adds the first line of what came back, made fit to be shown.
fn with_excerpt(said: String, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return said;
    };
    let shown: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_EXCERPT).collect();
    format!("{said}: {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_first_line_that_says_something() {
        let said = |body: &str| with_excerpt("503".to_owned(), body.as_bytes());
        assert_eq!(said("\n  database is down\nmore"), "503: database is down");
        assert_eq!(said("\u{1b}[31mred"), "503: [31mred");
        assert_eq!(said(" \n"), "503");
        assert_eq!(said(&"x".repeat(1000)), format!("503: {}", "x".repeat(LONGEST_EXCERPT)));
    }
}
