//! Files in a bucket that are replaced, by S3's conditional requests: `If-None-Match`
//! and `If-Match` with the ETag that was seen.

use std::time::{Duration, SystemTime};

use futures_util::stream::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};

use super::{Bucket, of_kind, refusal};
use crate::fault::Fault;
use crate::world::shelf::{Board, Listed, Look, Replaced, Sink, Tag};

impl Board for Bucket {
    async fn look(&self, name: &str, before: Option<&Tag>, limit: u64) -> Result<Look, Fault> {
        let options =
            GetOptions { if_none_match: before.map(|tag| tag.0.clone()), ..GetOptions::default() };
        let read = async {
            let found = self.store.get_opts(&Path::from(name), options).await?;
            let tag = found.meta.e_tag.clone().map(Tag);
            // What a server says of the size is not what it sends.
            let (mut bytes, mut pieces) = (Vec::new(), found.into_stream());
            while let Some(piece) = pieces.try_next().await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > limit {
                    return Ok(None);
                }
            }
            Ok(Some((bytes, tag)))
        };
        match read.await {
            Ok(Some((bytes, tag))) => Ok(Look::New(bytes, tag)),
            Ok(None) => {
                let doing = format!("read {}/{name}", self.name);
                Err(Fault::wait(doing, format!("it has more than {limit} bytes")))
            }
            Err(Error::NotModified { .. }) => Ok(Look::Same),
            Err(error) if refusal::is_absent(&error) => Ok(Look::Absent),
            Err(error) => Err(self.fault("read", name, &error)),
        }
    }

    async fn replace(
        &self,
        name: &str,
        text: &str,
        before: Option<&Tag>,
    ) -> Result<Replaced, Fault> {
        let mode = match before {
            Some(Tag(tag)) => {
                PutMode::Update(UpdateVersion { e_tag: Some(tag.clone()), version: None })
            }
            None => PutMode::Create,
        };
        let options =
            PutOptions { mode, attributes: of_kind("text/plain"), ..PutOptions::default() };
        let payload = PutPayload::from(text.as_bytes().to_vec());
        match self.put(&Path::from(name), payload, options).await {
            Ok(()) => Ok(Replaced::Done),
            Err(error) if refusal::is_there(&error) => Ok(Replaced::Lost),
            Err(error) => Err(self.fault("replace", name, &error)),
        }
    }

    async fn carry(&self, name: &str, to: Sink<'_>) -> Result<bool, Fault> {
        let read = async {
            let mut pieces = self.store.get(&Path::from(name)).await?.into_stream();
            while let Some(piece) = pieces.try_next().await? {
                if to(&piece).is_break() {
                    break;
                }
            }
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(true),
            // Denied is not absent here: who may read the index may read what it names.
            Err(error @ Error::NotFound { .. }) if refusal::is_absent(&error) => Ok(false),
            Err(error) => Err(self.fault("read", name, &error)),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        let now = SystemTime::now();
        let found: Vec<_> = self
            .store
            .list(Some(&Path::from(folder)))
            .try_collect()
            .await
            .map_err(|error| self.fault("list", folder, &error))?;
        let listed = found.into_iter().map(|file| {
            let age = now.duration_since(file.last_modified.into()).unwrap_or(Duration::ZERO);
            Listed { name: file.location.to_string(), age }
        });
        Ok(listed.collect())
    }

    async fn remove(&self, name: &str) -> Result<(), Fault> {
        match self.store.delete(&Path::from(name)).await {
            Err(error) if !refusal::is_absent(&error) => Err(self.fault("delete", name, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
