//! Nix profiles, one per service, in nix's own layout.
//!
//! `<name>` is a link to `<name>-<n>-link`, which is a link to the store path of
//! version n; so `nix-env -p <profile> --list-generations` and `--rollback` work on
//! it (nix, `src/libstore/profiles.cc`). The links are made here because a nix
//! process costs some 25 ms and a generation may switch many profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::link::{exists, remove, replace, sync};
use super::lock::Lock;
use crate::fault::Fault;
use crate::names::{ServiceName, StorePath};
use crate::plan::observed::ObservedStore;
use crate::plan::retention::{Version, Versions};

/// The profiles below one directory.
#[derive(Debug)]
pub(super) struct Profiles {
    pub dir: PathBuf,
}

/// What a profile is to point at.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub path: &'a StorePath,
    /// It is complete and held, though no version of the profile may know it.
    pub fetched: bool,
}

impl Profiles {
    /// What every profile points at, and which paths their versions keep.
    pub(super) fn observe(&self) -> io::Result<ObservedStore> {
        let mut observed = ObservedStore::default();
        for (service, profile) in self.all()? {
            observed.current.extend(profile.current.map(|path| (service, path)));
            observed.rooted.extend(profile.all.into_values());
        }
        observed.rooted.retain(|path| exists(Path::new(path.as_str())));
        Ok(observed)
    }

    /// Points a profile at `to`: at the version that has it already, else at a new one.
    pub(super) async fn switch(
        &self,
        service: &ServiceName,
        from: Option<&StorePath>,
        to: New<'_>,
        doing: &str,
    ) -> Result<(), Fault> {
        let New { path: to, fetched } = to;
        if version_of(service.as_str()).is_some() {
            return Err(Fault::refuse(doing, "nix calls versions of a profile so: NAME-N-link")
                .remedy("give the service another name"));
        }
        let profile = self.dir.join(service.as_str());
        let _lock = Lock::take(&profile).await.map_err(|e| self.fault(doing, &e))?;
        let now = self.one(service).map_err(|e| self.fault(doing, &e))?;
        if now.current.as_ref() == Some(to) {
            return Ok(());
        }
        if now.current.as_ref() != from {
            return Err(moved(doing, from, now.current.as_ref()));
        }
        let kept = fetched || keeps(&now, to) || self.any_keeps(to);
        if !kept || !exists(Path::new(to.as_str())) {
            return Err(Fault::wait(doing, "it was not fetched, or is gone from the store"));
        }
        let place = || {
            let same = now.all.iter().rev().find(|(_, path)| *path == to).map(|(n, _)| *n);
            let version = match same {
                Some(n) => n,
                None => self.add(service, &now, to)?,
            };
            replace(&profile, Path::new(&format!("{service}-{version}-link")))?;
            sync(&self.dir)
        };
        place().map_err(|e| self.fault(doing, &e))
    }

