//! A host whose machine is simulated and whose git, signatures, ledger and agent are real.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use writ::agent::{Agent, Report};
use writ::config::Config;
use writ::ledger::Ledger;
use writ::names::{CommitId, Fingerprint, StorePath, UnitName};
use writ::source::repo::Repository;
use writ::source::roads::Source;
use writ::verdict::Verdict;

use crate::forge::{CHANNEL, Forge};
use crate::world::{Machine, SimWorld};

pub(crate) const HOST: &str = "biz";

/// The deploy repository and one host that follows it.
pub(crate) struct Scene {
    pub forge: Rc<Forge>,
    pub world: Arc<SimWorld>,
    pub root: CommitId,
    pub head: CommitId,
    introducer: Fingerprint,
    /// The line of the config that names the forge.
    pub url: String,
    /// More of the host's config, at first in its table `repository`.
    pub more: String,
    home: TempDir,
}

impl Scene {
    /// A repository with its introduction on `main`, and a host that has never run.
    pub(crate) fn new() -> Self {
        let forge = Forge::new();
        let root = forge
            .commit("alice")
            .file(".writ/allowed_signers", forge.signers(&["alice"]))
            .file(
                ".writ/policy.toml",
                format!("channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\ngrants = [\"**\"]\n"),
            )
            .file(&format!("manifests/hosts/{HOST}.toml"), "tags = [\"web\"]\n")
            .make();
        let scene = Self {
            introducer: forge.fingerprint("alice"),
            url: format!("url = \"file://{}\"\n", forge.git_dir().display()),
            forge: Rc::new(forge),
            world: Arc::default(),
            head: root.clone(),
            root: root.clone(),
            more: String::new(),
            home: tempfile::tempdir().unwrap(),
        };
        scene.point_main_at(&root);
        scene
    }

    /// The same host once more, to go another way from here; both follow the same
    /// repository. Making keys and commits costs more than a round does.
    pub(crate) fn twin(&self) -> Self {
        self.with_disk(&self.state(), self.world.state())
    }

    /// The same host with another disk, of which it has a copy, and another machine.
    pub(crate) fn with_disk(&self, state: &Path, machine: Machine) -> Self {
        let home = disk();
        if state.exists() {
            copy(state, &home.path().join("state"));
        }
        Self {
            forge: Rc::clone(&self.forge),
            world: Arc::new(SimWorld::of(machine)),
            head: self.head.clone(),
            root: self.root.clone(),
            introducer: self.introducer.clone(),
            url: self.url.clone(),
            more: self.more.clone(),
            home,
        }
    }

    /// What the forge shows as the branch's head, authorised or not.
    pub(crate) fn point_main_at(&self, commit: &CommitId) {
        self.forge.git(["update-ref", "refs/heads/main", commit.as_str()], b"");
    }

    /// A commit by alice on top of the last one, pushed.
    pub(crate) fn push(&mut self, files: &[(&str, Option<String>)]) -> CommitId {
        let mut draft = self.forge.commit("alice").on(&self.head);
        for (path, text) in files {
            draft = match text {
                Some(text) => draft.file(path, text),
                None => draft.delete(path),
            };
        }
        self.head = draft.make();
        self.point_main_at(&self.head);
        self.head.clone()
    }

    /// Pushes one version of a service, its closure in the cache.
    pub(crate) fn push_service(&mut self, name: &str, version: &str) -> CommitId {
        let text = self.service(name, version, "");
        self.push(&[(&format!("manifests/services/{name}.toml"), Some(text))])
    }

    /// One version of `web` on top of `base`, which is not where the branch stands.
    pub(crate) fn web_on(&self, base: &CommitId, version: &str) -> CommitId {
        let text = self.service("web", version, "");
        self.forge.commit("alice").on(base).file("manifests/services/web.toml", &text).make()
    }

    /// The manifest of a service with a port of its own; its closure is in the cache.
    pub(crate) fn service(&self, name: &str, version: &str, more: &str) -> String {
        let path = closure(name, version);
        self.world.touch(|machine| {
            machine.cached.insert(path.clone());
        });
        let port = 8000 + name.bytes().map(u32::from).sum::<u32>() % 1000;
        format!(
            "hosts = [\"{HOST}\"]\n{more}\n[artifact]\nstorePath = \"{path}\"\n[exec]\ncommand = \"run\"\n[http]\ndomain = \"{name}.example.org\"\ninternalPort = {port}\nhttps = \"off\"\n[health]\npath = \"/\"\nhealthyFor = \"50ms\"\ninterval = \"10ms\"\ndeadline = \"2s\"\n"
        )
    }

    /// An agent as it starts: nothing in memory, everything in the ledger.
    pub(crate) fn agent(&self) -> Agent<SimWorld> {
        self.agent_with(self.config())
    }

