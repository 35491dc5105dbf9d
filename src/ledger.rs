//! What this host remembers, in a directory that a person can read: the anchor, and a folder per generation.
//!
//! ```text
//! anchor.json               the last accepted commit
//! anchor.lock               held by whoever moves it
//! stages.json               generations about to be entered, while the anchor moves
//! revoked.json              keys that were once revoked
//! freshness.json            the newest statement about where the branch stands
//! recovery.json             the last statement that moved the anchor
//! head.json                 a newer head that was refused, and why
//! generations/<n>/commit.json, closures.json, plan.json, verdict.json, units/
//! drift/                    files of others that were over our units
//! report.json               the sequence of the last report
//! state-directories/        whose each directory below /var/lib is
//! pause.json                a pause that somebody asked for
//! current, last-good        links to generations/<n>
//! agent.lock                held by the agent that runs, with its process id
//! booted                    a link to the one whose units were restored at boot
//! lock                      held by whoever changes profiles or forgets generations
//! events.jsonl              what happened, for people; nothing is decided by it
//! repo.git                  a copy of the branch, fetched again where it is lost or damaged
//! repo.damaged              the last copy that could not be opened
//! ```
//!
//! Ids are stored, never evidence: a commit read back from here is verified again.

mod claim;
mod error;
mod files;
pub mod pause;
mod pending;
mod report;
pub mod retention;
mod stages;
mod state_directories;
mod sweep;
#[cfg(test)]
mod tests;
mod trusted;
mod units;
mod witness;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::names::{CommitId, Fingerprint, Principal};
use crate::plan::record::PlanRecord;
use crate::trust::Refusal;
use crate::verdict::Verdict;
use crate::world::owners::{self, Exposed};
pub use claim::Claim;
pub use error::LedgerError;
use error::io;

/// Members of this group may read what the host remembers.
const GROUP: &str = "writ";
pub use stages::Due;

/// The ledger's directory.
#[derive(Clone, Debug)]
pub struct Ledger {
    dir: PathBuf,
    witness: witness::Witness,
}

/// Who committed what, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitRecord {
    pub commit: CommitId,
    pub signer: Principal,
    pub key: Fingerprint,
    pub author: String,
    pub committed: i64,
    pub subject: String,
    pub accepted: String,
    /// Whether it, or a commit it was verified with, need not wait for a deploy window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Whether no newer commit may be tried before it has passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_pass: bool,
    /// The generation that has to pass before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
}

/// One generation of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    pub number: u64,
    pub record: CommitRecord,
    pub verdict: Option<Verdict>,
}

/// A newer head of the branch that this host does not obey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusedHead {
    pub at: String,
    pub refusal: Refusal,
}

/// Verdicts tell journal lines of services: the state is root's and the group's. The
/// folders on the way to it are root's alone.
fn close(dir: &Path) -> Result<(), LedgerError> {
    let failed = |source| io("close to others", dir, source);
    if let Some(exposed) = owners::exposed(dir).map_err(failed)? {
        return Err(LedgerError::Exposed(exposed));
    }
    let found = fs::metadata(dir).map_err(failed)?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
        let (path, mode, owner) = (dir.to_owned(), found.mode() & 0o7777, found.uid());
        return Err(LedgerError::Exposed(Exposed { path, mode, owner }));
    }
    let group = uzers::get_group_by_name(GROUP).map(|group| group.gid());
    let group = group.filter(|gid| *gid == found.gid() || chown(dir, None, Some(*gid)).is_ok());
    let mode = if group.is_some() { 0o750 } else { 0o700 };
    if found.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(failed)
}

