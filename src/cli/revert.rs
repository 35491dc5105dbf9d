//! `writ revert`: the signed way back, of a whole commit or of one service's file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::consequences::{self, Files};
use super::way::{self, Way};
use super::{Blame, Failure, show};
use crate::names::{CommitId, ServiceName};
use crate::source::checkout;
use crate::source::git_program::{Checkout, GitError};
use crate::source::landing::{Branch, Remote};
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
    let road = if args.push { Some(Road::of(&checkout)?) } else { None };
    let stopped = checkout.clean_if_stopped();
    let undone = commit.undo(&checkout, args.service.as_ref()).and_then(|()| {
        let outcome = Outcome::staged(&checkout)?;
        show(outcome.told(&checkout)?);
        if args.dry_run {
            return Ok(());
        }
        commit.record(&checkout, args.service.as_ref(), &outcome.plans(&checkout, args.sign_plan)?)
    });
    if undone.is_err() || args.dry_run {
        // The checkout was clean before: this brings exactly that back.
        checkout.clean()?;
    }
    drop(stopped);
    undone?;
    if args.dry_run {
        return Ok(());
    }
    show(format!("{}\n", checkout.run(&["log", "-1", "--format=%h %s"])?));
    match road {
        Some(road) => road.push(),
        None => {
            show("look at it, then: git push\n");
            Ok(())
        }
    }
}

/// Where the branch is pushed, which has nothing that is not here.
struct Road {
    branch: Branch,
    remote: Remote,
}

impl Road {
    /// # Errors
    /// There is none, or others have pushed: what hosts do then is another matter.
    fn of(checkout: &Checkout) -> Result<Self, Failure> {
        let branch = Branch::of(checkout)?;
        let remote = branch.remote()?;
        if branch.newer(&remote, &branch.fetch(&remote)?)? != branch.head()? {
            let message = format!("{} has commits that are not here", remote.name());
            return Err(refused(message, Some("git pull, then run this again")));
        }
        Ok(Self { branch, remote })
    }

    fn push(&self) -> Result<(), Failure> {
        self.branch.push(&self.remote, &self.branch.head()?).map_err(|error| {
            let hint =
                "the commit is on your branch, and nothing else has changed; git push tries again";
            Failure::new(Blame::Refused, &error).hint(hint)
        })?;
        show("pushed\n");
        Ok(())
    }
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
        let message = way::with_plans(checkout, &format!("{subject}\n\n{body}"), plans)?;
        checkout.feed(&["commit", "--quiet", "-S", "--cleanup=whitespace", "-F", "-"], &message)?;
        Ok(())
    }
}

fn file_of(service: &ServiceName) -> String {
    format!("manifests/services/{service}.toml")
}

/// What people have not committed must not get lost.
fn clean(checkout: &Checkout) -> Result<(), Failure> {
    for head in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"] {
        // Its end would become a part of the commit, or get lost.
        if checkout.ask(&["rev-parse", "--verify", "--quiet", head])?.is_some() {
            let message = format!("something is under way in the checkout: it has a {head}");
            return Err(refused(message, Some("git status tells; finish or abort that first")));
        }
    }
    match checkout.ask(&["status", "--porcelain", "--untracked-files=no"])? {
        None => Ok(()),
        Some(changed) => Err(refused(
            format!("the checkout has changes that are not committed:\n{changed}"),
            Some("commit or stash them first"),
        )),
    }
}

/// What is staged: the commit that is to be, whatever else lies in the working tree.
struct Outcome {
    tree: String,
    files: Files,
}

impl Outcome {
    fn staged(checkout: &Checkout) -> Result<Self, Failure> {
        let tree = checkout.run(&["write-tree"])?;
        let mut files = checkout::tree(checkout.root(), &tree)?;
        files.retain(|path, _| path.starts_with("manifests/"));
        Ok(Self { tree, files })
    }

    /// What each host would do, and what else is taken back.
    fn told(&self, checkout: &Checkout) -> Result<String, Failure> {
        let old = checkout::revision(checkout.root(), "HEAD")?;
        let mut text = consequences::told(&old, &self.files)?;
        let asked = ["diff", "--cached", "--name-only", "--no-renames", "--", ".writ"];
        for path in checkout.run(&asked)?.lines() {
            text += &format!("changes who may do what: {path}; writ trust show tells\n");
        }
        Ok(text)
    }

    /// What the commit is to say that each host will do.
    fn plans(&self, checkout: &Checkout, asked: bool) -> Result<Vec<SignedPlan>, Failure> {
        if !asked && !way::plans_are_required(checkout.root(), &self.tree)? {
            return Ok(Vec::new());
        }
        let old = Way::base(checkout.root(), "HEAD")?;
        let way = Way { old, new: way::accepted(&self.files)? };
        Ok(way.signed(&way.hosts()))
    }
}

fn refused(message: String, hint: Option<&str>) -> Failure {
    Failure { message, hint: hint.map(str::to_owned), blame: Blame::Refused }
}
