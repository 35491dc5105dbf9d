//! A desk with a working tree, where the team uses git as people do: with its own
//! commands, and whatever commits these make.

use std::cell::Cell;
use std::process::Command;

use tempfile::TempDir;
use writ::names::CommitId;

use crate::forge::{EPOCH, Forge};

/// A working tree of a forge's repository; branches are local ones.
pub(crate) struct Desk<'f> {
    forge: &'f Forge,
    tree: TempDir,
    clock: Cell<i64>,
}

impl<'f> Desk<'f> {
    /// With the branch `main` at `tip`.
    pub(crate) fn new(forge: &'f Forge, tip: &CommitId) -> Self {
        let tree = tempfile::tempdir().unwrap();
        // After every commit that a draft has made, and before the host's clock.
        let desk = Self { forge, tree, clock: Cell::new(EPOCH + 500_000) };
        desk.git("alice", &format!("checkout -q -f -B main {tip}"));
        desk
    }

    /// Runs git with words parted by blanks; what it commits is signed by `who`.
    pub(crate) fn git(&self, who: &str, words: &str) {
        let out = self.command(who, words).output().unwrap();
        assert!(out.status.success(), "git {words}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// The same, without a signature, as a server that has no key.
    pub(crate) fn unsigned(&self, words: &str) {
        self.git("alice", &format!("-c commit.gpgsign=false {words}"));
    }

    fn command(&self, who: &str, words: &str) -> Command {
        let time = self.clock.replace(self.clock.get() + 60);
        let mut command = self.forge.git_command();
        command.current_dir(self.tree.path()).env("GIT_WORK_TREE", self.tree.path());
        command.env("GIT_EDITOR", "true");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), who)
                .env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"))
                .env(format!("GIT_{role}_DATE"), format!("{time} +0000"));
        }
        let key = format!("user.signingkey={}", self.forge.key(who).display());
        command.args(["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgsign=true"]);
        command.args(words.split(' '));
        command
    }

    /// Writes a file and commits it on the branch that is checked out.
    pub(crate) fn write(&self, who: &str, path: &str, text: &str) -> CommitId {
        let file = self.tree.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        self.git(who, &format!("add {path}"));
        self.git(who, "commit -q -m change");
        self.at("HEAD")
    }

    /// Checks `branch` out, made at `main` where it does not exist, and commits a file.
    pub(crate) fn branch(&self, who: &str, branch: &str, path: &str, text: &str) -> CommitId {
        self.git(who, &format!("checkout -q -f -B {branch} main"));
        self.write(who, path, text)
    }

    pub(crate) fn on(&self, branch: &str) {
        self.git("alice", &format!("checkout -q -f {branch}"));
    }

    pub(crate) fn at(&self, rev: &str) -> CommitId {
        let out = self.forge.git(["rev-parse", rev], b"");
        String::from_utf8(out).unwrap().trim().parse().unwrap()
    }
}