    /// An agent whose config is another than the scene's own.
    pub(crate) fn agent_with(&self, config: Config) -> Agent<SimWorld> {
        self.agent_on(config, self.ledger())
    }

    /// An agent with a ledger that somebody watches.
    pub(crate) fn agent_on(&self, config: Config, ledger: Ledger) -> Agent<SimWorld> {
        let mut sources = config.sources();
        for road in &mut sources {
            road.import.program = env!("CARGO_BIN_EXE_writ").into();
            if let Source::Git(git) = &mut road.source {
                git.program = env!("CARGO_BIN_EXE_writ").into();
            }
        }
        Agent::new(config, ledger, sources, Arc::clone(&self.world))
    }

    /// Root resets the anchor, with the objects of `to` at hand.
    pub(crate) fn trust_reset(&self, to: &CommitId) -> Output {
        let config = self.home.path().join("agent.toml");
        let repository = Repository::open(&self.ledger().repository()).unwrap();
        let pack =
            self.forge.git(["pack-objects", "--revs", "--stdout", "-q"], to.as_str().as_bytes());
        repository.import_pack(&mut &pack[..]).unwrap();
        Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["trust", "reset", "--to", to.as_str(), "--config"])
            .arg(config)
            .output()
            .unwrap()
    }

    pub(crate) async fn round(&self) -> Report {
        self.agent().round().await
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.state()).unwrap()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.home.path().join("agent.toml")
    }

    pub(crate) fn config(&self) -> Config {
        let path = self.config_path();
        let text = format!(
            "host = \"{HOST}\"\nstateDirectory = \"{}\"\nruntimeDirectory = \"{}\"\n[repository]\nid = \"acme-infra\"\n{}branch = \"main\"\nintroduction = \"{}\"\nintroducer = \"{}\"\n{}",
            self.state().display(),
            self.home.path().join("run").display(),
            self.url,
            self.root,
            self.introducer,
            self.more,
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&path).unwrap()
    }

    /// The text that `name`'s unit runs from, where it runs.
    pub(crate) fn runs(&self, name: &str) -> Option<String> {
        let unit: UnitName = format!("writ-{name}.service").parse().unwrap();
        self.world.state().running().remove(&unit)
    }

    /// Everything of the machine agrees on exactly these services and versions.
    pub(crate) fn assert_runs(&self, services: &[(&str, &str)]) {
        let machine = self.world.state();
        let wanted: Vec<_> = services.iter().map(|(name, v)| (*name, closure(name, v))).collect();
        let running = machine.running();
        let names = |iter: Vec<String>| -> Vec<String> { iter };
        assert_eq!(
            names(running.keys().map(ToString::to_string).collect()),
            names(wanted.iter().map(|(name, _)| format!("writ-{name}.service")).collect()),
            "the units that run"
        );
        for ((name, path), text) in wanted.iter().zip(running.values()) {
            assert!(text.contains(path.as_str()), "{name} runs from {path}:\n{text}");
        }
        assert_eq!(
            machine.files.keys().map(ToString::to_string).collect::<Vec<_>>(),
            running.keys().map(ToString::to_string).collect::<Vec<_>>(),
            "the unit files"
        );
        let current = machine.current();
        assert_eq!(
            current.iter().map(|(n, p)| (n.as_str(), p.clone())).collect::<Vec<_>>(),
            wanted,
            "the profiles"
        );
        let routes: Vec<String> =
            writ::plan::routes::listed(&machine.config).into_iter().flat_map(|r| r.urls).collect();
        let urls: Vec<String> =
            wanted.iter().map(|(name, _)| format!("http://{name}.example.org/")).collect();
        assert_eq!(routes, urls, "the routes");
    }
}

/// A folder in memory where this machine has such: a flush costs nothing there.
pub(crate) fn disk() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if entry.path().components().any(|part| part.as_os_str() == "repo.git")
            && std::fs::hard_link(entry.path(), &target).is_ok()
        {
            // Nothing in there is ever written in place.
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The store path of a version of a service: any valid one, the same each time.
pub(crate) fn closure(name: &str, version: &str) -> StorePath {
    let seed: String = name.bytes().chain(version.bytes()).map(|b| format!("{b:x}")).collect();
    let hash: String =
        seed.replace('e', "f").chars().chain("0".repeat(32).chars()).take(32).collect();
    format!("/nix/store/{hash}-{name}-{version}").parse().unwrap()
}

/// The kind of a report's verdict.
pub(crate) fn word(report: &Report) -> &'static str {
    report.verdict.as_ref().map_or("none", Verdict::word)
}

/// Waits for it, and not for ever.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}
