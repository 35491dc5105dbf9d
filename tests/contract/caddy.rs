//! What our routes do once a real Caddy serves them.
//!
//! Each function is one test. It takes the configuration over and talks to Caddy
//! as a browser would, by curl.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use writ::manifest::service::{HttpRoute, Https, Service};
use writ::names::Literal;
use writ::plan::observed::ObservedRoutes;
use writ::plan::routes::{Features, merge};
use writ::world::Routes;
use writ::world::caddy::{Admin, CaddyRoutes};

use super::service::{daemon, route, site};

/// Hands the names of all tests to a macro of the caller's.
macro_rules! caddy_only {
    ($each:ident) => {
        $each! {
            every_value_arrives_literally,
            plain_http_stays_plain_beside_https,
            an_internal_certificate_is_served_and_http_is_redirected,
            other_names_are_redirected_with_path_and_query,
            the_longest_path_wins_and_ends_at_a_slash,
            a_new_version_of_a_file_is_never_taken_for_the_old_one,
            a_restart_loses_no_request,
            a_foreign_catch_all_serves_the_rest,
            every_kind_of_configuration_is_loaded_and_read_back,
            a_unix_socket_is_spoken_to,
            an_endpoint_on_every_address_is_spoken_to,
            an_upgraded_connection_outlives_a_change_of_other_routes
        }
    };
}
pub(crate) use caddy_only;

fn caddy(admin: &str) -> CaddyRoutes {
    CaddyRoutes::new(&admin.parse::<Admin>().unwrap()).unwrap()
}

async fn up(routes: &CaddyRoutes) -> (String, Value) {
    match routes.observe().await {
        ObservedRoutes::Up { etag, config, .. } => (etag, config),
        ObservedRoutes::Down { because } => panic!("Caddy is down: {because}"),
    }
}

async fn features(routes: &CaddyRoutes) -> Features {
    match routes.observe().await {
        ObservedRoutes::Up { features, .. } => features,
        ObservedRoutes::Down { because } => panic!("Caddy is down: {because}"),
    }
}

async fn put(routes: &CaddyRoutes, config: &Value) {
    let (etag, _) = up(routes).await;
    routes.apply(&etag, config).await.unwrap();
}

/// Serves exactly these, merged into `foreign`; another merge then changes nothing.
async fn serve(foreign: &Value, services: &[Service]) {
    let routes = caddy("http://localhost:2019");
    put(&routes, foreign).await;
    let features = features(&routes).await;
    let merged = merge(foreign, services.iter(), features);
    put(&routes, &merged.config.expect("something changes")).await;
    let (_, config) = up(&routes).await;
    assert_eq!(merge(&config, services.iter(), features).config, None);
}

/// What somebody else serves on both ports.
fn foreign() -> Value {
    let answer = json!([{ "handle": [{ "handler": "static_response", "body": "foreign" }] }]);
    json!({ "apps": { "http": { "servers": {
        "theirs": { "listen": [":80"], "routes": answer },
        "also-theirs": { "listen": [":443"], "routes": answer },
    } } } })
}

/// An answer by status, headers (lowercase names) and body.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Asks this machine for a URL, whatever its host name is.
fn ask(url: &str, extra: &[&str]) -> Answer {
    let mut curl = Command::new("curl");
    curl.args(["-sik", "--noproxy", "*", "--max-time", "20", "--connect-to", "::127.0.0.1:"]);
    let output = curl.args(extra).arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Answer {
        status: status
            .unwrap_or_else(|| panic!("{url}: {}", String::from_utf8_lossy(&output.stderr))),
        headers: lines.filter_map(header).collect(),
        body: body.to_owned(),
    }
}

/// A service that answers everything with its own name, on a free port.
async fn backend(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || answer_forever(listener.into_std().unwrap(), name));
    port
}

fn answer_forever(listener: std::net::TcpListener, name: &str) {
    use std::io::{Read, Write};
    listener.set_nonblocking(false).unwrap();
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request);
        let _ = write!(
            connection,
            "HTTP/1.1 200 OK\r\nServer: backend\r\nX-Set: by the service\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{name}",
            name.len()
        );
    }
}

