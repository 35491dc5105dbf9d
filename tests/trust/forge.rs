//! Builds deploy repositories with real git, real keys and real signatures.
//!
//! Usable from any test: `#[path = "trust/forge.rs"] mod forge;`. The repository is
//! bare; a commit is described by a [`Draft`] and made by `git commit-tree`, or byte
//! by byte where git itself would refuse to make it.

#![allow(dead_code, reason = "each test program uses a part of the harness")]

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use writ::names::{CommitId, Fingerprint};
use writ::source::repo::Repository;
use writ::trust::Pins;

/// The channel of every repository that a forge makes.
pub(crate) const CHANNEL: &str = "acme-infra:main";
/// Committer time of the first commit; each further one is a minute later.
pub(crate) const EPOCH: i64 = 1_700_000_000;
/// A clock that is ahead of every commit.
pub(crate) const NOW: i64 = EPOCH + 1_000_000;

/// A repository with its keyring.
pub(crate) struct Forge {
    home: TempDir,
    format: &'static str,
    clock: Cell<i64>,
}

/// A commit in the making.
#[must_use = "nothing happens before `make`"]
pub(crate) struct Draft<'f> {
    forge: &'f Forge,
    signer: Option<String>,
    parents: Vec<CommitId>,
    tree: Option<CommitId>,
    /// `None` deletes the path.
    files: Vec<(String, Option<Vec<u8>>, &'static str)>,
    message: String,
    time: Option<i64>,
}

impl Forge {
    pub(crate) fn new() -> Self {
        Self::with_format("sha1")
    }

    pub(crate) fn with_format(format: &'static str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("keys")).unwrap();
        let forge = Self { home, format, clock: Cell::new(EPOCH) };
        let object_format = format!("--object-format={format}");
        forge.git(["init", "-q", "--bare", &object_format, "-b", "main", "."], b"");
        forge
    }

    pub(crate) fn git_dir(&self) -> PathBuf {
        self.home.path().join("git")
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::open(&self.git_dir()).unwrap()
    }

    /// Pins `introduction`, signed by the key `introducer`, as a host's config does.
    pub(crate) fn pins(&self, introduction: &CommitId, introducer: &str) -> Pins {
        Pins {
            channel: CHANNEL.to_owned(),
            introduction: introduction.clone(),
            introducer: self.fingerprint(introducer),
            minimum: None,
            revoked: Default::default(),
        }
    }

    // -- keys --

