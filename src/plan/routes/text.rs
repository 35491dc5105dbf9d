//! Routes as a person reads them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::literal::plain;
use super::place::{self, INTERNAL_POLICY};

/// One route of ours: where it answers and what answers there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteText {
    /// Its `@id` in Caddy's configuration.
    pub id: String,
    /// `https://example.com/api`, one for each host.
    pub urls: Vec<String>,
    pub certificate: Certificate,
    /// `127.0.0.1:8000`, `/nix/store/…/share/www` or `redirect to https://example.com`.
    pub target: String,
}

/// Where the certificate of a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Caddy's automatic HTTPS, or what its own configuration says.
    Auto,
    /// Caddy's own authority.
    Internal,
    /// Plain HTTP.
    None,
}

/// How one route of ours changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum RouteLine {
    Added {
        to: RouteText,
    },
    Removed {
        from: RouteText,
    },
    Changed {
        from: RouteText,
        to: RouteText,
    },
    /// It is the same and is put into another server, or in front of a route that
    /// took its requests.
    Moved {
        to: RouteText,
    },
}

impl fmt::Display for RouteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.urls.join(", "), self.target)?;
        match self.certificate {
            Certificate::Internal => f.write_str(" (certificate of Caddy's own authority)"),
            Certificate::Auto | Certificate::None => Ok(()),
        }
    }
}

impl fmt::Display for RouteLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { to } => write!(f, "add route {to}"),
            Self::Removed { from } => write!(f, "remove route {from}"),
            Self::Changed { from, to } if from == to => write!(f, "change settings of route {to}"),
            Self::Changed { from, to } => write!(f, "change route {from} to {to}"),
            Self::Moved { to } => write!(f, "put route {to} back in its place"),
        }
    }
}

/// Every route of ours in a configuration.
pub(super) fn listed(config: &Value) -> Vec<RouteText> {
    placed(config).into_values().map(|route| route.text).collect()
}

/// What becomes of our routes between two configurations, by `@id`.
pub(super) fn difference(before: &Value, after: &Value) -> Vec<RouteLine> {
    let (old, new) = (placed(before), placed(after));
    let gone = old.iter().filter(|(id, _)| !new.contains_key(*id));
    let gone = gone.map(|(id, old)| (*id, RouteLine::Removed { from: old.text.clone() }));
    let kept = new.iter().filter_map(|(id, new)| Some((*id, line(old.get(id), new)?)));
    let lines: BTreeMap<&str, RouteLine> = gone.chain(kept).collect();
    if lines.is_empty() && before != after {
        return new.into_values().map(|route| RouteLine::Moved { to: route.text }).collect();
    }
    lines.into_values().collect()
}

fn line(old: Option<&Placed<'_>>, new: &Placed<'_>) -> Option<RouteLine> {
    let to = new.text.clone();
    match old {
        None => Some(RouteLine::Added { to }),
        Some(old) if old.text != new.text || old.route != new.route => {
            Some(RouteLine::Changed { from: old.text.clone(), to })
        }
        Some(old) if old.server != new.server => Some(RouteLine::Moved { to }),
        Some(_) => None,
    }
}

/// A route of ours and where it stands.
struct Placed<'a> {
    text: RouteText,
    route: &'a Value,
    server: &'a str,
}

fn placed(config: &Value) -> BTreeMap<&str, Placed<'_>> {
    place::servers(config)
        .flat_map(|(name, server)| {
            owned_in(server).map(move |(id, route)| {
                let text = describe(config, server, id, route);
                (id, Placed { text, route, server: name })
            })
        })
        .collect()
}

/// The routes of ours in a server, by `@id`.
pub(super) fn owned_in(server: &Value) -> impl Iterator<Item = (&str, &Value)> {
    place::routes(server).iter().filter_map(|route| Some((place::owned_id(route)?, route)))
}

fn describe(config: &Value, server: &Value, id: &str, route: &Value) -> RouteText {
    let matcher = route.pointer("/match/0");
    let list = |key: &str| -> Vec<&str> {
        let values = matcher.and_then(|m| m.get(key)).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let hosts = list("host");
    let path = list("path").first().map_or("/", |path| path.trim_end_matches('*'));
    let certificate = certificate(config, server, matcher, &hosts);
    let scheme = if certificate == Certificate::None { "http" } else { "https" };
    RouteText {
        id: id.to_owned(),
        urls: hosts.iter().map(|host| format!("{scheme}://{host}{path}")).collect(),
        certificate,
        target: target(route),
    }
}

fn certificate(
    config: &Value,
    server: &Value,
    matcher: Option<&Value>,
    hosts: &[&str],
) -> Certificate {
    let internal =
        |policy: &Value| policy.get("@id").and_then(Value::as_str) == Some(INTERNAL_POLICY);
    if place::serves_plain_http(config, server, matcher) {
        Certificate::None
    } else if hosts.iter().all(|host| place::policy_of(config, host).is_some_and(internal)) {
        Certificate::Internal
    } else {
        Certificate::Auto
    }
}

/// What the last handler of a route does.
fn target(route: &Value) -> String {
    let handler = route.get("handle").and_then(Value::as_array).and_then(|list| list.last());
    let text = |path: &str| handler.and_then(|h| h.pointer(path)).and_then(Value::as_str);
    if let Some(address) = text("/upstreams/0/dial") {
        address.to_owned()
    } else if let Some(root) = text("/root") {
        plain(root)
    } else if let Some(location) = text("/headers/Location/0") {
        format!("redirect to {}", location.trim_end_matches("{http.request.uri}"))
    } else {
        "a handler that Writ did not write".to_owned()
    }
}
