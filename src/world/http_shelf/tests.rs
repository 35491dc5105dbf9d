use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::*;

/// What connects to it waits for ever.
fn deaf() -> (TcpListener, HttpShelf) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cache/", listener.local_addr().unwrap());
    let mut shelf = HttpShelf::open(&url, Netrc::Named("/dev/null".into())).unwrap();
    let short = Duration::from_millis(50);
    shelf.patience = Patience { connect: short * 20, stall: short, pause: short / 50, again: 1 };
    (listener, shelf)
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (_listener, shelf) = deaf();
    let fault = shelf.read("nix-cache-info").await.unwrap_err();
    assert_eq!(fault.because, "nothing came or went for 50ms");
    assert!(fault.doing.ends_with("/cache/nix-cache-info"), "{fault}");
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let (_listener, shelf) = deaf();
    let file = tempfile::tempfile().unwrap();
    let size = 64 << 20;
    file.set_len(size).unwrap();
    let what = Content::File { file: Arc::new(file), size, kind: "text/plain" };
    let counted = AtomicU64::new(0);
    let on_sent = |bytes| {
        counted.fetch_add(bytes, Relaxed);
    };
    let sent = Sent::new(&on_sent);
    for _ in 0..2 {
        let why = shelf.put("nar/1", &what, &sent).await.map(|reply| reply.status).unwrap_err();
        assert_eq!(why, "nothing came or went for 50ms");
    }
    // What is sent a second time counts once.
    let counted = counted.into_inner();
    assert!(counted > 0 && counted < size, "{counted}");
}
