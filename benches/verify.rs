//! What verification costs: 1,000 new commits beside git's own checks and bare
//! Ed25519, one new commit on a long history, and how cost grows with the history.
//!
//! `cargo bench --bench verify`; `WRIT_BENCH_COMMITS` is the length of the long
//! history, 100,000 unless it is set. Needs git and ssh-keygen.

#![expect(clippy::print_stdout, reason = "a benchmark tells its numbers")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Write as _};
use sha2::{Digest as _, Sha256, Sha512};
use tempfile::TempDir;
use writ::names::{CommitId, Fingerprint};
use writ::source::repo::Repository;
use writ::trust::{Anchor, Pins, verify};

const CHANNEL: &str = "acme-infra:main";
const EPOCH: i64 = 1_700_000_000;
const NOW: i64 = EPOCH + 100_000_000;
/// New commits that a host takes in one step (rule O5).
const STEP: usize = 10_000;

fn main() {
    let long: usize = std::env::var("WRIT_BENCH_COMMITS")
        .ok()
        .map_or(100_000, |text| text.parse().expect("a number of commits"));
    against_others(1_000);
    growth(long);
}

/// Writ beside what there is, each on the same new commits.
fn against_others(commits: usize) {
    let forge = Forge::new();
    let root = forge.introduction();
    let ids = forge.history(&root, commits, Content::Fresh);
    forge.settle(ids.last().expect("there are commits"));
    let anchor = forge.step(None, &root);
    let head = ids.last().expect("there are commits");
    let writ = median(11, || forge.step(Some(&anchor), head));
    let floor = median(11, || forge.raw(commits));
    let range = format!("{root}..{head}");
    let log = once(|| forge.git(&["log", "--format=%G?", &range]));
    let each = once(|| ids.iter().for_each(|id| forge.git(&["verify-commit", id.as_str()])));
    println!("{commits} new commits");
    for (name, took) in [
        ("writ", writ),
        ("bare Ed25519", floor),
        ("git log --format=%G?", log),
        ("git verify-commit in a loop", each),
    ] {
        let times = took.as_secs_f64() / writ.as_secs_f64();
        println!("  {name:<28} {:>10.1} ms  {times:>7.2} times writ", ms(took));
    }
}

/// A host that follows a long history in steps, then one more commit.
fn growth(commits: usize) {
    let forge = Forge::new();
    let root = forge.introduction();
    let ids = forge.history(&root, commits, Content::Alternating);
    forge.settle(ids.last().expect("there are commits"));
    println!("a history of {commits} commits, followed in steps of {STEP}");
    let mut anchor = forge.step(None, &root);
    for (number, step) in ids.chunks(STEP).enumerate() {
        let head = step.last().expect("a step has commits");
        let started = Instant::now();
        anchor = forge.step(Some(&anchor), head);
        let took = started.elapsed();
        let count = number * STEP + step.len();
        let each = took.as_secs_f64() * 1e6 / step.len() as f64;
        println!(
            "  up to {count:>7}: {:>8.1} ms, {each:>5.1} µs each, {} MiB at most",
            ms(took),
            peak()
        );
    }
    let before = &ids[ids.len() - 2];
    let last = ids.last().expect("there are commits");
    let old = Anchor { commit: before.clone(), payload: String::new(), ..anchor };
    let one = median(201, || forge.step(Some(&old), last));
    let fresh = median(51, || forge.open_and_step(&old, last));
    println!("one more commit: {:.2} ms, with opening the repository {:.2} ms", ms(one), ms(fresh));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn once<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed()
}

fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..runs).map(|_| once(&mut work)).collect();
    times.sort_unstable();
    times[runs / 2]
}

/// The most memory this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// What each commit of a history changes.
#[derive(Clone, Copy)]
enum Content {
    /// A file, so that it has three trees of its own.
    Fresh,
    /// The same file between two states, to make long histories quickly.
    Alternating,
}

/// A repository whose commits are made and signed in this process.
struct Forge {
    home: TempDir,
    repo: gix::Repository,
    opened: Repository,
    key: Ed25519KeyPair,
}

