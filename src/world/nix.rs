//! The Nix store through nix's own links and, where something is to be fetched,
//! one nix process.

mod announced;
mod away;
mod cache;
mod caches;
mod check;
mod collect;
mod conduct;
mod contents;
mod digests;
mod explain;
mod fetch;
mod gateway;
mod link;
mod local;
mod lock;
mod narinfo;
mod overrun;
mod passwords;
mod profiles;
mod registration;
mod room;
mod scratch;
mod settings;
mod site;
mod stick;
mod telling;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub use announced::{CacheKey, check_shelf};
pub use cache::{BadCache, check_public_key, check_substituter};
use caches::Caches;
pub use collect::Collected;
use conduct::Conduct;
pub use contents::contents;
use digests::Digests;
pub use gateway::Gateway;
pub use local::{Closure, LocalNix, Source};
use narinfo::{Asking, Missing};
use passwords::Passwords;
use profiles::{New, Profiles};
use reqwest::Client;
pub use room::Room;
pub use stick::CACHE;
pub use upload::{Look, SecretKey, Sizes, Sources, Stock, Supply, Tally, fill, ship, stock};

use super::Store;
use super::download::{Away, Download};
use super::stock::Keeper;
use crate::fault::Fault;
use crate::manifest::service::Artifact;
use crate::names::{ClosureDigest, ServiceName, StorePath};
use crate::plan::closure::{PathInfo, closure_digest, closure_of};
use crate::plan::observed::ObservedStore;
use crate::plan::retention::{Held, Retention};
use crate::plan::site::{Site, Unfit};

/// Where nix keeps what is not in the store.
const STATE: &str = "/nix/var/nix";
/// Where nix is looked for beside `PATH`: NixOS, nix's installer, distributions.
const PROGRAMS: [&str; 4] = [
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "/usr/bin",
    "/usr/local/bin",
];

/// What the host's own config says about nix.
#[derive(Clone, Debug)]
pub struct NixConfig {
    /// Binary caches that [`check_substituter`] found good.
    pub substituters: Vec<String>,
    /// Keys that [`check_public_key`] found good.
    pub trusted_public_keys: Vec<String>,
    /// `/nix/var/nix`: profiles and garbage-collector roots.
    pub state: PathBuf,
    /// The folder with `nix-store`.
    pub programs: PathBuf,
    /// Where nix notes what it knows of the binary caches; a boot may clear it.
    pub home: PathBuf,
    /// How long one download of everything that is missing may take.
    pub deadline: Duration,
    pub room: Room,
    /// Finds what belongs to the caches that are buckets.
    pub keeper: Keeper,
    /// Folders with a cache in them that come and go, as disks do that are carried.
    pub sticks: Vec<PathBuf>,
}

impl NixConfig {
    /// The usual places, and an hour for a download.
    pub fn new(substituters: Vec<String>, trusted_public_keys: Vec<String>) -> Self {
        Self {
            substituters,
            trusted_public_keys,
            state: STATE.into(),
            programs: find_programs(),
            home: "/run/writ/nix".into(),
            deadline: Duration::from_secs(3600),
            room: Room::default(),
            keeper: Keeper::default(),
            sticks: Vec::new(),
        }
    }
}

/// The real store.
#[derive(Debug)]
pub struct NixStore {
    config: NixConfig,
    profiles: Profiles,
    /// What this process fetched and holds roots on.
    fetched: Mutex<BTreeSet<StorePath>>,
    /// Made when it is first needed: reading the host's certificates takes a while.
    http: OnceLock<Option<Client>>,
    /// Caches that did not answer lately.
    away: away::Memory,
    progress: telling::Progress,
    /// What was found of the files that are served.
    sites: Mutex<site::Found>,
}

impl NixStore {
    pub fn new(config: NixConfig) -> Self {
        let profiles = Profiles { dir: config.state.join("profiles/writ") };
        Self {
            config,
            profiles,
            fetched: Mutex::default(),
            http: OnceLock::new(),
            away: away::Memory::default(),
            progress: telling::Progress::default(),
            sites: Mutex::default(),
        }
    }

    /// The roots that hold what was fetched until a profile does.
    fn roots(&self) -> PathBuf {
        self.config.state.join("gcroots/writ")
    }

    /// Roots paths that need not be there yet: the collector ignores a root that
    /// leads nowhere, and nix itself holds what it is downloading. So there is no
    /// moment at which a new path is unprotected.
    fn root(&self, paths: &[&StorePath]) -> io::Result<()> {
        let roots = self.roots();
        fs::create_dir_all(&roots)?;
        link_profiles(&self.config.state)?;
        for path in paths {
            let root = roots.join(root_name(path));
            link::replace(&root, Path::new(path.as_str()))?;
        }
        link::sync(&roots)
    }

