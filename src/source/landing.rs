//! Lands a change of one file on the branch that hosts follow, as a signed commit of
//! its own.
//!
//! The commit is made of objects alone, on top of what the remote has, and pushed by
//! its id; the checkout follows when it is there. So however this is interrupted, the
//! branch, the index and the working tree are as before, or the change has landed.

use thiserror::Error;

use super::checkout::CheckoutError;
use super::git_program::{Checkout, GitError};
use crate::names::CommitId;
use crate::report::without_passwords;

const HEADS: &str = "refs/heads/";

/// Why a change did not land.
#[derive(Debug, Error)]
pub enum LandingError {
    #[error("the checkout is on no branch")]
    Detached,
    #[error("the branch {branch} is pushed nowhere")]
    NoRemote { branch: String },
    #[error("the branch {branch} and what {remote} has of it have gone different ways")]
    Diverged { branch: String, remote: String },
    #[error("{remote} cannot be fetched from")]
    Unreachable { remote: String, source: GitError },
    #[error("{remote} did not take the commit")]
    Refused { remote: String, source: GitError },
    #[error("the commit could not be made")]
    Commit { source: GitError },
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
}

impl LandingError {
    /// Whether somebody else was pushing at the same moment.
    pub fn is_contention(&self) -> bool {
        let Self::Refused { source: GitError::Failed { said, .. }, .. } = self else {
            return false;
        };
        said.contains("cannot lock ref") || said.contains("failed to update ref")
    }
}

/// The branch of a checkout.
#[derive(Clone, Debug)]
pub struct Branch {
    checkout: Checkout,
    name: String,
}

/// Where a branch is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    name: String,
    /// `refs/heads/main`, as the remote calls it.
    reference: String,
}

/// A file's new text, and why.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// From the root of the checkout.
    pub path: &'a str,
    pub text: &'a str,
    pub message: &'a str,
}

/// A commit that somebody else made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its short id, who signed for it by name, and its subject.
    pub told: String,
}

impl Branch {
    /// The branch that a checkout is on.
    ///
    /// # Errors
    /// It is on none.
    pub fn of(checkout: &Checkout) -> Result<Self, LandingError> {
        let name = checkout.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        let name = name.ok_or(LandingError::Detached)?;
        Ok(Self { checkout: checkout.clone(), name })
    }

    /// A branch by its name, whether the checkout is on it or not.
    pub fn named(checkout: &Checkout, name: &str) -> Self {
        Self { checkout: checkout.clone(), name: name.to_owned() }
    }

    /// Where it is pushed: its upstream, or the branch of its name at `origin`.
    ///
    /// # Errors
    /// There is neither.
    pub fn remote(&self) -> Result<Remote, LandingError> {
        if let Some(remote) = self.upstream()? {
            return Ok(remote);
        }
        match self.checkout.ask(&["remote", "get-url", "origin"])? {
            Some(_) => {
                let reference = format!("refs/heads/{}", self.name);
                Ok(Remote { name: "origin".to_owned(), reference })
            }
            None => Err(LandingError::NoRemote { branch: self.name.clone() }),
        }
    }

    /// The branch that it follows, where it follows one.
    pub(super) fn upstream(&self) -> Result<Option<Remote>, GitError> {
        let config =
            |key: &str| self.checkout.ask(&["config", &format!("branch.{}.{key}", self.name)]);
        let (name, reference) = (config("remote")?, config("merge")?);
        Ok(name.zip(reference).map(|(name, reference)| Remote { name, reference }))
    }

    /// The newest commit here.
    pub fn head(&self) -> Result<CommitId, LandingError> {
        self.id("HEAD")
    }

    /// The newest commit at a remote, fetched.
    pub fn fetch(&self, remote: &Remote) -> Result<CommitId, LandingError> {
        self.checkout
            .fetch(&remote.name, &remote.reference)
            .map_err(|source| LandingError::Unreachable { remote: remote.name.clone(), source })
    }

