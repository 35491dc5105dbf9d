//! Which of the reports that arrived count: each is held against what the operator's own
//! branch says of that host, and against what was seen of it before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::state::plain;
use super::{HostReport, verify};
use crate::names::{Fingerprint, HostName};
use crate::trust::HostKey;

/// The hosts as the operator's own branch names them.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Which history they follow: `acme-infra:main`.
    pub channel: String,
    /// Each with the key that its file names.
    pub hosts: BTreeMap<HostName, Option<HostKey>>,
}

/// What lies where reports are kept, by the name it lies under; why, where it could not
/// be read.
pub type Arrived = BTreeMap<String, Result<Vec<u8>, String>>;

/// The newest report seen of each host, so that nobody can show an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Marks {
    pub hosts: BTreeMap<HostName, Mark>,
}

/// How far the reports signed with one key have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    pub key: Fingerprint,
    pub sequence: u64,
}

/// What is known of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its newest report, verified.
    Told(Box<HostReport>),
    Never,
    /// Something lies under its name and does not count.
    Doubtful(String),
    /// The operator's branch has no such host.
    Stranger,
}

/// Judges all that arrived; each host of the roster has a standing. What counts is
/// remembered in `marks`.
pub fn judge(roster: &Roster, arrived: &Arrived, marks: &mut Marks) -> BTreeMap<String, Standing> {
    let known: BTreeSet<&str> = roster.hosts.keys().map(HostName::as_str).collect();
    let strangers = arrived.keys().filter(|name| !known.contains(name.as_str()));
    let strangers = strangers.map(|name| (plain(name), Standing::Stranger));
    let own = roster.hosts.iter().map(|(host, key)| {
        let standing = match arrived.get(host.as_str()) {
            None => Standing::Never,
            Some(found) => one(roster, host, key.as_ref(), found, marks)
                .map_or_else(Standing::Doubtful, |report| Standing::Told(Box::new(report))),
        };
        (host.to_string(), standing)
    });
    own.chain(strangers).collect()
}

fn one(
    roster: &Roster,
    host: &HostName,
    key: Option<&HostKey>,
    found: &Result<Vec<u8>, String>,
    marks: &mut Marks,
) -> Result<HostReport, String> {
    let bytes = found.as_ref().map_err(Clone::clone)?;
    let key = key.ok_or_else(|| {
        format!("manifests/hosts/{host}.toml names no reportKey; on the host: writ report key")
    })?;
    let report = verify(bytes, key).map_err(|flaw| flaw.to_string())?;
    if report.host != *host {
        return Err(format!("this is a report of the host {}", report.host));
    }
    if report.channel() != roster.channel {
        let other = plain(&report.channel());
        return Err(format!("the host follows {other}, and this branch is {}", roster.channel));
    }
    marks.pass(host, key.fingerprint(), report.sequence)?;
    Ok(report)
}

impl Marks {
    fn pass(&mut self, host: &HostName, key: Fingerprint, sequence: u64) -> Result<(), String> {
        if let Some(mark) = self.hosts.get(host)
            && mark.key == key
            && sequence < mark.sequence
        {
            return Err(format!(
                "an old report was put back: its sequence is {sequence}, and {} was seen before",
                mark.sequence
            ));
        }
        self.hosts.insert(host.clone(), Mark { key, sequence });
        Ok(())
    }

    /// What two commands saw at the same time.
    pub fn join(&mut self, other: Self) {
        for (host, theirs) in other.hosts {
            let own = self.hosts.entry(host).or_insert_with(|| theirs.clone());
            if own.key == theirs.key {
                own.sequence = own.sequence.max(theirs.sequence);
            }
        }
    }
}
