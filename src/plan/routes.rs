//! Writes services' routes into Caddy's configuration and leaves the rest of it alone.
//!
//! What is ours carries an `@id` that begins with `writ-`: routes of http servers
//! (`writ-<service>-<n>`, and `writ-<service>-<n>-redirect` for `redirectFrom`),
//! the servers made for them where nobody listens on the port (`writ-server-https`,
//! `writ-server-http`), and one TLS policy (`writ-tls-internal`). Caddy strips
//! `@id` before it loads a configuration and keeps it in what it shows
//! (caddy `admin.go`, `RemoveMetaFields`).
//!
//! Our routes stand in front of foreign ones, longest path first, and end the
//! handling of a request. So a foreign catch-all does not swallow them; a foreign
//! route that names the same host and path is a [`RouteConflict`].

mod ask;
mod conflict;
mod literal;
mod place;
mod render;
mod streams;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::manifest::service::Service;
pub use ask::{RouteCheck, asked};
pub use conflict::RouteConflict;
use place::Port;
use render::Rendered;
pub use text::{Certificate, RouteLine, RouteText};

/// What a Caddy can do that an older one cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Connections that were upgraded, such as WebSockets, outlive a change of the
    /// configuration (`stream_close_delay` of `reverse_proxy`, Caddy 2.7).
    pub stream_close_delay: bool,
}

/// Caddy's configuration as it should become.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The whole configuration; `None` where nothing is to be changed.
    pub config: Option<Value>,
    /// What a person reads of the change, by `@id`; empty where nothing changes.
    pub lines: Vec<RouteLine>,
    /// Routes that would shadow a foreign one or cannot be served beside it. They stay
    /// as they are: where they are served already they still are, else they are not.
    pub contested: Vec<RouteConflict>,
}

/// The configuration `current` with exactly the routes of `services` as ours, but for
/// those that are contested.
pub fn merge<'a>(
    current: &Value,
    services: impl Iterator<Item = &'a Service>,
    features: Features,
) -> Merged {
    let mut routes: Vec<Rendered> = services.flat_map(render::routes).collect();
    routes.sort_by(Rendered::precedence);
    let foreign = without_ours(current);
    let contested = conflict::find(&foreign, &routes);
    if !contested.is_empty() {
        let served = owned(current);
        routes.retain(|route| {
            let stands = served.get(&route.id).is_some_and(|served| route.answers_as(served));
            stands || contested.iter().all(|conflict| conflict.id != route.id)
        });
    }
    let wanted = tidy(with_ours(foreign, &routes, features), current);
    if wanted == *current || streams::plain(&wanted) == streams::plain(current) {
        return Merged { config: None, lines: Vec::new(), contested };
    }
    let lines = text::difference(&streams::plain(current), &streams::plain(&wanted));
    Merged { config: Some(wanted), lines, contested }
}

/// Our routes in a configuration, for people.
pub fn listed(current: &Value) -> Vec<RouteText> {
    text::listed(current)
}

/// The routes that services are to have, by `@id`, each with what it is to answer for.
pub fn expected<'a>(services: impl Iterator<Item = &'a Service>) -> BTreeMap<String, String> {
    let place = |route: Rendered| {
        let host = route.hosts.first().map_or("", String::as_str);
        (route.id, format!("{host}{}", route.path))
    };
    services.flat_map(render::routes).map(place).collect()
}

/// Our routes by `@id`, as Caddy has them.
pub fn owned(current: &Value) -> BTreeMap<String, Value> {
    place::servers(current)
        .flat_map(|(_, server)| text::owned_in(server))
        .map(|(id, route)| (id.to_owned(), route.clone()))
        .collect()
}

/// Where lists with something of ours are; `*` is every name.
const LISTS: [&[&str]; 2] =
    [&["apps", "http", "servers", "*", "routes"], &["apps", "tls", "automation", "policies"]];

/// A copy without our routes and our policy, which are not copied first: they may be
/// all that is large in it. Our servers stay, since somebody may have put something
/// into them.
fn without_ours(current: &Value) -> Value {
    foreign(current, &LISTS)
}

fn foreign(value: &Value, lists: &[&[&str]]) -> Value {
    let below = |key: &str| -> Vec<&[&str]> {
        let on = |path: &&[&str]| path.first().is_some_and(|name| [key, "*"].contains(name));
        lists.iter().filter(|path| on(path)).map(|path| &path[1..]).collect()
    };
    match value {
        Value::Object(fields) if !lists.is_empty() => {
            fields.iter().map(|(key, value)| (key.clone(), foreign(value, &below(key)))).collect()
        }
        Value::Array(items) if lists.iter().any(|path| path.is_empty()) => {
            items.iter().filter(|item| place::owned_id(item).is_none()).cloned().collect()
        }
        other => other.clone(),
    }
}

fn with_ours(mut config: Value, routes: &[Rendered], features: Features) -> Value {
    for port in [Port::Https, Port::Http] {
        let ours: Vec<&Rendered> = routes.iter().filter(|route| route.port == port).collect();
        if !ours.is_empty() {
            let shared = place::choose(&config, port).is_some_and(|server| server.mixed);
            let routes = place::routes_for(&mut config, port);
            routes.splice(0..0, ours.iter().map(|route| route.to_caddy(shared, features)));
        }
    }
    let subjects = internal_subjects(&config, routes);
    if !subjects.is_empty() {
        let policy = json!({
            "@id": place::INTERNAL_POLICY,
            "subjects": subjects,
            "issuers": [{ "module": "internal" }],
        });
        place::policies_or_new(&mut config).insert(0, policy);
    }
    config
}

/// The names that need Caddy's own authority and do not have it yet.
fn internal_subjects(config: &Value, routes: &[Rendered]) -> BTreeSet<String> {
    let mut subjects: BTreeSet<String> =
        routes.iter().filter(|r| r.internal).flat_map(|r| r.hosts.iter().cloned()).collect();
    subjects.retain(|name| place::policy_of(config, name).is_none());
    subjects
}

/// Removes servers of ours without a route, and what is empty now and was not
/// before, so that the last route to leave takes everything of ours with it.
fn tidy(mut config: Value, before: &Value) -> Value {
    place::drop_idle_servers(&mut config);
    for (parent, key) in [
        ("/apps/tls/automation", "policies"),
        ("/apps/tls", "automation"),
        ("/apps", "tls"),
        ("/apps/http", "servers"),
        ("/apps", "http"),
        ("", "apps"),
    ] {
        let path = format!("{parent}/{key}");
        if config.pointer(&path).is_some_and(place::is_empty)
            && !before.pointer(&path).is_some_and(place::is_empty)
            && let Some(parent) = config.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            parent.shift_remove(key);
        }
    }
    config
}
