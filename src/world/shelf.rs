//! Where a binary cache keeps its files, for whoever fills it.

use std::fs::File;
use std::future::Future;
use std::sync::Arc;

use crate::fault::Fault;

/// Files by name. What is there is never replaced: whoever comes second is told.
pub trait Shelf: Sync {
    /// How people name it; fit to be shown.
    fn name(&self) -> &str;

    /// The whole of a small file; `None` where there is none.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Fault>> + Send;

    /// A file's size in bytes; `None` where there is none.
    fn size(&self, name: &str) -> impl Future<Output = Result<Option<u64>, Fault>> + Send;

    /// Puts a file there, whole or not at all.
    fn create(
        &self,
        name: &str,
        what: &Content,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> impl Future<Output = Result<Created, Fault>> + Send;

    /// Removes what was begun there and has come to no end.
    fn tidy(&self) -> impl Future<Output = ()> + Send;
}

/// What is put on a shelf.
#[derive(Clone, Debug)]
pub enum Content {
    Text {
        text: String,
        kind: &'static str,
    },
    /// A file of this machine from its first byte, and its size.
    File {
        file: Arc<File>,
        size: u64,
        kind: &'static str,
    },
}

/// Whether a file was put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    New,
    /// There was one already, and it is as it was.
    There,
}

impl Content {
    /// The bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Text { text, .. } => text.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// The media type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { kind, .. } | Self::File { kind, .. } => kind,
        }
    }
}
