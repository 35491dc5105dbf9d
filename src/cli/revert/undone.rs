//! A commit that is taken back, as a whole or in one service's file.

use super::{Failure, refused};
use crate::cli::Blame;
use crate::cli::service_file::path_of;
use crate::names::{CommitId, ServiceName};
use crate::source::git_program::{Checkout, GitError};

/// The commit that is taken back.
pub(super) struct Undone {
    id: CommitId,
    subject: String,
    /// Its first parent.
    before: CommitId,
    merge: bool,
}

impl Undone {
    /// # Errors
    /// There is no such commit, or nothing before it.
    pub(super) fn find(checkout: &Checkout, revision: &str) -> Result<Self, Failure> {
        let name = format!("{revision}^{{commit}}");
        let asked = ["log", "-1", "--format=%H%n%P%n%s", "--end-of-options", &name, "--"];
        let told = checkout.run(&asked).map_err(|error| match error {
            GitError::Failed { .. } => Failure {
                message: format!("there is no commit `{revision}`"),
                hint: Some("git log --oneline shows what there is".to_owned()),
                blame: Blame::Usage,
            },
            error => error.into(),
        })?;
        let mut lines = told.lines();
        let mut id = || lines.next().unwrap_or_default();
        let (own, parents, subject) = (id(), id(), id().to_owned());
        let mut parents = parents.split(' ');
        let before = parents.next().and_then(|id| id.parse().ok());
        let (Ok(id), Some(before)) = (own.parse(), before) else {
            let message = format!("{revision} has no parent: there is nothing before it to go to");
            return Err(refused(message, None));
        };
        Ok(Self { id, subject, before, merge: parents.next().is_some() })
    }

    /// Takes it back in the index and in the working tree.
    ///
    /// # Errors
    /// What came later is built upon it, or there is nothing to take back.
    pub(super) fn stage(
        &self,
        checkout: &Checkout,
        service: Option<&ServiceName>,
    ) -> Result<(), Failure> {
        let done = match service {
            None => {
                let mut revert = vec!["revert", "--no-commit"];
                if self.merge {
                    revert.extend(["-m", "1"]);
                }
                revert.push(self.id.as_str());
                checkout.run(&revert).map(drop)
            }
            Some(service) => self.undo_file(checkout, &path_of(service)),
        };
        done.map_err(|error| {
            let message = format!("{} cannot be taken back cleanly: {error}", self.id.short());
            Failure { message, hint: Some(self.other_ways(service)), blame: Blame::Refused }
        })?;
        let (same, _) = checkout.answer(&["diff", "--cached", "--quiet"])?;
        if same {
            let what = service.map_or_else(String::new, |service| format!(" in {service}"));
            let message = format!("{} has nothing{what} to take back", self.id.short());
            return Err(refused(message, Some("it may have been taken back already")));
        }
        Ok(())
    }

    fn undo_file(&self, checkout: &Checkout, path: &str) -> Result<(), GitError> {
        let (from, to) = (self.before.as_str(), self.id.as_str());
        let patch =
            checkout.run(&["diff-tree", "-p", "--binary", "--full-index", from, to, "--", path])?;
        if patch.is_empty() {
            return Ok(());
        }
        checkout.feed(&["apply", "--reverse", "--index", "--3way", "-"], &(patch + "\n")).map(drop)
    }

    /// What to do where later commits changed the same.
    fn other_ways(&self, service: Option<&ServiceName>) -> String {
        let service = service.map_or("SERVICE", ServiceName::as_str);
        format!(
            "nothing was changed; to put a service back to what it was before: writ revert --service {service} --to {}; \
             or edit the files by hand, then git commit -S",
            self.before.short()
        )
    }

    /// What the new commit says.
    pub(super) fn message(&self, service: Option<&ServiceName>) -> String {
        let what = service.map_or_else(String::new, |service| format!("{service}: "));
        let body = match (service, self.merge) {
            (None, false) => format!("This reverts commit {}.", self.id),
            (None, true) => format!(
                "This reverts commit {}, reversing\nchanges made to {}.",
                self.id, self.before
            ),
            (Some(service), _) => {
                format!("This takes back what commit {} changed in {service}.", self.id)
            }
        };
        format!("{what}Revert \"{}\"\n\n{body}", self.subject)
    }
}
