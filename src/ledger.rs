//! What this host remembers, in a directory that a person can read: the anchor, and a folder per generation.
//!
//! ```text
//! anchor.json               the last accepted commit
//! revoked.json              keys that were once revoked
//! freshness.json            the newest statement about where the branch stands
//! recovery.json             the last statement that moved the anchor
//! head.json                 a newer head that was refused, and why
//! generations/<n>/commit.json, plan.json, verdict.json, units/
//! pause.json                a pause that somebody asked for
//! current, last-good        links to generations/<n>
//! events.jsonl              what happened, for people; nothing is decided by it
//! repo.git                  a copy of the branch, fetched again where it is lost or damaged
//! repo.damaged              the last copy that could not be opened
//! ```
//!
//! Ids are stored, never evidence: a commit read back from here is verified again.

pub mod pause;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::fault::Fault;
use crate::names::{CommitId, Fingerprint, Principal, UnitName};
use crate::plan::record::PlanRecord;
use crate::trust::{Anchor, HeadStatement, Refusal, VerifiedCommit};
use crate::verdict::Verdict;

const VERSION: u64 = 1;

/// The ledger's directory.
#[derive(Clone, Debug)]
pub struct Ledger {
    dir: PathBuf,
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

/// Keys that were once revoked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    keys: BTreeSet<Fingerprint>,
}

/// A statement that moved the anchor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recovered {
    sequence: u64,
}

/// State that cannot be used; the agent changes nothing until a person has looked.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error("could not {doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the state file {path} is damaged ({why})")]
    Damaged { path: PathBuf, why: String },
    #[error("the state file {path} may be changed by others (mode {mode:o}, owner {owner})")]
    Writable { path: PathBuf, mode: u32, owner: u32 },
    #[error("{path} is missing although generations are recorded beside it")]
    AnchorLost { path: PathBuf },
}

impl LedgerError {
    /// How a person mends it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Io { path, .. } => {
                format!("look at the disk and the permissions of {}", path.display())
            }
            Self::Damaged { path, .. } if path.ends_with("anchor.json") => ANCHOR_REMEDY.to_owned(),
            Self::Damaged { path, .. } if path.ends_with("head.json") => {
                format!("delete {}; it only tells people of a refused head", path.display())
            }
            Self::Damaged { path, .. } if path.ends_with("pause.json") => {
                "as root: writ pause, or writ resume".to_owned()
            }
            Self::Damaged { path, .. } => format!(
                "restore {} from a backup, or move its generation's folder away; the anchor keeps the host from going back",
                path.display()
            ),
            Self::Writable { path, .. } => {
                format!(
                    "find out who wrote to it, then: chown root {0}; chmod 0600 {0}",
                    path.display()
                )
            }
            Self::AnchorLost { .. } => ANCHOR_REMEDY.to_owned(),
        }
    }
}

const ANCHOR_REMEDY: &str = "the host does not know any more which commit it accepted last, so it follows none; as root, with a commit you have checked: writ trust reset --to COMMIT";

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        let remedy = error.remedy();
        let because = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::wait("use the ledger", because).remedy(remedy)
    }
}

