//! Which caches are used, against servers that are fine, deaf or gone.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::super::passwords::Passwords;
use super::super::{narinfo, survey};
use super::*;
use crate::names::StorePath;

/// Says yes to everything.
async fn fine() -> String {
    saying("200 OK", "").await
}

/// Says yes to whoever asks whether it is there, and this to a request for a narinfo.
async fn saying(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let (status, body) = match String::from_utf8_lossy(&request[..read]).contains(INFO) {
                true => ("200 OK", ""),
                false => (status, body),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
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
    caches.remember(memory);
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
    assert!(caches.look_further(Some(&http)).await);
    assert_eq!(caches.urls(), [fine, other]);
    assert!(!caches.look_further(Some(&http)).await);
}

#[tokio::test]
async fn where_none_answers_each_is_told_with_its_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let memory = Memory::default();
    let mut caches = Caches::of(&config(&[&url, "file:///not/there", "s3://acme"])).await;
    caches.look(Some(&narinfo::client().unwrap()), &memory).await;
    caches.remember(&memory);
    let fault = caches.some_answer("fetch x").unwrap_err();
    let told = fault.because.replace(&url, "URL");
    assert!(told.starts_with("the host's caches cannot be used: "), "{told}");
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

/// Whether each cache of these is used for a path that the last one has, and what is told.
async fn beside(first: &str) -> (Vec<String>, Caches, Memory) {
    let path: StorePath = format!("/nix/store/{}-web", "1".repeat(32)).parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("StorePath: {path}\nURL: nar/x.nar\nNarHash: sha256:y\nNarSize: 9\nReferences: \n");
    std::fs::write(folder.path().join(format!("{}.narinfo", path.hash())), text).unwrap();
    let whole = format!("file://{}", folder.path().display());
    let (http, memory) = (narinfo::client().unwrap(), Memory::default());
    let mut caches = Caches::of(&config(&[first, &whole])).await;
    caches.look(Some(&http), &memory).await;
    // There is no nix that could have one.
    let passwords = Passwords::of(|| Command::new("/nowhere/nix"));
    let missing = survey(&mut caches, Some(&http), &passwords, &[&path]).await;
    assert_eq!((missing.paths, missing.unpacked, missing.nowhere), (1, 9, 0));
    caches.remember(&memory);
    assert!(caches.urls().contains(&whole), "whoever has everything is used");
    (caches.urls().into_iter().filter(|url| *url != whole).collect(), caches, memory)
}

#[tokio::test]
async fn a_cache_that_is_there_and_has_no_narinfos_to_give_is_left_out_and_named() {
    for (status, body, told) in [
        ("502 Bad Gateway", "", "it answered 502 Bad Gateway to a request for a narinfo"),
        ("429 Too Many Requests", "", "it answered 429 Too Many Requests"),
        ("418 I'm a teapot", "", "it answered 418"),
        ("200 OK", "<html>Sign in</html>", "not one (a web page?)"),
        ("200 OK", "", "not one"),
        ("200 OK", "StorePath: /nix/store/x-other\n", "not one"),
    ] {
        let ill = saying(status, body).await;
        let (used, caches, memory) = beside(&ill).await;
        assert_eq!(used, Vec::<String>::new(), "{status}");
        let all = caches.told();
        assert!(all.contains(told) && all.contains(&ill), "{all}");
        let away = memory.away();
        assert!(away[0].cache == ill && away[0].because.contains(told), "{away:?}");
    }
}

#[tokio::test]
async fn a_cache_that_hides_what_it_has_is_asked_and_told() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let shut = saying(status, "").await;
        let (used, caches, memory) = beside(&shut).await;
        assert_eq!(used, std::slice::from_ref(&shut), "nix takes it for absent");
        assert_eq!(
            caches.denials(),
            Some(format!("it answered {status} to a request for a narinfo: {shut}"))
        );
        assert_eq!(memory.away(), []);
    }
    let (used, caches, _) = beside(&saying("404 Not Found", "").await).await;
    assert_eq!((used.len(), caches.denials()), (1, None));
}
