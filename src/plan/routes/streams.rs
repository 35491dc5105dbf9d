//! Keeps upgraded connections, such as WebSockets, over changes of Caddy's configuration.
//!
//! Every change replaces all handlers, and a handler that goes ends its upgraded
//! connections at once, those of unchanged services too, unless `stream_close_delay`
//! says otherwise (caddy `reverseproxy/streaming.go`, `cleanupConnections`).

use serde_json::Value;

use super::Features;
use super::place::owned_id;

const KEY: &str = "stream_close_delay";
/// How long a connection outlives the configuration that it came by. Each holds a little
/// memory of its old handler.
const DELAY: &str = "24h";

/// Has a `reverse_proxy` handler keep its connections where Caddy can.
pub(super) fn kept(handlers: &mut [Value], features: Features) {
    if !features.stream_close_delay {
        return;
    }
    for handler in handlers.iter_mut().filter(|handler| proxies(handler)) {
        handler[KEY] = DELAY.into();
    }
}

/// A configuration without this: alone it is worth no change, since each change cuts
/// what came by an older configuration without it.
pub(super) fn plain(config: &Value) -> Value {
    let mut config = config.clone();
    let servers = config.pointer_mut("/apps/http/servers").and_then(Value::as_object_mut);
    let routes = servers
        .into_iter()
        .flat_map(|servers| servers.values_mut())
        .filter_map(|server| server.get_mut("routes")?.as_array_mut())
        .flatten()
        .filter(|route| owned_id(route).is_some());
    let handlers = routes.filter_map(|route| route.get_mut("handle")?.as_array_mut()).flatten();
    for handler in handlers.filter(|handler| proxies(handler)) {
        if let Some(fields) = handler.as_object_mut() {
            fields.shift_remove(KEY);
        }
    }
    config
}

fn proxies(handler: &Value) -> bool {
    handler.get("handler").and_then(Value::as_str) == Some("reverse_proxy")
}