    /// Removes a profile. Its versions stay, each a root of its own.
    pub(super) async fn retire(
        &self,
        service: &ServiceName,
        from: &StorePath,
        doing: &str,
    ) -> Result<(), Fault> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let profile = self.dir.join(service.as_str());
        let _lock = Lock::take(&profile).await.map_err(|e| self.fault(doing, &e))?;
        let current = self.current(service);
        if current.is_some() && current.as_ref() != Some(from) {
            return Err(moved(doing, Some(from), current.as_ref()));
        }
        remove(&profile).and_then(|()| sync(&self.dir)).map_err(|e| self.fault(doing, &e))
    }

    /// Every profile with its versions.
    pub(super) fn held(&self) -> io::Result<BTreeMap<ServiceName, Versions>> {
        self.all()
    }

    /// Removes versions. One that has become something else since it was seen, or that
    /// its profile has come to point at, stays.
    pub(super) async fn release<'a>(
        &self,
        going: impl Iterator<Item = &'a Version>,
        doing: &str,
    ) -> Result<(), Fault> {
        let mut services: BTreeMap<&ServiceName, Vec<&Version>> = BTreeMap::new();
        for version in going {
            services.entry(&version.service).or_default().push(version);
        }
        for (service, versions) in services {
            let profile = self.dir.join(service.as_str());
            let _lock = Lock::take(&profile).await.map_err(|e| self.fault(doing, &e))?;
            let current = self.current(service);
            for Version { version, store_path, .. } in versions {
                let link = self.version(service, *version);
                let same = self.store_path(&format!("{service}-{version}-link"));
                if same.as_ref() == Some(store_path) && current.as_ref() != Some(store_path) {
                    remove(&link).map_err(|e| self.fault(doing, &e))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a version of whatever profile keeps `path`: services may share a closure.
    fn any_keeps(&self, path: &StorePath) -> bool {
        self.all().is_ok_and(|all| all.values().any(|profile| keeps(profile, path)))
    }

    fn version(&self, service: &ServiceName, n: u64) -> PathBuf {
        self.dir.join(format!("{service}-{n}-link"))
    }

    fn add(&self, service: &ServiceName, now: &Versions, to: &StorePath) -> io::Result<u64> {
        let n = now.all.keys().next_back().copied().unwrap_or(0) + 1;
        symlink(to.as_str(), self.version(service, n))?;
        Ok(n)
    }

    fn all(&self) -> io::Result<BTreeMap<ServiceName, Versions>> {
        let names = self.names("")?;
        let services: BTreeSet<ServiceName> = names
            .iter()
            .filter_map(|name| {
                version_of(name).map_or(name.as_str(), |(stem, _)| stem).parse().ok()
            })
            .collect();
        let mut all: BTreeMap<ServiceName, Versions> =
            services.into_iter().map(|service| (service, Versions::default())).collect();
        for name in &names {
            if let Some((service, n)) = version_of(name)
                && let Some(path) = self.store_path(name)
                && let Some(profile) =
                    service.parse().ok().and_then(|s: ServiceName| all.get_mut(&s))
            {
                profile.all.insert(n, path);
            }
        }
        for (service, profile) in &mut all {
            profile.current = self.current(service);
        }
        all.retain(|_, profile| profile.current.is_some() || !profile.all.is_empty());
        Ok(all)
    }

    fn one(&self, service: &ServiceName) -> io::Result<Versions> {
        let mut versions = BTreeMap::new();
        for name in self.names(service.as_str())? {
            if let Some((stem, n)) = version_of(&name)
                && stem == service.as_str()
                && let Some(path) = self.store_path(&name)
            {
                versions.insert(n, path);
            }
        }
        Ok(Versions { current: self.current(service), all: versions })
    }

    /// The names in the directory that begin so; none where it does not exist.
    ///
    /// With 1,000 profiles there are 6,000, and a generation may ask 1,000 times, so
    /// nothing is done for the others.
    fn names(&self, start: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if name.as_encoded_bytes().starts_with(start.as_bytes()) {
                names.extend(name.into_string());
            }
        }
        Ok(names)
    }

    /// Where the profile's link ends, through the version it names.
    fn current(&self, service: &ServiceName) -> Option<StorePath> {
        let target = fs::read_link(self.dir.join(service.as_str())).ok()?;
        let target = target.to_str()?;
        target.parse().ok().or_else(|| self.store_path(target))
    }

    fn store_path(&self, link: &str) -> Option<StorePath> {
        fs::read_link(self.dir.join(link)).ok()?.to_str()?.parse().ok()
    }

    pub(super) fn fault(&self, doing: &str, error: &io::Error) -> Fault {
        let fault = Fault::wait(doing, format!("{}: {error}", self.dir.display()));
        match error.kind() {
            io::ErrorKind::StorageFull => fault.remedy("free some space on that disk"),
            io::ErrorKind::TimedOut => fault.remedy("let that process end, or end it"),
            _ => fault.remedy("let root write there"),
        }
    }
}

fn keeps(profile: &Versions, path: &StorePath) -> bool {
    profile.all.values().any(|kept| kept == path)
}

/// `web` and 3 for `web-3-link`.
fn version_of(name: &str) -> Option<(&str, u64)> {
    let (stem, n) = name.strip_suffix("-link")?.rsplit_once('-')?;
    Some((stem, n.parse().ok()?))
}

fn moved(doing: &str, from: Option<&StorePath>, now: Option<&StorePath>) -> Fault {
    let name = |path: Option<&StorePath>| path.map_or("nothing".to_owned(), ToString::to_string);
    Fault::wait(
        doing,
        format!("the profile moved meanwhile: it points at {}, not at {}", name(now), name(from)),
    )
}
