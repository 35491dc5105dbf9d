//! The table `report`: whether this host tells of itself, and where.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Config, duration};
use crate::source::host_key::KeyFile;
use crate::source::outbox::{Folder, GitOutbox, Outbox};

/// What a host tells without being asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Report {
    pub to: To,
    /// Where it pushes to, where that is another URL than the one it fetches from.
    #[serde(default, deserialize_with = "url")]
    pub url: Option<String>,
    /// The host's private key; `report_key` in the state directory where it is left out.
    pub key: Option<PathBuf>,
    /// After this long there is another report even if nothing changed.
    #[serde(default = "interval", deserialize_with = "duration")]
    pub interval: Duration,
    /// Whether journal lines of what failed are part of it.
    #[serde(default)]
    pub detail: bool,
}

/// `"git"` or `"dir:///path"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The deploy repository, at a ref of this host's own.
    Git,
    /// A folder that something else carries on, or that others see too.
    Folder(PathBuf),
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("s3://") {
            let why = "report.to: s3:// cannot be written to yet; use \"git\" or \"dir:///path\"";
            return Err(de::Error::custom(why));
        }
        match (text.as_str(), text.strip_prefix("dir://")) {
            ("git", _) => Ok(Self::Git),
            (_, Some(path)) if path.starts_with('/') => Ok(Self::Folder(path.into())),
            _ => Err(de::Error::custom("report.to is \"git\" or \"dir:///path\"")),
        }
    }
}

impl Report {
    /// Whether only a source can say where it is pushed to.
    pub(super) fn needs_url(&self) -> bool {
        self.to == To::Git && self.url.is_none()
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
            To::Git => Outbox::Git(GitOutbox {
                url: report
                    .url
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
        Self { to: To::Git, url: None, key: None, interval: interval(), detail: false }
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
