//! What the operators wrote down: as written, then checked, then what one host should be.
//!
//! A [`Manifest`] carries where it came from in its type: [`WorkingTree`] for
//! text somebody is editing, [`VerifiedCommit`] for text a host may act on.
//! There is no way from the first to the second:
//!
//! ```compile_fail,E0308
//! # use writ::manifest::{Manifest, WorkingTree};
//! # use writ::trust::VerifiedCommit;
//! fn act(_: Manifest<VerifiedCommit>) {}
//! fn smuggle(draft: Manifest<WorkingTree>) {
//!     act(draft);
//! }
//! ```
//!
//! The files are read into one small tree that knows where each value stands
//! (`tree`), table by table and key by key (`table`, `value`), into services
//! (`read`), and then held against each other (`read::cross`). Nothing stops at a
//! problem: every one is noted, so that all are shown at once.

mod cron;
pub mod edit;
pub mod import;
mod problem;
pub mod profile;
mod read;
pub mod schema;
pub mod service;
mod table;
mod tree;
mod value;
pub mod window;

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{HostName, ServiceName, Tag};
use crate::trust::privileges::{Privilege, requests};
use crate::trust::{HostKey, VerifiedCommit};
pub use problem::{Problem, Problems};
use profile::Profile;
use service::Service;
use window::Windows;

/// Every host's wishes, from one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest<Source> {
    /// Each service with the hosts it names.
    services: BTreeMap<ServiceName, (Hosts, Service)>,
    profiles: BTreeMap<ServiceName, (Hosts, Profile)>,
    hosts: BTreeMap<HostName, HostSpec>,
    /// What each service asks of its hosts, for people who decide over it; nothing where
    /// the commit is verified, and so has been judged.
    privileges: BTreeMap<ServiceName, BTreeSet<Privilege>>,
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
    pub profiles: BTreeMap<ServiceName, Profile>,
    /// When generations may begin.
    pub windows: Windows,
    /// What each service asks of the host beyond the closed default; of a draft alone.
    pub privileges: BTreeMap<ServiceName, BTreeSet<Privilege>>,
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
    pub windows: Windows,
    /// What the host signs its reports with.
    pub report_key: Option<HostKey>,
}

impl Manifest<WorkingTree> {
    /// Reads a manifest in the making, for `check` and `plan`: the files below
    /// `manifests/` by path from the repository's root.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn draft(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Problems> {
        let mut draft = Self::read(files, WorkingTree)?;
        for request in files.iter().flat_map(|(path, text)| requests(path, text)) {
            if let Ok(service) = request.subject.parse::<ServiceName>() {
                draft.privileges.entry(service).or_default().insert(request.privilege);
            }
        }
        Ok(draft)
    }
}

impl Manifest<VerifiedCommit> {
    /// Reads the manifest of a commit this host trusts.
    ///
    /// # Errors
    /// Every problem of every file: the commit is then a refused generation.
    pub fn of(commit: VerifiedCommit) -> Result<Self, Problems> {
        // Shares the commit; the files themselves are not copied.
        let files = commit.clone();
        Self::read(files.files(), commit)
    }
}

impl<Source> Manifest<Source> {
    /// Private, so that a source is only ever named by the two constructors.
    fn read(files: &BTreeMap<String, Vec<u8>>, source: Source) -> Result<Self, Problems> {
        let read::Content { services, profiles, hosts } = read::files(files)?;
        Ok(Self { services, profiles, hosts, privileges: BTreeMap::new(), source })
    }

    /// Every host that any file names.
    pub fn hosts(&self) -> BTreeSet<HostName> {
        let services = self.services.values().map(|(hosts, _)| hosts);
        let profiles = self.profiles.values().map(|(hosts, _)| hosts);
        let named = services.chain(profiles).flat_map(|hosts| &hosts.names);
        named.chain(self.hosts.keys()).cloned().collect()
    }

    /// Every tag that a service or a profile names.
    pub fn tags(&self) -> BTreeSet<Tag> {
        let services = self.services.values().map(|(hosts, _)| hosts);
        let profiles = self.profiles.values().map(|(hosts, _)| hosts);
        services.chain(profiles).flat_map(|hosts| hosts.tags.iter().cloned()).collect()
    }

    /// What a host signs its reports with, where its file says so.
    pub fn report_key(&self, host: &HostName) -> Option<&HostKey> {
        self.hosts.get(host)?.report_key.as_ref()
    }

    /// Where the manifest came from.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl<Source> Desired<Source> {
    /// A host on which nothing of ours is left, by the word of a commit that
    /// brought the first of it.
    pub fn nothing(host: HostName, source: Source) -> Self {
        Self {
            host,
            services: BTreeMap::new(),
            profiles: BTreeMap::new(),
            windows: Windows::default(),
            privileges: BTreeMap::new(),
            source,
        }
    }
}

impl<Source: PartialEq> Desired<Source> {
    /// Whether the host is to be the same, whatever else its services ask for elsewhere.
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { host, services, profiles, windows, privileges: _, source } = self;
        *host == other.host
            && *services == other.services
            && *profiles == other.profiles
            && *windows == other.windows
            && *source == other.source
    }
}

impl<Source: Clone> Manifest<Source> {
    /// What this host should be: all that names it, one of its tags, or every host.
    pub fn desired(&self, host: &HostName) -> Desired<Source> {
        let spec = self.hosts.get(host);
        let here = |hosts: &Hosts| hosts.include(host, spec.map(|spec| &spec.tags));
        let services = content(&self.services, here);
        let asked = services.keys().filter_map(|name| self.privileges.get_key_value(name));
        Desired {
            host: host.clone(),
            privileges: asked.map(|(name, asked)| (name.clone(), asked.clone())).collect(),
            services,
            profiles: content(&self.profiles, here),
            windows: spec.map(|spec| spec.windows.clone()).unwrap_or_default(),
            source: self.source.clone(),
        }
    }
}

fn content<T: Clone>(
    all: &BTreeMap<ServiceName, (Hosts, T)>,
    here: impl Fn(&Hosts) -> bool,
) -> BTreeMap<ServiceName, T> {
    all.iter()
        .filter(|(_, (hosts, _))| here(hosts))
        .map(|(name, (_, content))| (name.clone(), content.clone()))
        .collect()
}

impl Hosts {
    /// Whether a host with these tags is one of them.
    fn include(&self, host: &HostName, tags: Option<&BTreeSet<Tag>>) -> bool {
        self.all
            || self.names.contains(host)
            || tags.is_some_and(|tags| !self.tags.is_disjoint(tags))
    }
}
