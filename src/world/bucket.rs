//! Files in an S3 bucket.

mod board;
mod credentials;
mod folder;
mod reading;
mod refusal;
mod url;

use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, MultipartId, ObjectStore as _,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};

use super::shelf::{Content, Created, Shelf, TEXT};
use crate::fault::Fault;
use credentials::Surroundings;
pub use folder::{BucketFolder, Entry, OpenFolder};
pub use reading::Reader;
use refusal::Asked;
pub use url::{BadBucketUrl, BucketUrl};

/// What nix takes where nothing names a region.
const REGION: &str = "us-east-1";
const CONNECT: Duration = Duration::from_secs(10);
/// One request; a part has to go over a slow line in it.
const REQUEST: Duration = Duration::from_secs(300);
/// Larger files go up in parts.
const AT_ONCE: u64 = 16 << 20;
const PART: u64 = 8 << 20;
/// S3 takes no more of them.
const PARTS: u64 = 10_000;
/// Parts of one file that are on their way.
const SIDE_BY_SIDE: usize = 3;
/// The first pause while somebody else writes the same name.
const CONFLICT: Duration = Duration::from_millis(100);
const LONGEST_CONFLICT: Duration = Duration::from_secs(2);
/// How long to clean up for.
const TIDY: Duration = Duration::from_secs(5);

/// What somebody does with a bucket.
struct User {
    /// What the keys have to allow.
    needs: &'static str,
    /// How often a server in trouble is asked again, and for how long.
    retries: usize,
    patience: Duration,
}

const WRITER: User = User {
    needs: "s3:GetObject, s3:PutObject and s3:AbortMultipartUpload",
    retries: 8,
    patience: Duration::from_secs(600),
};
const READER: User = User { needs: "s3:GetObject", retries: 2, patience: Duration::from_secs(10) };

/// A bucket, with the keys to it.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    asked: Asked,
    store: AmazonS3,
    /// How often somebody else's write of the same name is waited for.
    retries: usize,
    /// Uploads in parts that are neither complete nor taken back; S3 keeps and bills
    /// what came of them.
    begun: Mutex<Vec<(Path, MultipartId)>>,
}

impl Bucket {
    /// Finds the keys to a bucket that is written to; asks no server.
    ///
    /// # Errors
    /// There are none, or the URL cannot be used.
    pub fn open(url: &BucketUrl) -> Result<Self, Fault> {
        Self::open_with(url, &Surroundings::of_this_process(), &WRITER)
    }

    /// The same for one that is only read, by somebody who soon asks again. The keys
    /// are those in `file`, where one is named.
    ///
    /// # Errors
    /// As [`Bucket::open`].
    pub fn open_to_read(url: &BucketUrl, file: Option<&std::path::Path>) -> Result<Self, Fault> {
        let surroundings = Surroundings::named(file);
        Self::open_with(url, &surroundings, &READER)
    }

    fn open_with(url: &BucketUrl, surroundings: &Surroundings, user: &User) -> Result<Self, Fault> {
        let (asked, builder) = built(url, surroundings, user.needs)?;
        let builder = builder
            .with_client_options(options(url).with_timeout(REQUEST))
            .with_retry(retries(user));
        let name = asked.bucket.clone();
        let built = builder.build();
        let store = built.map_err(|error| Fault::refuse(format!("use {name}"), error))?;
        Ok(Self { name, asked, store, retries: user.retries, begun: Mutex::default() })
    }

    async fn create_at_once(
        &self,
        path: &Path,
        bytes: Vec<u8>,
        kind: &'static str,
    ) -> object_store::Result<Created> {
        let options = PutOptions {
            mode: PutMode::Create,
            attributes: of_kind(kind),
            ..PutOptions::default()
        };
        match self.put(path, PutPayload::from(bytes), options).await {
            Ok(()) => Ok(Created::New),
            Err(error) if refusal::is_there(&error) => Ok(Created::There),
            Err(error) => Err(error),
        }
    }

    /// Writes a file. S3 answers 409 while somebody else's conditional write of the same
    /// name goes on, which says nothing of what will be there: it is asked again.
    async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<()> {
        let mut pause = CONFLICT;
        for _ in 0..self.retries {
            match self.store.put_opts(path, payload.clone(), options.clone()).await {
                Err(error) if refusal::is_conflict(&error) => tokio::time::sleep(pause).await,
                put => return put.map(drop),
            }
            pause = (pause * 2).min(LONGEST_CONFLICT);
        }
        self.store.put_opts(path, payload, options).await.map(drop)
    }

    /// S3 cannot be told to complete an upload in parts only where the name is free. So
    /// this is for names that are made of the content: whoever is as fast as we are
    /// writes the same bytes.
    async fn create_in_parts(
        &self,
        path: &Path,
        what: &Parts<'_>,
        kind: &'static str,
    ) -> object_store::Result<Created> {
        match self.store.head(path).await {
            Ok(_) => return Ok(Created::There),
            Err(error) if refusal::is_absent(&error) => {}
            Err(error) => return Err(error),
        }
        let options = PutMultipartOptions::from(of_kind(kind));
        let id = self.store.create_multipart_opts(path, options).await?;
        self.begun().push((path.clone(), id.clone()));
        let sent = self.send(path, &id, what).await;
        let done = match sent {
            Ok(parts) => self.store.complete_multipart(path, &id, parts).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // What cannot be taken back now is left to a rule of the bucket's.
            let _ = self.store.abort_multipart(path, &id).await;
        }
        self.begun().retain(|(_, begun)| *begun != id);
        done.map(|()| Created::New)
    }

