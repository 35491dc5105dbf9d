//! A host's config as an operator's checkout knows it: what is pinned, and from where closures come.

use std::fmt;

use serde::Serialize;
use toml_edit::Value;

use super::basis::{Origin, PinArgs, pinned};
use super::cache_config::CacheConfig;
use super::{Blame, Failure};
use crate::config::Config;
use crate::names::{CommitId, Fingerprint, HostName};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::source::git_url::GitUrl;
use crate::trust::Pins;
use crate::world::nix::SecretKey;

/// Where hosts fetch from, as git's config has it.
pub(super) const URL: &str = "writ.url";

/// What `/etc/writ/agent.toml` has to say; its JSON has the same keys.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostConfig {
    pub(super) host: HostName,
    pub(super) repository: Repository,
    pub(super) nix: Caches,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub(super) id: String,
    /// None where nobody has said from where hosts fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    pub(super) branch: String,
    /// None for sha1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_format: Option<String>,
    pub(super) introduction: CommitId,
    pub(super) introducer: Fingerprint,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Caches {
    pub(super) substituters: Vec<String>,
    pub(super) trusted_public_keys: Vec<String>,
}

impl HostConfig {
    /// The config of a host of this checkout; `url` is where somebody says it fetches from.
    ///
    /// # Errors
    /// It is no deploy repository, or what git's config names cannot be used.
    pub(super) fn of_checkout(
        checkout: &Checkout,
        host: &HostName,
        pins: &PinArgs,
        url: Option<String>,
    ) -> Result<Self, Failure> {
        let unusable = |error| Failure::new(Blame::Usage, &error);
        let (objects, head) = checkout::history(checkout.root(), "HEAD").map_err(unusable)?;
        let origin = pins.origin(checkout, &head)?.ok_or_else(super::basis::no_policy)?;
        if let Origin::HostConfig(config) = origin {
            return Ok(Self::like(&config, host, url));
        }
        let (Origin::Introduction(introduction) | Origin::History(introduction)) = origin else {
            return Err(super::basis::no_policy());
        };
        let pins = pinned(checkout, &objects, introduction)?;
        let url = match url {
            Some(url) => Some(url),
            None => fetched_from(checkout)?,
        };
        let nix = Caches::of_checkout(checkout)?;
        Ok(Self::new(host, &pins, &object_format(checkout)?, url, nix))
    }

    pub(super) fn new(
        host: &HostName,
        pins: &Pins,
        object_format: &str,
        url: Option<String>,
        nix: Caches,
    ) -> Self {
        let (id, branch) = pins.channel.rsplit_once(':').unwrap_or((&pins.channel, "main"));
        let object_format = Some(object_format.to_owned()).filter(|format| format != "sha1");
        let repository = Repository {
            id: id.to_owned(),
            url,
            branch: branch.to_owned(),
            object_format,
            introduction: pins.introduction.clone(),
            introducer: pins.introducer.clone(),
        };
        Self { host: host.clone(), repository, nix }
    }

    /// The config of another host, which pins the same.
    fn like(config: &Config, host: &HostName, url: Option<String>) -> Self {
        let format = match config.repository.introduction.as_str().len() {
            40 => "sha1",
            _ => "sha256",
        };
        let nix = Caches {
            substituters: config.nix.substituters.clone(),
            trusted_public_keys: config.nix.trusted_public_keys.clone(),
        };
        let own = config.repository.url.as_ref().map(ToString::to_string);
        Self::new(host, &config.pins(), format, url.or(own), nix)
    }

    /// # Errors
    /// A host would not take it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        Config::parse(&self.to_string()).map(drop).map_err(|why| Failure {
            message: format!("the host would not take this config: {why}"),
            hint: Some(format!("name another URL with --url, or git config {URL}")),
            blame: Blame::Usage,
        })
    }
}

impl Caches {
    /// The caches of git's config, with the public half of the key that signs there.
    ///
    /// # Errors
    /// The key cannot be read.
    pub(super) fn of_checkout(checkout: &Checkout) -> Result<Self, Failure> {
        let config = CacheConfig(checkout);
        let key = config.key()?.map(|file| SecretKey::read(&file)).transpose()?;
        let trusted_public_keys = key.map(|key| key.public().to_string()).into_iter().collect();
        Ok(Self { substituters: config.all()?, trusted_public_keys })
    }
}

/// The kind of ids that a repository has.
pub(super) fn object_format(checkout: &Checkout) -> Result<String, Failure> {
    Ok(checkout.run(&["rev-parse", "--show-object-format"])?)
}

/// What git's config says that hosts fetch from, or else the remote `origin`; a folder of
/// this machine as the URL that hosts take.
fn fetched_from(checkout: &Checkout) -> Result<Option<String>, Failure> {
    if let Some(url) = checkout.ask(&["config", URL])? {
        return Ok(Some(url));
    }
    let Some(origin) = checkout.ask(&["remote", "get-url", "origin"])? else { return Ok(None) };
    Ok(Some(match origin.starts_with('/') {
        true => format!("file://{origin}"),
        false => origin,
    }))
}

/// As a person puts it into the file.
impl fmt::Display for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, repository, nix } = self;
        let Repository { id, url, branch, object_format, introduction, introducer } = repository;
        writeln!(f, "# /etc/writ/agent.toml on {host}\nhost = \"{host}\"\n\n[repository]")?;
        writeln!(f, "id           = {}", Value::from(id))?;
        match url {
            Some(url) => writeln!(f, "url          = {}", Value::from(url))?,
            None => {
                let placeholder = "\"https://git.example.org/deploy.git\"   # where you push to";
                writeln!(f, "url          = {placeholder}")?;
            }
        }
        writeln!(f, "branch       = {}", Value::from(branch))?;
        if let Some(format) = object_format {
            writeln!(f, "objectFormat = {}", Value::from(format))?;
        }
        writeln!(f, "introduction = \"{introduction}\"\nintroducer   = \"{introducer}\"\n\n[nix]")?;
        let hint = |list: &[String], hint: &'static str| if list.is_empty() { hint } else { "" };
        let caches = hint(&nix.substituters, "   # your binary caches");
        writeln!(f, "substituters      = {}{caches}", list(&nix.substituters))?;
        let keys = hint(&nix.trusted_public_keys, "   # and the keys that sign what they hold");
        writeln!(f, "trustedPublicKeys = {}{keys}", list(&nix.trusted_public_keys))
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| Value::from(text).to_string()).collect();
    format!("[{}]", texts.join(", "))
}

/// Whether a URL is one that hosts fetch from without more than a line of config.
pub(super) fn is_fetched_plainly(url: &str) -> bool {
    !url.starts_with("ssh://") && url.parse::<GitUrl>().is_ok()
}