impl Forge {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("git");
        let opened = Repository::create(&path, Default::default()).expect("a repository");
        let repo = gix::open(&path).expect("a repository");
        let key = Ed25519KeyPair::generate().expect("a key");
        Self { home, repo, opened, key }
    }

    fn introduction(&self) -> CommitId {
        let tree = self.tree("version = 0\n");
        self.commit(&tree, None, 0)
    }

    fn history(&self, root: &CommitId, commits: usize, content: Content) -> Vec<CommitId> {
        let states = [1, 2].map(|n| self.tree(&format!("version = {n}\n")));
        let mut ids: Vec<CommitId> = Vec::with_capacity(commits);
        for n in 1..=commits {
            let tree = match content {
                Content::Fresh => self.tree(&format!("version = \"fresh {n}\"\n")),
                Content::Alternating => states[n % 2],
            };
            let parent = ids.last().unwrap_or(root);
            ids.push(self.commit(&tree, Some(parent), n));
        }
        ids
    }

    /// Everything in one pack, as a fetch leaves it.
    fn settle(&self, head: &CommitId) {
        self.git(&["update-ref", "refs/heads/main", head.as_str()]);
        self.git(&["repack", "-adq"]);
    }

    fn step(&self, anchor: Option<&Anchor>, head: &CommitId) -> Anchor {
        self.judge(&self.opened, anchor, head)
    }

    fn open_and_step(&self, anchor: &Anchor, head: &CommitId) -> Anchor {
        let repo = Repository::open(&self.home.path().join("git")).expect("a repository");
        self.judge(&repo, Some(anchor), head)
    }

    fn judge(&self, repo: &Repository, anchor: Option<&Anchor>, head: &CommitId) -> Anchor {
        let introduction = match anchor {
            Some(anchor) => anchor.introduction.clone(),
            None => head.clone(),
        };
        let pins = Pins {
            channel: CHANNEL.to_owned(),
            introduction,
            introducer: self.fingerprint(),
            minimum: None,
            revoked: Default::default(),
        };
        verify(repo, &pins, anchor, head, NOW).expect("a good history").anchor().clone()
    }

    /// What nobody can save: the signatures themselves.
    fn raw(&self, count: usize) {
        let key = UnparsedPublicKey::new(&ED25519, self.key.public_key().as_ref());
        let message = [7; 130];
        let signature = self.key.sign(&message);
        for _ in 0..count {
            key.verify(&message, signature.as_ref()).expect("a good signature");
        }
    }

    fn git(&self, args: &[&str]) {
        let signers = format!("gpg.ssh.allowedSignersFile={}", self.signers_file().display());
        let status = Command::new("git")
            .args(["-c", "gpg.format=ssh", "-c", &signers])
            .args(args)
            .current_dir(self.home.path().join("git"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("git");
        assert!(status.success(), "git {args:?}");
    }

    fn signers_file(&self) -> PathBuf {
        let path = self.home.path().join("allowed_signers");
        if !Path::exists(&path) {
            std::fs::write(&path, self.signers()).expect("a file");
        }
        path
    }

    fn signers(&self) -> String {
        format!("alice namespaces=\"git\" ssh-ed25519 {}\n", base64(&self.public()))
    }

    /// The public key in wire encoding.
    fn public(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, b"ssh-ed25519");
        put(&mut blob, self.key.public_key().as_ref());
        blob
    }

    fn fingerprint(&self) -> Fingerprint {
        let digest = base64(&Sha256::digest(self.public()));
        format!("SHA256:{}", digest.trim_end_matches('=')).parse().expect("a fingerprint")
    }

    fn tree(&self, web: &str) -> ObjectId {
        let rules = format!(
            "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n"
        );
        let folder = self.folder(&[
            ("allowed_signers", self.blob(&self.signers()), EntryKind::Blob),
            ("policy.toml", self.blob(&rules), EntryKind::Blob),
        ]);
        let services = self.folder(&[("web.toml", self.blob(web), EntryKind::Blob)]);
        let manifests = self.folder(&[("services", services, EntryKind::Tree)]);
        self.folder(&[
            (".writ", folder, EntryKind::Tree),
            ("manifests", manifests, EntryKind::Tree),
        ])
    }

    fn blob(&self, text: &str) -> ObjectId {
        self.repo.write_blob(text).expect("a blob").detach()
    }

    fn folder(&self, entries: &[(&str, ObjectId, EntryKind)]) -> ObjectId {
        let entry = |(name, oid, kind): &(&str, ObjectId, EntryKind)| Entry {
            mode: (*kind).into(),
            filename: (*name).into(),
            oid: *oid,
        };
        let tree = gix::objs::Tree { entries: entries.iter().map(entry).collect() };
        self.repo.write_object(&tree).expect("a tree").detach()
    }

    fn commit(&self, tree: &ObjectId, parent: Option<&CommitId>, number: usize) -> CommitId {
        let time = EPOCH + number as i64;
        let mut headers = format!("tree {tree}\n");
        if let Some(parent) = parent {
            let _ = writeln!(headers, "parent {parent}");
        }
        let _ = write!(
            headers,
            "author Alice <a@example.org> {time} +0000\ncommitter Alice <a@example.org> {time} +0000\n"
        );
        let message = format!("\nchange {number}\n");
        let armor = self.armor(format!("{headers}{message}").as_bytes());
        let bytes = format!("{headers}gpgsig {}\n{message}", armor.trim_end().replace('\n', "\n "));
        let id = self.repo.objects.write_buf(Kind::Commit, bytes.as_bytes()).expect("a commit");
        id.to_string().parse().expect("a full id")
    }

    /// An SSH signature (OpenSSH, PROTOCOL.sshsig).
    fn armor(&self, payload: &[u8]) -> String {
        let mut message = b"SSHSIG".to_vec();
        for part in [&b"git"[..], b"", b"sha512", &Sha512::digest(payload)] {
            put(&mut message, part);
        }
        let mut signature = Vec::new();
        put(&mut signature, b"ssh-ed25519");
        put(&mut signature, self.key.sign(&message).as_ref());
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        for part in [&self.public()[..], b"git", b"", b"sha512", &signature] {
            put(&mut blob, part);
        }
        let text = base64(&blob);
        let mut armor = String::from("-----BEGIN SSH SIGNATURE-----\n");
        for line in text.as_bytes().chunks(70) {
            armor.push_str(str::from_utf8(line).expect("base 64 is ASCII"));
            armor.push('\n');
        }
        armor + "-----END SSH SIGNATURE-----\n"
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("short").to_be_bytes());
    out.extend_from_slice(bytes);
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 0x3f) as usize];
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}
