//! The table `report`: whether this host tells of itself, and where.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Config, duration};
use crate::source::host_key::KeyFile;
use crate::source::outbox::{BucketOutbox, Folder, GitOutbox, Outbox};
use crate::source::secret::SecretFile;
use crate::world::bucket::BucketFolder;

/// What a host tells without being asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Report {
    pub to: To,
    pub key: Option<PathBuf>,
    pub interval: Duration,
    pub detail: bool,
}

/// The table as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    to: Kind,
    /// Where it pushes to, where that is another URL than the one it fetches from.
    #[serde(default, deserialize_with = "url")]
    url: Option<String>,
    /// AWS's file with the keys of the bucket, where it is in none of the usual places.
    credentials_file: Option<SecretFile>,
    /// The host's private key; `report_key` in the state directory where it is left out.
    key: Option<PathBuf>,
    /// After this long there is another report even if nothing changed.
    #[serde(default = "interval", deserialize_with = "duration")]
    interval: Duration,
    /// Whether journal lines of what failed are part of it.
    #[serde(default)]
    detail: bool,
}

/// Where reports go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A repository, at a ref of this host's own; the one that it follows where none is
    /// named.
    Git(Option<String>),
    /// A folder that something else carries on, or that others see too.
    Folder(PathBuf),
    /// A folder of a bucket.
    Bucket(Box<BucketOutbox>),
}

/// `"git"`, `"dir:///path"` or `"s3://BUCKET/FOLDER?…"`.
enum Kind {
    Git,
    Folder(PathBuf),
    Bucket(BucketFolder),
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("s3://") {
            let bad = |why| de::Error::custom(format!("report.to: {why}"));
            return BucketFolder::parse(&text).map(Self::Bucket).map_err(bad);
        }
        match (text.as_str(), text.strip_prefix("dir://")) {
            ("git", _) => Ok(Self::Git),
            (_, Some(path)) if path.starts_with('/') => Ok(Self::Folder(path.into())),
            _ => Err(de::Error::custom(
                "report.to is \"git\", \"dir:///path\" or \"s3://BUCKET/FOLDER?…\"",
            )),
        }
    }
}

impl Report {
    /// Whether only a source can say where it is pushed to.
    pub(super) fn needs_url(&self) -> bool {
        self.to == To::Git(None)
    }
}

impl TryFrom<Written> for Report {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { to, url, credentials_file, key, interval, detail } = written;
        let to = match (to, url, credentials_file) {
            (Kind::Git, url, None) => To::Git(url),
            (Kind::Folder(path), None, None) => To::Folder(path),
            (Kind::Bucket(folder), None, keys) => {
                To::Bucket(Box::new(BucketOutbox { folder, keys }))
            }
            (Kind::Folder(_) | Kind::Bucket(_), Some(_), _) => {
                return Err("report.url belongs to report.to = \"git\"");
            }
            (Kind::Git | Kind::Folder(_), _, Some(_)) => {
                return Err("report.credentialsFile belongs to report.to = \"s3://…\"");
            }
        };
        Ok(Self { to, key, interval, detail })
    }
}

impl Config {
    /// Where this host's key lies, whether it reports or not.
    pub fn report_key(&self) -> KeyFile {
        let named = self.report.as_ref().and_then(|report| report.key.clone());
        let path = named.unwrap_or_else(|| self.state_directory.join("report_key"));
        KeyFile { path, host: self.host.clone() }
    }

    /// The road that reports take.
    pub fn outbox(&self, report: &Report) -> Outbox {
        match &report.to {
            To::Folder(folder) => Outbox::Folder(Folder::at(folder.clone())),
            To::Bucket(bucket) => Outbox::Bucket(bucket.clone()),
            To::Git(url) => Outbox::Git(GitOutbox {
                url: url
                    .clone()
                    .or_else(|| self.git_url().map(ToString::to_string))
                    .unwrap_or_default(),
                format: self.repository.object_format,
                scratch: self.state_directory.join("report.git"),
            }),
        }
    }
}

impl Default for Report {
    /// What a kit is told, where nobody else is told anything.
    fn default() -> Self {
        Self { to: To::Git(None), key: None, interval: interval(), detail: false }
    }
}

fn interval() -> Duration {
    Duration::from_secs(15 * 60)
}

/// As the repository's own, and SSH: the git that pushes is the system's.
fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(deserializer)?;
    let schemes = ["https://", "http://", "file:///", "ssh://"];
    let known = schemes.iter().any(|scheme| url.starts_with(scheme));
    if !known || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(de::Error::custom(
            "report.url has to begin with https://, http://, ssh:// or file:/// and hold no blanks",
        ));
    }
    Ok(Some(url))
}
