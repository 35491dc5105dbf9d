//! A folder of a bucket whose small files are replaced, unlike those of a cache.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutOptions, PutPayload};

use super::credentials::Surroundings;
use super::url::{BadBucketUrl, BucketUrl};
use super::{Bucket, User, of_kind, refusal};
use crate::fault::Fault;

/// Whoever waits for more than that tries again himself, later.
const TELLER: User = User {
    needs: "s3:PutObject to write, s3:ListBucket and s3:GetObject to read,",
    retries: 2,
    patience: Duration::from_secs(60),
};

/// `s3://BUCKET/FOLDER?profile=…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketFolder {
    url: BucketUrl,
    /// With a slash at its end; the whole bucket where it is empty.
    folder: String,
}

/// A file of such a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub size: u64,
    /// Another one whenever the content is.
    pub version: Option<String>,
}

/// A folder whose keys were found.
#[derive(Debug)]
pub struct OpenFolder {
    bucket: Bucket,
    folder: String,
}

impl BucketFolder {
    /// Reads a bucket's URL that may name a folder in it.
    ///
    /// # Errors
    /// The first part that means nothing here.
    pub fn parse(text: &str) -> Result<Self, BadBucketUrl> {
        BucketUrl::parse_folder(text).map(|(url, folder)| Self { url, folder })
    }

    /// Finds the keys: in `file` alone where there is one, or else where AWS's own tools
    /// look; asks no server.
    ///
    /// # Errors
    /// There are none.
    pub fn open(&self, file: Option<&FilePath>) -> Result<OpenFolder, Fault> {
        let surroundings = Surroundings::named(file);
        let bucket = Bucket::open_with(&self.url, &surroundings, &TELLER)?;
        Ok(OpenFolder { bucket, folder: self.folder.clone() })
    }
}

impl std::fmt::Display for BucketFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.url.bucket, self.folder)
    }
}

impl OpenFolder {
    /// Puts a file there, in the place of the one before: readers see one or the other.
    ///
    /// # Errors
    /// It cannot be put there now.
    pub async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.path(name);
        let options = PutOptions::from(of_kind("text/plain"));
        let put = self.bucket.put(&path, PutPayload::from(bytes.to_vec()), options);
        put.await.map_err(|error| self.bucket.fault("write", path.as_ref(), &error))
    }

    /// The files right in it, by name; `None` where there are more than `most` files in
    /// it and below.
    ///
    /// # Errors
    /// It cannot be listed now.
    pub async fn list(&self, most: usize) -> Result<Option<BTreeMap<String, Entry>>, Fault> {
        let above = (!self.folder.is_empty()).then(|| Path::from(&*self.folder));
        let (mut found, mut count) = (BTreeMap::new(), 0);
        let mut files = self.bucket.store.list(above.as_ref());
        let fault = |error| self.bucket.fault("list", &self.folder, &error);
        while let Some(file) = files.try_next().await.map_err(fault)? {
            count += 1;
            if count > most {
                return Ok(None);
            }
            let whole = file.location.as_ref();
            let name = whole.strip_prefix(&*self.folder).filter(|name| !name.contains('/'));
            if let Some(name) = name {
                let entry = Entry { size: file.size, version: file.e_tag };
                found.insert(name.to_owned(), entry);
            }
        }
        Ok(Some(found))
    }

    /// A file of at most `limit` bytes; why not, where it is larger or gone.
    ///
    /// # Errors
    /// It cannot be read now.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Result<Vec<u8>, String>, Fault> {
        let path = self.path(name);
        let fault = |error| self.bucket.fault("read", path.as_ref(), &error);
        match self.bucket.store.get(&path).await {
            Ok(found) if found.meta.size > limit => {
                Ok(Err(format!("it is larger than {limit} bytes")))
            }
            Ok(found) => found.bytes().await.map(|bytes| Ok(bytes.to_vec())).map_err(fault),
            Err(error @ object_store::Error::NotFound { .. }) if refusal::is_absent(&error) => {
                Ok(Err("it is gone".to_owned()))
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_bucket_is_named_with_the_bucket() {
        let folder = |text: &str| BucketFolder::parse(text).unwrap().to_string();
        assert_eq!(folder("s3://acme?endpoint=h:1&scheme=http"), "s3://acme/");
        assert_eq!(folder("s3://acme/infra/hosts?profile=a/b"), "s3://acme/infra/hosts/");
    }
}
