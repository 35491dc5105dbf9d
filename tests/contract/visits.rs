//! What `Visits` promises: whatever stands behind a route answers, or Caddy says that nobody does.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use writ::plan::routes::RouteCheck;
use writ::world::Visits;

/// Hands the names of all promises to a macro of the caller's.
macro_rules! visits_contract {
    ($each:ident) => {
        $each! {
            whatever_a_service_says_is_an_answer,
            a_gateways_error_is_no_answer,
            a_gateways_error_with_a_page_is_the_services_own,
            a_connection_that_is_broken_off_was_one,
            nobody_there_is_no_answer,
            a_name_leads_to_this_host_with_its_name_and_path,
            a_certificate_that_is_not_there_yet_is_not_waited_for
        }
    };
}
pub(crate) use visits_contract;

pub(crate) async fn whatever_a_service_says_is_an_answer(visits: &impl Visits) {
    for status in ["200 OK", "302 Found", "404 Not Found", "500 Sick", "503 Closed"] {
        let port = serve(status).await.0;
        visits.visit(&route(port, false)).await.unwrap();
    }
}

pub(crate) async fn a_gateways_error_is_no_answer(visits: &impl Visits) {
    for status in ["502 Bad Gateway", "504 Gateway Timeout"] {
        let port = serve(status).await.0;
        let said = visits.visit(&route(port, false)).await.unwrap_err();
        assert_eq!(said, format!("GET http://web.acme.example/a/b answered {status}"));
    }
}

/// A service may be a gateway itself; whether what lies behind it is well is not its own
/// host's business.
pub(crate) async fn a_gateways_error_with_a_page_is_the_services_own(visits: &impl Visits) {
    let port = answer("502 Bad Gateway", "the warehouse is closed").await.0;
    visits.visit(&route(port, false)).await.unwrap();
}

/// As Caddy does with visitors that have no certificate of their own to show.
pub(crate) async fn a_connection_that_is_broken_off_was_one(visits: &impl Visits) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    visits.visit(&route(port, false)).await.unwrap();
}

pub(crate) async fn nobody_there_is_no_answer(visits: &impl Visits) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for tls in [false, true] {
        let said = visits.visit(&route(port, tls)).await.unwrap_err();
        assert!(said.contains("refused"), "{said}");
    }
}

pub(crate) async fn a_name_leads_to_this_host_with_its_name_and_path(visits: &impl Visits) {
    let (port, asked) = serve("200 OK").await;
    visits.visit(&route(port, false)).await.unwrap();
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /a/b http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("\r\nhost: web.acme.example:{port}\r\n")), "{asked}");
}

/// A server that does not speak TLS, as Caddy refuses a name that it has no
/// certificate for.
pub(crate) async fn a_certificate_that_is_not_there_yet_is_not_waited_for(visits: &impl Visits) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    visits.visit(&route(port, true)).await.unwrap();
}

fn route(port: u16, tls: bool) -> RouteCheck {
    RouteCheck {
        service: "web".parse().unwrap(),
        domain: "web.acme.example".parse().unwrap(),
        path: "/a/b".to_owned(),
        port,
        tls,
        within: Duration::from_secs(1),
    }
}

async fn serve(status: &str) -> (u16, tokio::sync::oneshot::Receiver<String>) {
    answer(status, "").await
}

/// Answers one question so, and tells what was asked.
async fn answer(status: &str, page: &str) -> (u16, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let length = page.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
    let answer = format!("{head}\r\n\r\n{page}");
    let (told, asked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = told.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
    });
    (port, asked)
}
