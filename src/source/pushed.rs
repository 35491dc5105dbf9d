//! What the name of a branch stands for: here, at a remote, and where the two differ.

use serde::Serialize;

use super::git_program::{Checkout, GitError};
use super::landing::{Branch, LandingError, Remote};
use super::merging::{MergeError, commit_of};
use crate::names::{BranchName, CommitId};

/// A branch that is here, and its namesake at a remote, which is another commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// What names the other one here: `origin/late`, or the id of its commit.
    pub name: String,
    /// The commit that it stands at; none where it was taken away.
    pub at: Option<CommitId>,
    /// How many commits are only here.
    pub here: u32,
    /// How many commits are only there.
    pub there: u32,
}

/// A name, looked up from a checkout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) checkout: &'a Checkout,
    /// The deploy branch's.
    pub(super) remote: Option<&'a Remote>,
    /// Whether servers are asked.
    pub(super) fetch: bool,
}

impl Names<'_> {
    /// A branch here, or else at a remote; or else whatever commit the name stands for.
    pub(super) fn find(&self, name: &str) -> Result<(CommitId, Option<Pushed>), MergeError> {
        if let Some(own) = commit_of(self.checkout, &format!("refs/heads/{name}"))? {
            let pushed = self.pushed(name, &own)?;
            return Ok((own, pushed));
        }
        if let Some(there) = self.at_a_remote(name)?.filter(|_| self.fetch) {
            let tip = there.fetched(self.checkout)?;
            if tip.is_none() && there.known(self.checkout)?.is_some() {
                return Err(MergeError::Gone { name: name.to_owned() });
            }
            if let Some(tip) = tip {
                return Ok((tip, None));
            }
        }
        let tip = self.elsewhere(name)?;
        let tip = tip.ok_or_else(|| MergeError::NoBranch { name: name.to_owned() })?;
        Ok((tip, None))
    }

    /// Whatever else has that name.
    fn elsewhere(&self, name: &str) -> Result<Option<CommitId>, MergeError> {
        // A server can give everybody who fetches a tag of any name.
        let tag = commit_of(self.checkout, &format!("refs/tags/{name}"))?.is_some();
        match commit_of(self.checkout, name)? {
            Some(tip) if !tag => Ok(Some(tip)),
            found => Ok(self.theirs(name)?.or(found)),
        }
    }

    /// A branch that only the deploy branch's remote has.
    fn theirs(&self, name: &str) -> Result<Option<CommitId>, MergeError> {
        let (Some(remote), true) = (self.remote, self.fetch) else { return Ok(None) };
        let Ok(plain) = name.parse::<BranchName>() else { return Ok(None) };
        remote.branch(plain.as_str()).fetched(self.checkout)
    }

    /// `origin/late`, as the branch `late` of that remote.
    fn at_a_remote(&self, name: &str) -> Result<Option<Remote>, MergeError> {
        let bare = name.strip_prefix("refs/").unwrap_or(name);
        let bare = bare.strip_prefix("remotes/").unwrap_or(bare);
        let remotes = self.checkout.run(&["remote"])?;
        let of = |remote: &str| {
            let branch = bare.strip_prefix(remote)?.strip_prefix('/')?;
            let branch: BranchName = Some(branch).filter(|name| *name != "HEAD")?.parse().ok()?;
            Some(Remote::named(remote, branch.as_str()))
        };
        // The name of a remote may be the beginning of another's.
        let mut remotes: Vec<&str> = remotes.lines().collect();
        remotes.sort_by_key(|remote| std::cmp::Reverse(remote.len()));
        Ok(remotes.into_iter().find_map(of))
    }

    /// What was pushed of a branch that is here, where it is not the same: its namesake
    /// at the deploy branch's remote, or else the branch that it follows.
    fn pushed(&self, name: &str, own: &CommitId) -> Result<Option<Pushed>, MergeError> {
        let Some(remote) = self.remote else { return Ok(None) };
        let namesake = remote.branch(name);
        let upstream = Branch::named(self.checkout, name).upstream()?;
        // Work begins at the deploy branch, and git has it follow that.
        let begun = |there: &Remote| there.reference() == remote.reference();
        let upstream = upstream.filter(|there| !begun(there) && there.name() != ".");
        let other = upstream.clone().filter(|there| *there != namesake);
        for there in std::iter::once(&namesake).chain(&other) {
            if let Some(at) = self.stands_at(there)? {
                return self.apart(there, own, at);
            }
        }
        let was = [namesake.known(self.checkout)?.map(|_| &namesake), upstream.as_ref()];
        let gone = |there: &Remote| Pushed { name: there.told(), at: None, here: 0, there: 0 };
        Ok(was.into_iter().flatten().next().filter(|_| self.fetch).map(gone))
    }

    fn stands_at(&self, there: &Remote) -> Result<Option<CommitId>, MergeError> {
        match self.fetch {
            true => there.fetched(self.checkout),
            false => Ok(there.known(self.checkout)?),
        }
    }

    fn apart(
        &self,
        there: &Remote,
        own: &CommitId,
        at: CommitId,
    ) -> Result<Option<Pushed>, MergeError> {
        if *own == at {
            return Ok(None);
        }
        let range = format!("{own}...{at}");
        let told = self.checkout.run(&["rev-list", "--left-right", "--count", &range, "--"])?;
        let mut counts = told.split_whitespace().map(str::parse);
        let (Some(Ok(here)), Some(Ok(only_there))) = (counts.next(), counts.next()) else {
            return Err(GitError::Text { command: "rev-list".to_owned() }.into());
        };
        let name = match self.at_a_remote(&there.told())?.as_ref() == Some(there) {
            true => there.told(),
            false => at.short().to_owned(),
        };
        Ok(Some(Pushed { name, at: Some(at), here, there: only_there }))
    }
}

impl Remote {
    /// Where the branch stands there by now; `None` where there is none.
    fn fetched(&self, checkout: &Checkout) -> Result<Option<CommitId>, MergeError> {
        let unreachable = |source| LandingError::Unreachable { remote: self.told(), source };
        match checkout.fetch(self.name(), self.reference()) {
            Ok(tip) => Ok(Some(tip)),
            Err(error @ GitError::Failed { .. }) => match self.has_it(checkout) {
                Ok(false) => Ok(None),
                Ok(true) | Err(_) => Err(unreachable(error).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the remote answers and has it: git tells in many languages that it has not.
    fn has_it(&self, checkout: &Checkout) -> Result<bool, GitError> {
        let told = checkout.run_far(&["ls-remote", self.name(), self.reference()])?;
        Ok(told.lines().any(|line| line.split('\t').nth(1) == Some(self.reference())))
    }

    /// Where it stood when it was last seen.
    fn known(&self, checkout: &Checkout) -> Result<Option<CommitId>, GitError> {
        let Some(branch) = self.reference().strip_prefix("refs/heads/") else { return Ok(None) };
        commit_of(checkout, &format!("refs/remotes/{}/{branch}", self.name()))
    }
}
