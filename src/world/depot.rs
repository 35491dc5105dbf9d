//! A binary cache that others filled, for whoever copies out of it.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::shelf::{Board, Look, Shelf, TEXT};
use crate::fault::Fault;

/// Files by name, as they are.
pub trait Depot: Sync {
    /// How people name it; fit to be shown.
    fn name(&self) -> &str;

    /// The whole of a small file; `None` where there is none.
    fn text(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Fault>> + Send;

    /// Copies a file that has to be there.
    fn save(&self, name: &str, into: Sink) -> impl Future<Output = Result<Saved, Fault>> + Send;
}

/// Whoever reads a place that changes reads one that does not.
impl<B: Board> Depot for B {
    fn name(&self) -> &str {
        Shelf::name(self)
    }

    async fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.look(name, None, TEXT).await? {
            Look::New(text, _) => Ok(Some(text)),
            Look::Same | Look::Absent => Ok(None),
        }
    }

    async fn save(&self, name: &str, mut into: Sink) -> Result<Saved, Fault> {
        let doing = || format!("copy {}/{name}", Shelf::name(self));
        let mut failed = None;
        let mut write = |piece: &[u8]| match into.write(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        let there = self.carry(name, &mut write).await?;
        match failed {
            Some(error) => Err(Fault::wait(doing(), error)),
            None if !there => Err(Fault::wait(doing(), "it is not there")),
            None => into.done().map_err(|error| Fault::wait(doing(), error)),
        }
    }
}

/// A file without a name that grows: hashed on the way, and never above its limit.
pub struct Sink {
    file: File,
    hash: Context,
    size: u64,
    limit: u64,
    on_bytes: Box<dyn Fn(u64) + Send + Sync>,
}

/// A file that was copied; it is gone with this.
#[derive(Clone, Debug)]
pub struct Saved {
    pub file: Arc<File>,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    pub size: u64,
}

impl Sink {
    /// A file in the folder for temporary ones, of `limit` bytes at most.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn new(limit: u64, on_bytes: impl Fn(u64) + Send + Sync + 'static) -> io::Result<Self> {
        let (file, on_bytes) = (tempfile::tempfile()?, Box::new(on_bytes));
        Ok(Self { file, hash: Context::new(&SHA256), size: 0, limit, on_bytes })
    }

    /// # Errors
    /// It would be larger than was announced, or there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.limit {
            let limit = self.limit;
            return Err(io::Error::other(format!("more than the {limit} announced bytes came")));
        }
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        (self.on_bytes)(bytes.len() as u64);
        Ok(())
    }

    /// # Errors
    /// The file cannot be read from its beginning.
    pub fn done(mut self) -> io::Result<Saved> {
        self.file.rewind()?;
        let mut hash = [0; 32];
        hash.copy_from_slice(self.hash.finish().as_ref());
        Ok(Saved { file: Arc::new(self.file), hash, size: self.size })
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_announced_is_not_kept() {
        let mut sink = Sink::new(3, |_| ()).unwrap();
        sink.write(b"abc").unwrap();
        assert!(sink.write(b"d").unwrap_err().to_string().contains("3 announced"));
        let mut sink = Sink::new(3, |_| ()).unwrap();
        sink.write(b"abc").unwrap();
        let saved = sink.done().unwrap();
        assert_eq!((saved.size, saved.hash[..2].to_vec()), (3, vec![0xba, 0x78]));
    }
}