    /// The newer of the newest commits here and at the remote.
    ///
    /// # Errors
    /// Neither has the other in its history.
    pub fn newer(&self, remote: &Remote, there: &CommitId) -> Result<CommitId, LandingError> {
        let here = self.head()?;
        let before = |older: &CommitId, newer: &CommitId| {
            let asked = ["merge-base", "--is-ancestor", older.as_str(), newer.as_str()];
            match self.checkout.run(&asked) {
                Ok(_) => Ok(true),
                Err(GitError::Failed { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        };
        if before(&here, there)? {
            return Ok(there.clone());
        }
        if before(there, &here)? {
            return Ok(here);
        }
        Err(LandingError::Diverged { branch: self.name.clone(), remote: remote.name.clone() })
    }

    /// The commits after `from` and up to `to` that touched a file, the newest first.
    pub fn touched(
        &self,
        from: &CommitId,
        to: &CommitId,
        path: &str,
    ) -> Result<Vec<Other>, LandingError> {
        let range = format!("{from}..{to}");
        let told = self.checkout.run(&["log", "--format=%h by %an: %s", &range, "--", path])?;
        Ok(told.lines().map(|line| Other { told: line.to_owned() }).collect())
    }

    /// Makes a signed commit that changes one file of `base`; no branch has it yet.
    ///
    /// # Errors
    /// Git cannot make or sign it.
    pub fn commit(&self, base: &CommitId, change: &Change<'_>) -> Result<CommitId, LandingError> {
        let made = || {
            let blob = self.checkout.feed(&["hash-object", "-w", "--stdin"], change.text)?;
            let tree = self.tree(&format!("{base}^{{tree}}"), change.path, &blob)?;
            let made = ["commit-tree", "-S", "-p", base.as_str(), "-m", change.message, &tree];
            self.checkout.run(&made)
        };
        let id = made().map_err(|source| LandingError::Commit { source })?;
        self.id(&id)
    }

    /// A tree with one file of it, or below it, replaced.
    fn tree(&self, tree: &str, path: &str, blob: &str) -> Result<String, GitError> {
        let (name, rest) = match path.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let listed = self.checkout.run(&["ls-tree", tree])?;
        let own = |line: &&str| line.split_once('\t').is_some_and(|(_, called)| called == name);
        let old = listed.lines().find(own).and_then(|line| line.split('\t').next());
        let mut words = old.unwrap_or_default().split(' ');
        let (mode, below) = (words.next(), words.nth(1));
        let entry = match (rest, below) {
            (None, _) => {
                format!("{} blob {blob}", mode.filter(|m| !m.is_empty()).unwrap_or("100644"))
            }
            (Some(rest), Some(below)) => format!("040000 tree {}", self.tree(below, rest, blob)?),
            (Some(rest), None) => {
                let empty = self.checkout.feed(&["mktree"], "")?;
                format!("040000 tree {}", self.tree(&empty, rest, blob)?)
            }
        };
        let others = listed.lines().filter(|line| !own(line));
        let lines: String = others.map(|line| format!("{line}\n")).collect();
        self.checkout.feed(&["mktree"], &format!("{lines}{entry}\t{name}\n"))
    }

    /// Pushes a commit.
    ///
    /// # Errors
    /// The remote cannot be reached or does not take it, as where somebody was faster.
    pub fn push(&self, remote: &Remote, commit: &CommitId) -> Result<(), LandingError> {
        let to = format!("{commit}:{}", remote.reference);
        self.checkout
            .run_far(&["push", "--quiet", "--no-follow-tags", &remote.name, &to])
            .map(drop)
            .map_err(|source| LandingError::Refused { remote: remote.name.clone(), source })
    }

    /// Has the checkout go on to a commit that has this change; other files that
    /// people are changing or have staged stay as they are.
    ///
    /// # Errors
    /// They are in the way of what others changed; then nothing is moved.
    pub fn follow(&self, commit: &CommitId, change: &Change<'_>) -> Result<(), LandingError> {
        if self.head()? == *commit {
            // What was put into the file before by hand is in the commit now.
            self.checkout.replace(change.path, change.text)?;
            self.checkout.run(&["add", "--", change.path])?;
            return Ok(());
        }
        let known = self.checkout.run(&["cat-file", "-e", &format!("HEAD:{}", change.path)]);
        // Git takes a file for up to date that is staged as the commit has it.
        self.checkout.replace(change.path, change.text)?;
        self.checkout.run(&["add", "--", change.path])?;
        let moved = self.checkout.run(&["merge", "--quiet", "--ff-only", commit.as_str()]);
        if moved.is_err() && known.is_ok() {
            self.checkout.run(&["checkout", "--quiet", "HEAD", "--", change.path])?;
        } else if moved.is_err() {
            self.checkout.run(&["rm", "--quiet", "--cached", "--", change.path])?;
        }
        Ok(moved.map(drop)?)
    }

    fn id(&self, revision: &str) -> Result<CommitId, LandingError> {
        let told = self.checkout.run(&["rev-parse", "--verify", revision])?;
        let command = format!("rev-parse {revision}");
        told.parse().map_err(|_| LandingError::Git(GitError::Text { command }))
    }
}

impl Remote {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another branch of the same remote.
    pub(super) fn branch(&self, name: &str) -> Self {
        Self { name: self.name.clone(), reference: format!("{HEADS}{name}") }
    }

    pub(super) fn named(name: &str, branch: &str) -> Self {
        Self { name: name.to_owned(), reference: format!("{HEADS}{branch}") }
    }

    pub(super) fn reference(&self) -> &str {
        &self.reference
    }

    /// `origin/late`; of a remote without a name here its URL, without passwords.
    pub(super) fn told(&self) -> String {
        let branch = self.reference.strip_prefix(HEADS).unwrap_or(&self.reference);
        format!("{}/{branch}", without_passwords(&self.name))
    }
}

/// The short id of the source that a folder holds, `-dirty` where it was changed since;
/// none where the folder is not in a git repository.
pub fn source_revision(folder: &std::path::Path) -> Result<Option<String>, GitError> {
    let source = Checkout::at(folder);
    let Some(id) = source.ask(&["rev-parse", "--short", "HEAD"])? else { return Ok(None) };
    let changed = source.ask(&["status", "--porcelain", "--untracked-files=no"])?;
    Ok(Some(if changed.is_some() { format!("{id}-dirty") } else { id }))
}
