//! A bucket that is read, file by file, and never written.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};
use tokio::time::timeout;

use super::credentials::Surroundings;
use super::refusal::{self, Asked};
use super::{BucketUrl, built, options};
use crate::fault::{Fault, Retry};
use crate::world::shelf::TEXT;
use crate::world::stock::{Delivery, Denial, Part, Stock};

/// To reach the server.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest that a server may be silent, before the first byte and between two.
const STALL: Duration = Duration::from_secs(30);
/// One glance, whole.
const GLANCE: Duration = Duration::from_secs(5);
/// A server in trouble is asked again this often for one file.
const RETRIES: usize = 5;
/// Time for everything about one file; nix has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(3600);

const NEEDS: &str = "s3:GetObject";

/// A cache in a bucket or in a folder of one, with the keys to it.
#[derive(Debug)]
pub struct Reader {
    asked: Asked,
    /// `a/b/`, or nothing.
    folder: String,
    /// Asks again and again.
    patient: AmazonS3,
    /// Asks once.
    brisk: AmazonS3,
}

impl Reader {
    /// Finds the keys: in the file that is named, or else where AWS's own tools keep
    /// them. Asks no server.
    ///
    /// # Errors
    /// There are none, or the URL cannot be used.
    pub fn open(url: &str, file: Option<&std::path::Path>) -> Result<Self, Fault> {
        Self::open_with(url, file, STALL)
    }

    /// The same for a server that may be silent for so long.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        url: &str,
        file: Option<&std::path::Path>,
        stall: Duration,
    ) -> Result<Self, Fault> {
        let (url, folder) = BucketUrl::parse_folder(url)
            .map_err(|error| Fault::wait(format!("use {url}"), error))?;
        let surroundings = Surroundings::named(file);
        let (mut asked, builder) = built(&url, &surroundings, NEEDS).map_err(patient)?;
        let options = options(&url).with_connect_timeout(CONNECT).with_read_timeout(stall);
        let builder = builder.with_client_options(options.with_timeout_disabled());
        let build = |retries| {
            let built = builder.clone().with_retry(again(retries)).build();
            built.map_err(|error| Fault::wait(format!("use {}", asked.bucket), error))
        };
        let (patient, brisk) = (build(RETRIES)?, build(0)?);
        asked.bucket = format!("{}/{folder}", asked.bucket).trim_end_matches('/').to_owned();
        Ok(Self { asked, folder, patient, brisk })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.folder))
    }

    fn denial(&self, name: &str, error: &Error) -> Denial {
        if refusal::is_absent(error) { Denial::Absent } else { self.plainly(name, error) }
    }

    fn plainly(&self, name: &str, error: &Error) -> Denial {
        let fault = patient(self.asked.fault(&format!("read {}/{name}", self.asked.bucket), error));
        match error {
            Error::NotFound { .. } if refusal::is_absent(error) => Denial::Absent,
            _ if refusal::is_beyond(error) => Denial::Beyond,
            _ if refusal::is_refusal(error) => Denial::Refused(fault),
            _ => Denial::Trouble(fault),
        }
    }

    async fn text(&self, name: &str) -> Result<Vec<u8>, Denial> {
        let read = async {
            let found = self.brisk.get(&self.path(name)).await?;
            if found.meta.size > TEXT {
                let long = format!("{} bytes are no text of a cache", found.meta.size);
                return Err(super::local(long));
            }
            found.bytes().await
        };
        let read = timeout(GLANCE, read).await.map_err(|_| self.late(name))?;
        read.map(Into::into).map_err(|error| self.plainly(name, &error))
    }

    fn late(&self, name: &str) -> Denial {
        let because = format!("no answer within {} s", GLANCE.as_secs());
        Denial::Trouble(Fault::wait(format!("read {}/{name}", self.asked.bucket), because))
    }

    async fn deliver(&self, name: &str, part: Option<Part>) -> Result<Delivery, Denial> {
        let range = part.map(|part| match part {
            Part::Between(range) => GetRange::Bounded(range),
            Part::From(first) => GetRange::Offset(first),
            Part::Last(length) => GetRange::Suffix(length),
        });
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.patient.get_opts(&self.path(name), options).await;
        let found = found.map_err(|error| self.denial(name, &error))?;
        let (size, range) = (found.meta.size, found.range.clone());
        let (asked, doing) = (self.asked.clone(), format!("read {}/{name}", self.asked.bucket));
        let body = found.into_stream();
        let body = body.map(move |part| part.map_err(|error| patient(asked.fault(&doing, &error))));
        Ok(Delivery { size, range, body: body.boxed() })
    }
}

impl Stock for Reader {
    fn glance<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Denial>> {
        self.text(name).boxed()
    }

    fn size<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<u64, Denial>> {
        let size = async move {
            let found = self.patient.head(&self.path(name)).await;
            found.map(|found| found.size).map_err(|error| self.denial(name, &error))
        };
        size.boxed()
    }

    fn open<'a>(
        &'a self,
        name: &'a str,
        part: Option<Part>,
    ) -> BoxFuture<'a, Result<Delivery, Denial>> {
        self.deliver(name, part).boxed()
    }
}

/// A cache that cannot be read is never the generation's fault.
fn patient(fault: Fault) -> Fault {
    Fault { retry: Retry::Soon, ..fault }
}

fn again(max_retries: usize) -> RetryConfig {
    let init_backoff = Duration::from_millis(200);
    let max_backoff = Duration::from_secs(5);
    let backoff = BackoffConfig { init_backoff, max_backoff, ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries, retry_timeout: PATIENCE }
}
