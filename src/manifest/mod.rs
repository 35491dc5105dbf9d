//! What the operators wrote down: as written, then checked, then what one host should be.
//!
//! A [`Manifest`] carries where it came from in its type: [`WorkingTree`] for
//! text somebody is editing, [`VerifiedCommit`] for text a host may act on.

pub mod service;

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{HostName, ServiceName, Tag};
use crate::trust::VerifiedCommit;
use service::Service;

/// Every host's wishes, from one source.
#[derive(Clone, Debug)]
pub struct Manifest<Source> {
    /// Each service with the hosts it names.
    services: BTreeMap<ServiceName, (Hosts, Service)>,
    hosts: BTreeMap<HostName, HostSpec>,
    source: Source,
}

/// The source of a manifest nobody has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingTree;

/// What one host should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired<Source> {
    pub host: HostName,
    pub services: BTreeMap<ServiceName, Service>,
    pub source: Source,
}

/// Which hosts a service runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    pub all: bool,
    pub names: BTreeSet<HostName>,
    pub tags: BTreeSet<Tag>,
}

/// `manifests/hosts/<host>.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSpec {
    pub tags: BTreeSet<Tag>,
    /// Deploy windows, six-field cron.
    pub windows: Vec<String>,
}

/// One thing that is wrong with a manifest, where, why, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file's path from the repository's root.
    pub file: String,
    /// From 1; 0 where the problem is the file itself.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub what: String,
    pub remedy: String,
}

/// Every problem of a manifest, in order of file, line and column; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Manifest<WorkingTree> {
    /// Reads a manifest in the making, for `check` and `plan`: the files below
    /// `manifests/` by path from the repository's root.
    pub fn draft(_files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Problems> {
        Err(Problems(Vec::new()))
    }
}

impl Manifest<VerifiedCommit> {
    /// Reads the manifest of a commit this host trusts.
    pub fn of(_commit: VerifiedCommit) -> Result<Self, Problems> {
        Err(Problems(Vec::new()))
    }
}
