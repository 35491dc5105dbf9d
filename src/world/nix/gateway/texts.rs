//! A cache's small texts, kept as long as the gateway: nix asks for the same one up to
//! five times, and we ask before it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::TryStreamExt as _;
use hyper::body::Bytes;

use super::asked::Asked;
use crate::fault::Fault;
use crate::world::stock::Delivery;

/// A longer file is passed on and not kept, in bytes.
const LONGEST: u64 = 64 << 10;
/// All that are kept, in bytes.
const MOST: usize = 8 << 20;
/// What each takes beside itself.
const EACH: usize = 256;

/// What was asked for, and what is there: `None` where nothing is.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    texts: BTreeMap<Asked, Option<Bytes>>,
    size: usize,
}

impl Texts {
    pub(super) fn find(&self, asked: &Asked) -> Option<Option<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).texts.get(asked).cloned()
    }

    pub(super) fn keep(&self, asked: &Asked, text: Option<&Bytes>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = EACH + text.map_or(0, Bytes::len);
        if kept.size + size <= MOST {
            kept.size += size;
            kept.texts.insert(asked.clone(), text.cloned());
        }
    }
}

/// Whether a delivery may be kept.
pub(super) fn is_text(asked: &Asked, delivery: &Delivery) -> bool {
    !asked.name.starts_with("nar/")
        && delivery.size <= LONGEST
        && delivery.range == (0..delivery.size)
}

/// Takes all of it in.
pub(super) async fn whole(delivery: Delivery) -> Result<Bytes, Fault> {
    let Delivery { body, size, .. } = delivery;
    let whole: Vec<u8> = body
        .try_fold(Vec::new(), |mut whole, part| async move {
            whole.extend_from_slice(&part);
            Ok(whole)
        })
        .await?;
    match whole.len() as u64 == size {
        true => Ok(whole.into()),
        false => Err(Fault::wait("read a text of a cache", "it ended too early")),
    }
}
