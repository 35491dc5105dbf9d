//! Where bundles lie: a bucket, or a folder of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index;
use crate::fault::Fault;
use crate::world::bucket::{Bucket, BucketUrl};
use crate::world::folder::Folder;
use crate::world::shelf::{Board, Content, Created, Listed, Look, Replaced, Shelf, Sink, Tag};

/// The index's name.
pub const INDEX: &str = "index";
const BUNDLE: &str = "application/x-git-bundle";

/// A place's URL, read: `s3://BUCKET/FOLDER?…`, or `dir:///FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteUrl {
    /// A bucket, and a folder of it: `a/b/`, or nothing.
    Bucket(BucketUrl, String),
    Folder(PathBuf),
}

/// What somebody comes to a place for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To take something, with the keys in a file where one is named.
    Take(Option<&'a Path>),
    Publish,
}

/// A place, with the keys to it.
#[derive(Clone, Debug)]
pub enum Site {
    Bucket(Arc<Bucket>, String),
    Folder(Folder),
}

impl SiteUrl {
    /// # Errors
    /// What is wrong with it, in words for whoever wrote it.
    pub fn read(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("dir://") {
            let odd = |c: char| c.is_control() || "?%#".contains(c);
            let parts = || path.split('/').skip(1);
            if !path.starts_with('/') || path.contains(odd) || parts().any(|part| part == "..") {
                return Err(format!(
                    "{url}: a folder is dir:///FOLDER, without options and escapes"
                ));
            }
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        let (bucket, folder) = BucketUrl::parse_folder(url).map_err(|error| error.to_string())?;
        Ok(Self::Bucket(bucket, folder))
    }

    /// Finds the keys; asks no server.
    ///
    /// # Errors
    /// There are none.
    pub fn open(&self, purpose: Purpose<'_>) -> Result<Site, Fault> {
        match self {
            Self::Folder(path) => Ok(Site::Folder(Folder::at(path))),
            Self::Bucket(url, folder) => {
                let bucket = match purpose {
                    Purpose::Take(keys) => Bucket::open_to_read(url, keys)?,
                    Purpose::Publish => Bucket::open(url)?,
                };
                Ok(Site::Bucket(Arc::new(bucket), folder.clone()))
            }
        }
    }
}

impl Site {
    /// Where a file of it lies, for people.
    pub fn told(&self, name: &str) -> String {
        match self {
            Self::Bucket(bucket, folder) => format!("{}/{folder}{name}", bucket.name()),
            Self::Folder(folder) => format!("{}/{name}", folder.name()),
        }
    }

    /// The index, unless it is as it was.
    pub async fn look(&self, before: Option<&Tag>) -> Result<Look, Fault> {
        match self {
            Self::Bucket(bucket, folder) => {
                bucket.look(&format!("{folder}{INDEX}"), before, index::LIMIT).await
            }
            Self::Folder(folder) => folder.look(INDEX, before, index::LIMIT).await,
        }
    }

    /// Puts an index in the place of the one that was seen.
    pub async fn replace(&self, text: &str, before: Option<&Tag>) -> Result<Replaced, Fault> {
        match self {
            Self::Bucket(bucket, folder) => {
                bucket.replace(&format!("{folder}{INDEX}"), text, before).await
            }
            Self::Folder(folder) => folder.replace(INDEX, text, before).await,
        }
    }

    /// Hands a bundle over in pieces; says whether it is there.
    pub async fn carry(&self, name: &str, to: Sink<'_>) -> Result<bool, Fault> {
        match self {
            Self::Bucket(bucket, folder) => bucket.carry(&format!("{folder}{name}"), to).await,
            Self::Folder(folder) => folder.carry(name, to).await,
        }
    }

    /// Puts a bundle there, unless its name is taken.
    pub async fn create(
        &self,
        name: &str,
        file: std::fs::File,
        size: u64,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, Fault> {
        let content = Content::File { file: Arc::new(file), size, kind: BUNDLE };
        match self {
            Self::Bucket(bucket, folder) => {
                bucket.create(&format!("{folder}{name}"), &content, on_sent).await
            }
            Self::Folder(folder) => folder.create(name, &content, on_sent).await,
        }
    }

    /// The size of a bundle, where it is there.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self {
            Self::Bucket(bucket, folder) => bucket.size(&format!("{folder}{name}")).await,
            Self::Folder(folder) => folder.size(name).await,
        }
    }

    /// The bundles, by the names that an index has for them.
    pub async fn list(&self) -> Result<Vec<Listed>, Fault> {
        const FOLDER: &str = "bundles";
        let (listed, above) = match self {
            Self::Bucket(bucket, folder) => {
                (bucket.list(&format!("{folder}{FOLDER}")).await?, folder.as_str())
            }
            Self::Folder(folder) => (folder.list(FOLDER).await?, ""),
        };
        let named = listed.into_iter().filter_map(|Listed { name, age }| {
            Some(Listed { name: name.strip_prefix(above)?.to_owned(), age })
        });
        Ok(named.collect())
    }

    /// Deletes a bundle.
    pub async fn remove(&self, name: &str) -> Result<(), Fault> {
        match self {
            Self::Bucket(bucket, folder) => bucket.remove(&format!("{folder}{name}")).await,
            Self::Folder(folder) => folder.remove(name).await,
        }
    }

    /// Takes back what was begun and came to no end.
    pub async fn tidy(&self) {
        match self {
            Self::Bucket(bucket, _) => bucket.tidy().await,
            Self::Folder(folder) => folder.tidy().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_of_a_bucket_or_of_a_machine() {
        let told: Vec<String> = [
            "s3://acme-deploy",
            "s3://acme-deploy/",
            "s3://acme-deploy/live/main?region=eu-west-1&profile=hosts",
            "s3://acme-deploy/live//main",
            "s3://acme-deploy/../other",
            "s3://acme-deploy/a%2fb",
            "s3://acme-deploy/a?secret-key=x",
            "s3://ID:SECRET@acme-deploy/a",
            "s3:///a",
            "dir:///media/stick/kit",
            "dir://media/stick",
            "dir:///media/../etc",
            "dir:///media/a%20b",
            "ftp://example.org",
        ]
        .iter()
        .map(|url| match SiteUrl::read(url) {
            Ok(site) => format!("{url}\n    {site:?}"),
            Err(why) => format!("{url}\n    {why}"),
        })
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