fn plain(mut route: HttpRoute) -> HttpRoute {
    route.https = Https::Off;
    route
}

pub(crate) async fn every_value_arrives_literally() {
    let values = [
        "{env.HOME}",
        "a {http.request.host} b {$HOME} {{x}}",
        "{\"json\": {\"n\": 1}}",
        "{",
        "}",
        "}{",
        "\\{env.HOME\\}",
        "\\\\{env.HOME}\\\\",
        "\\}",
        "back\\slash \\n %h $HOME ${HOME} ; \"quoted\" 'single'",
        "{env.}",
        "ünïcode",
    ];
    let port = backend("web").await;
    let mut http = plain(route("literal.test", "/", port));
    for (n, value) in values.iter().enumerate() {
        http.headers.insert(format!("X-Value-{n}"), value.parse::<Literal>().unwrap());
    }
    http.headers.insert("X-Set".into(), "by the route".parse().unwrap());
    serve(&Value::Null, &[daemon("web", vec![http])]).await;
    let answer = ask("http://literal.test/", &[]);
    assert_eq!(answer.body, "web");
    for (n, value) in values.iter().enumerate() {
        assert_eq!(answer.headers.get(&format!("x-value-{n}")).unwrap(), value);
    }
    assert_eq!(answer.headers["x-set"], "by the route", "it replaces the service's own");
}

pub(crate) async fn plain_http_stays_plain_beside_https() {
    let (off, auto) = (backend("off").await, backend("auto").await);
    let mut internal = route("auto.test", "/", auto);
    internal.https = Https::Internal;
    // The same domain: one path is plain, the rest is not.
    let mut rest = route("off.test", "/", auto);
    rest.https = Https::Internal;
    let services = [
        daemon("off", vec![plain(route("off.test", "/plain", off))]),
        daemon("auto", vec![internal, rest]),
    ];
    for before in [Value::Null, foreign()] {
        serve(&before, &services).await;
        assert_eq!(ask("http://off.test/plain", &[]).body, "off");
        let other = ask("http://off.test/else?q=1", &[]);
        assert_eq!(other.status, 308);
        assert_eq!(other.headers["location"], "https://off.test/else?q=1");
        assert_eq!(ask("http://auto.test/", &[]).headers["location"], "https://auto.test/");
    }
}

