//! Where an operator finds what hosts have told: refs of a remote, a folder, or a bucket.

mod bucket;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use thiserror::Error;
use tokio::process::Command;

use super::child::Bounded;
use super::git_program::{Checkout, ELSEWHERE, GitError};
use super::outbox::{END, FILE, REFS};
use crate::fault::Fault;
use crate::world::stop;
use bucket::Reports;

/// Hosts that a place may tell of.
const MOST: usize = 10_000;
/// Blocks of 512 bytes that git may write into one file, for shells' `ulimit -f`.
const BLOCKS: u32 = 131_072;

/// What was found, by the name that it lies under; why, where it cannot be read.
pub type Found = BTreeMap<String, Result<Vec<u8>, String>>;

/// Why nobody can tell what hosts have told.
#[derive(Debug, Error)]
pub enum InboxError {
    #[error("could not ask {from} for the hosts' reports: {why}")]
    Unreachable { from: String, why: String },
    #[error("{from} has more than {MOST} reports")]
    TooMany { from: String },
    #[error("could not read the folder {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{given} is no place that reports can lie in: dir:// needs a whole path")]
    Unknown { given: String },
    #[error("{given} is no place that reports can lie in: {why}")]
    BadUrl { given: String, why: String },
    #[error("could not make room for the reports")]
    Scratch { source: std::io::Error },
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Bucket(#[from] Fault),
}

/// One place with reports.
#[derive(Debug)]
pub struct Inbox {
    place: Place,
    limit: usize,
    /// What was there at the last look.
    last: Option<BTreeMap<String, String>>,
}

#[derive(Debug)]
enum Place {
    Remote(Remote),
    Folder(PathBuf),
    Bucket(Box<Reports>),
}

#[derive(Debug)]
struct Remote {
    checkout: PathBuf,
    /// The checkout's own config: URLs, and how its owner gets there.
    config: PathBuf,
    name: String,
    scratch: Scratch,
}

impl Inbox {
    /// `from` is a folder (`dir:///path`), a bucket (`s3://…`), a URL, or a remote of the
    /// checkout; what is
    /// larger than `limit` bytes is not read.
    ///
    /// # Errors
    /// There is no such place.
    pub fn at(checkout: &Checkout, from: &str, limit: usize) -> Result<Self, InboxError> {
        let place = match from.strip_prefix("dir://") {
            Some(path) if path.starts_with('/') => Place::Folder(path.into()),
            Some(_) => return Err(InboxError::Unknown { given: from.to_owned() }),
            None if from.starts_with("s3://") => Place::Bucket(Box::new(Reports::of(from)?)),
            None => Place::Remote(Remote::of(checkout, from)?),
        };
        Ok(Self { place, limit, last: None })
    }

    /// Everything that is there; `None` where that is what was there at the last look.
    ///
    /// # Errors
    /// The place cannot be reached or read within the deadline.
    pub async fn look(&mut self, deadline: Duration) -> Result<Option<Found>, InboxError> {
        match &mut self.place {
            Place::Folder(folder) => folder_of(folder, self.limit).map(Some),
            Place::Bucket(reports) => reports.look(self.limit, deadline).await,
            Place::Remote(remote) => {
                // For all of it: a server that has many, and breaks each, holds nobody up.
                let end = Instant::now() + deadline;
                let listed = remote.list(end).await?;
                if self.last.as_ref() == Some(&listed) {
                    return Ok(None);
                }
                let found = remote.fetch(&listed, self.limit, end).await?;
                self.last = Some(listed);
                Ok(Some(found))
            }
        }
    }
}

impl Remote {
    fn of(checkout: &Checkout, name: &str) -> Result<Self, InboxError> {
        let common = checkout.run(&["rev-parse", "--git-common-dir"])?;
        let common = checkout.root().join(common);
        let config = common.canonicalize().unwrap_or(common).join("config");
        let scratch = Scratch::make().map_err(|source| InboxError::Scratch { source })?;
        let format = checkout.run(&["rev-parse", "--show-object-format"])?;
        let there = scratch.0.as_os_str();
        let init = ["init", "--quiet", "--bare", "--template=", "--object-format", &format];
        checkout.run(&init.iter().map(AsRef::as_ref).chain([there]).collect::<Vec<_>>())?;
        let name = name.to_owned();
        Ok(Self { checkout: checkout.root().to_owned(), config, name, scratch })
    }

    /// Each host's name and the commit that its ref stands at.
    async fn list(&self, end: Instant) -> Result<BTreeMap<String, String>, InboxError> {
        let pattern = format!("{REFS}*");
        let told = self.git(&["ls-remote", "--quiet", "--", &self.name, &pattern], end).await;
        let told = told.map_err(|why| self.unreachable(why))?;
        let refs = told.lines().filter_map(|line| {
            let (id, name) = line.split_once('\t')?;
            Some((name.strip_prefix(REFS)?.to_owned(), id.to_owned()))
        });
        let refs: BTreeMap<String, String> = refs.take(MOST + 1).collect();
        match refs.len() > MOST {
            true => Err(InboxError::TooMany { from: self.name.clone() }),
            false => Ok(refs),
        }
    }

