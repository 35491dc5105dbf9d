//! Services' routes in Caddy configurations of every kind, as whole texts.

#[path = "contract/service.rs"]
mod service;

use serde_json::{Value, json};
use service::{daemon, route, site};
use writ::manifest::service::{Https, Service};
use writ::names::{Domain, Literal};
use writ::plan::routes::{Features, Merged, merge, owned};

const UNCHANGED: Merged = Merged { config: None, lines: Vec::new(), contested: Vec::new() };

fn domains<const N: usize>(names: [&str; N]) -> Vec<Domain> {
    names.map(|name| name.parse().unwrap()).to_vec()
}

fn merged(current: &Value, services: &[Service]) -> Merged {
    merge(current, services.iter(), Features::default())
}

fn applied(current: &Value, services: &[Service]) -> Value {
    merged(current, services).config.expect("something changes")
}

fn text(merged: &Merged) -> String {
    let config = merged.config.as_ref().expect("something changes");
    let lines: Vec<String> = merged.lines.iter().map(ToString::to_string).collect();
    format!("{}\n\n{}", lines.join("\n"), serde_json::to_string_pretty(config).unwrap())
}

/// What Debian's package serves out of the box.
fn debian() -> Value {
    json!({ "apps": { "http": { "servers": { "srv0": {
        "listen": [":80"],
        "routes": [{ "handle": [
            { "handler": "vars", "root": "/usr/share/caddy" },
            { "handler": "file_server", "hide": ["/etc/caddy/Caddyfile"] },
        ] }],
    } } } } })
}

/// Somebody's own site on the https port.
fn hand_made(matcher: Value) -> Value {
    json!({ "apps": { "http": { "servers": { "mine": {
        "listen": [":443"],
        "routes": [
            { "match": [matcher], "handle": [{ "handler": "static_response", "body": "mine" }] },
            { "handle": [{ "handler": "static_response", "body": "everything else" }] },
        ],
    } } } } })
}

#[test]
fn an_empty_caddy_gets_a_server_of_ours() {
    let mut web = route("example.com", "/", 8000);
    web.redirect_from = domains(["www.example.com", "example.org"]);
    web.staging_domain = Some("staging.example.com".parse().unwrap());
    web.headers.insert("X-Frame-Options".into(), "DENY".parse().unwrap());
    web.compress = true;
    let api = route("example.com", "/api", 8001);
    insta::assert_snapshot!(text(&merged(
        &Value::Null,
        &[daemon("api", vec![api]), daemon("web", vec![web])]
    )));
}

#[test]
fn plain_http_internal_certificates_and_files_have_their_places() {
    let mut plain = route("plain.test", "/", 8000);
    plain.https = Https::Off;
    plain.redirect_from = domains(["old.test"]);
    let mut private = route("private.test", "/", 8001);
    private.https = Https::Internal;
    let files = route("files.test", "/docs/", 0);
    insta::assert_snapshot!(text(&merged(
        &debian(),
        &[
            daemon("plain", vec![plain]),
            daemon("private", vec![private]),
            site("site", "share/www", vec![files]),
        ]
    )));
}

#[test]
fn the_last_route_to_leave_takes_everything_of_ours_with_it() {
    let mut private = route("private.test", "/", 8001);
    private.https = Https::Internal;
    let mut plain = route("plain.test", "/", 8000);
    plain.https = Https::Off;
    let services = [daemon("a", vec![private]), daemon("b", vec![plain, route("c.test", "/", 1)])];
    for before in [debian(), hand_made(json!({ "host": ["mine.test"] })), json!({ "admin": {} })] {
        let during = applied(&before, &services);
        assert_eq!(owned(&during).len(), 3);
        assert_eq!(applied(&during, &[]), before);
    }
    assert_eq!(applied(&applied(&Value::Null, &services), &[]), json!({}));
}

