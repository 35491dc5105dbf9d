//! Packs on their way into the copy of the repository: a child checks and indexes them
//! beside it, within a budget and until a deadline, and the agent moves them in.
//!
//! What a stranger sends may take minutes to unpack, and nothing in there can be
//! interrupted from outside; so this is a process of its own, which is killed.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::child;
use super::fetched::{Fetched, Statements};
use super::pack_budget::{BudgetError, PackBudget};
use super::repo::{ObjectFormat, Repository, TOO_LARGE};
use super::words::of_pack;
use crate::fault::Fault;
use crate::names::CommitId;

/// Bytes that the child may take. The largest object is 16 MiB, and an index is made in
/// memory.
const MEMORY: u64 = 1 << 30;
/// How much the child leaves the processor to the services of its host.
const NICE: i32 = 10;

/// Who checks packs, and how long it may take.
#[derive(Clone, Debug)]
pub struct PackImport {
    /// This program, which is its own child: `/proc/self/exe` but in tests.
    pub program: PathBuf,
    pub deadline: Duration,
}

/// What the parent asks for, as one JSON document on standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pub format: ObjectFormat,
    /// The repository that the first pack may be thin on.
    pub base: Option<PathBuf>,
    /// In the order in which each may be thin on those before it; deleted once indexed.
    pub packs: Vec<PathBuf>,
    /// A folder that is made, on the disk of the repository.
    pub into: PathBuf,
}

/// What came of it, as one JSON document on standard output.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Answer {
    /// Packs with an index beside each, which are on the disk for good.
    Indexed { packs: Vec<PathBuf> },
    /// They cost more than is spent on them (rule O5).
    TooLarge { because: String, remedy: Option<String> },
    /// They are damaged, or what they are thin on is not here.
    Damaged { because: String, remedy: Option<String> },
}

/// What a source brought, as far as it can be moved into the repository.
#[derive(Debug)]
pub enum Delivered {
    Unchanged {
        tip: CommitId,
    },
    Packs {
        tip: CommitId,
        statements: Statements,
        packs: IndexedPacks,
    },
    /// Unpacking them was given up; it would be no better the next time.
    TooLarge {
        tip: CommitId,
        statements: Statements,
        fault: Fault,
    },
    /// They do not go with the repository.
    Damaged(Fault),
}

/// Packs that were checked, in a folder that goes with this value.
#[derive(Debug)]
pub struct IndexedPacks {
    folder: PathBuf,
    pub(super) packs: Vec<PathBuf>,
}

impl Drop for IndexedPacks {
    fn drop(&mut self) {
        // It may be gone; one that stays is swept or written over.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl PackImport {
    /// Has the packs of an answer checked, which lie in `folder`; with no `base`, they are
    /// a whole history. Dropping the future ends it and leaves nothing.
    ///
    /// # Errors
    /// The child cannot be started, or cannot work on this machine.
    pub async fn check(
        &self,
        fetched: Fetched,
        folder: &Path,
        base: Option<PathBuf>,
        format: ObjectFormat,
    ) -> Result<Delivered, Fault> {
        let (tip, statements, packs) = match fetched {
            Fetched::Unchanged { tip } => return Ok(Delivered::Unchanged { tip }),
            Fetched::Packs { tip, statements, packs } => (tip, statements, packs),
        };
        let mut indexed = IndexedPacks { folder: folder.to_owned(), packs: Vec::new() };
        let request = Request { format, base, packs, into: folder.join("indexed") };
        Ok(match self.ask(&request).await? {
            Answer::Indexed { packs } => {
                indexed.packs = packs;
                Delivered::Packs { tip, statements, packs: indexed }
            }
            Answer::TooLarge { because, remedy } => {
                let usual = || {
                    let commit = tip.short();
                    format!("see what commit {commit} holds: another one is looked at again")
                };
                let fault = fault(because).remedy(remedy.unwrap_or_else(usual));
                Delivered::TooLarge { tip, statements, fault }
            }
            Answer::Damaged { because, remedy } => {
                Delivered::Damaged(Fault { remedy, ..fault(because) })
            }
        })
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Fault> {
        let body = serde_json::to_vec(request).map_err(fault)?;
        let asked = child::ask(&self.program, "index-packs", &body);
        let Ok(ended) = timeout(self.deadline, asked).await else {
            let because = format!("unpacking took longer than {:?}", self.deadline);
            return Ok(Answer::TooLarge { because, remedy: None });
        };
        let (printed, said, status) = ended.map_err(fault)?;
        match serde_json::from_slice(&printed) {
            Ok(answer) => Ok(answer),
            // The words of Rust's allocator.
            Err(_) if said.contains("memory allocation of") => {
                let because = format!("unpacking takes more than {} MiB of memory", MEMORY >> 20);
                Ok(Answer::TooLarge { because, remedy: None })
            }
            Err(_) => Err(fault(format!("it ended with {status}: {said}"))),
        }
    }
}

/// Reads a request, answers it.
///
/// # Errors
/// Standard input is no request, the disk or this machine is in the way, or the answer
/// cannot be written.
pub fn run() -> io::Result<()> {
    // It has a process group of its own, and no reason to outlive whoever asks.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    limit()?;
    let request: Request = serde_json::from_reader(io::stdin().lock())?;
    let answer = answer(&request).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}

fn limit() -> io::Result<()> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, limit(0))?;
    setrlimit(Resource::Data, limit(MEMORY))?;
    nice(NICE)?;
    Ok(())
}

/// Checks packs and indexes them, in this process and for as long as it takes.
///
/// # Errors
/// The folder cannot be made, or a pack not be opened or deleted.
pub fn answer(request: &Request) -> Result<Answer, Fault> {
    let stage = Repository::stage(&request.into, request.format, request.base.as_deref())?;
    let mut budget = PackBudget::default();
    let mut indexed = Vec::new();
    for path in &request.packs {
        let pack = || File::open(path).map(BufReader::new).map_err(fault);
        match budget.spend(&mut pack()?, request.format.hash()) {
            Ok(()) => {}
            Err(BudgetError::Damaged(said)) => {
                let (because, remedy) = of_pack(said);
                return Ok(Answer::Damaged { because, remedy: Some(remedy.to_owned()) });
            }
            Err(over @ (BudgetError::Objects | BudgetError::Unpacked)) => {
                return Ok(Answer::TooLarge { because: over.to_string(), remedy: None });
            }
            Err(over @ BudgetError::Object(_)) => {
                let remedy = Some(TOO_LARGE.to_owned());
                return Ok(Answer::TooLarge { because: over.to_string(), remedy });
            }
        }
        match stage.import_pack(&mut pack()?) {
            Ok(imported) => indexed.extend(imported.into_pack()),
            Err(Fault { because, remedy, .. }) => return Ok(Answer::Damaged { because, remedy }),
        }
        // One on top of the other would fill a disk.
        fs::remove_file(path).map_err(fault)?;
    }
    Ok(Answer::Indexed { packs: indexed })
}

fn fault(because: impl std::fmt::Display) -> Fault {
    Fault::wait("unpack what a source sent", because)
}
