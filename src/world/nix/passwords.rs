//! The passwords of web caches, as nix has them. Nix is asked for its netrc when a cache
//! wants a password, and not before: who has public caches starts no process for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::settings;
use crate::world::netrc::{Login, Netrc};

/// How long nix may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);

/// For as long as one download or one question lasts.
pub(super) struct Passwords {
    nix: Box<dyn Fn() -> Command + Send + Sync>,
    netrc: OnceCell<Option<Netrc>>,
    /// By host, what a cache has asked for: so that it need not ask for each file.
    logins: Mutex<BTreeMap<String, Login>>,
}

impl Passwords {
    /// `nix` makes a command that starts nix.
    pub(super) fn of(nix: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self { nix: Box::new(nix), netrc: OnceCell::new(), logins: Mutex::default() }
    }

    /// Reads `url`, with the password where the server wants one and nix has it. The
    /// answer is the server's, also where it lets nobody in.
    pub(super) async fn get(&self, client: &Client, url: &str) -> reqwest::Result<Response> {
        let host = Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned()));
        let host = host.unwrap_or_default();
        let known = self.logins().get(&host).cloned();
        let request = || client.get(url);
        if let Some(Login { user, password }) = known {
            return request().basic_auth(user, Some(password)).send().await;
        }
        let answer = request().send().await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(login) = self.login(&host).await else { return Ok(answer) };
        let Login { user, password } = login.clone();
        self.logins().insert(host, login);
        request().basic_auth(user, Some(password)).send().await
    }

    /// Whether a server was sent one.
    pub(super) fn were_given(&self) -> bool {
        !self.logins().is_empty()
    }

    fn logins(&self) -> MutexGuard<'_, BTreeMap<String, Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn login(&self, host: &str) -> Option<Login> {
        match self.netrc().await?.login(host) {
            Ok(login) => login,
            Err(why) => {
                tracing::debug!("nix's netrc cannot be used: {why}");
                None
            }
        }
    }

    /// Nix's netrc; `None` where nix does not tell.
    pub(super) async fn netrc(&self) -> Option<&Netrc> {
        let ask = || async {
            match timeout(PATIENCE, settings::netrc_file(&self.nix)).await {
                Ok(Ok(path)) => Some(Netrc::OfNix(path)),
                Ok(Err(fault)) => {
                    tracing::debug!("{fault}");
                    None
                }
                Err(_) => None,
            }
        };
        self.netrc.get_or_init(ask).await.as_ref()
    }
}
