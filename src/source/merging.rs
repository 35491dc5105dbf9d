//! A branch on its way onto the one that hosts follow: where both stand, the tree of
//! their merge, and the merge itself.
//!
//! The merge is made of objects alone, as in [`super::landing`]: neither a branch nor
//! the index nor the working tree is touched before it is pushed.

use thiserror::Error;

use super::git_program::{Checkout, GitError};
use super::landing::{Branch, LandingError, Remote};
use super::pushed::{Names, Pushed};
use crate::names::{BranchName, CommitId};
use crate::trust::Proposal;

/// Why two branches cannot be brought together.
#[derive(Debug, Error)]
pub enum MergeError {
    #[error("there is no branch or commit `{name}`")]
    NoBranch { name: String },
    #[error("{name} was taken away where it had been pushed")]
    Gone { name: String },
    #[error("{branch} is the branch that hosts follow; name the one that is to go there")]
    Same { branch: String },
    #[error("it conflicts with what {against} has now, in {}", files.join(", "))]
    Conflict { against: String, files: Vec<String> },
    #[error("git knows no way to merge it")]
    NoTree { source: GitError },
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Landing(#[from] LandingError),
}

/// Two branches.
#[derive(Clone, Debug)]
pub struct Meeting {
    pub checkout: Checkout,
    /// The one that hosts follow.
    pub against: BranchName,
    pub remote: Option<Remote>,
    /// Where that one stands, at its remote if it has one.
    pub base: CommitId,
    /// What is to go there, as it was named.
    pub name: String,
    pub tip: CommitId,
    /// What the name stands for elsewhere, where that is another commit.
    pub pushed: Option<Pushed>,
}

impl Meeting {
    /// Finds both; with `fetch` the remote is asked where both stand.
    ///
    /// # Errors
    /// One of them does not exist, or the remote cannot be reached.
    pub fn find(
        checkout: &Checkout,
        name: Option<&str>,
        against: &BranchName,
        fetch: bool,
    ) -> Result<Self, MergeError> {
        let deploy = Branch::named(checkout, against.as_str());
        let remote = match deploy.remote() {
            Ok(remote) => Some(remote),
            Err(LandingError::NoRemote { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let base = match &remote {
            Some(remote) if fetch => deploy.fetch(remote)?,
            Some(remote) => known(checkout, against, remote)?,
            None => local(checkout, against.as_str())?,
        };
        let name = match name {
            Some(name) => name.to_owned(),
            None => current(checkout)?,
        };
        if name == against.as_str() {
            return Err(MergeError::Same { branch: name });
        }
        let names = Names { checkout, remote: remote.as_ref(), fetch };
        let (tip, pushed) = names.find(&name)?;
        let (checkout, against) = (checkout.clone(), against.clone());
        Ok(Self { checkout, against, remote, base, name, tip, pushed })
    }

    /// Where the deploy branch stands by now.
    ///
    /// # Errors
    /// The remote cannot be reached.
    pub fn look_again(&mut self) -> Result<(), MergeError> {
        if let Some(remote) = &self.remote {
            self.base = Branch::named(&self.checkout, self.against.as_str()).fetch(remote)?;
        }
        Ok(())
    }

    /// Who made a commit, by the name that git has, where that is not whoever works here.
    ///
    /// # Errors
    /// Git cannot be asked.
    pub fn author_elsewhere(&self, commit: &CommitId) -> Result<Option<String>, GitError> {
        let author =
            self.checkout.run(&["log", "-1", "--format=%an%n%ae", commit.as_str(), "--"])?;
        let mut lines = author.lines().map(str::to_owned);
        let (name, mail) = (lines.next().unwrap_or_default(), lines.next());
        let own = self.checkout.ask(&["config", "user.email"])?;
        Ok((own != mail && !name.is_empty()).then_some(name))
    }

    /// Whether the deploy branch has all of it already.
    pub fn is_there(&self) -> Result<bool, MergeError> {
        is_ancestor(&self.checkout, &self.tip, &self.base)
    }

    /// Whether it starts at the tip of the deploy branch.
    pub fn is_on_top(&self) -> Result<bool, MergeError> {
        is_ancestor(&self.checkout, &self.base, &self.tip)
    }

    /// The merge that would be made, with `message` and the approvals in it.
    ///
    /// # Errors
    /// Both sides changed the same.
    pub fn proposal(&self, message: &str, approvals: &[String]) -> Result<Proposal, MergeError> {
        let tree = match self.is_on_top()? {
            true => id_of(&self.checkout, &format!("{}^{{tree}}", self.tip))?,
            false => self.merged_tree()?,
        };
        let (base, tip) = (self.base.clone(), self.tip.clone());
        Ok(Proposal { base, tip, tree, message: with_approvals(message, approvals) })
    }

    /// The tree that git makes of both.
    fn merged_tree(&self) -> Result<CommitId, MergeError> {
        let (base, tip) = (self.base.as_str(), self.tip.as_str());
        let asked = ["merge-tree", "--write-tree", "--name-only", "--no-messages", base, tip];
        let (clean, told) =
            self.checkout.answer(&asked).map_err(|source| MergeError::NoTree { source })?;
        let mut lines = told.lines();
        let tree = lines.next().unwrap_or_default();
        if !clean {
            let against = self.against.to_string();
            return Err(MergeError::Conflict {
                against,
                files: lines.map(str::to_owned).collect(),
            });
        }
        parsed("merge-tree", tree)
    }

    /// Makes the merge, signed by whoever runs this; no branch has it yet.
    ///
    /// # Errors
    /// Git cannot make or sign it.
    pub fn commit(&self, proposal: &Proposal) -> Result<CommitId, MergeError> {
        let Proposal { base, tip, tree, message } = proposal;
        let made = [
            "commit-tree",
            "-S",
            "-p",
            base.as_str(),
            "-p",
            tip.as_str(),
            "-m",
            message,
            tree.as_str(),
        ];
        let id = self.checkout.run(&made).map_err(|source| LandingError::Commit { source })?;
        parsed("commit-tree", &id)
    }

    /// Pushes a commit to the deploy branch.
    ///
    /// # Errors
    /// The remote cannot be reached or does not take it, as where somebody was faster.
    pub fn push(&self, remote: &Remote, commit: &CommitId) -> Result<(), LandingError> {
        Branch::named(&self.checkout, self.against.as_str()).push(remote, commit)
    }

    /// Has this checkout's own deploy branch go on to `commit`, where it has one.
    ///
    /// # Errors
    /// Something is in the way; then nothing is moved.
    pub fn follow(&self, commit: &CommitId) -> Result<(), GitError> {
        let own = format!("refs/heads/{}", self.against);
        let on = self.checkout.ask(&["symbolic-ref", "--quiet", "HEAD"])?;
        if on.as_deref() == Some(own.as_str()) {
            return self
                .checkout
                .run(&["merge", "--quiet", "--ff-only", commit.as_str()])
                .map(drop);
        }
        if self.checkout.ask(&["rev-parse", "--verify", "--quiet", &own])?.is_none() {
            return Ok(());
        }
        // A fetch moves a branch forward only.
        self.checkout.run(&["fetch", "--quiet", ".", &format!("{commit}:{own}")]).map(drop)
    }

    /// Lines of the tip's message that begin with `start`, where it stands on the deploy
    /// branch's tip, so that what was signed for it is for the merge as well.
    pub fn lines(&self, start: &str) -> Result<Vec<String>, MergeError> {
        let asked = ["rev-parse", "--verify", "--quiet", &format!("{}^1", self.tip)];
        if self.checkout.ask(&asked)?.as_deref() != Some(self.base.as_str()) {
            return Ok(Vec::new());
        }
        let message = self.checkout.run(&["log", "-1", "--format=%B", self.tip.as_str(), "--"])?;
        Ok(message.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect())
    }

    /// Whether the remote has all of the branch that is here.
    pub fn is_published(&self) -> Result<bool, MergeError> {
        if self.pushed.as_ref().is_some_and(|there| there.at.is_some() && there.here == 0) {
            return Ok(true);
        }
        let asked = ["for-each-ref", "--format=%(objectname)", "refs/remotes"];
        let told = self.checkout.run(&asked)?;
        Ok(told.lines().any(|line| line == self.tip.as_str()))
    }
}

/// After the subject, so that the trailers stay the last paragraph.
fn with_approvals(message: &str, approvals: &[String]) -> String {
    let message = message.trim_end();
    if approvals.is_empty() {
        return message.to_owned();
    }
    let (subject, rest) = message.split_once('\n').unwrap_or((message, ""));
    let (lines, rest) = (approvals.join("\n"), rest.trim_start_matches('\n'));
    format!("{subject}\n\n{lines}\n\n{rest}").trim_end().to_owned()
}

/// The commit that first had a policy, going down the branch's own line.
pub fn introduction(checkout: &Checkout, head: &CommitId) -> Result<Option<CommitId>, GitError> {
    let asked = [
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--no-patch",
        "--format=%H",
        "--diff-filter=A",
        head.as_str(),
        "--",
        ".writ/policy.toml",
    ];
    let told = checkout.run(&asked)?;
    Ok(told.lines().last().and_then(|line| line.parse().ok()))
}

/// Whether `older` is `newer` or one of its ancestors.
pub fn is_ancestor(
    checkout: &Checkout,
    older: &CommitId,
    newer: &CommitId,
) -> Result<bool, MergeError> {
    let asked = ["merge-base", "--is-ancestor", older.as_str(), newer.as_str()];
    Ok(checkout.answer(&asked)?.0)
}

/// The commit that a name here stands for.
pub fn commit_of(checkout: &Checkout, name: &str) -> Result<Option<CommitId>, GitError> {
    let asked = format!("{name}^{{commit}}");
    let told = checkout.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &asked])?;
    // Older versions of git repeat the option.
    Ok(told.and_then(|told| told.lines().last().and_then(|id| id.parse().ok())))
}

fn current(checkout: &Checkout) -> Result<String, MergeError> {
    let name = checkout.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
    Ok(name.unwrap_or_else(|| "HEAD".to_owned()))
}

fn known(
    checkout: &Checkout,
    branch: &BranchName,
    remote: &Remote,
) -> Result<CommitId, MergeError> {
    local(checkout, &format!("refs/remotes/{}/{branch}", remote.name()))
}

fn local(checkout: &Checkout, name: &str) -> Result<CommitId, MergeError> {
    commit_of(checkout, name)?.ok_or_else(|| MergeError::NoBranch { name: name.to_owned() })
}

fn id_of(checkout: &Checkout, revision: &str) -> Result<CommitId, MergeError> {
    let told = checkout.run(&["rev-parse", "--verify", revision])?;
    parsed("rev-parse", &told)
}

fn parsed(command: &str, told: &str) -> Result<CommitId, MergeError> {
    told.parse().map_err(|_| MergeError::Git(GitError::Text { command: command.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_leave_the_trailers_where_they_are() {
        let lines = ["Writ-Approval: a".to_owned(), "Writ-Approval: b".to_owned()];
        assert_eq!(with_approvals("Merge x\n", &[]), "Merge x");
        assert_eq!(
            with_approvals("Merge x", &lines),
            "Merge x\n\nWrit-Approval: a\nWrit-Approval: b"
        );
        assert_eq!(
            with_approvals("Merge x\n\nWrit-Urgent: yes\n", &lines[..1]),
            "Merge x\n\nWrit-Approval: a\n\nWrit-Urgent: yes"
        );
    }
}
