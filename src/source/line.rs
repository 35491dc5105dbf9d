//! The child's line to a git server: HTTP with this host's keys, SSH, or a folder.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::connect::{Options, connect};
use gix::protocol::transport::client::blocking_io::{Transport, http};
use reqwest::blocking::ClientBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Proxy};

use super::access::{HttpKeys, Keys, Login};
use super::git_url::GitUrl;
use super::ssh;
use crate::fault::causes;
use crate::trust::base64;

/// A line, and what has to live as long as it.
pub(super) struct Line {
    pub(super) transport: Box<dyn Transport + Send>,
    pub(super) client: Option<ssh::Client>,
}

impl Line {
    /// Opens it; over HTTP nothing is said yet.
    ///
    /// # Errors
    /// The keys are none, or a program cannot be started; in words for a person.
    pub(super) fn open(url: &GitUrl, keys: &Keys) -> Result<Self, String> {
        match keys {
            Keys::Ssh { key, known_hosts } => {
                let (line, client) = ssh::connect(url, key, known_hosts)?;
                Ok(Self { transport: Box::new(line), client: Some(client) })
            }
            Keys::Http(keys) => plain(url, http_options(keys)?),
            Keys::None => plain(url, http_options(&HttpKeys::default())?),
        }
    }
}

fn plain(url: &GitUrl, http: http::Options) -> Result<Line, String> {
    let url = gix::url::parse(url.as_str()).map_err(|error| causes(&error))?;
    let options = Options { version: Protocol::V2, ..Options::default() };
    let mut transport = connect(url, options).map_err(|error| causes(&error))?;
    transport.configure(&http).map_err(|error| causes(&error))?;
    Ok(Line { transport, client: None })
}

/// No redirects: they would let whoever answers choose another server, and the
/// config names the one that is meant.
fn http_options(keys: &HttpKeys) -> Result<http::Options, String> {
    let configure = client(keys)?;
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(move |builder| Ok(configure(builder)))),
        configure_request: None,
    };
    Ok(http::Options {
        follow_redirects: http::options::FollowRedirects::None,
        connect_timeout: Some(Duration::from_secs(20)),
        backend: Some(Arc::new(Mutex::new(backend))),
        ..http::Options::default()
    })
}

/// How the HTTP client is made, with everything parsed beforehand, so that a bad
/// certificate is told as what it is.
fn client(
    keys: &HttpKeys,
) -> Result<impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static, String> {
    let authorities = keys.ca.as_deref().map(authorities).transpose()?;
    let identity = keys.identity.as_deref().map(identity).transpose()?;
    let proxy = keys.proxy.as_deref().map(proxy).transpose()?;
    let login = keys.login.as_ref().map(authorization).transpose()?;
    Ok(move |mut builder: ClientBuilder| {
        if let Some(authorities) = &authorities {
            builder = builder.tls_certs_only(authorities.clone());
        }
        if let Some(identity) = &identity {
            builder = builder.identity(identity.clone());
        }
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(login) = &login {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, login.clone())]);
            builder = builder.default_headers(headers).https_only(true);
        }
        builder
    })
}

fn authorities(pem: &str) -> Result<Vec<Certificate>, String> {
    let bad = |why: &str| format!("the file that `ca` names holds no certificates in PEM: {why}");
    let found = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| bad(&causes(&e)))?;
    if found.is_empty() { Err(bad("there is none")) } else { Ok(found) }
}

fn identity(pem: &str) -> Result<Identity, String> {
    Identity::from_pem(pem.as_bytes()).map_err(|error| {
        let why = causes(&error);
        format!("clientCertificate and clientKey are no certificate and key in PEM: {why}")
    })
}

fn proxy(url: &str) -> Result<Proxy, String> {
    Proxy::all(url).map_err(|error| format!("proxy {url}: {}", causes(&error)))
}

fn authorization(login: &Login) -> Result<HeaderValue, String> {
    let text = match login {
        Login::Bearer(token) => format!("Bearer {token}"),
        Login::Basic { user, password } => {
            let bare = base64::encode_unpadded(format!("{user}:{password}").as_bytes());
            let padding = "=".repeat((4 - bare.len() % 4) % 4);
            format!("Basic {bare}{padding}")
        }
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| "the token or password holds characters that no header takes".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_spelled_as_servers_read_it() {
        let basic = |user: &str, password: &str| {
            let login = Login::Basic { user: user.into(), password: password.into() };
            authorization(&login).unwrap().to_str().unwrap().to_owned()
        };
        // The example of RFC 7617.
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("a", "b"), "Basic YTpi");
        let bearer = authorization(&Login::Bearer("x".into())).unwrap();
        assert_eq!(bearer.to_str().unwrap(), "Bearer x");
        assert!(bearer.is_sensitive());
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        for pem in ["", "nothing", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(authorities(pem).unwrap_err().contains("`ca`"), "{pem}");
            assert!(identity(pem).unwrap_err().contains("clientKey"), "{pem}");
        }
    }
}
