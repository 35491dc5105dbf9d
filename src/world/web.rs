//! A binary cache over HTTP, read as an operator's browser would.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};

use super::certificate::explained;
use super::depot::{Depot, Saved, Sink};
use super::netrc::{Login, Netrc};
use super::shelf::{TEXT, location};
use crate::fault::{Fault, causes};

const CONNECT: Duration = Duration::from_secs(20);
/// Without a byte for this long, the server is taken to be gone.
const SILENCE: Duration = Duration::from_secs(60);

/// A cache that anybody may read, or whoever has a password in nix's netrc.
#[derive(Clone)]
pub struct Web {
    url: String,
    client: Client,
    login: Result<Option<Login>, String>,
}

impl Web {
    /// Asks no server yet.
    ///
    /// # Errors
    /// This machine's certificates cannot be read.
    pub fn of_url(url: &str, netrc: Option<&Netrc>) -> Result<Self, Fault> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Fault::wait(format!("use {url}"), causes(&error)))?;
        let host = Url::parse(location(url)).ok();
        let host = host.as_ref().and_then(|url| url.host_str());
        let login = netrc.zip(host).map_or(Ok(None), |(netrc, host)| netrc.login(host));
        Ok(Self { url: url.to_owned(), client, login })
    }

    /// `None`: it is not there.
    async fn ask(&self, name: &str) -> Result<Option<Response>, Fault> {
        let location = location(&self.url);
        let mut request = self.client.get(format!("{location}/{name}"));
        if let Ok(Some(Login { user, password })) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        let asked = request.send().await;
        let answer = asked.map_err(|error| self.lost(name, &error))?;
        match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unwelcome(name)),
            status if !status.is_success() => {
                Err(self.fault(name, format!("it answered {status}")))
            }
            _ => Ok(Some(answer)),
        }
    }

    fn unwelcome(&self, name: &str) -> Fault {
        match &self.login {
            Ok(Some(_)) => self
                .fault(name, "the cache does not take the password of nix's netrc")
                .remedy("nix config show netrc-file tells where it is"),
            Ok(None) => self.fault(name, "the cache asks for a password").remedy(
                "write it where nix finds it, too (nix config show netrc-file): machine HOST login … password …",
            ),
            Err(why) => self
                .fault(name, format!("the cache asks for a password, and nix's netrc cannot be used: {why}"))
                .remedy("let nix fetch it, as root: nix copy --from CACHE PATH; then run this again"),
        }
    }

    fn lost(&self, name: &str, error: &reqwest::Error) -> Fault {
        explained(self.fault(name, causes(error)).remedy("see that the cache is up"))
    }

    fn fault(&self, name: &str, because: impl std::fmt::Display) -> Fault {
        Fault::wait(format!("read {name} of {}", self.url), because)
    }
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Depot for Web {
    fn name(&self) -> &str {
        &self.url
    }

    async fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(mut answer) = self.ask(name).await? else { return Ok(None) };
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.lost(name, &error))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > TEXT {
                return Err(self.fault(name, "it is too long for a text of a cache"));
            }
        }
        Ok(Some(body))
    }

    async fn save(&self, name: &str, mut into: Sink) -> Result<Saved, Fault> {
        let answer = self.ask(name).await?;
        let mut answer = answer.ok_or_else(|| self.fault(name, "it is not there"))?;
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.lost(name, &error))? {
            into.write(&chunk).map_err(|error| self.fault(name, error))?;
        }
        into.done().map_err(|error| self.fault(name, error))
    }
}
