//! What every implementation of `Routes` keeps, the real Caddy and the simulated one.
//!
//! Each function is one test. It takes the configuration over, so no two of them
//! may run at once on one Caddy.

use serde_json::{Value, json};
use writ::fault::Retry;
use writ::plan::observed::ObservedRoutes;
use writ::world::Routes;

/// A server on an unprivileged port with one route of ours and one of somebody else.
fn config(body: &str) -> Value {
    json!({ "apps": { "http": { "servers": { "contract": {
        "listen": ["127.0.0.1:18080"],
        "routes": [
            { "@id": "writ-contract-1", "match": [{ "host": ["contract.test"] }],
              "handle": [{ "handler": "static_response", "body": body }], "terminal": true },
            { "handle": [{ "handler": "static_response", "body": "somebody else's" }] },
        ],
    } } } } })
}

/// Two servers that claim one address, which Caddy refuses to load.
fn unloadable() -> Value {
    let server = json!({ "listen": [":18081"] });
    json!({ "apps": { "http": { "servers": { "one": server, "two": server } } } })
}

async fn up<R: Routes>(routes: &R) -> (String, Value) {
    match routes.observe().await {
        ObservedRoutes::Up { etag, config, .. } => (etag, config),
        ObservedRoutes::Down { because } => panic!("Caddy is down: {because}"),
    }
}

async fn put<R: Routes>(routes: &R, config: &Value) {
    let (etag, _) = up(routes).await;
    routes.apply(&etag, config).await.unwrap();
}

pub(crate) async fn a_configuration_is_read_back_as_it_was_written<R: Routes>(routes: &R) {
    for wanted in [config("one"), config("two"), json!({}), config("ünï <&> \\ \"{}\"")] {
        put(routes, &wanted).await;
        assert_eq!(up(routes).await.1, wanted);
    }
}

pub(crate) async fn no_configuration_is_a_configuration_too<R: Routes>(routes: &R) {
    put(routes, &Value::Null).await;
    assert_eq!(up(routes).await.1, Value::Null);
    put(routes, &config("after nothing")).await;
    assert_eq!(up(routes).await.1, config("after nothing"));
}

pub(crate) async fn a_change_replaces_the_whole_configuration<R: Routes>(routes: &R) {
    put(routes, &config("one")).await;
    let other = json!({ "apps": { "http": { "http_port": 18082 } } });
    put(routes, &other).await;
    assert_eq!(up(routes).await.1, other);
}

pub(crate) async fn the_etag_stays_while_nothing_changes_and_differs_after<R: Routes>(routes: &R) {
    put(routes, &config("one")).await;
    let (first, _) = up(routes).await;
    let (again, _) = up(routes).await;
    assert_eq!(first, again);
    put(routes, &config("two")).await;
    let (after, _) = up(routes).await;
    assert_ne!(first, after);
}

pub(crate) async fn a_stale_etag_changes_nothing<R: Routes>(routes: &R) {
    put(routes, &config("one")).await;
    let (stale, _) = up(routes).await;
    put(routes, &config("two")).await;
    let fault = routes.apply(&stale, &config("three")).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon, "{fault}");
    assert_eq!(up(routes).await.1, config("two"));
}

pub(crate) async fn applying_what_is_there_already_succeeds<R: Routes>(routes: &R) {
    put(routes, &config("one")).await;
    put(routes, &config("one")).await;
    assert_eq!(up(routes).await.1, config("one"));
}

pub(crate) async fn a_configuration_that_cannot_be_loaded_leaves_the_old_one<R: Routes>(
    routes: &R,
) {
    for before in [config("one"), Value::Null] {
        put(routes, &before).await;
        let (etag, _) = up(routes).await;
        let fault = routes.apply(&etag, &unloadable()).await.unwrap_err();
        assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
        assert!(fault.because.contains("18081"), "Caddy's own words are kept: {fault}");
        assert_eq!(up(routes).await, (etag, before));
    }
}