    /// What [`NixStore::root`] roots; a link of another kind there is nobody's.
    fn rooted(&self) -> io::Result<BTreeSet<StorePath>> {
        let entries = match fs::read_dir(self.roots()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(e) => return Err(e),
        };
        let path = |name: &str| format!("/nix/store/{name}").parse().ok();
        let names = entries.map(|entry| Ok(path(&entry?.file_name().to_string_lossy())));
        names.filter_map(Result::transpose).collect()
    }

    fn digests(&self) -> Digests {
        Digests::beside(&self.profiles.dir)
    }

    /// Finds the caches that answer, and what they have of what is missing.
    async fn found(&self, config: &NixConfig, paths: &[&StorePath]) -> (Caches, Missing) {
        let mut caches = Caches::of(config).await;
        let remote = config.substituters.iter().any(|url| !url.starts_with("file://"));
        let http = remote.then(|| self.http.get_or_init(|| narinfo::client().ok()).as_ref());
        let http = http.flatten();
        if narinfo::are_there(paths) {
            caches.trust_all();
            return (caches, Missing::default());
        }
        caches.look(http, &self.away).await;
        let passwords = self.passwords();
        let mut missing = survey(&mut caches, http, &passwords, paths).await;
        if missing.nowhere > 0 && caches.look_further(http).await {
            missing = survey(&mut caches, http, &passwords, paths).await;
        }
        caches.remember(&self.away);
        (caches, missing)
    }

    /// As the nix that downloads has them.
    fn passwords(&self) -> Passwords {
        let config = self.config.clone();
        Passwords::of(move || fetch::program(&config, "nix"))
    }

    /// Brings what is missing, where there is room for it.
    async fn download(&self, config: &NixConfig, paths: &[&StorePath]) -> Result<(), Fault> {
        let (caches, missing) = self.found(config, paths).await;
        config.room.check(missing, &fetch::doing(paths))?;
        fetch::Download { config, caches, missing }.realise(paths, &self.progress).await
    }

    fn remember(&self) -> std::sync::MutexGuard<'_, BTreeSet<StorePath>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites(&self) -> std::sync::MutexGuard<'_, site::Found> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares closures with the digests that were signed for them.
    async fn check_digests(&self, signed: &[(&StorePath, &ClosureDigest)]) -> Result<(), Fault> {
        if signed.is_empty() {
            return Ok(());
        }
        let doing = "check the digests of closures";
        let roots: Vec<&StorePath> = signed.iter().map(|(path, _)| *path).collect();
        let paths = self.describe(&roots, doing).await?;
        for (path, wanted) in signed {
            let doing = format!("check the digest of {path}");
            let closure = closure_of(path, &paths).map_err(|missing| {
                Fault::wait(&doing, format!("nix's database does not have {missing}"))
            })?;
            let found = closure_digest(closure);
            if found != **wanted {
                return Err(Fault::refuse(
                    doing,
                    format!("the manifest says {wanted}, and the closure is {found}"),
                )
                .remedy("push the closure again and sign the digest that `writ push` writes"));
            }
        }
        Ok(())
    }

    /// What nix's database says of these paths and of all that they need.
    ///
    /// # Errors
    /// One of them is not in the store, or nix cannot be asked.
    pub async fn closures(
        &self,
        roots: &[&StorePath],
    ) -> Result<BTreeMap<StorePath, PathInfo>, Fault> {
        self.describe(roots, "ask nix what closures are made of").await
    }

    /// Whether a path is in the store; not whether it is whole.
    pub fn has(&self, path: &StorePath) -> bool {
        link::exists(Path::new(path.as_str()))
    }

    async fn describe(
        &self,
        roots: &[&StorePath],
        doing: &str,
    ) -> Result<BTreeMap<StorePath, PathInfo>, Fault> {
        let roots: Vec<&str> = roots.iter().map(|path| path.as_str()).collect();
        let closure = self.query(&["--query", "--requisites"], &roots, doing).await?;
        let paths: Vec<&str> = closure.lines().collect();
        let database = self.query(&["--dump-db"], &paths, doing).await?;
        registration::parse(&database).map_err(|line| {
            Fault::wait(doing, format!("line {line} of nix-store --dump-db is not understood"))
        })
    }

    async fn query(&self, args: &[&str], paths: &[&str], doing: &str) -> Result<String, Fault> {
        let mut nix = fetch::nix_store(&self.config);
        nix.args(args).args(paths);
        let output = fetch::run(nix, self.config.deadline, doing).await?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Fault::wait(doing, format!("nix-store {} failed", args.join(" ")))
                .evidence(fetch::last_lines(&stderr)));
        }
        String::from_utf8(output.stdout).map_err(|e| Fault::wait(doing, e))
    }
}

impl Store for NixStore {
    async fn observe(&self) -> Result<ObservedStore, Fault> {
        let doing = "read the profiles";
        let observe = || {
            let mut observed = self.profiles.observe()?;
            let ObservedStore { rooted, verified, inspected, .. } = &mut observed;
            *verified = self.digests().read()?;
            verified.retain(|path, _| rooted.contains(path));
            let fit = |(site, unfit): (&Site, &Option<String>)| {
                (unfit.is_none() && rooted.contains(&site.store_path)).then(|| site.clone())
            };
            inspected.extend(self.sites().iter().filter_map(fit));
            Ok(observed)
        };
        observe().map_err(|e| self.profiles.fault(doing, &e))
    }

