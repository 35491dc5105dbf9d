//! Routes of somebody else that ours would shadow.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::place::{self, Port};
use super::render::Rendered;
use crate::names::ServiceName;

/// A route of ours that cannot be served beside what Caddy has from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteConflict {
    /// The `@id` that the route of ours has in Caddy, or would have.
    #[serde(skip)]
    pub id: String,
    pub service: ServiceName,
    /// The domain and path that are asked for: `example.com/api`.
    pub route: String,
    /// What stands in the way, and where.
    pub because: String,
    /// How a person mends it.
    pub remedy: String,
}

impl fmt::Display for RouteConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of service {}: {}", self.route, self.service, self.because)
    }
}

impl std::error::Error for RouteConflict {}

/// Everything in the foreign configuration that stands in the way of `routes`.
pub(super) fn find(foreign: &Value, routes: &[Rendered]) -> Vec<RouteConflict> {
    routes
        .iter()
        .flat_map(|route| route.hosts.iter().map(move |host| (route, host.as_str())))
        .filter_map(|(route, host)| {
            shadowed(foreign, route, host).or_else(|| other_policy(foreign, route, host))
        })
        .collect()
}

/// A foreign route for the same host and an overlapping path, in the server that
/// ours would go into. A wildcard host is a catch-all, which ours may precede.
fn shadowed(foreign: &Value, route: &Rendered, host: &str) -> Option<RouteConflict> {
    let chosen = place::choose(foreign, route.port)?;
    let (_, server) = place::servers(foreign).find(|(name, _)| **name == chosen.name)?;
    let place = claim(place::routes(server), host, &route.path)?;
    Some(RouteConflict {
        id: route.id.clone(),
        service: route.service.clone(),
        route: format!("{host}{}", route.path),
        because: format!(
            "Caddy already has a route for it that is not Writ's: apps/http/servers/{}/{place}",
            chosen.name
        ),
        remedy: "take that route out of Caddy's own configuration, or this one out of the manifest"
            .into(),
    })
}

/// Where in `routes` a route claims some request for `host` below `path`.
fn claim(routes: &[Value], host: &str, path: &str) -> Option<String> {
    routes.iter().enumerate().find_map(|(i, route)| {
        let sets = route.get("match").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let reaches = |set: &Value| !excludes(set, host, path);
        let named = |set: &Value| hosts(set).any(|h| h.eq_ignore_ascii_case(host));
        if sets.iter().any(|set| named(set) && reaches(set)) {
            return Some(format!("routes/{i}"));
        }
        if !sets.is_empty() && !sets.iter().any(reaches) {
            return None;
        }
        subroutes(route)
            .find_map(|inner| claim(inner, host, path))
            .map(|at| format!("routes/{i}/…/{at}"))
    })
}

fn subroutes(route: &Value) -> impl Iterator<Item = &[Value]> {
    let handlers = route.get("handle").and_then(Value::as_array).into_iter().flatten();
    handlers
        .filter(|handler| handler.get("handler").and_then(Value::as_str) == Some("subroute"))
        .map(place::routes)
}

/// Whether a matcher set lets no request for `host` below `path` through.
fn excludes(set: &Value, host: &str, path: &str) -> bool {
    let other_host =
        set.get("host").is_some() && !hosts(set).any(|pattern| may_match_host(pattern, host));
    let other_path = set.get("path").is_some()
        && !strings(set.get("path")).any(|pattern| overlaps(pattern, path));
    other_host || other_path
}

fn hosts(set: &Value) -> impl Iterator<Item = &str> {
    strings(set.get("host"))
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Caddy's rule: `*` stands for one whole label. A placeholder may be anything.
fn may_match_host(pattern: &str, host: &str) -> bool {
    pattern.contains('{')
        || (pattern.split('.').count() == host.split('.').count()
            && pattern
                .split('.')
                .zip(host.split('.'))
                .all(|(p, h)| p == "*" || p.eq_ignore_ascii_case(h)))
}

/// Whether some request is both at or below `path` and matched by Caddy's path
/// `pattern`. Caddy ignores case; what follows the first `*` may be anything.
fn overlaps(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.to_lowercase(), path.to_lowercase());
    let below = if path.ends_with('/') { path.clone() } else { format!("{path}/") };
    match pattern.split_once(['*', '{', '?', '[']) {
        None => pattern == path || pattern.starts_with(&below),
        Some((start, _)) => below.starts_with(start) || start.starts_with(&below),
    }
}

/// A foreign TLS policy that names a host which is to have a certificate of
/// Caddy's own authority, and issues it differently.
fn other_policy(foreign: &Value, route: &Rendered, host: &str) -> Option<RouteConflict> {
    let policy = (route.internal && route.port == Port::Https)
        .then(|| place::policy_of(foreign, host))
        .flatten()?;
    let internal =
        |issuer: &Value| issuer.get("module").and_then(Value::as_str) == Some("internal");
    let issuers = policy.get("issuers").and_then(Value::as_array);
    let all_internal = issuers.is_some_and(|list| !list.is_empty() && list.iter().all(internal));
    (!all_internal).then(|| RouteConflict {
        id: route.id.clone(),
        service: route.service.clone(),
        route: format!("{host}{}", route.path),
        because: "https = \"internal\" is asked for, and a TLS policy of Caddy's own \
                  configuration (apps/tls/automation/policies) names the domain already"
            .into(),
        remedy: "take the domain out of that policy, or leave https at \"auto\"".into(),
    })
}
