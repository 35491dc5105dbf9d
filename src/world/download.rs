//! What is told of a download while it goes on, and of the caches that it does without.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::step::human_bytes;

/// How far a download is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// Store paths that are whole.
    pub paths: u64,
    pub of_paths: u64,
    /// As they lie on the disk, unpacked.
    pub bytes: u64,
    /// Zero where no cache told.
    pub of_bytes: u64,
    /// If it goes on as it went so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// A cache that is left out for a while, since it did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Away {
    /// As the host's config names it.
    pub cache: String,
    pub since: String,
    /// Until then only a closure that no other cache has is a reason to ask it.
    pub until: String,
    pub because: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Download {
    /// The time that is left, where `spent` went into what is done.
    pub fn left(&self, spent: Duration) -> Option<u64> {
        let rest = self.of_bytes.checked_sub(self.bytes)?;
        let millis = u64::try_from(spent.as_millis()).ok()?;
        (self.bytes > 0)
            .then(|| millis.saturating_mul(rest / 1024) / (self.bytes / 1024 + 1) / 1000)
    }
}

impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, of_paths, bytes, of_bytes, seconds_left } = self;
        write!(f, "{paths} of {of_paths} paths, {}", human_bytes(*bytes))?;
        if *of_bytes > 0 {
            write!(f, " of {}", human_bytes(*of_bytes))?;
        }
        match seconds_left {
            None => Ok(()),
            Some(left) if *left < 60 => write!(f, ", {left} s left"),
            Some(left) => write!(f, ", {} min {} s left", left / 60, left % 60),
        }
    }
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cache, since, until, because, remedy: _ } = self;
        write!(f, "{cache}: {because}; since {since}, left out until {until}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_says_how_far_it_is() {
        let mut download = Download {
            paths: 1,
            of_paths: 4,
            bytes: 3 << 20,
            of_bytes: 10 << 20,
            seconds_left: None,
        };
        assert_eq!(download.to_string(), "1 of 4 paths, 3.0 MiB of 10.0 MiB");
        download.seconds_left = download.left(Duration::from_secs(30));
        assert_eq!(download.to_string(), "1 of 4 paths, 3.0 MiB of 10.0 MiB, 1 min 9 s left");
        download.seconds_left = download.left(Duration::from_secs(3));
        assert_eq!(download.seconds_left, Some(6));
        assert_eq!(Download::default().left(Duration::from_secs(3)), None);
        assert_eq!(Download::default().to_string(), "0 of 0 paths, 0 B");
    }
}
