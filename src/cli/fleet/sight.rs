//! The reports beside the operator's own branch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::{Blame, Failure, whisper};
use crate::manifest::{Manifest, WorkingTree};
use crate::names::{CommitId, HostName};
use crate::report::LIMIT;
use crate::report::fleet::{Marks, Roster, Standing, judge};
use crate::report::table::{Distance, Row, Sight};
use crate::source::checkout;
use crate::source::git_program::{Checkout, GitError};
use crate::source::inbox::{Inbox, InboxError};
use crate::source::landing::{Branch, Remote};
use crate::source::lineage;
use crate::source::marks::MarksFile;

/// A checkout and the hosts that it knows.
pub(super) struct Fleet {
    checkout: Checkout,
    /// Where the branch is fetched from; none where reports come from elsewhere.
    branch: Option<(Branch, Remote)>,
    head: CommitId,
    inbox: Inbox,
    roster: Roster,
    marks: (MarksFile, Marks),
    pub(super) standings: BTreeMap<String, Standing>,
}

impl Fleet {
    /// # Errors
    /// It is no checkout of a deploy repository, or its remote cannot be reached.
    pub(super) fn at(repo: &Path, from: Option<&str>) -> Result<Self, Failure> {
        let checkout = Checkout::at(checkout::root_of(repo));
        let roster = roster(&checkout)?;
        let branch = match from {
            Some(_) => None,
            None => {
                let branch = Branch::of(&checkout)?;
                let remote = branch.remote()?;
                Some((branch, remote))
            }
        };
        let head = head(&checkout, branch.as_ref())?;
        let kept = checkout.ask(&["config", "writ.reports"])?;
        let remote = branch.as_ref().map(|(_, remote)| remote.name());
        let place = from.or(kept.as_deref()).or(remote).unwrap_or_default();
        let inbox = Inbox::at(&checkout, place, LIMIT)?;
        let file = MarksFile::of(&checkout)?;
        let marks = file.read()?;
        let standings = BTreeMap::new();
        Ok(Self { checkout, branch, head, inbox, roster, marks: (file, marks), standings })
    }

    pub(super) fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    pub(super) fn head(&self) -> &CommitId {
        &self.head
    }

    pub(super) fn hosts(&self) -> BTreeSet<HostName> {
        self.roster.hosts.keys().cloned().collect()
    }

    /// Whether this branch says how to tell a host's reports from others'.
    pub(super) fn is_keyless(&self, host: &HostName) -> bool {
        self.roster.hosts.get(host).is_none_or(Option::is_none)
    }

    /// Judges what lies there; whether anything is new.
    ///
    /// # Errors
    /// The place cannot be reached or read.
    pub(super) async fn look(&mut self, deadline: Duration) -> Result<bool, Failure> {
        let Some(arrived) = self.inbox.look(deadline).await? else { return Ok(false) };
        let (file, marks) = &mut self.marks;
        self.standings = judge(&self.roster, &arrived, marks);
        if let Err(error) = file.keep(marks) {
            whisper(&format!("old reports cannot be told from new ones next time: {error}\n"));
        }
        Ok(true)
    }

    pub(super) fn rows(&self, stale: Option<Duration>) -> Result<Vec<Row>, Failure> {
        let mut branch = BTreeMap::new();
        for standing in self.standings.values() {
            if let Standing::Told(report) = standing
                && let Some(commit) = &report.state.commit
                && !branch.contains_key(commit)
            {
                branch.insert(commit.clone(), self.distance(commit)?);
            }
        }
        let sight = Sight { now: Timestamp::now().into(), stale, branch };
        Ok(self.standings.iter().map(|(host, standing)| Row::of(host, standing, &sight)).collect())
    }

    /// Whether each host of the manifest has confirmed the head; strangers do not count.
    pub(super) fn is_good(&self, rows: &[Row]) -> bool {
        let own = |row: &&Row| self.standings.get(&row.host) != Some(&Standing::Stranger);
        rows.iter().filter(own).all(|row| row.good)
    }

    /// Whether a host's commit is `commit` or follows it; the branch is fetched where it
    /// is not known here yet.
    pub(super) fn follows(&self, commit: &CommitId, hosts: &CommitId) -> Result<bool, Failure> {
        if commit == hosts {
            return Ok(true);
        }
        if !lineage::has(&self.checkout, hosts)?
            && let Some((branch, remote)) = &self.branch
        {
            branch.fetch(remote)?;
        }
        Ok(lineage::has(&self.checkout, hosts)? && lineage::follows(&self.checkout, commit, hosts)?)
    }

    /// Says that the manifest here is not the newest, by which reports are judged.
    pub(super) fn lag(&self) -> Result<Option<String>, Failure> {
        let own = lineage::commit(&self.checkout, "HEAD")?;
        Ok(match self.distance(&own)? {
            Distance::Behind(0) | Distance::Elsewhere | Distance::Unknown => None,
            Distance::Behind(count) => {
                Some(format!("this checkout is {count} behind, and its hosts too: git pull\n"))
            }
        })
    }

    fn distance(&self, commit: &CommitId) -> Result<Distance, GitError> {
        lineage::distance(&self.checkout, commit, &self.head)
    }
}

/// The branch as hosts see it; where reports come from elsewhere, as it is known here.
fn head(checkout: &Checkout, branch: Option<&(Branch, Remote)>) -> Result<CommitId, Failure> {
    if let Some((branch, remote)) = branch {
        return Ok(branch.fetch(remote)?);
    }
    let upstream = lineage::commit(checkout, "@{upstream}");
    Ok(upstream.or_else(|_| lineage::commit(checkout, "HEAD"))?)
}

fn roster(checkout: &Checkout) -> Result<Roster, Failure> {
    let manifest = manifest_at(checkout, "HEAD")?;
    let hosts = manifest.hosts().into_iter().map(|host| {
        let key = manifest.report_key(&host).cloned();
        (host, key)
    });
    Ok(Roster { channel: channel(checkout)?, hosts: hosts.collect() })
}

/// The manifest of a commit, as it stands there.
pub(super) fn manifest_at(
    checkout: &Checkout,
    revision: &str,
) -> Result<Manifest<WorkingTree>, Failure> {
    let files = checkout::revision(checkout.root(), revision)?;
    Manifest::draft(&files).map_err(|problems| Failure::new(Blame::Refused, &problems))
}

/// What the policy calls this branch.
fn channel(checkout: &Checkout) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Policy {
        channel: String,
    }
    let text = checkout.ask(&["show", "HEAD:.writ/policy.toml"])?.unwrap_or_default();
    toml::from_str::<Policy>(&text).map(|policy| policy.channel).map_err(|_| Failure {
        message: "HEAD has no .writ/policy.toml with a channel".to_owned(),
        hint: Some("is this a checkout of the deploy repository? name it with --repo".to_owned()),
        blame: Blame::Usage,
    })
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        let blame = match &error {
            InboxError::Unreachable { .. } | InboxError::Scratch { .. } => Blame::World,
            InboxError::TooMany { .. } | InboxError::Unreadable { .. } | InboxError::Git(_) => {
                Blame::Refused
            }
            InboxError::Unknown { .. } | InboxError::BadUrl { .. } => Blame::Usage,
            InboxError::Bucket(fault) => return fault.clone().into(),
        };
        Self::new(blame, &error)
    }
}
