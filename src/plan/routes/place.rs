//! Where in Caddy's configuration a route belongs.

use serde_json::{Map, Value, json};

/// The `@id` of the TLS policy for names with `https = "internal"`.
pub(super) const INTERNAL_POLICY: &str = "writ-tls-internal";

/// The two kinds of server that routes live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Https,
    Http,
}

/// A foreign server that already listens where our routes are to be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub name: String,
    /// It listens on other ports too, so a route has to say which protocol it is for.
    pub mixed: bool,
}

impl Port {
    fn server_id(self) -> &'static str {
        match self {
            Self::Https => "writ-server-https",
            Self::Http => "writ-server-http",
        }
    }

    fn server_name(self) -> &'static str {
        match self {
            Self::Https => "writ",
            Self::Http => "writ-http",
        }
    }

    /// The port that Caddy takes for this protocol: `https_port` and `http_port`
    /// of the http app, else 443 and 80.
    fn number(self, config: &Value) -> u64 {
        let (path, default) = match self {
            Self::Https => ("/apps/http/https_port", 443),
            Self::Http => ("/apps/http/http_port", 80),
        };
        config.pointer(path).and_then(Value::as_u64).filter(|port| *port != 0).unwrap_or(default)
    }
}

/// The `@id` of an object of ours.
pub(super) fn owned_id(object: &Value) -> Option<&str> {
    object.get("@id")?.as_str().filter(|id| id.starts_with("writ-"))
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Every http server with its name.
pub(super) fn servers(config: &Value) -> impl Iterator<Item = (&String, &Value)> {
    config.pointer("/apps/http/servers").and_then(Value::as_object).into_iter().flatten()
}

/// The top-level routes of a server.
pub(super) fn routes(server: &Value) -> &[Value] {
    server.get("routes").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The foreign server that listens on the port: one for every address rather than
/// one for a single address, and none that only this machine can reach.
pub(super) fn choose(config: &Value, port: Port) -> Option<Chosen> {
    let number = port.number(config);
    let rank = |server: &Value| {
        listeners(server).filter(|l| l.covers(number)).filter_map(Listener::rank).min()
    };
    let (name, server) = servers(config)
        .filter(|(_, server)| owned_id(server).is_none() && rank(server).is_some())
        .min_by_key(|(_, server)| rank(server))?;
    let mixed = listeners(server).any(|l| !l.is_only(number));
    Some(Chosen { name: name.clone(), mixed })
}

/// The port of the server of our routes, where this host reaches it over loopback.
pub(super) fn asked_at(config: &Value, port: Port) -> Option<u16> {
    let number = port.number(config);
    let chosen = choose(config, port).map(|server| server.name);
    let (_, server) = servers(config).find(|(name, server)| match &chosen {
        Some(chosen) => *name == chosen,
        None => owned_id(server) == Some(port.server_id()),
    })?;
    let local = |l: Listener<'_>| ["", "0.0.0.0", "[::]", "127.0.0.1"].contains(&l.host);
    listeners(server).any(|l| l.covers(number) && local(l)).then(|| u16::try_from(number).ok())?
}

/// The list that our routes of this kind go into, in a server of our own where no
/// foreign one listens on the port: Caddy refuses two servers on one address.
pub(super) fn routes_for(config: &mut Value, port: Port) -> &mut Vec<Value> {
    let listen = json!([format!(":{}", port.number(config))]);
    let foreign = choose(config, port).map(|server| server.name);
    let servers = object_at(object_at(object_at(fields(config), "apps"), "http"), "servers");
    let name = foreign.clone().unwrap_or_else(|| own_server(servers, port));
    let server = object_at(servers, &name);
    if foreign.is_none() {
        server.insert("@id".into(), port.server_id().into());
        server.insert("listen".into(), listen);
    }
    array_at(server, "routes")
}

/// Whether a route of ours answers plain HTTP: its own matcher says so, or all of
/// its server does.
pub(super) fn serves_plain_http(config: &Value, server: &Value, matcher: Option<&Value>) -> bool {
    match matcher.and_then(|m| m.get("protocol")).and_then(Value::as_str) {
        Some(protocol) => protocol == "http",
        None => listeners(server).all(|l| l.is_only(Port::Http.number(config))),
    }
}

/// The name of our server, or a free one for it.
fn own_server(servers: &Map<String, Value>, port: Port) -> String {
    let existing = servers.iter().find(|(_, s)| owned_id(s) == Some(port.server_id()));
    if let Some((name, _)) = existing {
        return name.clone();
    }
    let base = port.server_name();
    std::iter::once(base.to_owned())
        .chain((2u32..).map(|n| format!("{base}-{n}")))
        .find(|name| !servers.contains_key(name))
        .expect("the names do not end")
}

/// Removes our servers that serve nothing.
pub(super) fn drop_idle_servers(config: &mut Value) {
    let servers = config.pointer_mut("/apps/http/servers").and_then(Value::as_object_mut);
    if let Some(servers) = servers {
        servers.retain(|_, server| owned_id(server).is_none() || !routes(server).is_empty());
    }
}

pub(super) fn policies(config: &Value) -> &[Value] {
    let policies = config.pointer("/apps/tls/automation/policies").and_then(Value::as_array);
    policies.map_or(&[], Vec::as_slice)
}

pub(super) fn policies_or_new(config: &mut Value) -> &mut Vec<Value> {
    let apps = object_at(fields(config), "apps");
    array_at(object_at(object_at(apps, "tls"), "automation"), "policies")
}

/// The policy that names exactly this subject; Caddy refuses a second one for it.
pub(super) fn policy_of<'a>(config: &'a Value, subject: &str) -> Option<&'a Value> {
    policies(config).iter().find(|policy| {
        let subjects = policy.get("subjects").and_then(Value::as_array);
        subjects.is_some_and(|list| {
            list.iter().filter_map(Value::as_str).any(|s| s.eq_ignore_ascii_case(subject))
        })
    })
}

/// One entry of a server's `listen`: `[network/][host][:port[-port]]`.
#[derive(Clone, Copy)]
struct Listener<'a> {
    host: &'a str,
    first: u64,
    last: u64,
}

impl<'a> Listener<'a> {
    /// `None` for sockets without a TCP port and for placeholders.
    fn parse(address: &'a str) -> Option<Self> {
        let address = match address.split_once('/') {
            Some(("tcp" | "tcp4" | "tcp6", rest)) => rest,
            Some(_) => return None,
            None => address,
        };
        let (host, ports) = address.rsplit_once(':')?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        Some(Self { host, first: first.parse().ok()?, last: last.parse().ok()? })
    }

    fn covers(&self, port: u64) -> bool {
        (self.first..=self.last).contains(&port)
    }

    fn is_only(&self, port: u64) -> bool {
        self.first == port && self.last == port
    }

    /// Lower is better; `None` where nobody else can reach it.
    fn rank(self) -> Option<u8> {
        match self.host {
            "" | "0.0.0.0" | "[::]" => Some(0),
            "localhost" | "[::1]" => None,
            host if host.starts_with("127.") => None,
            _ => Some(1),
        }
    }
}

fn listeners(server: &Value) -> impl Iterator<Item = Listener<'_>> {
    let listen = server.get("listen").and_then(Value::as_array).into_iter().flatten();
    listen.filter_map(Value::as_str).filter_map(Listener::parse)
}

/// Caddy knows only objects in these places, and takes `null` for an empty one.
fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was just made one")
}

fn object_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    fields(parent.entry(key).or_insert(Value::Null))
}

fn array_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was just made one")
}
