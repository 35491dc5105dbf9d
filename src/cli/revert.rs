//! `writ revert`: the signed way back, of a whole commit or of one service's file.

mod put_back;
mod undone;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::consequences::{self, Files};
use super::output::JsonFlag;
use super::way::{self, Way};
use super::{Blame, Failure, show};
use crate::config::DEFAULT_PATH;
use crate::names::ServiceName;
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::source::landing::{Branch, Remote};
use crate::trust::SignedPlan;
use put_back::PutBack;
use undone::Undone;

/// Revert a commit, or restore an earlier version of a service, with a new signed commit.
///
/// Reverts a whole commit (also a merge) or, with --service, one service's part of it. With
/// --to, the service's file becomes what it was at an earlier commit, whatever changed it
/// since. Shows first what hosts will do. If it cannot be done cleanly, or hosts would refuse
/// the result, nothing is changed.
///
/// Example: writ revert HEAD --push
///
/// Example: writ revert --service web --to 2026-11-30 --push
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The commit to revert.
    #[arg(required_unless_present = "to")]
    commit: Option<String>,
    /// Revert only what it changed in this service.
    #[arg(long)]
    service: Option<ServiceName>,
    /// Restore the service as of a commit, a generation (its number, if this machine is a
    /// host), or the end of a day (2026-11-30).
    #[arg(
        long,
        requires = "service",
        conflicts_with = "commit",
        value_name = "REV|GENERATION|DAY"
    )]
    to: Option<String>,
    /// Push the new commit to the branch's remote.
    #[arg(long)]
    push: bool,
    /// Add each host's plan digest to the commit; always done if the policy says `requirePlan`.
    #[arg(long)]
    sign_plan: bool,
    /// Show what hosts would do, and change nothing.
    #[arg(long, conflicts_with = "push")]
    dry_run: bool,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// This host's config, if --to is a generation.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

/// What is done to the branch.
enum Task {
    Undo(Undone, Option<ServiceName>),
    PutBack(PutBack),
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let task = Task::from_args(&checkout, args)?;
    clean(&checkout)?;
    let road = if args.push { Some(Road::of(&checkout)?) } else { None };
    let stopped = checkout.clean_if_stopped();
    let done = task.stage(&checkout).and_then(|()| {
        let outcome = Outcome::staged(&checkout)?;
        let plan = outcome.told(&checkout)?;
        show(&plan);
        if !args.dry_run {
            let plans = outcome.plans(&checkout, args.sign_plan)?;
            record(&checkout, &task.message(), &plans)?;
        }
        Ok(plan)
    });
    if done.is_err() || args.dry_run {
        // The checkout was clean before: this brings exactly that back.
        checkout.clean()?;
    }
    drop(stopped);
    let plan = done?;
    if args.dry_run {
        return args
            .json
            .print(&serde_json::json!({ "plan": plan, "commit": null, "pushed": false }));
    }
    show(format!("{}\n", checkout.run(&["log", "-1", "--format=%h %s"])?));
    match &road {
        Some(road) => road.push()?,
        None => show("look at it, then: git push\n"),
    }
    let commit = checkout.run(&["rev-parse", "HEAD"])?;
    args.json
        .print(&serde_json::json!({ "plan": plan, "commit": commit, "pushed": road.is_some() }))
}

impl Task {
    fn from_args(checkout: &Checkout, args: &Args) -> Result<Self, Failure> {
        match (&args.commit, &args.service, &args.to) {
            (None, Some(service), Some(to)) => {
                PutBack::find(checkout, service, to, &args.config).map(Self::PutBack)
            }
            (Some(commit), service, _) => {
                Undone::find(checkout, commit).map(|commit| Self::Undo(commit, service.clone()))
            }
            (None, _, _) => Err(Failure::told(Blame::Usage).hint("name a commit, or --to")),
        }
    }

    fn stage(&self, checkout: &Checkout) -> Result<(), Failure> {
        match self {
            Self::Undo(commit, service) => commit.stage(checkout, service.as_ref()),
            Self::PutBack(put_back) => put_back.stage(checkout),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Undo(commit, service) => commit.message(service.as_ref()),
            Self::PutBack(put_back) => put_back.message(),
        }
    }
}

/// Commits what is staged, signed.
fn record(checkout: &Checkout, message: &str, plans: &[SignedPlan]) -> Result<(), Failure> {
    let message = way::with_plans(checkout, message, plans)?;
    checkout.feed(&["commit", "--quiet", "-S", "--cleanup=whitespace", "-F", "-"], &message)?;
    Ok(())
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