pub(crate) async fn an_internal_certificate_is_served_and_http_is_redirected() {
    let mut http = route("internal.test", "/", backend("web").await);
    http.https = Https::Internal;
    serve(&Value::Null, &[daemon("web", vec![http])]).await;
    let issued = || {
        let output = Command::new("curl")
            .args([
                "-svk",
                "--noproxy",
                "*",
                "--connect-to",
                "::127.0.0.1:",
                "https://internal.test/",
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.stdout == b"web").then_some(text)
    };
    let shown = until(issued).await;
    assert!(shown.contains("Caddy Local Authority"), "{shown}");
}

/// Waits until `ready` has something to say.
async fn until<T>(ready: impl Fn() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn other_names_are_redirected_with_path_and_query() {
    let mut http = plain(route("main.test", "/", backend("web").await));
    http.redirect_from = vec!["old.test".parse().unwrap(), "www.main.test".parse().unwrap()];
    http.staging_domain = Some("staging.test".parse().unwrap());
    serve(&Value::Null, &[daemon("web", vec![http])]).await;
    for old in ["old.test", "www.main.test"] {
        let answer = ask(&format!("http://{old}/a/b?c=%20d"), &[]);
        assert_eq!(answer.status, 308);
        assert_eq!(answer.headers["location"], "http://main.test/a/b?c=%20d");
    }
    assert_eq!(ask("http://staging.test/", &[]).body, "web");
}

pub(crate) async fn the_longest_path_wins_and_ends_at_a_slash() {
    let [web, api, deep, below] =
        [backend("web").await, backend("api").await, backend("deep").await, backend("below").await];
    let at = |path: &str, port: u16| plain(route("paths.test", path, port));
    serve(
        &Value::Null,
        &[
            daemon("a-web", vec![at("/", web)]),
            daemon("b-api", vec![at("/api", api)]),
            daemon("c-deep", vec![at("/api/v2/deep", deep)]),
            daemon("d-below", vec![at("/below/", below)]),
        ],
    )
    .await;
    for (path, expected) in [
        ("/", "web"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api?x=1", "api"),
        ("/api/v1", "api"),
        ("/apiary", "web"),
        ("/api/v2/deep", "deep"),
        ("/api/v2/deep/er", "deep"),
        ("/api/v2/deeper", "api"),
        ("/API/v1", "api"),
        ("/below", "web"),
        ("/below/", "below"),
        ("/below/x", "below"),
    ] {
        assert_eq!(ask(&format!("http://paths.test{path}"), &[]).body, expected, "{path}");
    }
}

/// A folder like a closure: every file was last changed a second after 1970.
fn closure(name: &str, root: &str, content: &str) -> PathBuf {
    let store = PathBuf::from(format!("/nix/store/{}-{name}", "0".repeat(32)));
    let root = store.join(root);
    fs::create_dir_all(&root).unwrap();
    let file = fs::File::create(root.join("index.html")).unwrap();
    fs::write(root.join("index.html"), content).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    store
}

pub(crate) async fn a_new_version_of_a_file_is_never_taken_for_the_old_one() {
    let root = "share/{env.HOME} %w";
    let version = |name: &str| site(name, root, vec![plain(route("files.test", "/", 0))]);
    let folders = [closure("one", root, "content 1"), closure("two", root, "content 2")];
    serve(&Value::Null, &[version("one")]).await;
    let first = ask("http://files.test/", &[]);
    assert_eq!((first.status, first.body.as_str()), (200, "content 1"));
    let tag = format!("If-None-Match: {}", first.headers["etag"]);
    let same = ask("http://files.test/", &["-H", &tag]);
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    let since = "If-Modified-Since: Sat, 21 Nov 2026 07:00:00 GMT";
    assert_eq!(ask("http://files.test/", &["-H", since]).status, 200);
    assert!(!first.headers.contains_key("last-modified"));
    serve(&Value::Null, &[version("two")]).await;
    for condition in [tag.as_str(), since] {
        let second = ask("http://files.test/", &["-H", condition]);
        assert_eq!((second.status, second.body.as_str()), (200, "content 2"), "{condition}");
    }
    assert_eq!(ask("http://files.test/missing", &[]).status, 404);
    for folder in folders {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// A request without a body, that is: Caddy before 2.11.2 loses the body of one it
/// could not deliver at once (caddy #7547), and answers 502.
pub(crate) async fn a_restart_loses_no_request() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    serve(&Value::Null, &[daemon("web", vec![plain(route("restart.test", "/", port))])]).await;
    let asked = tokio::task::spawn_blocking(|| ask("http://restart.test/", &[]));
    let mut asked = std::pin::pin!(asked);
    let held = tokio::time::timeout(Duration::from_millis(500), &mut asked).await;
    assert!(held.is_err(), "Caddy has tried in vain by now, and holds the request: {held:?}");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback";
    connection.write_all(answer).await.unwrap();
    assert_eq!(asked.await.unwrap().body, "back");
}

pub(crate) async fn a_foreign_catch_all_serves_the_rest() {
    let port = backend("web").await;
    serve(&foreign(), &[daemon("web", vec![plain(route("mine.test", "/x", port))])]).await;
    assert_eq!(ask("http://mine.test/x", &[]).body, "web");
    assert_eq!(ask("http://mine.test/", &[]).body, "foreign");
    assert_eq!(ask("http://other.test/x", &[]).body, "foreign");
}

/// Whatever a manifest can ask for is something Caddy takes.
pub(crate) async fn every_kind_of_configuration_is_loaded_and_read_back() {
    let mut all = route("all.test", "/some/path", 8000);
    all.https = Https::Internal;
    all.staging_domain = Some("staging.all.test".parse().unwrap());
    all.redirect_from = vec!["old.all.test".parse().unwrap()];
    all.headers.insert("X-Frame-Options".into(), "DENY".parse().unwrap());
    all.compress = true;
    let mixed = json!({ "apps": { "http": { "servers": {
        "both": { "listen": [":80", ":443"], "routes": [] },
    } } } });
    let policy = json!({ "apps": { "tls": { "automation": { "policies": [
        { "issuers": [{ "module": "internal" }] },
    ] } } } });
    for before in [Value::Null, json!({}), foreign(), mixed, policy] {
        let files = site("site", "share", vec![plain(route("all.test", "/files", 0))]);
        serve(&before, &[daemon("web", vec![all.clone()]), files]).await;
        let routes = caddy("http://localhost:2019");
        let (_, config) = up(&routes).await;
        let after = merge(&config, [].iter(), Features::default()).config.unwrap();
        put(&routes, &after).await;
        let left = up(&routes).await.1;
        assert!(left == before || (before == Value::Null && left == json!({})), "{left}");
    }
}

pub(crate) async fn a_unix_socket_is_spoken_to() {
    let socket = "/var/lib/caddy/admin.sock";
    let tcp = caddy("http://localhost:2019");
    let config = json!({ "admin": { "listen": format!("unix/{socket}") } });
    put(&tcp, &config).await;
    let unix = caddy(&format!("unix://{socket}"));
    assert_eq!(up(&unix).await.1, config);
    let gone = tcp.observe().await;
    assert!(matches!(gone, ObservedRoutes::Down { .. }), "{gone:?}");
    let fault = tcp.apply("\"/config/ 0\"", &config).await.unwrap_err();
    assert_eq!(fault.retry, writ::fault::Retry::Soon, "{fault}");
    assert!(fault.remedy.unwrap().contains("localhost:2019"));
    put(&unix, &json!({})).await;
    assert_eq!(up(&tcp).await.1, json!({}));
}

/// One of these asks for an origin, the other takes none that names a host.
pub(crate) async fn an_endpoint_on_every_address_is_spoken_to() {
    let routes = caddy("http://localhost:2019");
    for admin in [
        json!({ "listen": ":2019" }),
        json!({ "enforce_origin": true, "origins": ["localhost:2019"] }),
        json!({ "listen": ":2019" }),
    ] {
        let config = json!({ "admin": admin });
        put(&routes, &config).await;
        assert_eq!(up(&routes).await.1, config);
    }
    let foreign = json!({ "admin": { "listen": ":2019", "origins": ["http://elsewhere.test"],
                                     "enforce_origin": true } });
    put(&routes, &foreign).await;
    let ObservedRoutes::Down { because } = routes.observe().await else {
        panic!("an origin is asked for that is not ours")
    };
    assert!(because.contains("403") && because.contains("`origins`"), "{because}");
    let fault = routes.apply("\"/config/ 0\"", &foreign).await.unwrap_err();
    assert!(fault.because.contains("403") && !fault.because.contains("start"), "{fault}");
    // The way back is the one that this Caddy allows.
    let back = ["-sf", "--noproxy", "*", "-X", "POST", "-H", "Origin: http://elsewhere.test"];
    let data = ["-H", "Content-Type: application/json", "-d", "{}", "http://localhost:2019/load"];
    let done = Command::new("curl").args(back).args(data).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(up(&routes).await.1, json!({}));
}

/// Echoes what it is sent once it was asked to change the protocol.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await? > 0 {}
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
                stream.write_all(answer).await?;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    port
}

pub(crate) async fn an_upgraded_connection_outlives_a_change_of_other_routes() {
    let web = daemon("web", vec![plain(route("echo.test", "/", echo().await))]);
    let routes = caddy("http://localhost:2019");
    serve(&Value::Null, std::slice::from_ref(&web)).await;
    let can = features(&routes).await;
    let mut stream = tokio::net::TcpStream::connect("127.0.0.1:80").await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: echo.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0, "{head:?}");
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    let (_, config) = up(&routes).await;
    let api = daemon("api", vec![plain(route("api.test", "/", 8000))]);
    let both = merge(&config, [web, api].iter(), can).config.unwrap();
    put(&routes, &both).await;
    let mut back = [0; 4];
    let answered = async {
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut back).await
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap();
    match can.stream_close_delay {
        true => assert_eq!((answered.unwrap(), &back), (4, b"ping")),
        // Caddy before 2.7 cuts it, and takes the configuration all the same.
        false => drop(answered),
    }
    put(&routes, &json!({})).await;
}
