//! Which caches are used, against servers that are fine, deaf or gone.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::narinfo;
use super::*;

/// Says yes to everything.
async fn fine() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// Takes connections and says nothing.
async fn deaf() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn config(urls: &[&str]) -> NixConfig {
    NixConfig::new(urls.iter().map(|url| (*url).to_owned()).collect(), Vec::new())
}

/// One look: what is used, and how long it took to know.
async fn look(config: &NixConfig, memory: &Memory) -> (Vec<String>, Duration) {
    let http = narinfo::client().unwrap();
    let begun = Instant::now();
    let mut caches = Caches::of(config).await;
    caches.look(Some(&http), memory).await;
    (caches.urls(), begun.elapsed())
}

#[test]
fn the_config_says_in_which_order_caches_are_asked() {
    let urls = [
        "https://a",
        "https://b?priority=10",
        "https://c?want-mass-query=1&priority=90",
        "https://d",
    ];
    let urls = urls.map(str::to_owned);
    let order: Vec<&str> = ordered(&urls).into_iter().map(|url| &url[8..9]).collect();
    assert_eq!(order.concat(), "badc");
}

#[tokio::test]
async fn nix_is_told_the_same_order() {
    let mut caches =
        Caches::of(&config(&["https://a?want-mass-query=1", "https://b?priority=7"])).await;
    caches.trust_all();
    assert_eq!(caches.numbered(), "https://b?priority=1 https://a?priority=2&want-mass-query=1");
}

#[tokio::test]
async fn a_deaf_cache_costs_a_moment_once_and_then_nothing() {
    let ((_listener, deaf), fine) = (deaf().await, fine().await);
    let config = config(&[&deaf, &fine]);
    let memory = Memory::default();
    let (used, took) = look(&config, &memory).await;
    assert_eq!(used, std::slice::from_ref(&fine));
    assert!((GRACE..Duration::from_secs(2)).contains(&took), "{took:?}");
    assert_eq!(memory.away()[0].because, "no answer within 1.5 s");
    let (used, took) = look(&config, &memory).await;
    assert_eq!(used, std::slice::from_ref(&fine));
    assert!(took < SHORT, "{took:?}");
    memory.let_time_pass();
    let (used, took) = look(&config, &memory).await;
    assert_eq!(used, std::slice::from_ref(&fine));
    assert!(took < GRACE, "{took:?}");
}

#[tokio::test]
async fn a_cache_that_is_back_is_used_again() {
    let [fine, other] = [fine().await, fine().await];
    let config = config(&[&fine, &other]);
    let memory = Memory::default();
    let gone = Fault::wait("ask", "connection refused");
    memory.learn([(fine.as_str(), Some(&gone))].into_iter());
    assert_eq!(look(&config, &memory).await.0, std::slice::from_ref(&other));
    memory.let_time_pass();
    assert_eq!(look(&config, &memory).await.0, [fine, other]);
    assert_eq!(memory.away(), []);
}

#[tokio::test]
async fn a_cache_that_is_needed_is_asked_at_once() {
    let [fine, other] = [fine().await, fine().await];
    let memory = Memory::default();
    let gone = Fault::wait("ask", "connection refused");
    memory.learn([(fine.as_str(), Some(&gone))].into_iter());
    // It is the only one.
    assert_eq!(look(&config(&[&fine]), &memory).await.0, std::slice::from_ref(&fine));
    // The others do not have everything.
    memory.learn([(fine.as_str(), Some(&gone))].into_iter());
    let http = narinfo::client().unwrap();
    let mut caches = Caches::of(&config(&[&fine, &other])).await;
    caches.look(Some(&http), &memory).await;
    assert_eq!(caches.urls(), std::slice::from_ref(&other));
    assert!(caches.look_further(Some(&http), &memory).await);
    assert_eq!(caches.urls(), [fine, other]);
    assert!(!caches.look_further(Some(&http), &memory).await);
}

#[tokio::test]
async fn where_none_answers_each_is_told_with_its_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let memory = Memory::default();
    let mut caches = Caches::of(&config(&[&url, "file:///not/there", "s3://acme"])).await;
    caches.look(Some(&narinfo::client().unwrap()), &memory).await;
    let fault = caches.some_answer("fetch x").unwrap_err();
    let told = fault.because.replace(&url, "URL");
    assert!(told.starts_with("the host's caches cannot be reached: "), "{told}");
    for part in [
        "refused",
        ": URL; ",
        "not there: file:///not/there",
        "not known how to read it: s3://acme",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let away: Vec<String> = memory.away().into_iter().map(|away| away.cache).collect();
    assert_eq!(away, [url, "s3://acme".to_owned()], "a folder is looked at each time");
}