    /// The private key `name`, an Ed25519 one unless [`Forge::make_key`] made it before.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let path = self.home.path().join("keys").join(name);
        if !path.exists() {
            self.make_key(name, &["-t", "ed25519"]);
        }
        path
    }

    pub(crate) fn make_key(&self, name: &str, kind: &[&str]) {
        let path = self.home.path().join("keys").join(name);
        let fixed = ["-q", "-N", "", "-C", name, "-f"].map(OsStr::new);
        let kind = kind.iter().map(OsStr::new);
        self.run(Command::new("ssh-keygen").args(fixed).arg(&path).args(kind), b"");
    }

    /// `ssh-ed25519 AAAA…`, without the comment.
    pub(crate) fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.key(name).with_extension("pub")).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    pub(crate) fn fingerprint(&self, name: &str) -> Fingerprint {
        let key = self.key(name).with_extension("pub");
        let out = self.run(Command::new("ssh-keygen").arg("-lf").arg(key), b"");
        String::from_utf8(out).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// An `allowed_signers` line for each key; the principal is the key's name up to
    /// a `+`, so that `bob+laptop` is another key of bob.
    pub(crate) fn signers(&self, names: &[&str]) -> String {
        let line = |name: &&str| {
            let principal = name.split('+').next().unwrap();
            format!("{principal} namespaces=\"git\" {}\n", self.public(name))
        };
        names.iter().map(line).collect()
    }

    /// Signs `payload` with `ssh-keygen -Y sign` and gives the armor.
    pub(crate) fn sign(&self, key: &str, namespace: &str, payload: &[u8]) -> Vec<u8> {
        let key = self.key(key);
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "sign", "-q", "-n", namespace, "-f"]).arg(key);
        self.run(&mut command, payload)
    }

    /// Puts `text` with a signature of each key in a file that `name` points at.
    pub(crate) fn state(&self, name: &str, namespace: &str, text: &str, keys: &[&str]) {
        let signed = keys.iter().map(|key| self.sign(key, namespace, text.as_bytes()));
        let bytes: Vec<u8> =
            std::iter::once(text.as_bytes().to_vec()).chain(signed).flatten().collect();
        let blob = id(&self.git(["hash-object", "-w", "--stdin"], &bytes));
        self.git(["update-ref", name, blob.as_str()], b"");
    }

    // -- commits --

    /// A commit signed by the key `signer`.
    pub(crate) fn commit(&self, signer: &str) -> Draft<'_> {
        Draft { signer: Some(signer.to_owned()), ..self.unsigned() }
    }

    pub(crate) fn unsigned(&self) -> Draft<'_> {
        Draft {
            forge: self,
            signer: None,
            parents: Vec::new(),
            tree: None,
            files: Vec::new(),
            message: "a change".to_owned(),
            time: None,
        }
    }

    /// The bytes of an object.
    pub(crate) fn bytes(&self, kind: &str, id: &CommitId) -> Vec<u8> {
        self.git(["cat-file", kind, id.as_str()], b"")
    }

    /// Writes an object as it stands, whether or not git would have made it.
    pub(crate) fn raw(&self, kind: &str, bytes: &[u8]) -> CommitId {
        id(&self.git(["hash-object", "-t", kind, "-w", "--stdin", "--literally"], bytes))
    }

    /// Signs the payload of a commit by hand and writes the result.
    pub(crate) fn raw_signed(&self, signer: &str, payload: &[u8]) -> CommitId {
        let armor = self.sign(signer, "git", payload);
        self.raw("commit", &self.with_signature(payload, &armor))
    }

    /// Puts an armored signature into a payload, where git puts it.
    pub(crate) fn with_signature(&self, payload: &[u8], armor: &[u8]) -> Vec<u8> {
        let end = payload.windows(2).position(|w| w == b"\n\n").unwrap() + 1;
        let armor = String::from_utf8(armor.to_vec()).unwrap();
        let header = format!("{} {}\n", self.header(), armor.trim_end().replace('\n', "\n "));
        [&payload[..end], header.as_bytes(), &payload[end..]].concat()
    }

    /// A commit's bytes without its signature header.
    pub(crate) fn payload(&self, commit: &CommitId) -> Vec<u8> {
        let text = String::from_utf8(self.bytes("commit", commit)).unwrap();
        let (headers, message) = text.split_once("\n\n").unwrap();
        let mut kept = Vec::new();
        let mut within = false;
        for line in headers.split('\n') {
            within = line.starts_with(self.header()) || (within && line.starts_with(' '));
            if !within {
                kept.push(line);
            }
        }
        format!("{}\n\n{message}", kept.join("\n")).into_bytes()
    }

    pub(crate) fn header(&self) -> &'static str {
        if self.format == "sha1" { "gpgsig" } else { "gpgsig-sha256" }
    }

    /// The tree of a commit.
    pub(crate) fn tree(&self, commit: &CommitId) -> CommitId {
        id(&self.git(["rev-parse", &format!("{commit}^{{tree}}")], b""))
    }

    /// Whether git itself, with the policy of the first parent, finds the signature good.
    pub(crate) fn git_verifies(&self, commit: &CommitId) -> Result<(), String> {
        let judge = match self.git(["rev-parse", &format!("{commit}^@")], b"") {
            parents if parents.is_empty() => commit.as_str().to_owned(),
            parents => String::from_utf8(parents).unwrap()[..commit.as_str().len()].to_owned(),
        };
        let signers = self.git(["show", &format!("{judge}:.writ/allowed_signers")], b"");
        let file = self.home.path().join("allowed_signers");
        std::fs::write(&file, signers).unwrap();
        let out = self
            .git_command()
            .args(["-c", "gpg.format=ssh", "-c"])
            .arg(format!("gpg.ssh.allowedSignersFile={}", file.display()))
            .args(["verify-commit", commit.as_str()])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&out.stderr);
        if out.status.success() { Ok(()) } else { Err(format!("git differs on {commit}: {words}")) }
    }

    // -- programs --

    /// Runs git in the repository, without any configuration but its own.
    pub(crate) fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>, input: &[u8]) -> Vec<u8> {
        self.run(self.git_command().args(args), input)
    }

    pub(crate) fn git_command(&self) -> Command {
        let git_dir = self.git_dir();
        std::fs::create_dir_all(&git_dir).unwrap();
        let mut command = Command::new("git");
        command
            .current_dir(&git_dir)
            .env("GIT_DIR", &git_dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GNUPGHOME", self.home.path().join("gnupg"))
            .env("GIT_INDEX_FILE", self.home.path().join("index"));
        command
    }

    fn run(&self, command: &mut Command, input: &[u8]) -> Vec<u8> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    fn tick(&self) -> i64 {
        self.clock.replace(self.clock.get() + 60)
    }
}

