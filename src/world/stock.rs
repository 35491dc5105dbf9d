//! A binary cache's files where nix itself cannot read them, for whoever brings them to it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use hyper::body::Bytes;

use crate::fault::Fault;

/// Files by name, to be read and nothing else.
pub trait Stock: Send + Sync {
    /// Asks once for a small file, without patience for a server in trouble.
    fn glance<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Denial>>;

    /// A file's size in bytes.
    fn size<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<u64, Denial>>;

    /// A file or a part of it, as it arrives: what is not taken yet is not read ahead
    /// by more than a few buffers. A server in trouble is asked again, also half-way.
    fn open<'a>(
        &'a self,
        name: &'a str,
        part: Option<Part>,
    ) -> BoxFuture<'a, Result<Delivery, Denial>>;
}

/// Which bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Between(Range<u64>),
    From(u64),
    Last(u64),
}

/// A file on its way.
pub struct Delivery {
    /// Of the whole file, in bytes.
    pub size: u64,
    /// What of it comes.
    pub range: Range<u64>,
    /// Ends with a fault where less comes than was promised.
    pub body: BoxStream<'static, Result<Bytes, Fault>>,
}

/// Why there is nothing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    Absent,
    /// The file has no such part.
    Beyond,
    /// Waiting does not help.
    Refused(Fault),
    /// The server is in trouble, and says so or says nothing.
    Trouble(Fault),
}

type Find = dyn Fn(&str) -> Result<Arc<dyn Stock>, Fault> + Send + Sync;

/// Finds what belongs to a cache's URL, with the keys to it. Asks no server.
#[derive(Clone)]
pub struct Keeper(Arc<Find>);

impl Keeper {
    pub fn new(
        find: impl Fn(&str) -> Result<Arc<dyn Stock>, Fault> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }

    /// # Errors
    /// There are no keys, or the URL is of no use.
    pub fn find(&self, url: &str) -> Result<Arc<dyn Stock>, Fault> {
        (self.0)(url)
    }
}

impl Default for Keeper {
    /// Has nothing.
    fn default() -> Self {
        Self::new(|url| Err(Fault::wait(format!("use {url}"), "it is not known how to read it")))
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}