    /// All at once; one after the other where one of them spoils that.
    async fn fetch(
        &self,
        listed: &BTreeMap<String, String>,
        limit: usize,
        end: Instant,
    ) -> Result<Found, InboxError> {
        let mut failed = BTreeMap::new();
        if !listed.is_empty() && self.bring("*", end).await.is_err() {
            for name in listed.keys() {
                if let Err(why) = self.bring(name, end).await {
                    failed.insert(name.clone(), format!("it cannot be fetched: {why}"));
                }
            }
        }
        if !failed.is_empty() && failed.len() == listed.len() {
            return Err(self.unreachable(failed.into_values().next().unwrap_or_default()));
        }
        let repository = gix::open_opts(&self.scratch.0, gix::open::Options::isolated())
            .map_err(|error| self.unreachable(error.to_string()))?;
        let read = |name: &String| match failed.remove(name) {
            Some(why) => (name.clone(), Err(why)),
            None => (name.clone(), blob(&repository, name, limit)),
        };
        Ok(listed.keys().map(read).collect())
    }

    async fn bring(&self, name: &str, end: Instant) -> Result<(), String> {
        let refspec = format!("+{REFS}{name}:{REFS}{name}");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--"];
        let args: Vec<&str> = fetch.into_iter().chain([&*self.name, &refspec]).collect();
        self.git(&args, end).await.map(drop)
    }

    /// Git, as its owner has set it up, in a repository of this program's: what hosts
    /// push reaches neither the checkout nor the whole disk.
    async fn git(&self, args: &[&str], end: Instant) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -f {BLOCKS}; exec git \"$@\"")).arg("git");
        command.arg("--git-dir").arg(&self.scratch.0);
        command.arg("-c").arg(format!("include.path={}", self.config.display()));
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]).args(args);
        command.current_dir(&self.checkout).env("LC_ALL", "C");
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        // It may ask for a passphrase, and so stays at its owner's terminal.
        let deadline = end.saturating_duration_since(Instant::now());
        let printed = Bounded { command, deadline, apart: false }.run(b"").await?;
        String::from_utf8(printed).map_err(|error| error.to_string())
    }

    fn unreachable(&self, why: String) -> InboxError {
        InboxError::Unreachable { from: self.name.clone(), why }
    }
}

/// The file `status` of the commit that a host's ref stands at.
fn blob(repository: &gix::Repository, name: &str, limit: usize) -> Result<Vec<u8>, String> {
    let no = |error: &dyn std::error::Error| format!("its ref leads to no report: {error}");
    let mut reference =
        repository.find_reference(&format!("{REFS}{name}")).map_err(|error| no(&error))?;
    let id = reference.peel_to_id().map_err(|error| no(&error))?;
    let sized = |id: gix::ObjectId| {
        let header = repository.find_header(id).map_err(|error| no(&error))?;
        match header.size() <= limit as u64 {
            true => repository.find_object(id).map_err(|error| no(&error)),
            false => Err(format!("it is larger than {limit} bytes")),
        }
    };
    let tree = sized(id.detach())?.try_into_commit().map_err(|error| no(&error))?.tree_id();
    let tree = sized(tree.map_err(|error| no(&error))?.detach())?;
    let tree = tree.try_into_tree().map_err(|error| no(&error))?;
    let file = tree.find_entry(FILE).filter(|file| file.mode().is_blob());
    let file = file.ok_or_else(|| format!("its ref leads to no file `{FILE}`"))?;
    Ok(sized(file.object_id())?.detach().data)
}

/// One report that somebody has at hand.
///
/// # Errors
/// It is no plain file, larger than `limit` bytes, or cannot be read.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    file(path, limit)
}

fn folder_of(folder: &Path, limit: usize) -> Result<Found, InboxError> {
    let unreadable = |source| InboxError::Unreadable { path: folder.to_owned(), source };
    let mut found = Found::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        let Some(host) = name.strip_suffix(END).filter(|host| !host.starts_with('.')) else {
            continue;
        };
        found.insert(host.to_owned(), file(&folder.join(&name), limit));
        if found.len() > MOST {
            return Err(InboxError::TooMany { from: folder.display().to_string() });
        }
    }
    Ok(found)
}

/// A plain file: opening a link or a pipe that somebody put there waits for nobody.
fn file(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let read = || {
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::other("it is no plain file"));
        }
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.len() > limit => Err(format!("it is larger than {limit} bytes")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// A folder of this program's own that goes with it.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> std::io::Result<Self> {
        let mut dice = [0; 8];
        rustix::rand::getrandom(&mut dice, rustix::rand::GetRandomFlags::empty())?;
        let name = format!("writ-fleet-{:016x}", u64::from_ne_bytes(dice));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        stop::goes_with_us(&path);
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever cleans the folder for temporary files does it otherwise.
        let _ = fs::remove_dir_all(&self.0);
    }
}