    async fn send(
        &self,
        path: &Path,
        id: &MultipartId,
        what: &Parts<'_>,
    ) -> object_store::Result<Vec<PartId>> {
        let part = |n: u64| async move {
            let bytes = what.read(n).await?;
            let length = bytes.len() as u64;
            let index = usize::try_from(n).map_err(local)?;
            let part = self.store.put_part(path, id, index, PutPayload::from(bytes)).await?;
            (what.on_sent)(length);
            Ok::<_, object_store::Error>(part)
        };
        stream::iter((0..what.count()).map(part)).buffered(SIDE_BY_SIDE).try_collect().await
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Vec<(Path, MultipartId)>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, doing: &str, name: &str, error: &object_store::Error) -> Fault {
        self.asked.fault(&format!("{doing} {}/{name}", self.name), error)
    }
}

impl Shelf for Bucket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let read = async {
            let found = self.store.get(&Path::from(name)).await?;
            if found.meta.size > TEXT {
                return Err(local(format!("{} bytes are no text of a cache", found.meta.size)));
            }
            found.bytes().await
        };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if refusal::is_absent(&error) => Ok(None),
            Err(error) => Err(self.fault("read", name, &error)),
        }
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self.store.head(&Path::from(name)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(error) if refusal::is_absent(&error) => Ok(None),
            Err(error) => Err(self.fault("look at", name, &error)),
        }
    }

    async fn create(
        &self,
        name: &str,
        what: &Content,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, Fault> {
        let (path, kind) = (Path::from(name), what.kind());
        let created = match what {
            Content::Text { text, .. } => {
                self.create_at_once(&path, text.clone().into_bytes(), kind).await
            }
            Content::File { file, size, .. } => {
                let parts = Parts { file, size: *size, on_sent };
                if *size <= AT_ONCE {
                    match parts.bytes(0, *size).await {
                        Ok(bytes) => self.create_at_once(&path, bytes, kind).await,
                        Err(error) => Err(error),
                    }
                } else {
                    return self
                        .create_in_parts(&path, &parts, kind)
                        .await
                        .map_err(|error| self.fault("upload", name, &error));
                }
            }
        };
        on_sent(what.size());
        created.map_err(|error| self.fault("upload", name, &error))
    }

    async fn tidy(&self) {
        let begun = std::mem::take(&mut *self.begun());
        let aborted = stream::iter(&begun).for_each_concurrent(SIDE_BY_SIDE, |(path, id)| async {
            // What cannot be taken back now is left to a rule of the bucket's.
            let _ = self.store.abort_multipart(path, id).await;
        });
        let _ = tokio::time::timeout(TIDY, aborted).await;
    }
}

/// A file that goes up in parts.
struct Parts<'a> {
    file: &'a Arc<std::fs::File>,
    size: u64,
    on_sent: &'a (dyn Fn(u64) + Sync),
}

impl Parts<'_> {
    fn part(&self) -> u64 {
        PART.max(self.size.div_ceil(PARTS))
    }

    fn count(&self) -> u64 {
        self.size.div_ceil(self.part())
    }

    async fn read(&self, n: u64) -> object_store::Result<Vec<u8>> {
        let start = n * self.part();
        self.bytes(start, self.part().min(self.size - start)).await
    }

    async fn bytes(&self, start: u64, length: u64) -> object_store::Result<Vec<u8>> {
        let file = Arc::clone(self.file);
        let length = usize::try_from(length).map_err(local)?;
        let read = move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start).map(|()| bytes)
        };
        tokio::task::spawn_blocking(read).await.map_err(local)?.map_err(local)
    }
}

/// Something that is no server's fault.
fn local(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: error.into() }
}

/// All but how long things may take.
fn built(
    url: &BucketUrl,
    surroundings: &Surroundings,
    needs: &'static str,
) -> Result<(Asked, AmazonS3Builder), Fault> {
    let bucket = format!("s3://{}", url.bucket);
    let found = surroundings
        .find(url.profile.as_deref())
        .map_err(|error| Fault::refuse(format!("use {bucket}"), &error).remedy(error.remedy()))?;
    let region = url.region.clone().or(found.region).unwrap_or_else(|| REGION.to_owned());
    let keys = found.credentials;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&url.bucket)
        .with_region(&region)
        .with_access_key_id(&keys.id)
        .with_secret_access_key(&keys.secret)
        .with_virtual_hosted_style_request(!url.path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if let Some(token) = keys.token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = &url.endpoint {
        builder = builder.with_endpoint(place(endpoint, url));
    }
    let (origin, endpoint) = (keys.origin, url.endpoint.clone());
    Ok((Asked { bucket, origin, region, endpoint, needs }, builder))
}

fn of_kind(kind: &'static str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, kind)])
}

fn options(url: &BucketUrl) -> ClientOptions {
    let plain = url.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new().with_allow_http(plain).with_connect_timeout(CONNECT)
}

fn retries(user: &User) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            ..BackoffConfig::default()
        },
        max_retries: user.retries,
        retry_timeout: user.patience,
    }
}

/// The endpoint as `object_store` wants it: with the bucket where its name is a part
/// of the host's.
fn place(endpoint: &str, url: &BucketUrl) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !url.path_style => format!("{scheme}://{}.{host}", url.bucket),
        _ => endpoint.to_owned(),
    }
}
