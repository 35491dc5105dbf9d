//! Where Caddy's admin endpoint may be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where Caddy's admin endpoint is; nowhere but on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// `http://localhost:2019`: scheme, loopback host and port, nothing more.
    Tcp(String),
    /// `unix:///run/caddy/admin.sock`.
    Unix(PathBuf),
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(base) => f.write_str(base),
            Self::Unix(socket) => write!(f, "unix://{}", socket.display()),
        }
    }
}

/// Text that is not the address of a Caddy on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the address of Caddy's admin endpoint \
     (http://localhost:2019 or another loopback address, or unix:///run/caddy/admin.sock)"
)]
pub struct BadAdmin(String);

impl FromStr for Admin {
    type Err = BadAdmin;

    fn from_str(text: &str) -> Result<Self, BadAdmin> {
        let bad = || BadAdmin(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(bad()) };
        }
        let url = reqwest::Url::parse(text).map_err(|_| bad())?;
        let loopback = match url.host_str().ok_or_else(bad)? {
            "localhost" => true,
            host => host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback()),
        };
        let base = url.as_str().trim_end_matches('/');
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        (loopback && bare && url.scheme() == "http")
            .then(|| Self::Tcp(base.to_owned()))
            .ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_caddy_on_this_machine_is_talked_to() {
        for good in [
            "http://localhost:2019",
            "http://127.0.0.1:2019",
            "http://[::1]:2019",
            "unix:///run/caddy/admin.sock",
        ] {
            assert_eq!(good.parse::<Admin>().unwrap().to_string(), good);
        }
        for bad in [
            "http://example.com:2019",
            "http://10.0.0.1:2019",
            "http://localhost.example.com:2019",
            "https://localhost:2019",
            "http://user@localhost:2019",
            "http://localhost:2019/config",
            "http://localhost:2019?x",
            "unix://run/caddy.sock",
            "localhost:2019",
            "",
        ] {
            assert!(bad.parse::<Admin>().is_err(), "{bad}");
        }
    }
}