#[test]
fn a_second_merge_has_nothing_to_do() {
    let mut plain = route("plain.test", "/", 8000);
    plain.https = Https::Off;
    let mut private = route("example.com", "/x", 8001);
    private.https = Https::Internal;
    let services = [daemon("web", vec![route("example.com", "/", 8000), plain, private])];
    for before in [Value::Null, json!({}), debian(), hand_made(json!({ "host": ["mine.test"] }))] {
        let once = applied(&before, &services);
        assert_eq!(merged(&once, &services), UNCHANGED);
    }
    for nothing in [Value::Null, json!({}), json!({ "apps": { "http": { "servers": {} } } })] {
        assert_eq!(merged(&nothing, &[]), UNCHANGED);
    }
}

#[test]
fn a_route_added_behind_a_catch_all_is_put_back_in_front() {
    let services = [daemon("web", vec![route("example.com", "/", 8000)])];
    let good = applied(&hand_made(json!({ "host": ["mine.test"] })), &services);
    let mut bad = good.clone();
    let routes = bad.pointer_mut("/apps/http/servers/mine/routes").unwrap();
    routes.as_array_mut().unwrap().rotate_left(1);
    let healed = merged(&bad, &services);
    assert_eq!(healed.config, Some(good));
    assert_eq!(
        healed.lines.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["put route https://example.com/ → 127.0.0.1:8000 back in its place"]
    );
}

#[test]
fn what_others_put_into_our_server_stays_there() {
    let services = [daemon("web", vec![route("example.com", "/", 8000)])];
    let mut config = applied(&Value::Null, &services);
    let server = config.pointer_mut("/apps/http/servers/writ").unwrap();
    server["logs"] = json!({});
    let foreign = json!({ "handle": [{ "handler": "static_response", "body": "foreign" }] });
    server["routes"].as_array_mut().unwrap().push(foreign.clone());
    let left = applied(&config, &[]);
    let server = left.pointer("/apps/http/servers/writ").unwrap();
    assert_eq!(server["routes"], json!([foreign]));
    assert_eq!(server["logs"], json!({}));
    let back = applied(&left, &services);
    assert_eq!(back, config);
}

#[test]
fn a_foreign_server_on_the_port_is_joined_and_never_rivalled() {
    let services = [daemon("web", vec![route("example.com", "/", 8000)])];
    for (listen, joined) in [
        (json!([":443"]), true),
        (json!(["tcp/0.0.0.0:443"]), true),
        (json!(["10.0.0.1:443"]), true),
        (json!([":440-450"]), true),
        (json!(["127.0.0.1:443"]), false),
        (json!(["[::1]:443"]), false),
        (json!(["unix//run/x.sock"]), false),
        (json!([":8443"]), false),
    ] {
        let server = json!({ "listen": listen, "routes": [] });
        let before = json!({ "apps": { "http": { "servers": { "theirs": server } } } });
        let after = applied(&before, &services);
        let names: Vec<&String> =
            after.pointer("/apps/http/servers").unwrap().as_object().unwrap().keys().collect();
        let expected: &[&str] = if joined { &["theirs"] } else { &["theirs", "writ"] };
        assert_eq!(names, expected, "{listen}");
    }
}

#[test]
fn a_server_that_happens_to_be_called_writ_is_not_ours() {
    let server = json!({ "listen": [":9000"], "routes": [] });
    let before = json!({ "apps": { "http": { "servers": { "writ": server } } } });
    let after = applied(&before, &[daemon("web", vec![route("example.com", "/", 8000)])]);
    assert_eq!(after.pointer("/apps/http/servers/writ"), Some(&server));
    assert_eq!(after.pointer("/apps/http/servers/writ-2/@id"), Some(&json!("writ-server-https")));
}

