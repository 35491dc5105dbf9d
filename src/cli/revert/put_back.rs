//! One service's file, put back to what it was at an earlier commit.

use std::path::Path;

use jiff::civil::Date;

use super::refused;
use crate::cli::service_file::path_of;
use crate::cli::version_change::version_change;
use crate::cli::{Blame, Failure, config_at};
use crate::ledger::Ledger;
use crate::names::{CommitId, ServiceName};
use crate::source::checkout;
use crate::source::git_program::{Checkout, GitError};

/// Earlier versions that are listed where none was found.
const LISTED: &str = "--max-count=5";

/// A service and the commit that it goes back to.
pub(super) struct PutBack {
    service: ServiceName,
    to: CommitId,
    /// The change of its version, for the subject.
    change: String,
}

impl PutBack {
    /// `to` is a revision, a generation of this machine's ledger, or a day.
    ///
    /// # Errors
    /// There is no such commit, the service had no file there, or has the same now.
    pub(super) fn find(
        checkout: &Checkout,
        service: &ServiceName,
        to: &str,
        config: &Path,
    ) -> Result<Self, Failure> {
        let path = path_of(service);
        let to = commit(checkout, to, config, &path)?;
        let old = checkout::revision(checkout.root(), to.as_str())?;
        let now = checkout::revision(checkout.root(), "HEAD")?;
        let Some(old) = old.get(&path) else {
            let message = format!("there was no {path} at commit {}", to.short());
            let hint = match now.contains_key(&path) {
                true => format!("to take the service away: git rm {path}, then git commit -S"),
                false => listed(checkout, &path)?,
            };
            return Err(refused(message, Some(&hint)));
        };
        if now.get(&path) == Some(old) {
            let message = format!("{path} is the same now as at commit {}", to.short());
            return Err(refused(message, Some(&listed(checkout, &path)?)));
        }
        // Git would write over a file that no commit has.
        if !now.contains_key(&path) && checkout.root().join(&path).symlink_metadata().is_ok() {
            let message = format!("{path} lies here, and no commit has it");
            return Err(refused(message, Some("move it away first")));
        }
        let now = now.get(&path).map(|text| String::from_utf8_lossy(text));
        let change = version_change(now.as_deref(), &String::from_utf8_lossy(old));
        Ok(Self { service: service.clone(), to, change })
    }

    /// Puts it back in the index and in the working tree.
    pub(super) fn stage(&self, checkout: &Checkout) -> Result<(), Failure> {
        let path = path_of(&self.service);
        checkout.run(&["checkout", "--quiet", self.to.as_str(), "--", &path])?;
        Ok(())
    }

    /// What the new commit says.
    pub(super) fn message(&self) -> String {
        let Self { service, to, change } = self;
        let path = path_of(service);
        format!(
            "{service}: {change} (back to {})\n\nThis puts {path} back to what it was at commit\n{to}.",
            to.short()
        )
    }
}

fn commit(
    checkout: &Checkout,
    given: &str,
    config: &Path,
    path: &str,
) -> Result<CommitId, Failure> {
    if let Some(commit) = known(checkout, given)? {
        return Ok(commit);
    }
    if let Ok(number) = given.parse::<u64>() {
        return of_generation(checkout, number, config, path);
    }
    if let Ok(day) = given.parse::<Date>() {
        return of_day(checkout, day);
    }
    Err(Failure {
        message: format!("there is no commit `{given}`"),
        hint: Some(listed(checkout, path)?),
        blame: Blame::Usage,
    })
}

/// The commit that git knows by a name.
fn known(checkout: &Checkout, name: &str) -> Result<Option<CommitId>, GitError> {
    let name = format!("{name}^{{commit}}");
    let found = checkout.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name])?;
    Ok(found.and_then(|id| id.parse().ok()))
}

/// The commit of a generation, where this machine is a host.
fn of_generation(
    checkout: &Checkout,
    number: u64,
    config: &Path,
    path: &str,
) -> Result<CommitId, Failure> {
    let not_here = |why: String| Failure {
        message: format!("generation {number} is not known here: {why}"),
        hint: Some(format!(
            "each host counts its own; `writ log` there tells the commit of each. {}",
            listed(checkout, path).unwrap_or_default()
        )),
        blame: Blame::Usage,
    };
    let ledger = config_at(config).map_err(|failure| not_here(failure.message))?;
    let ledger = Ledger::look(&ledger.state_directory);
    let generation = ledger.generation(number).map_err(|error| not_here(error.to_string()))?;
    let commit = generation.record.commit;
    known(checkout, commit.as_str())?
        .ok_or_else(|| not_here(format!("its commit {} is not in this repository", commit.short())))
}

/// What the branch had at the end of a day, by the clock of this machine.
fn of_day(checkout: &Checkout, day: Date) -> Result<CommitId, Failure> {
    let before = format!("--before={day} 23:59:59");
    let found = checkout.run(&["rev-list", "-1", "--first-parent", &before, "HEAD"])?;
    found.parse().map_err(|_| Failure {
        message: format!("the branch had no commit yet at the end of {day}"),
        hint: None,
        blame: Blame::Usage,
    })
}

/// The commits that changed a file, as a hint.
fn listed(checkout: &Checkout, path: &str) -> Result<String, GitError> {
    let asked = ["log", LISTED, "--first-parent", "--format=  %h %cs %s", "HEAD", "--", path];
    let told = checkout.run(&asked)?;
    Ok(match told.is_empty() {
        true => format!("no commit of this branch has changed {path}"),
        false => format!("it was changed by\n{told}"),
    })
}
