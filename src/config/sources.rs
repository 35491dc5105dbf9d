//! The tables `[[source]]`: where the branch is seen, and what each place wants to see
//! of this host.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Config, ConfigError, some_duration};
use crate::source::access::{Access, HttpAccess, Identity, SshAccess};
use crate::source::bundles::{BundleSource, Place};
use crate::source::git::GitSource;
use crate::source::git_url::{GitScheme, GitUrl};
use crate::source::pack_import::PackImport;
use crate::source::roads::{Road, Source};
use crate::source::secret::SecretFile;

/// One source, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct SourceConfig {
    /// What people call it; its URL where it has no name.
    pub name: String,
    pub place: At,
    /// The longest a fetch from it may take, where that is not `poll.deadline`.
    pub deadline: Option<Duration>,
    /// Whether this host leaves its report beside a kit that lies there.
    pub receipt: bool,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    Git { url: GitUrl, access: Access },
    Bundles(Place),
}

/// One source, as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: Option<String>,
    url: String,
    #[serde(default, deserialize_with = "some_duration")]
    deadline: Option<Duration>,
    token_file: Option<SecretFile>,
    netrc: Option<SecretFile>,
    client_certificate: Option<SecretFile>,
    client_key: Option<SecretFile>,
    ca: Option<SecretFile>,
    proxy: Option<String>,
    key_file: Option<SecretFile>,
    known_hosts: Option<SecretFile>,
    credentials_file: Option<SecretFile>,
    receipt: Option<bool>,
}

/// What a URL begins with, and the keys that mean something there.
const KINDS: [(&str, &[&str]); 6] = [
    ("https://", &["tokenFile", "netrc", "clientCertificate", "clientKey", "ca", "proxy"]),
    ("http://", &["proxy"]),
    ("ssh://", &["keyFile", "knownHosts"]),
    ("file:///", &[]),
    ("s3://", &["credentialsFile"]),
    ("dir:///", &["receipt"]),
];

impl TryFrom<Written> for SourceConfig {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, String> {
        let kind = KINDS.iter().find(|(begins, _)| written.url.starts_with(begins));
        if let Some((begins, known)) = kind {
            written.refuse_strays(begins, known)?;
        }
        let name = written.name.take().unwrap_or_else(|| plain(&written.url).to_owned());
        check_name(&name, &written.url)?;
        let (url, deadline) = (written.url.clone(), written.deadline);
        let receipt = written.receipt.unwrap_or(true);
        let place = written.place().map_err(|why| format!("url {url:?}: {why}"))?;
        Ok(Self { name, place, deadline, receipt })
    }
}

impl Written {
    /// A key that does nothing is taken for one that protects.
    fn refuse_strays(&self, begins: &str, known: &[&str]) -> Result<(), String> {
        let given = [
            ("tokenFile", self.token_file.is_some()),
            ("netrc", self.netrc.is_some()),
            ("clientCertificate", self.client_certificate.is_some()),
            ("clientKey", self.client_key.is_some()),
            ("ca", self.ca.is_some()),
            ("proxy", self.proxy.is_some()),
            ("keyFile", self.key_file.is_some()),
            ("knownHosts", self.known_hosts.is_some()),
            ("credentialsFile", self.credentials_file.is_some()),
            ("receipt", self.receipt.is_some()),
        ];
        let Some((stray, _)) = given.iter().find(|(key, given)| *given && !known.contains(key))
        else {
            return Ok(());
        };
        let home = KINDS.iter().find(|(_, keys)| keys.contains(stray)).map_or("", |(b, _)| *b);
        Err(format!("{stray} means something for {home} only, and this url begins with {begins}"))
    }

    fn place(self) -> Result<At, String> {
        if self.url.starts_with("dir://") && !self.url.starts_with("dir:///") {
            return Err("write a folder as dir:///path".to_owned());
        }
        if self.url.starts_with("s3://") || self.url.starts_with("dir:///") {
            let place = Place { url: self.url, credentials: self.credentials_file };
            return Ok(At::Bundles(place));
        }
        if self.url.contains("://") && !KINDS.iter().any(|(begins, _)| self.url.starts_with(begins))
        {
            let known = KINDS.map(|(begins, _)| begins).join(", ");
            return Err(format!("it begins with none of {known}"));
        }
        let url: GitUrl = self.url.parse()?;
        let access = match url.scheme() {
            GitScheme::Https => Access::Http(self.http()?),
            GitScheme::Http => {
                Access::Http(HttpAccess { proxy: self.checked_proxy()?, ..HttpAccess::default() })
            }
            GitScheme::Ssh => Access::Ssh(self.ssh()?),
            GitScheme::File => Access::Open,
        };
        Ok(At::Git { url, access })
    }

    fn http(self) -> Result<HttpAccess, String> {
        let proxy = self.checked_proxy()?;
        let identity = match (self.client_certificate, self.client_key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            _ => return Err("clientCertificate and clientKey go together".to_owned()),
        };
        if self.token_file.is_some() && self.netrc.is_some() {
            return Err("name either tokenFile or netrc".to_owned());
        }
        Ok(HttpAccess { token: self.token_file, netrc: self.netrc, identity, ca: self.ca, proxy })
    }

    fn ssh(self) -> Result<SshAccess, String> {
        let missing = "an ssh:// source needs keyFile (this host's private key) and knownHosts (the server's public ones)";
        match (self.key_file, self.known_hosts) {
            (Some(key), Some(known_hosts)) => Ok(SshAccess { key, known_hosts }),
            _ => Err(missing.to_owned()),
        }
    }

