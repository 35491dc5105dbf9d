//! One `[[http]]` table of a service as Caddy's JSON.

use std::cmp::{Ordering, Reverse};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::site::Site;
use super::literal::literal;
use super::place::Port;
use super::{Features, streams};
use crate::manifest::service::{HttpRoute, Https, Service, Work};
use crate::names::ServiceName;

/// A route of ours before its place is known.
#[derive(Debug)]
pub(super) struct Rendered {
    pub id: String,
    pub service: ServiceName,
    pub port: Port,
    pub hosts: Vec<String>,
    pub path: String,
    /// Its certificates come from Caddy's own authority.
    pub internal: bool,
    handle: Vec<Value>,
}

/// The routes of a service in the order they are written: each with the redirect
/// that belongs to it.
pub(super) fn routes(service: &Service) -> impl Iterator<Item = Rendered> + '_ {
    service.http.iter().zip(1usize..).flat_map(move |(http, n)| {
        let id = format!("writ-{}-{n}", service.name);
        let main = target(service, http).map(|target| Rendered {
            hosts: std::iter::once(&http.domain)
                .chain(&http.staging_domain)
                .map(|domain| domain.as_str().to_owned())
                .collect(),
            handle: middleware(http).chain(target).collect(),
            ..blank(service, http, id.clone())
        });
        let redirect = (!http.redirect_from.is_empty()).then(|| Rendered {
            hosts: http.redirect_from.iter().map(|domain| domain.as_str().to_owned()).collect(),
            handle: vec![redirect_to(http)],
            ..blank(service, http, format!("{id}-redirect"))
        });
        main.into_iter().chain(redirect)
    })
}

impl Rendered {
    /// The longest path first: Caddy takes the first route that matches.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        fn key(route: &Rendered) -> impl Ord + '_ {
            (Reverse(route.path.len()), &route.hosts, &route.id)
        }
        key(self).cmp(&key(other))
    }

    /// Whether a route of ours that Caddy has answers for the same names and paths.
    pub(super) fn answers_as(&self, served: &Value) -> bool {
        let hosts = served.pointer("/match/0/host");
        hosts == Some(&json!(self.hosts))
            && served.pointer("/match/0/path") == path_patterns(&self.path).as_ref()
    }

    /// The route in a server that may be shared by both protocols.
    pub(super) fn to_caddy(&self, shared: bool, features: Features) -> Value {
        let mut matcher = Map::new();
        matcher.insert("host".into(), json!(self.hosts));
        if let Some(paths) = path_patterns(&self.path) {
            matcher.insert("path".into(), paths);
        }
        if shared {
            let protocol = match self.port {
                Port::Https => "https",
                Port::Http => "http",
            };
            matcher.insert("protocol".into(), protocol.into());
        }
        let mut handle = self.handle.clone();
        streams::kept(&mut handle, features);
        // Not `json!` of all of it, which makes every value anew: there may be a thousand.
        let fields: [(&str, Value); 4] = [
            ("@id", self.id.as_str().into()),
            ("match", vec![Value::from(matcher)].into()),
            ("handle", handle.into()),
            ("terminal", true.into()),
        ];
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

fn blank(service: &Service, http: &HttpRoute, id: String) -> Rendered {
    Rendered {
        id,
        service: service.name.clone(),
        port: match http.https {
            Https::Auto | Https::Internal => Port::Https,
            Https::Off => Port::Http,
        },
        hosts: Vec::new(),
        path: http.path.clone(),
        internal: http.https == Https::Internal,
        handle: Vec::new(),
    }
}

/// `/api` is `/api` and all below it, `/api/` only what is below; `/` is everything.
fn path_patterns(path: &str) -> Option<Value> {
    match path {
        "/" => None,
        _ if path.ends_with('/') => Some(json!([format!("{path}*")])),
        _ => Some(json!([path, format!("{path}/*")])),
    }
}

/// What every answer passes through. Headers are set last (`deferred`), so that
/// they replace those of the service and are not sent beside them.
fn middleware(http: &HttpRoute) -> impl Iterator<Item = Value> {
    let set: Map<String, Value> = http
        .headers
        .iter()
        .map(|(name, value)| (literal(name).into_owned(), json!([literal(value.as_str())])))
        .collect();
    let headers = (!set.is_empty())
        .then(|| json!({ "handler": "headers", "response": { "deferred": true, "set": set } }));
    let encode = http.compress.then(|| {
        json!({
            "handler": "encode",
            "encodings": { "gzip": {}, "zstd": {} },
            "prefer": ["zstd", "gzip"],
        })
    });
    headers.into_iter().chain(encode)
}

/// Who answers; nobody where a process has no port, which a checked manifest excludes.
fn target(service: &Service, http: &HttpRoute) -> Option<Vec<Value>> {
    match &service.work {
        // The path that was looked through: no link on the way leads out of the closure,
        // and nothing in the store changes, so what Caddy finds there is what was seen.
        Work::Static { .. } => Site::of(service).map(|site| files(&site.folder())),
        Work::Daemon { .. } | Work::Oneshot { .. } | Work::Job { .. } => {
            http.internal_port.map(|port| vec![proxy(port)])
        }
    }
}

/// A request that finds nobody listening waits for the service to come back: a
/// restart loses none.
fn proxy(port: u16) -> Value {
    json!({
        "handler": "reverse_proxy",
        "upstreams": [{ "dial": format!("127.0.0.1:{port}") }],
        "load_balancing": { "try_duration": "5s", "try_interval": "100ms" },
    })
}

/// Files of a closure.
///
/// Every file of the store has the modification time 1, and Caddy up to 2.7 makes
/// its validator from time and size alone: a new version of equal size would count
/// as unchanged. So the validator is made from the store path, and Caddy is kept
/// from comparing its own.
fn files(root: &str) -> Vec<Value> {
    let digest = Sha256::digest(root.as_bytes());
    let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    vec![
        json!({
            "handler": "headers",
            "response": {
                "deferred": true,
                "set": { "Etag": [format!("\"{tag}\"")] },
                "delete": ["Last-Modified"],
            },
        }),
        json!({
            "handler": "subroute",
            "routes": [{
                "match": [{
                    "method": ["GET", "HEAD"],
                    "header": { "If-None-Match": [format!("*{tag}*")] },
                }],
                "handle": [{ "handler": "static_response", "status_code": 304 }],
                "terminal": true,
            }],
        }),
        json!({
            "handler": "headers",
            "request": { "delete": ["If-None-Match", "If-Modified-Since"] },
        }),
        json!({ "handler": "file_server", "root": literal(root) }),
    ]
}

/// The one placeholder that is meant: the request's own path and query.
fn redirect_to(http: &HttpRoute) -> Value {
    let scheme = match http.https {
        Https::Auto | Https::Internal => "https",
        Https::Off => "http",
    };
    json!({
        "handler": "static_response",
        "status_code": 308,
        "headers": { "Location": [format!("{scheme}://{}{{http.request.uri}}", http.domain)] },
    })
}