impl Ledger {
    /// Opens the ledger in `dir`, making what is not there yet.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let generations = dir.join("generations");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(&generations)
            .map_err(|source| io("create", &generations, source))?;
        close(dir)?;
        Ok(Self::look(dir))
    }

    /// Opens a ledger to read it, without making anything.
    pub fn look(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), witness: witness::Witness::default() }
    }

    /// The folder that all of it lies in.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Where the copy of the repository lies.
    pub fn repository(&self) -> PathBuf {
        self.dir.join("repo.git")
    }

    /// The folder where packs of the n-th source wait to be imported.
    pub fn incoming(&self, source: usize) -> PathBuf {
        self.dir.join(format!("{}{source}", sweep::INCOMING))
    }

    /// Where the agent tells what it does, for [`crate::events::Events`].
    pub fn events(&self) -> PathBuf {
        self.dir.join("events.jsonl")
    }

    /// The newest generation.
    pub fn newest(&self) -> Result<Option<Generation>, LedgerError> {
        self.numbers()?.last().map(|&number| self.generation(number)).transpose()
    }

    /// A generation by its number.
    pub fn generation(&self, number: u64) -> Result<Generation, LedgerError> {
        let path = self.folder(number).join("commit.json");
        let record = self.read(&path)?.ok_or_else(|| LedgerError::Damaged {
            path: path.clone(),
            why: "it is missing".to_owned(),
        })?;
        let verdict = self.read(&self.folder(number).join("verdict.json"))?;
        Ok(Generation { number, record, verdict })
    }

    /// Every generation's number, rising. A folder whose commit was never written
    /// (a crash in between) is none.
    pub fn numbers(&self) -> Result<Vec<u64>, LedgerError> {
        let path = self.dir.join("generations");
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io("read", &path, source)),
        };
        let mut numbers: Vec<u64> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|number| self.folder(*number).join("commit.json").exists())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Records a plan before its first step.
    pub fn plan(&self, number: u64, plan: &impl Serialize) -> Result<(), LedgerError> {
        self.write_plain(&format!("generations/{number}/plan.json"), plan)
    }

    /// The plan that was recorded last for a generation; `None` where nothing was
    /// to be done, or nothing was begun.
    pub fn recorded_plan(&self, number: u64) -> Result<Option<PlanRecord>, LedgerError> {
        self.read(&self.folder(number).join("plan.json"))
    }

    /// Records how a generation went; a confirmed one is the current and last good one.
    pub fn verdict(&self, number: u64, verdict: &Verdict) -> Result<(), LedgerError> {
        self.write(&format!("generations/{number}/verdict.json"), 0o644, verdict)?;
        if let Verdict::Confirmed { .. } = verdict { self.set_good(number) } else { Ok(()) }
    }

    /// Says that the host runs a generation that is confirmed. Where it says so
    /// already, nothing is written.
    pub fn set_good(&self, number: u64) -> Result<(), LedgerError> {
        self.point("last-good", number)?;
        self.point("current", number)
    }

    /// Catches up on the links of the newest generation, where a crash came between its
    /// verdict and them. Once there is a newer one, nothing else would tell.
    fn mend_links(&self) -> Result<(), LedgerError> {
        match self.newest() {
            Ok(Some(Generation { number, verdict: Some(Verdict::Confirmed { .. }), .. })) => {
                self.set_good(number)
            }
            Ok(_) | Err(LedgerError::Damaged { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says which generation the host runs.
    pub fn set_current(&self, number: Option<u64>) -> Result<(), LedgerError> {
        match number {
            Some(number) => self.point("current", number),
            None => self.forget("current").map(|_| ()),
        }
    }

    /// The generation that was confirmed last. Where the link is lost or damaged, or
    /// its generation is gone, the verdicts tell.
    pub fn last_good(&self) -> Result<Option<u64>, LedgerError> {
        let here = |number: &u64| self.folder(*number).join("commit.json").exists();
        match self.pointed("last-good") {
            Ok(Some(number)) if here(&number) => return Ok(Some(number)),
            Ok(_) | Err(LedgerError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let confirmed = |number: &u64| {
            matches!(
                self.generation(*number),
                Ok(Generation { verdict: Some(Verdict::Confirmed { .. }), .. })
            )
        };
        Ok(self.numbers()?.into_iter().rev().find(confirmed))
    }

    /// The generation that the host runs; none where the link is damaged or its
    /// generation is gone.
    pub fn current(&self) -> Result<Option<u64>, LedgerError> {
        match self.pointed("current") {
            Ok(number) => Ok(number.filter(|n| self.folder(*n).join("commit.json").exists())),
            Err(LedgerError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the host runs the generation that was confirmed last, and nothing was
    /// begun since.
    pub fn runs_last_good(&self) -> Result<bool, LedgerError> {
        Ok(self.current()? == self.last_good()?)
    }

    /// Remembers a head that is not obeyed.
    pub fn refuse_head(&self, refused: &RefusedHead) -> Result<(), LedgerError> {
        if let Ok(Some(known)) = self.refused_head()
            && known.refusal == refused.refusal
        {
            return Ok(());
        }
        self.write("head.json", 0o644, refused)
    }

    /// The head that is not obeyed, where there is one.
    pub fn refused_head(&self) -> Result<Option<RefusedHead>, LedgerError> {
        self.read(&self.dir.join("head.json"))
    }

    /// Forgets a refused head once the branch is good again; says whether there was one.
    pub fn forget_head(&self) -> Result<bool, LedgerError> {
        self.forget("head.json")
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.dir.join("generations").join(number.to_string())
    }
}
