//! A generation as the command line names it and as a person reads it.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use super::{Blame, Failure};
use crate::ledger::{CommitRecord, Generation, Ledger, LedgerError};
use crate::names::{CommitId, Fingerprint, Principal};
use crate::verdict::Verdict;

/// Which generation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Number(u64),
    Newest,
    Current,
    LastGood,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest" => Ok(Self::Newest),
            "current" => Ok(Self::Current),
            "last-good" => Ok(Self::LastGood),
            number => number.parse().map(Self::Number).map_err(|_| {
                "a generation is a number, `newest`, `current` or `last-good`".to_owned()
            }),
        }
    }
}

impl Which {
    /// The generation in this host's ledger.
    ///
    /// # Errors
    /// There is none of that kind, or its files cannot be read.
    pub fn find(self, ledger: &Ledger) -> Result<Generation, Failure> {
        let numbers = ledger.numbers()?;
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Newest => numbers.last().copied(),
            Self::Current => ledger.current()?,
            Self::LastGood => ledger.last_good()?,
        };
        match number.filter(|number| numbers.contains(number)) {
            Some(number) => Ok(ledger.generation(number)?),
            None => Err(self.missing(&numbers)),
        }
    }

    fn missing(self, numbers: &[u64]) -> Failure {
        let message = match (self, numbers) {
            (_, []) => "this host has accepted nothing yet".to_owned(),
            (Self::Number(number), [first, .., last]) => {
                format!("there is no generation {number}; this host has {first} to {last}")
            }
            (Self::Number(number), [only]) => {
                format!("there is no generation {number}; this host has only {only}")
            }
            (Self::Newest | Self::Current, _) => "this host runs no generation".to_owned(),
            (Self::LastGood, _) => "no generation was confirmed on this host yet".to_owned(),
        };
        Failure { message, hint: None, blame: Blame::Usage }
    }
}

/// A generation with what it means to the host now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub generation: u64,
    /// Whether the host runs it.
    pub runs: bool,
    pub last_good: bool,
    /// Whether newer ones took its place before it had a verdict.
    pub overtaken: bool,
    #[serde(flatten, serialize_with = "for_programs")]
    pub record: CommitRecord,
    pub verdict: Option<Verdict>,
    /// Seconds from its acceptance to its verdict, once there is one.
    pub seconds: Option<i64>,
}

impl Entry {
    pub fn of(generation: Generation, ledger: &Ledger) -> Result<Self, LedgerError> {
        let overtaken = ledger.is_overtaken(&generation)?;
        let Generation { number, record, verdict } = generation;
        Ok(Self {
            generation: number,
            runs: ledger.current()? == Some(number),
            last_good: ledger.last_good()? == Some(number),
            overtaken,
            seconds: seconds(&record, verdict.as_ref()),
            record,
            verdict,
        })
    }

    /// `accepted` where nothing was decided yet.
    pub fn word(&self) -> &'static str {
        if self.overtaken {
            return "overtaken";
        }
        self.verdict.as_ref().map_or("accepted", Verdict::word)
    }

    /// `4s`, `2m 5s`; empty before the verdict.
    pub fn duration(&self) -> String {
        self.seconds.map(|s| format!("{:#}", SignedDuration::from_secs(s))).unwrap_or_default()
    }

    /// `(runs, last good, must pass)`.
    pub fn marks(&self) -> Option<String> {
        let marks = [
            self.runs.then_some("runs"),
            self.last_good.then_some("last good"),
            self.record.must_pass.then_some("must pass"),
            self.record.urgent.then_some("urgent"),
        ];
        let marks: Vec<_> = marks.into_iter().flatten().collect();
        (!marks.is_empty()).then(|| format!("({})", marks.join(", ")))
    }

    /// The author's name, without address and time.
    pub fn author_name(&self) -> &str {
        self.record.author.split('<').next().unwrap_or_default().trim()
    }

    /// The author's name and address, without the time.
    pub fn author(&self) -> &str {
        author(&self.record)
    }

    /// When its author made the commit.
    pub fn committed(&self) -> String {
        committed(&self.record)
    }
}

fn author(record: &CommitRecord) -> &str {
    let line = &record.author;
    line.find('>').map_or(line.as_str(), |end| &line[..=end])
}

fn committed(record: &CommitRecord) -> String {
    let seconds = record.committed;
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// The record with its times as all other JSON has them; the ledger's are git's.
fn for_programs<S: Serializer>(record: &CommitRecord, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown<'r> {
        commit: &'r CommitId,
        signer: &'r Principal,
        key: &'r Fingerprint,
        author: &'r str,
        committed: String,
        subject: &'r str,
        accepted: &'r str,
        urgent: bool,
        must_pass: bool,
        behind: Option<u64>,
    }
    let CommitRecord { commit, signer, key, subject, accepted, urgent, must_pass, behind, .. } =
        record;
    let (author, committed) = (author(record), committed(record));
    let (urgent, must_pass, behind) = (*urgent, *must_pass, *behind);
    Shown { commit, signer, key, author, committed, subject, accepted, urgent, must_pass, behind }
        .serialize(serializer)
}

fn seconds(record: &CommitRecord, verdict: Option<&Verdict>) -> Option<i64> {
    let verdict = verdict.filter(|verdict| verdict.is_final())?;
    let accepted: Timestamp = record.accepted.parse().ok()?;
    let ended: Timestamp = verdict.when().parse().ok()?;
    Some((ended.as_second() - accepted.as_second()).max(0))
}