impl Ledger {
    /// Opens the ledger in `dir`, making what is not there yet.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let generations = dir.join("generations");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&generations)
            .map_err(|source| io("create", &generations, source))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Opens a ledger to read it, without making anything.
    pub fn look(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where the copy of the repository lies.
    pub fn repository(&self) -> PathBuf {
        self.dir.join("repo.git")
    }

    /// Where packs wait to be imported.
    pub fn incoming(&self) -> PathBuf {
        self.dir.join("incoming.pack")
    }

    /// Where the agent tells what it does, for [`crate::events::Events`].
    pub fn events(&self) -> PathBuf {
        self.dir.join("events.jsonl")
    }

    /// The last accepted commit; `None` before the first.
    ///
    /// # Errors
    /// The anchor is damaged, writable for others, or missing although there are
    /// generations: never taken for a first boot.
    pub fn anchor(&self) -> Result<Option<Anchor>, LedgerError> {
        let path = self.dir.join("anchor.json");
        match self.read(&path)? {
            Some(anchor) => Ok(Some(anchor)),
            None if self.numbers()?.is_empty() => Ok(None),
            None => Err(LedgerError::AnchorLost { path }),
        }
    }

    /// Moves the anchor to a commit, which makes it this host's newest generation,
    /// and returns the generation's number. Accepting the newest again changes
    /// nothing.
    pub fn accept(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        self.remember_revoked(commit)?;
        if self.anchor_or_none()?.as_ref() != Some(commit.anchor()) {
            self.write("anchor.json", 0o600, commit.anchor())?;
        }
        if let Some(newest) = self.newest()?
            && newest.record.commit == *commit.id()
        {
            return Ok(newest.number);
        }
        let number = self.numbers()?.last().map_or(1, |last| last + 1);
        let folder = self.folder(number);
        fs::create_dir_all(&folder).map_err(|source| io("create", &folder, source))?;
        let record = CommitRecord {
            commit: commit.id().clone(),
            signer: commit.principal().clone(),
            key: commit.key().clone(),
            author: plain(commit.author()),
            committed: commit.committed(),
            subject: plain(commit.message().lines().next().unwrap_or_default()),
            accepted: now.to_owned(),
        };
        self.write(&format!("generations/{number}/commit.json"), 0o644, &record)?;
        sync_dir(&self.dir.join("generations"))?;
        Ok(number)
    }

    /// Puts the anchor somewhere else by root's own decision.
    pub fn reset(&self, commit: &VerifiedCommit, now: &str) -> Result<u64, LedgerError> {
        self.remember_revoked(commit)?;
        self.write("anchor.json", 0o600, commit.anchor())?;
        self.forget_head()?;
        self.accept(commit, now)
    }

    /// The newest statement about the head that this host has seen (rule F2).
    pub fn freshness(&self) -> Result<Option<HeadStatement>, LedgerError> {
        self.read(&self.dir.join("freshness.json"))
    }

    /// Remembers a newer statement about the head.
    pub fn remember_freshness(&self, statement: &HeadStatement) -> Result<(), LedgerError> {
        self.write("freshness.json", 0o600, statement)
    }

    /// The sequence of the last statement that moved the anchor; 0 before the first.
    pub fn recovered(&self) -> Result<u64, LedgerError> {
        let recovered: Option<Recovered> = self.read(&self.dir.join("recovery.json"))?;
        Ok(recovered.map_or(0, |recovered| recovered.sequence))
    }

    /// Puts the anchor somewhere else by a statement of recovery keys (rule T4).
    pub fn recover(
        &self,
        commit: &VerifiedCommit,
        sequence: u64,
        now: &str,
    ) -> Result<u64, LedgerError> {
        // The anchor first: a statement that was noted and not obeyed would be lost, and
        // one that was obeyed leads from a commit that is the anchor no more.
        let number = self.reset(commit, now)?;
        self.write("recovery.json", 0o600, &Recovered { sequence })?;
        Ok(number)
    }

    /// Every key that an accepted policy has ever revoked (rule P3).
    pub fn revoked(&self) -> Result<BTreeSet<Fingerprint>, LedgerError> {
        let revoked: Option<Revoked> = self.read(&self.dir.join("revoked.json"))?;
        Ok(revoked.map(|revoked| revoked.keys).unwrap_or_default())
    }

    /// Before the anchor moves, so that no crash makes the host forget.
    fn remember_revoked(&self, commit: &VerifiedCommit) -> Result<(), LedgerError> {
        let known = self.revoked()?;
        if commit.revoked().is_subset(&known) {
            return Ok(());
        }
        let keys = known.union(commit.revoked()).cloned().collect();
        self.write("revoked.json", 0o600, &Revoked { keys })
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

    /// Keeps the units of a generation (those that did not change are links to the
    /// last good one's), so that the next boot can put them back
    /// without anybody's help. They are on disk when this returns.
    pub fn keep_units(
        &self,
        number: u64,
        units: &BTreeMap<UnitName, String>,
    ) -> Result<(), LedgerError> {
        let (folder, fresh) =
            (self.folder(number).join("units"), self.folder(number).join("units.new"));
        let failed = |source| io("write", &folder, source);
        match fs::remove_dir_all(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => fs::create_dir(&fresh).map_err(failed)?,
        }
        let before = self.last_good()?.filter(|before| *before != number);
        let known = before.map(|before| self.units(before)).transpose()?.unwrap_or_default();
        for (unit, text) in units {
            let path = fresh.join(unit.as_str());
            let old = before.map(|before| self.folder(before).join("units").join(unit.as_str()));
            match old.filter(|_| known.get(unit) == Some(text)) {
                Some(old) => fs::hard_link(old, path).map_err(failed)?,
                None => fs::write(path, text).map_err(failed)?,
            }
        }
        // One flush for all of them: a thousand by themselves would take seconds.
        File::open(&fresh).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).map_err(failed)?;
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => fs::rename(&fresh, &folder).map_err(failed)?,
        }
        sync_dir(&self.folder(number))
    }