    async fn fetch(&self, closures: &[Artifact]) -> Result<(), Fault> {
        if closures.is_empty() {
            return Ok(());
        }
        let paths: BTreeSet<&StorePath> = closures.iter().map(|c| &c.store_path).collect();
        let paths: Vec<&StorePath> = paths.into_iter().collect();
        let signed: Vec<_> = closures
            .iter()
            .filter_map(|c| Some((&c.store_path, c.closure_digest.as_ref()?)))
            .collect();
        let home = &self.config.home;
        scratch::make(home)
            .map_err(|error| fetch::scratch_fault(&fetch::doing(&paths), home, &error))?;
        self.root(&paths)
            .and_then(|()| self.digests().forget(&paths))
            .map_err(|e| self.profiles.fault("make garbage-collector roots", &e))?;
        self.sites().retain(|site, _| !paths.contains(&&site.store_path));
        let road = stick::road(&self.config, &paths).await;
        let refused = || road.refused.iter().map(ToString::to_string);
        let fetched = match (self.download(&road.config, &paths).await, &road.otherwise) {
            (Err(fault), Some(otherwise)) => {
                tracing::warn!("{fault}; asking the other caches too");
                self.download(otherwise, &paths).await
            }
            (fetched, _) => fetched,
        };
        fetched.map_err(|fault| fault.evidence(refused()))?;
        self.check_digests(&signed).await?;
        self.digests()
            .add(&signed)
            .map_err(|e| self.profiles.fault("remember the digests of closures", &e))?;
        self.remember().extend(paths.into_iter().cloned());
        Ok(())
    }

    async fn inspect(&self, sites: &BTreeSet<Site>) -> Result<Unfit, Fault> {
        self.look_through(sites).await
    }

    fn downloading(&self) -> Option<Download> {
        self.progress.look()
    }

    fn away(&self) -> Vec<Away> {
        self.away.away()
    }

    async fn switch(
        &self,
        service: &ServiceName,
        from: Option<&StorePath>,
        to: &StorePath,
    ) -> Result<(), Fault> {
        let doing = format!("point the profile of {service} at {to}");
        fs::create_dir_all(&self.profiles.dir)
            .and_then(|()| link_profiles(&self.config.state))
            .map_err(|e| self.profiles.fault(&doing, &e))?;
        let to = New { path: to, fetched: self.remember().contains(to) };
        self.profiles.switch(service, from, to, &doing).await
    }

    async fn retire(&self, service: &ServiceName, from: &StorePath) -> Result<(), Fault> {
        self.profiles.retire(service, from, &format!("remove the profile of {service}")).await
    }

    async fn held(&self) -> Result<Held, Fault> {
        let held = || Ok(Held { profiles: self.profiles.held()?, roots: self.rooted()? });
        held().map_err(|e| self.profiles.fault("read what profiles keep", &e))
    }

    async fn release(&self, what: &Retention) -> Result<(), Fault> {
        let doing = "release what is no longer needed";
        for path in &what.roots {
            link::remove(&self.roots().join(root_name(path)))
                .map_err(|e| self.profiles.fault(doing, &e))?;
        }
        self.remember().retain(|path| !what.roots.contains(path));
        self.profiles.release(what.going(), doing).await?;
        let forget = || self.digests().keep(&self.profiles.observe()?.rooted);
        forget().map_err(|e| self.profiles.fault(doing, &e))
    }
}

/// What is missing, as those caches tell that can be used for it.
async fn survey(
    caches: &mut Caches,
    client: Option<&Client>,
    passwords: &Passwords,
    paths: &[&StorePath],
) -> Missing {
    loop {
        let conduct = Conduct::default();
        let asking = Asking { client, passwords, conduct: &conduct };
        let missing = narinfo::missing(&asking, &caches.urls(), paths).await;
        if !caches.leave_out(&conduct) {
            return missing;
        }
    }
}

fn root_name(path: &StorePath) -> &str {
    path.as_str().trim_start_matches("/nix/store/")
}

/// Nix makes this link only together with the folder of roots; where we made the
/// folder first, profiles would not be roots.
fn link_profiles(state: &Path) -> io::Result<()> {
    let (roots, profiles) = (state.join("gcroots"), state.join("profiles"));
    fs::create_dir_all(&roots)?;
    let root = roots.join("profiles");
    if link::exists(&root) { Ok(()) } else { link::replace(&root, &profiles) }
}

fn find_programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PROGRAMS.map(PathBuf::from))
        .find(|folder| folder.is_absolute() && folder.join("nix-store").is_file())
        .unwrap_or_else(|| PROGRAMS[0].into())
}
