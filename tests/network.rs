//! The way to a git server in trouble, and servers that send without end: real git behind a
//! proxy that spoils what passes, fetched as an agent fetches.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "agent/authority.rs"]
mod authority;
#[path = "network/flood.rs"]
mod flood;
#[path = "network/proxy.rs"]
mod proxy;
#[path = "agent/server.rs"]
#[allow(dead_code, reason = "another test program uses the rest of it")]
mod server;
#[path = "network/ways.rs"]
mod ways;

use std::path::Path;
use std::time::Duration;

use writ::source::access::Access;
use writ::source::fetched::{Fetched, Known};
use writ::source::git::GitSource;

/// A host's own fetch of `main`, for as long as no test should take.
fn source(url: &str, access: Access) -> GitSource {
    GitSource {
        url: url.parse().unwrap(),
        access,
        branch: "main".parse().unwrap(),
        deadline: Duration::from_secs(60),
        program: env!("CARGO_BIN_EXE_writ").into(),
    }
}

/// What a fetch is told to fail with, and what to do; it left nothing behind.
async fn fault(source: &GitSource, folder: &Path) -> String {
    let fault = source.fetch(&Known::default(), folder).await.unwrap_err();
    assert_eq!(fault.retry, writ::fault::Retry::Soon);
    assert!(!folder.exists(), "half a pack serves nobody");
    format!("{fault}\nhint: {}\n", fault.remedy.as_deref().unwrap_or_default())
}

async fn is_whole(source: &GitSource, folder: &Path) {
    let fetched = source.fetch(&Known::default(), folder).await;
    assert!(matches!(fetched, Ok(Fetched::Packs { .. })), "{fetched:?}");
}