    /// The units that a generation was confirmed with.
    pub fn units(&self, number: u64) -> Result<BTreeMap<UnitName, String>, LedgerError> {
        let folder = self.folder(number).join("units");
        let mut units = BTreeMap::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(units),
            Err(source) => return Err(io("read", &folder, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| io("read", &folder, source))?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            let text = fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
            units.extend(name.map(|name: UnitName| (name, text)));
        }
        Ok(units)
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

    fn anchor_or_none(&self) -> Result<Option<Anchor>, LedgerError> {
        self.read(&self.dir.join("anchor.json"))
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.dir.join("generations").join(number.to_string())
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, LedgerError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io("read", path, source)),
        };
        let metadata = fs::metadata(path).map_err(|source| io("read", path, source))?;
        let own = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o022 != 0 || ![0, own].contains(&metadata.uid()) {
            let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
            return Err(LedgerError::Writable { path: path.to_owned(), mode, owner });
        }
        decode(&bytes).map(Some).map_err(|why| LedgerError::Damaged { path: path.to_owned(), why })
    }

    fn write(&self, name: &str, mode: u32, value: &impl Serialize) -> Result<(), LedgerError> {
        let path = self.dir.join(name);
        let text = encode(value)
            .map_err(|why| LedgerError::Damaged { path: path.clone(), why: why.to_string() })?;
        replace(&path, mode, text.as_bytes())
    }

    fn write_plain(&self, name: &str, value: &impl Serialize) -> Result<(), LedgerError> {
        self.write(name, 0o644, value)
    }

    fn point(&self, name: &str, number: u64) -> Result<(), LedgerError> {
        if let Ok(Some(known)) = self.pointed(name)
            && known == number
        {
            return Ok(());
        }
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!(".{name}.new"));
        let _ = fs::remove_file(&fresh);
        symlink(format!("generations/{number}"), &fresh)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| io("write", &path, source))?;
        sync_dir(&self.dir)
    }

    fn pointed(&self, name: &str) -> Result<Option<u64>, LedgerError> {
        let path = self.dir.join(name);
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(LedgerError::Damaged { path, why: "it is no link".to_owned() });
            }
            Err(source) => return Err(io("read", &path, source)),
        };
        let number = target.file_name().and_then(|name| name.to_str()?.parse().ok());
        number.map(Some).ok_or_else(|| LedgerError::Damaged {
            path,
            why: format!("it points at {}", target.display()),
        })
    }

    fn forget(&self, name: &str) -> Result<bool, LedgerError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(&self.dir).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(io("remove", &path, source)),
        }
    }
}

/// What others wrote, fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `{"version": 1, …the value's own fields}`, for a person to read.
fn encode(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut object = serde_json::Map::new();
    object.insert("version".to_owned(), VERSION.into());
    if let Value::Object(fields) = serde_json::to_value(value)? {
        object.extend(fields);
    }
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match object.remove("version") {
        Some(version) if version == VERSION => {}
        Some(version) => {
            return Err(format!("its version is {version}, this program reads {VERSION}"));
        }
        None => return Err("it has no version".to_owned()),
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

/// Written beside, fsynced, renamed, and the directory fsynced too: after a power
/// cut there is the old file or the new one.
fn replace(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&fresh);
        io("write", path, source)
    })?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| io("sync", dir, source))
}

