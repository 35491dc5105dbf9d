//! A way between a host and its server that spoils what comes back.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the server's bytes, counted over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    /// After so many the connection is reset.
    Reset(usize),
    /// After so many the connection is closed in good order.
    Closed(usize),
    /// After so many nothing comes any more.
    Stalls(usize),
    /// All of them arrive, and in the one at this place a bit is another.
    Flips(usize),
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<Mutex<(Way, usize)>>,
}

impl Proxy {
    /// Leads to a port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new((Way::Clear, 0)));
        let shared = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(carry(here, there, Arc::clone(&shared)));
            }
        });
        Self { port: own, way }
    }

    /// From now on, and counted from now on; how many bytes came before.
    pub(crate) fn becomes(&self, way: Way) -> usize {
        let old = std::mem::replace(&mut *self.way.lock().unwrap(), (way, 0));
        old.1
    }
}

async fn carry(here: TcpStream, there: TcpStream, way: Arc<Mutex<(Way, usize)>>) {
    let ((mut from_host, mut to_host), (mut from_server, mut to_server)) =
        (here.into_split(), there.into_split());
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_host, &mut to_server).await });
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from_server.read(&mut piece).await {
        let bytes = &mut piece[..length];
        let (way, before) = {
            let mut shared = way.lock().unwrap();
            shared.1 += length;
            (shared.0, shared.1 - length)
        };
        let left = match way {
            Way::Clear => length,
            Way::Reset(at) | Way::Closed(at) | Way::Stalls(at) => {
                at.saturating_sub(before).min(length)
            }
            Way::Flips(at) => {
                if let Some(byte) = at.checked_sub(before).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= 1;
                }
                length
            }
        };
        if to_host.write_all(&bytes[..left]).await.is_err() {
            return;
        }
        if left < length {
            match way {
                Way::Reset(_) => {
                    // Whoever still holds the other half would have it closed in good order.
                    up.abort();
                    let _ = up.await;
                    to_host.as_ref().set_zero_linger().unwrap();
                    to_host.forget();
                }
                Way::Stalls(_) => std::future::pending().await,
                Way::Clear | Way::Closed(_) | Way::Flips(_) => {}
            }
            return;
        }
    }
}