    fn checked_proxy(&self) -> Result<Option<String>, String> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        if proxy.contains('@') {
            return Err(
                "proxy: a login cannot be given; name one that takes this host as it is".to_owned()
            );
        }
        let url: Result<GitUrl, String> = proxy.parse();
        match url.map(|url| url.scheme()) {
            Ok(GitScheme::Https | GitScheme::Http) => Ok(Some(proxy.clone())),
            Ok(GitScheme::Ssh | GitScheme::File) | Err(_) => {
                Err("proxy: write http://HOST:PORT or https://HOST:PORT".to_owned())
            }
        }
    }
}

/// A URL without what only says how it is reached.
fn plain(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn check_name(name: &str, url: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let fits = (1..=64).contains(&name.len()) && name.chars().all(known);
    match fits || name == plain(url) {
        true => Ok(()),
        false => Err(format!("name {name:?}: 1 to 64 letters, digits and ._- make a name")),
    }
}

impl Config {
    /// Every source, in the order of the config, with `repository.url` first.
    pub fn sources(&self) -> Vec<Road> {
        let first = self.repository.url.iter().map(|url| SourceConfig {
            name: url.to_string(),
            place: At::Git { url: url.clone(), access: Access::Open },
            deadline: None,
            receipt: false,
        });
        let all = first.chain(self.sources.iter().cloned()).map(|source| self.road(source));
        all.collect::<Result<_, _>>().expect("they were looked through when they were read")
    }

    /// The same, each with another deadline than its own.
    pub fn sources_within(mut self, deadline: Duration) -> Vec<Road> {
        self.sources.iter_mut().for_each(|source| source.deadline = None);
        self.poll.deadline = deadline;
        self.sources()
    }

    fn road(&self, source: SourceConfig) -> Result<Road, String> {
        let branch = self.repository.branch.clone();
        let deadline = source.deadline.unwrap_or(self.poll.deadline);
        let program = PathBuf::from("/proc/self/exe");
        let import = PackImport { program: program.clone(), deadline };
        let name = source.name;
        let source = match source.place {
            At::Git { url, access } => {
                Source::Git(GitSource { url, access, branch, deadline, program })
            }
            At::Bundles(place) => Source::Bundles(
                BundleSource::at(place, branch, deadline)
                    .map_err(|why| format!("source {name}: {why}"))?,
            ),
        };
        Ok(Road { name, source, import })
    }

    /// The same config with one source: one that it names, by its name or its URL, or
    /// another that wants to see nothing of this host.
    ///
    /// # Errors
    /// The URL is none that could stand in a config.
    pub fn with_source(mut self, named: &str) -> Result<Self, ConfigError> {
        let bad = |why| ConfigError::NoSource { named: named.to_owned(), why };
        let own = |url: &GitUrl| url.as_str() == named;
        if self.repository.url.as_ref().is_some_and(own) {
            self.sources.clear();
            return Ok(self);
        }
        let known = self.sources.iter().find(|source| source.name == named || source.is_at(named));
        let source = match known {
            Some(source) => source.clone(),
            None => Written::bare(named).try_into().map_err(bad)?,
        };
        self.repository.url = None;
        self.road(source.clone()).map_err(bad)?;
        self.sources = vec![source];
        Ok(self)
    }

    /// The first git server, for what is pushed.
    pub(super) fn git_url(&self) -> Option<&GitUrl> {
        let tables = self.sources.iter().filter_map(|source| match &source.place {
            At::Git { url, .. } => Some(url),
            At::Bundles(_) => None,
        });
        self.repository.url.iter().chain(tables).next()
    }

    /// That there is a source, and that each can be told from the others.
    pub(super) fn check_sources(&self) -> Result<(), String> {
        self.sources.iter().try_for_each(|source| self.road(source.clone()).map(drop))?;
        let sources = self.sources();
        if sources.is_empty() {
            return Err("nothing says where the branch is: set repository.url, or write a table [[source]] with a url".to_owned());
        }
        let mut names = BTreeSet::new();
        match sources.iter().find(|road| !names.insert(&road.name)) {
            Some(twice) => Err(format!(
                "two sources are called {}; give each [[source]] a name of its own",
                twice.name
            )),
            None => Ok(()),
        }
    }
}

impl SourceConfig {
    fn is_at(&self, named: &str) -> bool {
        match &self.place {
            At::Git { url, .. } => url.as_str() == named,
            At::Bundles(place) => place.url == named,
        }
    }
}

impl Written {
    fn bare(url: &str) -> Self {
        Self {
            name: None,
            url: url.to_owned(),
            deadline: None,
            token_file: None,
            netrc: None,
            client_certificate: None,
            client_key: None,
            ca: None,
            proxy: None,
            key_file: None,
            known_hosts: None,
            credentials_file: None,
            receipt: None,
        }
    }
}

/// Only roads whose behaviour is known: `ext::` and option injection end here. One that
/// needs keys has a table of its own.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GitUrl>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bad = |why: &str| de::Error::custom(format!("repository.url: {why}"));
    if text.starts_with("s3://") || text.starts_with("dir://") {
        return Err(bad("write it as `url` of a table [[source]]"));
    }
    let url: GitUrl = text.parse().map_err(|why: String| bad(&why))?;
    match url.scheme() {
        GitScheme::Ssh => {
            Err(bad("an SSH server is written as [[source]], with keyFile and knownHosts"))
        }
        GitScheme::Https | GitScheme::Http | GitScheme::File => Ok(Some(url)),
    }
}

#[cfg(test)]
mod tests;
