//! Web caches that ask for a password, which a real nix has in the netrc that its nix.conf names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use writ::world::Store;
use writ::world::nix::{NixConfig, NixStore, Room};

use super::super::server::{Files, Server};
use super::nix::{Caches, put};

const CONF: &str = "/etc/nix/nix.conf";
const PASSWORD: &str = "pa55w0rd";
/// `ci:pa55w0rd`, as browsers send it.
const LOGIN: &str = "Basic Y2k6cGE1NXcwcmQ=";

/// A locked cache, and a nix that finds its passwords in a place of its own.
struct Locked<'a> {
    caches: &'a Caches,
    server: Server,
    conf: String,
}

impl<'a> Locked<'a> {
    fn open(caches: &'a Caches) -> Self {
        caches.forget();
        let root = caches.dir.join("locked");
        put(&caches.dir.join("signed"), &root);
        let server = Server::web(Files { root, login: Some(LOGIN), conditions: true });
        let conf = fs::read_to_string(CONF).unwrap_or_default();
        let locked = Self { caches, server, conf };
        fs::write(CONF, format!("{}\nnetrc-file = {}\n", locked.conf, locked.netrc().display()))
            .unwrap();
        locked.has(&format!("machine 127.0.0.1 login ci password {PASSWORD}\n"));
        locked
    }

    fn netrc(&self) -> PathBuf {
        self.caches.dir.join("passwords")
    }

    fn has(&self, text: &str) {
        fs::write(self.netrc(), text).unwrap();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    fn config(&self) -> NixConfig {
        self.caches.config(&[&self.url()])
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = fs::write(CONF, &self.conf);
    }
}

/// What is said of the cache, whether it is well or not.
async fn told(store: &NixStore, url: &str) -> String {
    let answer = store.ask_cache(url, Duration::from_secs(10)).await;
    let told = answer.map_or_else(|fault| format!("{fault:?}"), str::to_owned);
    assert!(!told.contains(PASSWORD) && !told.contains("0ther"), "{told}");
    told
}

pub(crate) async fn a_cache_that_asks_for_a_password_tells_sizes_and_gives_closures(
    caches: &Caches,
) {
    let locked = Locked::open(caches);
    let wanted = [caches.artifact(0)];
    let room = Room { reserve: Some(1 << 60), ledger: None };
    let full = NixStore::new(NixConfig { room, ..locked.config() });
    let fault = full.fetch(&wanted).await.unwrap_err();
    assert!(
        fault.because.contains("it needs ") && fault.because.contains(" to download"),
        "{fault}"
    );
    let store = NixStore::new(locked.config());
    assert_eq!(
        told(&store, &locked.url()).await,
        "it answers, and takes the password of nix's netrc"
    );
    store.fetch(&wanted).await.unwrap();
    assert!(caches.is_valid(0));
}

pub(crate) async fn a_password_that_nix_does_not_have_is_told_with_where_it_belongs(
    caches: &Caches,
) {
    let locked = Locked::open(caches);
    let store = NixStore::new(locked.config());
    let netrc = locked.netrc().display().to_string();
    locked.has("machine 127.0.0.1 login ci password 0ther\n");
    let other = told(&store, &locked.url()).await;
    assert!(other.contains(&format!("does not take the password that {netrc} has")), "{other}");
    assert!(store.fetch(&[caches.artifact(0)]).await.is_err());
    locked.has("");
    let none = told(&store, &locked.url()).await;
    assert!(none.contains(&format!("{netrc} has none for 127.0.0.1")), "{none}");
    fs::remove_file(locked.netrc()).unwrap();
    let none = told(&store, &locked.url()).await;
    assert!(none.contains(&format!("{netrc} has none for 127.0.0.1")), "{none}");
}

/// A round in which nothing is new, and one with caches that anybody may read.
pub(crate) async fn nix_is_not_asked_for_passwords_that_nobody_wants(caches: &Caches) {
    let locked = Locked::open(caches);
    let programs = caches.dir.join("watched");
    fs::create_dir_all(&programs).unwrap();
    let asked = caches.dir.join("asked");
    for name in ["nix", "nix-store"] {
        let script = format!(
            "#!/bin/sh\necho {name} \"$@\" >>{}\nexec /usr/bin/{name} \"$@\"\n",
            asked.display()
        );
        fs::write(programs.join(name), script).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ran = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let questions = || ran(&asked).lines().filter(|line| line.starts_with("nix ")).count();
    let open = super::nix::serve(caches.dir.join("signed"));
    let public = NixConfig { programs: programs.clone(), ..caches.config(&[&open]) };
    NixStore::new(public).fetch(&[caches.artifact(0)]).await.unwrap();
    assert_eq!(questions(), 0, "{}", ran(&asked));
    let store = NixStore::new(NixConfig { programs, ..locked.config() });
    store.fetch(&[caches.artifact(0)]).await.unwrap();
    assert_eq!(questions(), 0, "{}", ran(&asked));
    store.fetch(&[caches.artifact(0), caches.artifact(1)]).await.unwrap();
    assert_eq!(questions(), 1, "{}", ran(&asked));
}
