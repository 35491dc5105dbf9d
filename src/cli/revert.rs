//! `writ revert`: the signed way back, of a whole commit or of one service's file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::way::{self, Way};
use super::{Blame, Failure, consequences, show};
use crate::names::{CommitId, ServiceName};
use crate::source::checkout;
use crate::source::git_program::{Checkout, GitError};
use crate::trust::SignedPlan;

/// Take a commit back, as a whole or in one service only, by a new signed commit.
///
/// A merge is taken back as a whole, too. What hosts will do is shown first. Where it
/// cannot be taken back cleanly, or hosts would refuse the result, nothing is changed.
///
/// Example: writ revert HEAD --push
///
/// Example: writ revert 3f2a91c --service web
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The commit to take back.
    commit: String,
    /// Only what it changed in this service.
    #[arg(long)]
    service: Option<ServiceName>,
    /// Push it to where the branch is pushed.
    #[arg(long)]
    push: bool,
    /// Name each host's plan in the commit; always so where the policy says `requirePlan`.
    #[arg(long)]
    sign_plan: bool,
    /// Show what hosts would do, and change nothing.
    #[arg(long, conflicts_with = "push")]
    dry_run: bool,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let commit = Undone::find(&checkout, &args.commit)?;
    clean(&checkout)?;
    let undone = commit.undo(&checkout, args.service.as_ref()).and_then(|()| {
        show(consequences(&checkout)?);
        if args.dry_run {
            return Ok(());
        }
        let plans = plans(&checkout, args.sign_plan)?;
        commit.record(&checkout, args.service.as_ref(), &plans)
    });
    if undone.is_err() || args.dry_run {
        // The checkout was clean before: this brings exactly that back.
        checkout.run(&["reset", "--quiet", "--hard", "HEAD"])?;
    }
    undone?;
    if args.dry_run {
        return Ok(());
    }
    show(format!("{}\n", checkout.run(&["log", "-1", "--format=%h %s"])?));
    if args.push {
        checkout.run(&["push", "--quiet"])?;
        show("pushed\n");
    } else {
        show("look at it, then: git push\n");
    }
    Ok(())
}

/// The commit that is taken back.
struct Undone {
    id: CommitId,
    subject: String,
    /// Its first parent.
    before: CommitId,
    merge: bool,
}

impl Undone {
    fn find(checkout: &Checkout, revision: &str) -> Result<Self, Failure> {
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
    fn undo(&self, checkout: &Checkout, service: Option<&ServiceName>) -> Result<(), Failure> {
        let hint = "nothing was changed; mend it by hand: edit the files, then git commit -S";
        let done = match service {
            None => {
                let mut revert = vec!["revert", "--no-commit"];
                if self.merge {
                    revert.extend(["-m", "1"]);
                }
                revert.push(self.id.as_str());
                checkout.run(&revert).map(drop)
            }
            Some(service) => self.undo_file(checkout, &file_of(service)),
        };
        done.map_err(|error| {
            let blame = Blame::Refused;
            let later = format!("{} cannot be taken back cleanly: {error}", self.id.short());
            Failure { message: later, hint: Some(hint.to_owned()), blame }
        })?;
        let staged = checkout.ask(&["diff", "--cached", "--name-only"])?;
        if staged.is_none() {
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

    fn record(
        &self,
        checkout: &Checkout,
        service: Option<&ServiceName>,
        plans: &[SignedPlan],
    ) -> Result<(), Failure> {
        let what = service.map_or_else(String::new, |service| format!("{service}: "));
        let subject = format!("{what}Revert \"{}\"", self.subject);
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
        let plans: Vec<String> = plans.iter().map(|plan| format!("--trailer={plan}")).collect();
        let mut commit = vec!["commit", "--quiet", "-S", "-m", &subject, "-m", &body];
        commit.extend(plans.iter().map(String::as_str));
        checkout.run(&commit)?;
        Ok(())
    }
}

fn file_of(service: &ServiceName) -> String {
    format!("manifests/services/{service}.toml")
}

/// What people have not committed must not get lost.
fn clean(checkout: &Checkout) -> Result<(), Failure> {
    match checkout.ask(&["status", "--porcelain", "--untracked-files=no"])? {
        None => Ok(()),
        Some(changed) => Err(refused(
            format!("the checkout has changes that are not committed:\n{changed}"),
            Some("commit or stash them first"),
        )),
    }
}

/// What each host would do with the working tree.
fn consequences(checkout: &Checkout) -> Result<String, Failure> {
    let broken = |error| Failure::new(Blame::Refused, &error);
    let old = checkout::revision(checkout.root(), "HEAD").map_err(broken)?;
    let new = checkout::working_tree(checkout.root()).map_err(broken)?;
    consequences::told(&old, &new)
}

/// What the commit is to say that each host will do.
fn plans(checkout: &Checkout, asked: bool) -> Result<Vec<SignedPlan>, Failure> {
    if !asked && !way::plans_are_required(checkout.root()) {
        return Ok(Vec::new());
    }
    let old = Way::base(checkout.root(), "HEAD")?;
    let way = Way { old, new: way::accepted(&checkout::working_tree(checkout.root())?)? };
    Ok(way.signed(&way.hosts()))
}

fn refused(message: String, hint: Option<&str>) -> Failure {
    Failure { message, hint: hint.map(str::to_owned), blame: Blame::Refused }
}
