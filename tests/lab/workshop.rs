//! Where operators work: keys, a deploy repository and its remote, closures and their signed cache.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::fleet::Fleet;
use super::host::{Host, Program};

/// The operators' machine. What it makes for other hosts lies below `/srv`, which
/// they all see; keys stay on its own disk.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) host: Host,
    /// The cache's public key, as nix writes it.
    pub(crate) cache_key: String,
    /// The store path of the program that services run.
    hello: String,
}

/// A key that signs commits.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) owner: &'static str,
    /// The algorithm and the key, as in an `authorized_keys` line.
    pub(crate) public: String,
    /// `SHA256:…`
    pub(crate) fingerprint: String,
}

/// The remote that agents fetch from.
pub(crate) const REMOTE: &str = "/srv/git/deploy.git";
/// The binary cache.
pub(crate) const CACHE: &str = "file:///srv/cache";
const CLONE: &str = "/root/deploy";
const CACHE_SECRET: &str = "/root/cache.sec";
const HELLO: &str = "/usr/local/lib/hello";

impl Workshop {
    /// Boots the workshop, with an empty repository and an empty cache.
    pub(crate) fn open(fleet: &Arc<Fleet>) -> Self {
        let hello = Program { here: example("hello"), there: HELLO };
        let programs = [hello, super::forge::program(), super::site::program()];
        let host = Host::boot(fleet, "workshop", &programs);
        host.sh(&format!(
            "git init --quiet --bare --initial-branch=main {REMOTE}
             git init --quiet --initial-branch=main {CLONE}
             git -C {CLONE} remote add origin {REMOTE}
             git -C {CLONE} config gpg.ssh.allowedSignersFile {CLONE}/.writ/allowed_signers
             mkdir -p /root/keys
             nix key generate-secret --key-name cache-1 >{CACHE_SECRET}"
        ));
        let cache_key = host.sh(&format!("nix key convert-secret-to-public <{CACHE_SECRET}"));
        let hello = host.must(&["nix-store", "--add", HELLO]).trim().to_owned();
        Self { host, cache_key, hello }
    }

    /// Makes an ed25519 key.
    pub(crate) fn key(&self, owner: &'static str) -> Key {
        let file = format!("/root/keys/{owner}");
        self.host.must(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", owner, "-f", &file]);
        let line = self.host.must(&["cat", &format!("{file}.pub")]);
        let public = line.rsplit_once(' ').expect("type, key, comment").0.to_owned();
        let listed = self.host.must(&["ssh-keygen", "-l", "-f", &file]);
        let fingerprint = listed.split(' ').nth(1).expect("bits, fingerprint, comment").to_owned();
        Key { owner, public, fingerprint }
    }

    /// Builds a closure of these files (path, text, mode), puts it into the cache
    /// and returns its store path. `HELLO` in a text becomes the program's path.
    pub(crate) fn closure(&self, name: &str, files: &[(&str, &str, u32)]) -> String {
        let path = self.build(name, files);
        let cache = format!("{CACHE}?secret-key={CACHE_SECRET}");
        self.host.must(&["nix", "copy", "--to", &cache, &path]);
        path
    }

    /// Builds a closure that no cache has.
    pub(crate) fn build(&self, name: &str, files: &[(&str, &str, u32)]) -> String {
        let work = format!("/root/build/{name}");
        self.host.must(&["rm", "-rf", &work]);
        for (path, text, mode) in files {
            let text = text.replace("HELLO", &self.hello);
            self.host.put(&format!("{work}/src/{path}"), text, *mode);
        }
        let expression = format!(
            r#"derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh";
               hello = builtins.storePath "{}"; args = [ "-c" "/bin/cp -r ${{./src}} $out" ]; }}"#,
            self.hello
        );
        self.host.put(&format!("{work}/default.nix"), expression, 0o644);
        self.host.must(&["nix-build", "--quiet", "--no-out-link", &work]).trim().to_owned()
    }

    /// A closure whose `bin/<name>` is the HTTP server, run with these arguments.
    pub(crate) fn server(&self, name: &str, version: &str, args: &str) -> String {
        let script = format!("#!/bin/sh\nexec HELLO --text {version} {args} \"$@\"\n");
        self.closure(&format!("{name}-{version}"), &[(&format!("bin/{name}"), &script, 0o755)])
    }

    /// Writes a file of the working tree.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.host.put(&format!("{CLONE}/{path}"), text, 0o644);
    }

    /// Removes a file of the working tree.
    pub(crate) fn remove(&self, path: &str) {
        self.host.must(&["rm", &format!("{CLONE}/{path}")]);
    }

    /// Commits the working tree, signed where a key is given, and returns the id.
    pub(crate) fn commit(&self, signer: Option<&Key>, message: &str) -> String {
        self.git(signer, &["add", "--all"]);
        self.git(signer, &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Commits and pushes.
    pub(crate) fn release(&self, signer: Option<&Key>, message: &str) -> String {
        let commit = self.commit(signer, message);
        self.push();
        commit
    }

    /// `git revert`, signed; returns the new commit's id.
    pub(crate) fn revert(&self, signer: &Key, commit: &str) -> String {
        self.git(Some(signer), &["revert", "--no-edit", commit]);
        self.head()
    }

    /// Pushes the branch.
    pub(crate) fn push(&self) {
        self.git(None, &["push", "--quiet", "origin", "main"]);
    }

    /// Takes the branch back to a commit, here and at the remote.
    pub(crate) fn reset(&self, commit: &str) {
        self.git(None, &["reset", "--quiet", "--hard", commit]);
        self.git(None, &["push", "--quiet", "--force", "origin", "main"]);
    }

    /// The id of the newest commit here.
    pub(crate) fn head(&self) -> String {
        self.git(None, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Runs git in the working tree as the key's owner.
    pub(crate) fn git(&self, signer: Option<&Key>, args: &[&str]) -> String {
        let owner = signer.map_or("nobody", |key| key.owner);
        let mut command = vec!["git".to_owned(), "-C".to_owned(), CLONE.to_owned()];
        let mut config = vec![
            format!("user.name={owner}"),
            format!("user.email={owner}@acme.example"),
            format!("commit.gpgSign={}", signer.is_some()),
            "gpg.format=ssh".to_owned(),
        ];
        config.extend(signer.map(|key| format!("user.signingKey=/root/keys/{}", key.owner)));
        command.extend(config.into_iter().flat_map(|c| ["-c".to_owned(), c]));
        command.extend(args.iter().map(|&a| a.to_owned()));
        self.host.must(&command.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// An example program of this package, built if need be: `cargo test --test` alone
/// builds none.
pub(crate) fn example(name: &str) -> PathBuf {
    let target = target();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--example", name]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().is_ok_and(|s| s.success()), "cannot build example {name}");
    target.join("examples").join(name)
}

/// Where cargo puts what it builds: this program is in a folder of it.
pub(crate) fn target() -> PathBuf {
    let here = std::env::current_exe().expect("/proc is mounted");
    here.ancestors().nth(2).expect("deps/ or examples/").to_owned()
}
