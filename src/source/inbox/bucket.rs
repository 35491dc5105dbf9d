//! Reports that hosts have left in a bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use super::{Found, InboxError, MOST};
use crate::fault::Fault;
use crate::source::outbox::END;
use crate::world::bucket::{BucketFolder, Entry, OpenFolder};

/// Files that are read at a time.
const SIDE_BY_SIDE: usize = 8;

/// A folder of a bucket, and what was read there before.
#[derive(Debug)]
pub(super) struct Reports {
    place: String,
    folder: OpenFolder,
    /// As it was at the last look.
    listed: Option<BTreeMap<String, Entry>>,
    found: Found,
}

impl Reports {
    pub(super) fn of(url: &str) -> Result<Self, InboxError> {
        let folder = BucketFolder::parse(url)
            .map_err(|why| InboxError::BadUrl { given: url.to_owned(), why: why.to_string() })?;
        let place = folder.to_string();
        let folder = folder.open(None)?;
        Ok(Self { place, folder, listed: None, found: Found::new() })
    }

    /// As [`super::Inbox::look`]; what has not changed is not read again.
    pub(super) async fn look(
        &mut self,
        limit: usize,
        deadline: Duration,
    ) -> Result<Option<Found>, InboxError> {
        let late = || {
            Fault::wait(format!("read {}", self.place), format!("no answer within {deadline:?}"))
        };
        let (listed, fresh) =
            timeout(deadline, self.news(limit as u64)).await.map_err(|_| late())??;
        if self.listed.as_ref() == Some(&listed) && fresh.is_empty() {
            return Ok(None);
        }
        self.found.retain(|host, _| listed.contains_key(host));
        self.found.extend(fresh);
        self.listed = Some(listed);
        Ok(Some(self.found.clone()))
    }

    /// All that is there, and the contents of what was not there like this before.
    async fn news(&self, limit: u64) -> Result<(BTreeMap<String, Entry>, Found), InboxError> {
        let files = self.folder.list(MOST).await?;
        let files = files.ok_or_else(|| InboxError::TooMany { from: self.place.clone() })?;
        let host = |(name, listed): (String, Entry)| {
            let host = name.strip_suffix(END).filter(|host| !host.is_empty())?;
            Some((host.to_owned(), listed))
        };
        let listed: BTreeMap<String, Entry> = files.into_iter().filter_map(host).collect();
        let before = |host: &str| self.listed.as_ref().and_then(|before| before.get(host));
        let is_new =
            |(host, now): &(&String, &Entry)| now.version.is_none() || before(host) != Some(now);
        let news = listed.iter().filter(is_new);
        let read = |host: String| async move {
            let name = format!("{host}{END}");
            self.folder.read(&name, limit).await.map(|read| (host, read))
        };
        let hosts: Vec<String> = news.map(|(host, _)| host.clone()).collect();
        let fresh = stream::iter(hosts.into_iter().map(read)).buffer_unordered(SIDE_BY_SIDE);
        Ok((listed, fresh.try_collect().await?))
    }
}
