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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::rand::GetRandomFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use texts::Texts;

use crate::fault::Fault;
use crate::world::stock::Stock;

/// More than nix opens (25), so that a stranger who holds some does not keep it out.
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
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = Arc::clone(&served);
                connections.spawn(async move {
                    serve(stream, &served).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting on the gateway");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, served: &Arc<Served>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer::answer(Arc::clone(served), request));
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
