//! Reads `[http]`: the domains and paths that Caddy routes to a service.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claim, SharedDomain, Spotted};
use crate::manifest::problem::{Report, Spot};
use crate::manifest::service::{HttpRoute, Https};
use crate::manifest::table::{Field, Table, choice, table, text};
use crate::manifest::tree::{Node, Value};
use crate::manifest::value::Port;
use crate::names::{Domain, Literal, ServiceName};

/// The routes, and what they take from others.
#[derive(Default)]
pub(super) struct Routes<'a> {
    pub(super) routes: Vec<HttpRoute>,
    pub(super) claims: Vec<Spotted<'a, Claim>>,
    /// How each domain comes by its certificate.
    pub(super) https: Vec<Spotted<'a, (Domain, Https)>>,
    pub(super) domains: Vec<Spotted<'a, SharedDomain>>,
}

/// Reads `http`, a table or a list of tables. A route of a process has a port;
/// one of a static service has none.
pub(super) fn read<'a>(service: &Table<'_, 'a>, is_static: bool) -> Routes<'a> {
    let mut routes = Routes::default();
    let Some(entry) = service.entry("http") else { return routes };
    let nodes = match &entry.node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(&entry.node),
    };
    for node in nodes {
        table(node, "[http]", service.report, |table| route(table, is_static, &mut routes));
    }
    routes
}

fn route<'a>(table: &Table<'_, 'a>, is_static: bool, routes: &mut Routes<'a>) {
    let port = port(table, is_static);
    let claimed = port.map(|port| Spotted { value: Claim::Port(port.value.0), at: port.at });
    routes.claims.extend(claimed);
    let path = match table.entry("path") {
        Some(entry) => path(&entry.node, table.report),
        None => Some("/".to_owned()),
    };
    let https = table.entry("https").map_or(Some(Https::Auto), |entry| {
        let words = [("auto", Https::Auto), ("internal", Https::Internal), ("off", Https::Off)];
        choice(&entry.node, table.report, &words)
    });
    if table.entry("domain").is_none() {
        table.lacks("domain", "name the domain: domain = \"example.org\"");
    }
    let domain = table.spotted::<Domain>("domain");
    let staging = table.spotted::<Domain>("stagingDomain");
    let redirects = table.list::<Domain>("redirectFrom");
    let shared = table.list::<ServiceName>("sharedWith");
    let with: BTreeSet<ServiceName> = shared.into_iter().map(|service| service.value).collect();
    let headers = headers(table);
    let compress = table.value("compress").unwrap_or(false);
    let (Some(domain), Some(path)) = (domain, path) else { return };
    for Spotted { value, at } in [&domain].into_iter().chain(&staging).chain(&redirects) {
        // Caddy matches paths in either case.
        let path = path.trim_end_matches('/').to_ascii_lowercase();
        let claim = Claim::Route(value.as_str().to_owned(), path);
        routes.claims.push(Spotted { value: claim, at: *at });
        let shared = SharedDomain { domain: value.clone(), with: with.clone() };
        routes.domains.push(Spotted { value: shared, at: *at });
        routes.https.extend(https.map(|https| Spotted { value: (value.clone(), https), at: *at }));
    }
    routes.routes.push(HttpRoute {
        domain: domain.value,
        path,
        internal_port: port.map(|port| port.value.0),
        https: https.unwrap_or(Https::Auto),
        staging_domain: staging.map(|domain| domain.value),
        redirect_from: redirects.into_iter().map(|domain| domain.value).collect(),
        headers,
        compress,
    });
}

/// The port of a process; a static service has none.
fn port<'a>(table: &Table<'_, 'a>, is_static: bool) -> Option<Spotted<'a, Port>> {
    let port = table.spotted::<Port>("internalPort");
    let Some(at) = table.spot("internalPort") else {
        if !is_static {
            table.lacks("internalPort", "write the loopback port that the service listens on");
        }
        return None;
    };
    if is_static {
        let what = "a static service has no `internalPort`: Caddy serves its files itself";
        table.report.add(at, what, "remove `internalPort`, or `[static]`");
        return None;
    }
    port
}

/// RFC 3986, section 3.3, `pchar` without `%` and `*`: what is encoded could be
/// meant differently by Caddy and by the service, and `*` is Caddy's wildcard.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte)
}

fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/') else { return false };
    let mut segments: Vec<&str> = rest.split('/').collect();
    // The last may be empty: a trailing slash.
    if segments.last() == Some(&"") {
        segments.pop();
    }
    segments.iter().all(|s| !matches!(*s, "" | "." | "..") && s.bytes().all(is_path_byte))
}

fn path(node: &Node<'_>, report: &Report) -> Option<String> {
    let text = text(node, report)?;
    // Caddy takes a dot at a segment's end away before it matches.
    if is_path(text) && text.split('/').all(|segment| !segment.ends_with('.')) {
        return Some(text.to_owned());
    }
    let remedy = "begin with `/`; use letters, digits, `/` and -._~!$&'()+,;=:@, no `*`, `%`, braces, `//` or `..`; all below the path is meant, too";
    report.add(node.at, format!("{text:?} is no path of a route"), remedy);
    None
}

/// The path, with a query perhaps, that a health check asks for.
#[derive(Debug)]
pub(super) struct Target(pub(super) String);

impl Field for Target {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        if is_path(path) && query.bytes().all(|b| is_path_byte(b) || b"/?*%".contains(&b)) {
            return Some(Self(text.to_owned()));
        }
        let remedy = "write a path such as \"/health\" or \"/health?deep=1\"";
        report.add(node.at, format!("{text:?} is no path of a request"), remedy);
        None
    }
}

/// Response headers; a name is an RFC 9110 `token`, in either case.
fn headers(table: &Table<'_, '_>) -> BTreeMap<String, Literal> {
    let mut headers = BTreeMap::new();
    let mut seen = BTreeMap::<String, Spot<'_>>::new();
    for entry in table.free("headers", "[http.headers]") {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let name = entry.key.as_ref();
        if name.is_empty() || !name.bytes().all(token) {
            let what = format!("{name:?} is no name of an HTTP header");
            table.report.add(entry.at, what, "use letters, digits and `-`");
        } else if let Some(first) = seen.insert(name.to_ascii_lowercase(), entry.at) {
            let what = format!("the header `{name}` is set at {} already", first.brief());
            table.report.add(entry.at, what, "keep one of the two: case makes no difference");
        }
        if let Some(value) = Literal::read(&entry.node, table.report) {
            headers.insert(name.to_owned(), value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_path_means_the_same_to_everyone() {
        for path in ["/", "/api", "/api/", "/a/b-c_d~e", "/.well-known/x"] {
            assert!(is_path(path), "{path}");
        }
        for path in
            ["", "api", "//", "/a//b", "/a/../b", "/.", "/a*", "/{x}", "/%2e", "/a b", "/ä", "/a?b"]
        {
            assert!(!is_path(path), "{path}");
        }
    }
}
