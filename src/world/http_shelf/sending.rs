//! A body on its way, and how far it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::stream::{self, Stream};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::Body;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::world::shelf::Content;

/// Bytes that are read together.
const PIECE: u64 = 128 << 10;

/// What was sent of a file, however often it was begun.
pub(super) struct Sent<'a> {
    most: AtomicU64,
    on_sent: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Sent<'a> {
    pub(super) fn new(on_sent: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { most: AtomicU64::new(0), on_sent }
    }

    pub(super) fn reached(&self, position: u64) {
        let before = self.most.fetch_max(position, Relaxed);
        if position > before {
            (self.on_sent)(position - before);
        }
    }
}

/// The bytes, and how many of them were taken so far.
pub(super) fn body(what: &Content) -> (Body, UnboundedReceiver<u64>) {
    let (tell, told) = unbounded_channel();
    let body = match what {
        Content::Text { text, .. } => Body::from(text.clone()),
        Content::File { file, size, .. } => {
            Body::wrap(StreamBody::new(Box::pin(pieces(Arc::clone(file), *size, tell))))
        }
    };
    (body, told)
}

fn pieces(
    file: Arc<File>,
    size: u64,
    tell: UnboundedSender<u64>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync {
    stream::try_unfold((file, 0, tell), move |(file, start, tell)| async move {
        let end = size.min(start + PIECE);
        if start == end {
            return Ok(None);
        }
        let bytes = read(Arc::clone(&file), start, end - start).await?;
        // Nobody listens any more where the server has answered already.
        let _ = tell.send(end);
        Ok(Some((Frame::data(bytes), (file, end, tell))))
    })
}

async fn read(file: Arc<File>, start: u64, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let read = move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, start).map(|()| Bytes::from(bytes))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
