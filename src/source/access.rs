//! How a git server is reached: the files that the config names, and what is in them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::git_url::GitUrl;
use super::secret::SecretFile;
use crate::world::netrc;

/// The config's word on a server: names of files, which are read at each fetch, so
/// that a key that is exchanged needs no restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// As anybody.
    #[default]
    Open,
    Http(HttpAccess),
    Ssh(SshAccess),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAccess {
    /// A token, or `user:token`.
    pub token: Option<SecretFile>,
    pub netrc: Option<SecretFile>,
    pub identity: Option<Identity>,
    /// Certificates, the only ones that are believed.
    pub ca: Option<SecretFile>,
    pub proxy: Option<String>,
}

/// Who this host is in TLS, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificate: SecretFile,
    pub key: SecretFile,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAccess {
    pub key: SecretFile,
    pub known_hosts: SecretFile,
}

/// What a fetch needs of those files; it goes to the child over a pipe and nowhere else.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Keys {
    #[default]
    None,
    Http(HttpKeys),
    /// The SSH client reads its files by itself.
    Ssh {
        key: PathBuf,
        known_hosts: PathBuf,
    },
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpKeys {
    pub(super) login: Option<Login>,
    /// Certificate and key.
    pub(super) identity: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) proxy: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Login {
    Bearer(String),
    Basic { user: String, password: String },
}

impl Access {
    /// Reads what is needed for one fetch.
    ///
    /// # Errors
    /// A file cannot be read, is open to others or does not hold what it should; in
    /// words for a person, without what is in it.
    pub(super) fn keys(&self, url: &GitUrl) -> Result<Keys, String> {
        match self {
            Self::Open => Ok(Keys::None),
            Self::Http(http) => http.keys(url).map(Keys::Http),
            Self::Ssh(SshAccess { key, known_hosts }) => {
                Ok(Keys::Ssh { key: key.kept()?, known_hosts: known_hosts.pinned()? })
            }
        }
    }
}

impl HttpAccess {
    fn keys(&self, url: &GitUrl) -> Result<HttpKeys, String> {
        let identity = self.identity.as_ref().map(|Identity { certificate, key }| {
            Ok::<_, String>([certificate.read_pinned()?, key.read()?].join("\n"))
        });
        let ca = self.ca.as_ref().map(SecretFile::read_pinned);
        let (identity, ca) = (identity.transpose()?, ca.transpose()?);
        Ok(HttpKeys { login: self.login(url)?, identity, ca, proxy: self.proxy.clone() })
    }

    fn login(&self, url: &GitUrl) -> Result<Option<Login>, String> {
        if let Some(file) = &self.token {
            let path = file.path();
            let login = token(&file.read()?).map_err(|why| format!("{}: {why}", path.display()))?;
            return Ok(Some(login));
        }
        let Some(file) = &self.netrc else { return Ok(None) };
        let (text, host) = (file.read()?, url.host().unwrap_or_default());
        let found = netrc::login(&text, &host);
        let found = found.map_err(|why| format!("{}: {why}", file.path().display()))?;
        Ok(found.map(|netrc::Login { user, password }| Login::Basic { user, password }))
    }
}

/// What stands in a token's file: `TOKEN`, or `USER:TOKEN` as most forges want it.
fn token(text: &str) -> Result<Login, String> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("it has to hold one line, TOKEN or USER:TOKEN, without blanks".to_owned());
    }
    Ok(match text.split_once(':') {
        Some((user, password)) => {
            Login::Basic { user: user.to_owned(), password: password.to_owned() }
        }
        None => Login::Bearer(text.to_owned()),
    })
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Http(_) => "those of an HTTP server",
            Self::Ssh { .. } => "those of an SSH server",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        assert!(matches!(token("abc\n"), Ok(Login::Bearer(token)) if token == "abc"));
        let Ok(Login::Basic { user, password }) = token("bob:a:b\r\n") else { panic!("no pair") };
        assert_eq!((&*user, &*password), ("bob", "a:b"));
        for bad in ["", "\n", "a b", "a\nb", "a\u{7f}", "ä"] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
    }
}