impl Draft<'_> {
    /// Adds a parent; without one the commit is a root. Its tree starts as the first
    /// parent's.
    pub(crate) fn on(mut self, parent: &CommitId) -> Self {
        self.parents.push(parent.clone());
        self
    }

    /// Starts from the tree of another commit.
    pub(crate) fn tree_of(mut self, commit: &CommitId) -> Self {
        self.tree = Some(self.forge.tree(commit));
        self
    }

    /// Starts from a tree by its id.
    pub(crate) fn tree(mut self, tree: &CommitId) -> Self {
        self.tree = Some(tree.clone());
        self
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, Some(content.as_ref()), "100644")
    }

    /// Writes a file with another mode than 100644.
    pub(crate) fn file_as(self, mode: &'static str, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, Some(content.as_ref()), mode)
    }

    pub(crate) fn delete(self, path: &str) -> Self {
        self.entry(path, None, "0")
    }

    fn entry(mut self, path: &str, content: Option<&[u8]>, mode: &'static str) -> Self {
        self.files.push((path.to_owned(), content.map(<[u8]>::to_vec), mode));
        self
    }

    pub(crate) fn message(mut self, message: &str) -> Self {
        self.message = message.to_owned();
        self
    }

    /// Committer and author time in seconds since 1970.
    pub(crate) fn at(mut self, time: i64) -> Self {
        self.time = Some(time);
        self
    }

    pub(crate) fn make(self) -> CommitId {
        let tree = self.write_tree();
        let time = self.time.unwrap_or_else(|| self.forge.tick());
        let mut command = self.forge.git_command();
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Somebody")
                .env(format!("GIT_{who}_EMAIL"), "somebody@example.com")
                .env(format!("GIT_{who}_DATE"), format!("{time} +0000"));
        }
        if let Some(signer) = &self.signer {
            let key = self.forge.key(signer);
            command.args(["-c", "gpg.format=ssh", "-c"]);
            command.arg(format!("user.signingkey={}", key.display()));
        }
        command.args(["commit-tree", tree.as_str(), "-F", "-"]);
        if self.signer.is_some() {
            command.arg("-S");
        }
        for parent in &self.parents {
            command.args(["-p", parent.as_str()]);
        }
        id(&self.forge.run(&mut command, self.message.as_bytes()))
    }

    fn write_tree(&self) -> CommitId {
        let start = match (&self.tree, self.parents.first()) {
            (Some(tree), _) => Some(tree.clone()),
            (None, Some(parent)) => Some(self.forge.tree(parent)),
            (None, None) => None,
        };
        if let (Some(tree), []) = (&start, &self.files[..]) {
            return tree.clone();
        }
        match &start {
            Some(tree) => self.forge.git(["read-tree", tree.as_str()], b""),
            None => self.forge.git(["read-tree", "--empty"], b""),
        };
        let mut lines = String::new();
        for (path, content, mode) in &self.files {
            let blob = match content {
                Some(content) => id(&self.forge.git(["hash-object", "-w", "--stdin"], content)),
                None => {
                    "0".repeat(if self.forge.format == "sha1" { 40 } else { 64 }).parse().unwrap()
                }
            };
            lines.push_str(&format!("{mode} {blob}\t{path}\n"));
        }
        self.forge.git(["update-index", "--add", "--index-info"], lines.as_bytes());
        id(&self.forge.git(["write-tree"], b""))
    }
}

fn id(output: &[u8]) -> CommitId {
    str::from_utf8(output).unwrap().trim().parse().unwrap()
}
