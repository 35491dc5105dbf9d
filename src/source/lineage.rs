//! How commits of a checkout stand to each other.

use super::git_program::{Checkout, GitError};
use crate::names::CommitId;
use crate::report::table::Distance;

/// How far a commit is behind a head.
pub fn distance(
    checkout: &Checkout,
    commit: &CommitId,
    head: &CommitId,
) -> Result<Distance, GitError> {
    if !has(checkout, commit)? {
        return Ok(Distance::Unknown);
    }
    if !follows(checkout, commit, head)? {
        return Ok(Distance::Elsewhere);
    }
    let range = format!("{commit}..{head}");
    let count = checkout.run(&["rev-list", "--count", &range, "--"])?;
    let command = format!("rev-list --count {range}");
    count.parse().map(Distance::Behind).map_err(|_| GitError::Text { command })
}

/// Whether the checkout has a commit.
pub fn has(checkout: &Checkout, commit: &CommitId) -> Result<bool, GitError> {
    yes(checkout, &["cat-file", "-e", &format!("{commit}^{{commit}}")])
}

/// Whether `later` is `earlier` or has it in its history.
pub fn follows(
    checkout: &Checkout,
    earlier: &CommitId,
    later: &CommitId,
) -> Result<bool, GitError> {
    yes(checkout, &["merge-base", "--is-ancestor", earlier.as_str(), later.as_str()])
}

/// The full id of a commit.
///
/// # Errors
/// There is no such commit.
pub fn commit(checkout: &Checkout, revision: &str) -> Result<CommitId, GitError> {
    let named = format!("{revision}^{{commit}}");
    let told = checkout.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &named]);
    let failed = |said| GitError::Failed { command: format!("rev-parse {revision}"), said };
    match told {
        Ok(id) => id.parse().map_err(|_| failed("it names no commit".to_owned())),
        Err(GitError::Failed { .. }) => Err(failed("there is no such commit here".to_owned())),
        Err(error) => Err(error),
    }
}

fn yes(checkout: &Checkout, args: &[&str]) -> Result<bool, GitError> {
    match checkout.run(args) {
        Ok(_) => Ok(true),
        Err(GitError::Failed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