#[test]
fn in_a_server_of_both_protocols_a_route_says_which_it_is_for() {
    let mut plain = route("plain.test", "/", 8000);
    plain.https = Https::Off;
    let services = [daemon("web", vec![route("example.com", "/", 8000), plain])];
    let server = json!({ "listen": [":80", ":443"], "routes": [] });
    let before = json!({ "apps": { "http": { "servers": { "all": server } } } });
    let after = merged(&before, &services);
    let owned = owned(after.config.as_ref().unwrap());
    assert_eq!(owned["writ-web-1"].pointer("/match/0/protocol"), Some(&json!("https")));
    assert_eq!(owned["writ-web-2"].pointer("/match/0/protocol"), Some(&json!("http")));
    assert_eq!(
        after.lines.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "add route https://example.com/ → 127.0.0.1:8000",
            "add route http://plain.test/ → 127.0.0.1:8000",
        ]
    );
}

#[test]
fn caddys_own_ports_are_followed() {
    let before = json!({ "apps": { "http": { "http_port": 8080, "https_port": 8443 } } });
    let mut plain = route("plain.test", "/", 8000);
    plain.https = Https::Off;
    let after = applied(&before, &[daemon("web", vec![route("example.com", "/", 8000), plain])]);
    let servers = after.pointer("/apps/http/servers").unwrap();
    assert_eq!(servers["writ"]["listen"], json!([":8443"]));
    assert_eq!(servers["writ-http"]["listen"], json!([":8080"]));
}

#[test]
fn a_foreign_route_for_the_same_host_and_path_is_a_conflict() {
    let nested = json!({ "handle": [{ "handler": "subroute", "routes": [
        { "match": [{ "host": ["example.com"] }], "handle": [] }
    ] }] });
    let in_catch_all = json!({ "apps": { "http": { "servers": { "mine": {
        "listen": [":443"], "routes": [nested],
    } } } } });
    for (foreign, path, conflicts) in [
        (hand_made(json!({ "host": ["example.com"] })), "/", true),
        (hand_made(json!({ "host": ["EXAMPLE.com", "other.test"] })), "/api", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["/api/*"] })), "/", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["/API/v1/*"] })), "/api", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["/a*"] })), "/api", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["*.php"] })), "/api", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["/api"] })), "/api", true),
        (hand_made(json!({ "host": ["example.com"], "path": ["/apiary"] })), "/api", false),
        (hand_made(json!({ "host": ["example.com"], "path": ["/other/*"] })), "/api", false),
        (hand_made(json!({ "host": ["other.test"] })), "/", false),
        (hand_made(json!({ "host": ["*.com"] })), "/", false),
        (hand_made(json!({ "path": ["/"] })), "/", false),
        (in_catch_all, "/", true),
    ] {
        let services = [daemon("web", vec![route("example.com", path, 8000)])];
        assert_eq!(
            !merged(&foreign, &services).contested.is_empty(),
            conflicts,
            "{path} in {foreign}"
        );
    }
}

#[test]
fn every_conflict_is_named_with_its_place() {
    let foreign = hand_made(json!({ "host": ["example.com", "www.example.com"] }));
    let mut web = route("example.com", "/", 8000);
    web.redirect_from = domains(["www.example.com"]);
    let conflicts = merged(&foreign, &[daemon("web", vec![web])]).contested;
    let text: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "example.com/ of service web: Caddy already has a route for it that is not Writ's: \
             apps/http/servers/mine/routes/0",
            "www.example.com/ of service web: Caddy already has a route for it that is not \
             Writ's: apps/http/servers/mine/routes/0",
        ]
    );
}

#[test]
fn a_foreign_policy_for_a_name_with_an_internal_certificate_is_respected() {
    let policy = |issuer: &str| {
        json!({ "apps": { "tls": { "automation": { "policies": [
            { "subjects": ["private.test"], "issuers": [{ "module": issuer }] }
        ] } } } })
    };
    let mut private = route("private.test", "/", 8000);
    private.https = Https::Internal;
    let services = [daemon("web", vec![private])];
    assert_eq!(merged(&policy("acme"), &services).contested.len(), 1);
    let before = policy("internal");
    let after = applied(&before, &services);
    let policies = "/apps/tls/automation/policies";
    assert_eq!(after.pointer(policies), before.pointer(policies));
    assert_eq!(merged(&after, &services).config, None);
}

