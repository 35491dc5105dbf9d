//! What a gateway to a bucket takes of memory, in a process of its own.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::{self, StreamExt as _};
use hyper::body::Bytes;
use reqwest::Client;
use writ::world::nix::Gateway;
use writ::world::stock::{Delivery, Denial, Part, Stock};

const NARS: usize = 8;
const NAR: u64 = 256 << 20;
const PIECE: usize = 64 << 10;
/// For all of them together, in KiB.
const ENOUGH: u64 = 24 << 10;

/// Large files that are as fast as their reader.
struct Endless;

impl Stock for Endless {
    fn glance<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Denial>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn size<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64, Denial>> {
        async { Ok(NAR) }.boxed()
    }

    fn open<'a>(&'a self, _: &'a str, _: Option<Part>) -> BoxFuture<'a, Result<Delivery, Denial>> {
        let pieces = usize::try_from(NAR).unwrap() / PIECE;
        let body = stream::iter(0..pieces).map(|_| Ok(Bytes::from(vec![7; PIECE]))).boxed();
        async { Ok(Delivery { size: NAR, range: 0..NAR, body }) }.boxed()
    }
}

/// The most that this process ever had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn large_nars_side_by_side_take_a_little_memory_whoever_is_slow() {
    let gateway = Gateway::open(vec![Arc::new(Endless)]).await.unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let read = async |n: usize| {
        let url = format!("{}/nar/{n}.nar", gateway.url(0));
        let mut answer = client.get(url).send().await.unwrap();
        // One of them stands still until all others are done.
        if n == 0 {
            return (answer, 0);
        }
        let mut length = 0;
        while let Some(piece) = answer.chunk().await.unwrap() {
            length += piece.len() as u64;
        }
        (answer, length)
    };
    read(1).await;
    let (before, begun) = (peak(), Instant::now());
    let done = join_all((0..NARS).map(read)).await;
    assert!(done[1..].iter().all(|(_, length)| *length == NAR));
    let grown = peak() - before;
    let took = begun.elapsed().max(Duration::from_millis(1));
    eprintln!("{} x {} MiB in {took:?}: {grown} KiB more memory", NARS - 1, NAR >> 20);
    assert!(grown < ENOUGH, "{grown} KiB more");
}
