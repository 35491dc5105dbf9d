//! A way for nix to files that it cannot read itself: HTTP on the loopback interface,
//! while something is fetched.
//!
//! Whoever is on this machine can connect. So every path begins with a word that nobody
//! can guess, and nothing can be asked for that is not a cache's. Whoever asks gets the
//! files and never the keys to them.

mod answer;
mod asked;
mod texts;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::rand::GetRandomFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use asked::Asked;
use texts::Texts;

use crate::fault::Fault;
use crate::world::stock::Stock;

/// More than nix opens (25); who comes then takes the place of a stranger.
const CONNECTIONS: usize = 128;
/// Between two requests on a connection, and for the head of one.
const HEAD: Duration = Duration::from_secs(15);
/// Before accepting again after a failure (too many open files).
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of the word, before they are written as letters.
const WORD: usize = 32;

/// Serves until it is dropped.
pub struct Gateway {
    base: String,
    served: Arc<Served>,
    task: AbortHandle,
}

/// What is served, under which word.
struct Served {
    word: String,
    stocks: Vec<Arc<dyn Stock>>,
    texts: Texts,
    /// What was wrong last.
    fault: Mutex<Option<Fault>>,
}

impl Gateway {
    /// Listens on a free port.
    ///
    /// # Errors
    /// There is no loopback interface, or no port is free.
    pub async fn open(stocks: Vec<Arc<dyn Stock>>) -> io::Result<Self> {
        let any = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (Ipv6Addr::LOCALHOST, 0).into()];
        let listener = TcpListener::bind(&any[..]).await?;
        let address = listener.local_addr()?;
        let word = word()?;
        let base = format!("http://{address}/{word}");
        let served =
            Arc::new(Served { word, stocks, texts: Texts::default(), fault: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&served))).abort_handle();
        Ok(Self { base, served, task })
    }

    /// Where the stock of this number is. Whoever knows it can read the cache, so it is
    /// shown to nobody but nix.
    pub fn url(&self, number: usize) -> String {
        format!("{}/{number}", self.base)
    }

    /// What was wrong last, in the words of what was asked.
    pub fn fault(&self) -> Option<Fault> {
        self.served.last().clone()
    }

    pub fn forget_fault(&self) {
        *self.served.last() = None;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    fn last(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blame(&self, fault: &Fault) {
        let mut last = self.last();
        if last.as_ref() != Some(fault) {
            tracing::debug!("{fault}");
        }
        *last = Some(fault.clone());
    }
}

/// Without the word.
impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("stocks", &self.served.stocks.len()).finish_non_exhaustive()
    }
}

/// Ends its connections when it is dropped.
async fn accept(listener: TcpListener, served: Arc<Served>) {
    let mut connections = JoinSet::new();
    let mut guests: Vec<Guest> = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                guests.retain(|guest| !guest.task.is_finished());
                if guests.len() >= CONNECTIONS {
                    turn_out(&mut guests);
                }
                let (served, known) = (Arc::clone(&served), Arc::<AtomicBool>::default());
                let serving = serve(stream, served, Arc::clone(&known));
                guests.push(Guest { known, task: connections.spawn(serving) });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting on the gateway");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A connection, and whether it has said the word.
struct Guest {
    known: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Ends the connection of the one who has been silent for longest: nix says the word at
/// once, so that strangers keep their places only while nobody wants them.
fn turn_out(guests: &mut Vec<Guest>) {
    let stranger = guests.iter().position(|guest| !guest.known.load(Ordering::Relaxed));
    if let Some(stranger) = stranger {
        guests.remove(stranger).task.abort();
    }
}

async fn serve(stream: TcpStream, served: Arc<Served>, known: Arc<AtomicBool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        if Asked::read(request.uri().path(), &served.word).is_some() {
            known.store(true, Ordering::Relaxed);
        }
        answer::answer(Arc::clone(&served), request)
    });
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the gateway ended early");
    }
}

fn word() -> io::Result<String> {
    let mut bytes = [0; WORD];
    let got = rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
    if got != WORD {
        return Err(io::Error::other("the kernel gave too few random bytes"));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn strangers_who_hold_every_place_keep_nobody_out() {
        let gateway = Gateway::open(Vec::new()).await.unwrap();
        let url = gateway.url(0);
        let (address, path) = url["http://".len()..].split_once('/').unwrap();
        let mut strangers = Vec::new();
        for _ in 0..2 * CONNECTIONS {
            strangers.push(TcpStream::connect(address).await.unwrap());
        }
        let asked = async {
            let mut nix = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /{path}/nix-cache-info HTTP/1.1\r\nHost: x\r\n\r\n");
            nix.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            nix.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 404");
        };
        tokio::time::timeout(HEAD / 2, asked).await.expect("it is answered before they are");
    }
}
