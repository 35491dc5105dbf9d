//! Where a binary cache keeps its files, for whoever fills it.

use std::fs::File;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;

/// A longer text is none of a cache's, in bytes.
pub const TEXT: u64 = 1 << 20;

/// Where a cache is, without the options of nix's behind its `?`.
pub fn location(url: &str) -> &str {
    url.split('?').next().unwrap_or(url).trim_end_matches('/')
}

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

/// A shelf with files that change: each as a whole, and by those only who saw it last.
pub trait Board: Shelf {
    /// A small file, unless it is as it was.
    ///
    /// # Errors
    /// It cannot be read, or is larger than `limit` bytes.
    fn look(
        &self,
        name: &str,
        before: Option<&Tag>,
        limit: u64,
    ) -> impl Future<Output = Result<Look, Fault>> + Send;

    /// Puts a text in the place of the version that was seen, or of none.
    fn replace(
        &self,
        name: &str,
        text: &str,
        before: Option<&Tag>,
    ) -> impl Future<Output = Result<Replaced, Fault>> + Send;

    /// Hands a file over in pieces, until that asks to stop; says whether there is one.
    fn carry(&self, name: &str, to: Sink<'_>) -> impl Future<Output = Result<bool, Fault>> + Send;

    /// The files of a folder.
    fn list(&self, folder: &str) -> impl Future<Output = Result<Vec<Listed>, Fault>> + Send;

    /// Deletes a file, if it is there.
    fn remove(&self, name: &str) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Takes the next piece of a file, and says whether there may be more.
pub type Sink<'a> = &'a mut (dyn FnMut(&[u8]) -> ControlFlow<()> + Send);

/// A version of a file, as its shelf names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub(super) String);

/// What became of a file since it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    Same,
    /// Its content, and which version that is; a server that names none sends it each time.
    New(Vec<u8>, Option<Tag>),
    Absent,
}

/// Whether a file was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    Done,
    /// Somebody else was faster, and it is as they left it.
    Lost,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// From the shelf's root.
    pub name: String,
    /// Since it was written.
    pub age: Duration,
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
