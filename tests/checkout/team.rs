//! Three people, each with a home, a key and a clone, and the server between them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::desk::{Desk, fingerprint, ok};
use crate::revert::{ONE, service};

pub(crate) struct Team {
    pub(crate) alice: Desk,
    pub(crate) bob: Desk,
    pub(crate) carol: Desk,
}

/// What each of the two others may do.
const GRANTS: &str = "\n[principals.bob]\nmay = \"everything\"\ngrants = [\"manifests/services/**\"]\n\n[principals.carol]\nmay = \"everything\"\ngrants = [\"manifests/services/**\"]\n";

impl Team {
    /// alice is the administrator, and the policy ends with `more`.
    pub(crate) fn with(more: &str) -> Self {
        let alice = Desk::with_services();
        let team = Self { bob: person("Bob"), carol: person("Carol"), alice };
        let writ = team.alice.deploy().join(".writ");
        let append = |name: &str, text: &str| {
            let path = writ.join(name);
            fs::write(&path, fs::read_to_string(&path).unwrap() + text).unwrap();
        };
        for (name, desk) in [("bob", &team.bob), ("carol", &team.carol)] {
            let line = format!("{name} namespaces=\"git,writ-approve\" {}\n", public(desk));
            append("allowed_signers", &line);
        }
        append("policy.toml", &format!("{GRANTS}{more}"));
        team.alice.commit("three people");
        team.alice.git(&["push", "-q"]);
        for desk in [&team.bob, &team.carol] {
            let origin = team.origin().display().to_string();
            ok(&desk.run("git", &["clone", "-q", &origin, "deploy"]));
        }
        team
    }

    /// Where everybody pushes to.
    pub(crate) fn origin(&self) -> PathBuf {
        self.alice.dir.path().join("origin.git")
    }

    /// Has the server judge pushes.
    pub(crate) fn guarded(self, hook: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks").join(hook);
        fs::copy(source, self.origin().join("hooks").join(hook)).unwrap();
        let root = self.alice.git(&["rev-list", "--max-parents=0", "HEAD"]);
        self.on_server(&["config", "writ.introduction", &root]);
        self
    }

    pub(crate) fn on_server(&self, args: &[&str]) -> String {
        ok(&self.alice.run_in(&self.origin(), "git", args))
    }

    /// What the server has: subjects, the newest first.
    pub(crate) fn landed(&self) -> String {
        self.on_server(&["log", "--first-parent", "--format=%s", "main"])
    }

    pub(crate) fn main(&self) -> String {
        self.on_server(&["rev-parse", "main"])
    }

    /// A branch with one change of one service, pushed as a branch.
    pub(crate) fn branch(&self, desk: &Desk, name: &str, port: u16) -> String {
        desk.git(&["fetch", "-q"]);
        desk.git(&["switch", "-q", "-c", name, "origin/main"]);
        desk.write(name, &service(ONE, name, port));
        let commit = desk.commit(&format!("{name} on {port}"));
        desk.git(&["push", "-q", "origin", name]);
        commit
    }

    /// Names in the place of ids and keys.
    pub(crate) fn told(&self, output: &Output, names: &[(&str, &str)]) -> String {
        let mut text = format!(
            "{}{}exit {}\n",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code().unwrap()
        );
        for (id, name) in names {
            text = text.replace(id, name).replace(&id[..10], name);
        }
        for (name, desk) in [("alice", &self.alice), ("bob", &self.bob), ("carol", &self.carol)] {
            text = text.replace(&fingerprint(&public(desk)), &format!("SHA256:{name}"));
        }
        text.replace(&self.origin().display().to_string(), "ORIGIN")
    }
}

impl Desk {
    /// `writ` in the deploy repository.
    pub(crate) fn in_deploy(&self, args: &[&str]) -> Output {
        self.run_in(&self.deploy(), "writ", args)
    }

    pub(crate) fn script(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Somebody whose git signs everything with a key of their own.
fn person(name: &str) -> Desk {
    let desk = Desk::new();
    let key = desk.home().join(".ssh/id_ed25519.pub").display().to_string();
    let mail = format!("{name}@acme.example");
    for (setting, value) in [
        ("user.name", name),
        ("user.email", &mail),
        ("gpg.format", "ssh"),
        ("user.signingkey", &key),
        ("commit.gpgsign", "true"),
    ] {
        ok(&desk.run("git", &["config", "--global", setting, value]));
    }
    desk
}

fn public(desk: &Desk) -> String {
    let key = fs::read_to_string(desk.home().join(".ssh/id_ed25519.pub")).unwrap();
    key.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}