fn io(doing: &'static str, path: &Path, source: std::io::Error) -> LedgerError {
    LedgerError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        (dir, ledger)
    }

    fn anchor() -> Anchor {
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        Anchor { commit: commit.clone(), payload: "b".repeat(64), time: 0, introduction: commit }
    }

    #[test]
    fn a_new_ledger_has_no_anchor() {
        let (_dir, ledger) = ledger();
        assert_eq!(ledger.anchor().unwrap(), None);
    }

    #[test]
    fn a_damaged_anchor_is_never_a_first_boot() {
        let (dir, ledger) = ledger();
        for damage in
            ["", "{", "{\"version\":2}", "{\"version\":1,\"commit\":\"x\",\"payload\":\"\"}"]
        {
            fs::write(dir.path().join("anchor.json"), damage).unwrap();
            let error = ledger.anchor().unwrap_err();
            assert!(matches!(error, LedgerError::Damaged { .. }), "{damage}: {error}");
            assert!(error.remedy().contains("writ trust reset"));
        }
    }

    #[test]
    fn an_anchor_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, ledger) = ledger();
        ledger.write("anchor.json", 0o600, &anchor()).unwrap();
        assert_eq!(ledger.anchor().unwrap(), Some(anchor()));
        let path = dir.path().join("anchor.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(ledger.anchor(), Err(LedgerError::Writable { .. })));
    }

    #[test]
    fn a_lost_anchor_is_not_a_first_boot_where_generations_are() {
        let (dir, ledger) = ledger();
        let folder = dir.path().join("generations/1");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("commit.json"), "{}").unwrap();
        assert!(matches!(ledger.anchor(), Err(LedgerError::AnchorLost { .. })));
    }

    fn recorded(dir: &Path, number: u64, verdict: &str) {
        let folder = dir.join(format!("generations/{number}"));
        fs::create_dir_all(&folder).unwrap();
        let record = CommitRecord {
            commit: "a".repeat(40).parse().unwrap(),
            signer: "alice".parse().unwrap(),
            key: format!("SHA256:{}", "b".repeat(43)).parse().unwrap(),
            author: String::new(),
            committed: 0,
            subject: String::new(),
            accepted: String::new(),
        };
        fs::write(folder.join("commit.json"), encode(&record).unwrap()).unwrap();
        fs::write(folder.join("verdict.json"), verdict).unwrap();
    }

    #[test]
    fn the_last_good_generation_is_known_without_its_link() {
        let (dir, ledger) = ledger();
        let good = "{\"version\": 1, \"kind\": \"confirmed\", \"at\": \"x\"}";
        let begun = "{\"version\": 1, \"kind\": \"applying\", \"since\": \"x\"}";
        for (number, verdict) in [(1, good), (2, good), (3, "{"), (4, begun)] {
            recorded(dir.path(), number, verdict);
        }
        let link = dir.path().join("last-good");
        let remove = || fs::remove_file(&link).unwrap();
        assert_eq!(ledger.last_good().unwrap(), Some(2), "the link is lost");
        for target in ["generations/9", "somewhere/else", "generations/1"] {
            symlink(target, &link).unwrap();
            let known = if target == "generations/1" { 1 } else { 2 };
            assert_eq!(ledger.last_good().unwrap(), Some(known), "{target}");
            remove();
        }
        fs::write(&link, "no link").unwrap();
        assert_eq!(ledger.last_good().unwrap(), Some(2));
        ledger.set_good(1).unwrap();
        assert_eq!(ledger.last_good().unwrap(), Some(1), "it can be written again");
    }

    #[test]
    fn a_damaged_refused_head_is_written_again_and_forgotten() {
        let (dir, ledger) = ledger();
        fs::write(dir.path().join("head.json"), "{").unwrap();
        assert!(ledger.refused_head().unwrap_err().remedy().contains("delete"));
        assert!(ledger.forget_head().unwrap());
        assert!(!ledger.forget_head().unwrap());
    }

    #[test]
    fn units_are_kept_for_the_next_boot_and_shared_while_they_do_not_change() {
        let (dir, ledger) = ledger();
        let unit = |name: &str| -> UnitName { format!("writ-{name}.service").parse().unwrap() };
        let one = BTreeMap::from([(unit("a"), "a1".to_owned()), (unit("b"), "b1".to_owned())]);
        let two = BTreeMap::from([(unit("a"), "a2".to_owned()), (unit("b"), "b1".to_owned())]);
        for (number, units) in [(1, &one), (2, &two)] {
            recorded(dir.path(), number, "");
            ledger.keep_units(number, units).unwrap();
            ledger.keep_units(number, units).unwrap();
            ledger.verdict(number, &Verdict::Confirmed { at: String::new() }).unwrap();
        }
        assert_eq!((ledger.units(1).unwrap(), ledger.units(2).unwrap()), (one, two));
        let inode = |n: u64, name: &str| {
            let path = dir.path().join(format!("generations/{n}/units/writ-{name}.service"));
            fs::metadata(path).unwrap().ino()
        };
        assert_eq!(inode(1, "b"), inode(2, "b"));
        assert_ne!(inode(1, "a"), inode(2, "a"));
    }

    #[test]
    fn a_confirmed_generation_is_the_last_good_one() {
        let (dir, ledger) = ledger();
        recorded(dir.path(), 3, "");
        let verdict = Verdict::Confirmed { at: "2026-01-01T00:00:00Z".to_owned() };
        ledger.verdict(3, &verdict).unwrap();
        assert_eq!(ledger.last_good().unwrap(), Some(3));
        assert_eq!(ledger.current().unwrap(), Some(3));
        let text = fs::read_to_string(dir.path().join("generations/3/verdict.json")).unwrap();
        assert_eq!(decode::<Verdict>(text.as_bytes()).unwrap(), verdict);
    }
}
