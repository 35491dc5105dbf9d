//! What becomes of old generations: which are needed, and how the others go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::io;
use super::files::encode;
use super::{Ledger, LedgerError};
use crate::names::{ServiceName, StorePath};
use crate::plan::retention::{Generations, Why};

const BOOTED: &str = "booted";
const LOCK: &str = "lock";
/// How the folder of a generation is called while it is being deleted.
const GONE: &str = ".gone-";

/// The closures of one generation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closures {
    closures: BTreeMap<ServiceName, StorePath>,
}

/// Held by whoever changes profiles or forgets generations, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Ledger {
    /// Takes the turn; `None` while another process has it.
    pub fn turn(&self) -> Result<Option<Turn>, LedgerError> {
        let (path, file) = self.lock_file(LOCK)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Turn { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(errno) => Err(io("lock", &path, errno.into())),
        }
    }

    /// Notes what a generation is made of, for those who decide what is kept.
    ///
    /// It is not flushed: what a power cut takes counts as not told, and nothing is
    /// let go for as long as that generation is needed. [`Ledger::keep_units`] flushes it.
    pub fn keep_closures(
        &self,
        number: u64,
        closures: BTreeMap<ServiceName, StorePath>,
    ) -> Result<(), LedgerError> {
        let path = self.folder(number).join("closures.json");
        let damaged = |why: String| LedgerError::Damaged { path: path.clone(), why };
        let text = encode(&Closures { closures }).map_err(|why| damaged(why.to_string()))?;
        if fs::read(&path).is_ok_and(|known| known == text.as_bytes()) {
            return Ok(());
        }
        let fresh = self.folder(number).join("closures.json.new");
        fs::write(&fresh, text)
            .inspect(|()| self.changed())
            .and_then(|()| fs::rename(&fresh, &path))
            .inspect(|()| self.changed())
            .map_err(|source| io("write", &path, source))
    }

    /// The store paths of a generation; `None` where they are not told.
    pub fn closures(&self, number: u64) -> Option<BTreeSet<StorePath>> {
        let path = self.folder(number).join("closures.json");
        let known: Option<Closures> = self.read(&path).ok().flatten();
        known.map(|known| known.closures.into_values().collect())
    }

    /// Remembers which generation's units were restored as the host booted.
    pub fn set_booted(&self, number: Option<u64>) -> Result<(), LedgerError> {
        match number {
            Some(number) => self.point(BOOTED, number),
            None => self.forget(BOOTED).map(|_| ()),
        }
    }

    /// The generation that the host booted with, where it is known.
    pub fn booted(&self) -> Option<u64> {
        self.pointed(BOOTED).ok().flatten()
    }

    /// Every generation with why it is needed, and the closures of those that are.
    ///
    /// One that a later one has overtaken will never have a verdict, and is needed no
    /// more unless it runs, or has to pass before that one.
    pub fn needed(&self) -> Result<Generations, LedgerError> {
        let numbers = self.numbers()?;
        let (current, good, booted) = (self.current()?, self.last_good()?, self.booted());
        let pending = self.pending(&numbers);
        let mut generations = Generations::default();
        for &number in &numbers {
            let newest = numbers.last() == Some(&number);
            let tried = pending.tried.contains(&number);
            let why: BTreeSet<Why> = [
                (current == Some(number)).then_some(Why::Current),
                (good == Some(number)).then_some(Why::LastGood),
                (booted == Some(number)).then_some(Why::Booted),
                newest.then_some(Why::Newest),
                pending.told.contains(&number).then_some(Why::Unfinished),
            ]
            .into_iter()
            .flatten()
            .collect();
            let runs = [Why::Current, Why::LastGood, Why::Booted];
            if tried || runs.iter().any(|reason| why.contains(reason)) {
                generations.closures.insert(number, self.closures(number));
            }
            generations.needed.insert(number, why);
        }
        Ok(generations)
    }

    /// Forgets generations. Each goes whole: its folder is renamed before it is emptied,
    /// so that a crash leaves either a generation or what the next call deletes.
    pub fn retire(&self, numbers: impl Iterator<Item = u64>) -> Result<(), LedgerError> {
        let all = self.dir.join("generations");
        for number in numbers {
            let gone = all.join(format!("{GONE}{number}"));
            match fs::rename(self.folder(number), &gone) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io("remove", &self.folder(number), error));
                }
                Ok(()) | Err(_) => self.changed(),
            }
        }
        let entries = fs::read_dir(&all).map_err(|source| io("read", &all, source))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(GONE.as_bytes()) {
                fs::remove_dir_all(&path).map_err(|source| io("remove", &path, source))?;
                self.changed();
            }
        }
        Ok(())
    }
}