#[test]
fn a_change_of_certificate_or_header_is_a_change_of_the_route() {
    let web = route("example.com", "/", 8000);
    let mut internal = web.clone();
    internal.https = Https::Internal;
    let mut header = web.clone();
    header.headers.insert("X-A".into(), "{env.HOME}".parse::<Literal>().unwrap());
    let before = applied(&Value::Null, &[daemon("web", vec![web])]);
    let lines = |http| merged(&before, &[daemon("web", vec![http])]).lines[0].to_string();
    assert_eq!(
        lines(internal),
        "change route https://example.com/ → 127.0.0.1:8000 to https://example.com/ → \
         127.0.0.1:8000 (certificate of Caddy's own authority)"
    );
    assert_eq!(lines(header), "change settings of route https://example.com/ → 127.0.0.1:8000");
}

/// The contested route alone is left as it is: not there, or in front where it was.
#[test]
fn a_contested_route_keeps_no_other_from_its_place() {
    let services = [
        daemon("api", vec![route("api.test", "/", 8001)]),
        daemon("web", vec![route("example.com", "/", 8000)]),
    ];
    let foreign = hand_made(json!({ "host": ["example.com"] }));
    let merged_beside = merged(&foreign, &services);
    assert_eq!(merged_beside.contested.len(), 1);
    let after = merged_beside.config.unwrap();
    assert_eq!(owned(&after).into_keys().collect::<Vec<_>>(), ["writ-api-1"]);
    assert_eq!(merged(&after, &services).config, None, "it comes to rest");

    // Somebody adds a site of theirs behind ours.
    let mut both = applied(&hand_made(json!({ "host": ["other.test"] })), &services);
    let theirs = json!({ "match": [{ "host": ["example.com"] }], "handle": [] });
    both.pointer_mut("/apps/http/servers/mine/routes")
        .unwrap()
        .as_array_mut()
        .unwrap()
        .push(theirs);
    let beside = merged(&both, &services);
    assert_eq!((beside.config, beside.contested.len()), (None, 1));
    // Another domain of the same service is not put in front of theirs.
    let moved = [services[0].clone(), daemon("web", vec![route("example.com", "/x", 8000)])];
    let after = merged(&both, &moved);
    assert_eq!(owned(&after.config.unwrap()).into_keys().collect::<Vec<_>>(), ["writ-api-1"]);
}

#[test]
fn upgraded_connections_are_kept_where_caddy_can() {
    let services = |port| {
        [
            daemon("api", vec![route("api.test", "/", port)]),
            daemon("web", vec![route("web.test", "/", 8000)]),
        ]
    };
    let newer = Features { stream_close_delay: true };
    let delay = |config: &Value, id: &str| -> Option<String> {
        Some(owned(config)[id].pointer("/handle/0/stream_close_delay")?.as_str()?.to_owned())
    };
    let plain = applied(&Value::Null, &services(8001));
    assert_eq!(delay(&plain, "writ-web-1"), None);
    let kept = merge(&Value::Null, services(8001).iter(), newer).config.unwrap();
    assert_eq!(delay(&kept, "writ-web-1").as_deref(), Some("24h"));
    // It is no reason for a change, which would cut what it is to keep.
    assert_eq!(merge(&plain, services(8001).iter(), newer).config, None);
    assert_eq!(merge(&kept, services(8001).iter(), newer).config, None);
    // The next change brings it, and tells of that change alone.
    let next = merge(&plain, services(8002).iter(), newer);
    let lines: Vec<String> = next.lines.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("api.test"), "{lines:?}");
    assert_eq!(delay(&next.config.unwrap(), "writ-web-1").as_deref(), Some("24h"));
}
