//! `writ hook`: what git's hooks do in a deploy repository and on its server.

mod lines;
mod reports;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::basis::{PinArgs, branch_of, judge};
use super::check::{self, Findings};
use super::{Blame, Failure, sync, whisper};
use crate::config::DEFAULT_PATH;
use crate::names::CommitId;
use crate::source::git_program::{Checkout, GitError};
use crate::source::quarantine::Pushed;
use crate::trust::{Pins, inspect};
use lines::{Outgoing, Update, is_none};

/// Run as a git hook; git supplies the arguments and standard input.
///
/// The scripts in Writ's hooks/ folder call this. `writ init` installs the two of a checkout,
/// pre-commit and pre-push.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Debug, Subcommand)]
enum Hook {
    /// Refuse a commit whose staged manifest hosts would refuse.
    ///
    /// Example: writ hook pre-commit
    PreCommit,
    /// Refuse to push to the hosts' branch what hosts would refuse.
    ///
    /// Example: writ hook pre-push "$1" "$2"
    PrePush {
        /// The remote's name, or its URL if it has none.
        remote: String,
        url: String,
    },
    /// On a server: refuse pushes that hosts would refuse. Verification starts from the
    /// repository's git config writ.introduction.
    ///
    /// Hosts' reports are accepted if signed with the host's own key. With WRIT_HOST=NAME in
    /// the environment, the push comes from that host: it may write refs/writ/status/NAME and
    /// nothing else.
    ///
    /// Example: writ hook pre-receive
    PreReceive,
    /// The same as pre-receive for one branch at a time, as git's hook of that name.
    ///
    /// Example: writ hook update "$1" "$2" "$3"
    Update { reference: String, old: CommitId, new: CommitId },
    /// On a server that is also a host: have its agent poll the branch at once. The push has
    /// already been accepted and never fails because of this.
    ///
    /// Example: writ hook post-receive
    PostReceive {
        /// The host's config.
        #[arg(long, default_value = DEFAULT_PATH)]
        config: PathBuf,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.hook {
        Hook::PreCommit => pre_commit().map_err(Failure::and_nothing_committed),
        Hook::PrePush { remote, url: _ } => pre_push(&remote).map_err(Failure::and_nothing_pushed),
        Hook::PreReceive => receive(lines::updates(&input()?)?),
        Hook::Update { reference, old, new } => receive(vec![Update { old, new, reference }]),
        Hook::PostReceive { config } => {
            post_receive(&config).await;
            Ok(())
        }
    }
}

/// What makes a commit one of a deploy repository.
const POLICY: &str = "HEAD:.writ/policy.toml";

/// What git gives on the standard input.
fn input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map(|_| text).map_err(|error| Failure::new(Blame::Usage, &error))
}

fn pre_commit() -> Result<(), Failure> {
    let checkout = here();
    // Of the index that the commit is made from, which need not be the usual one.
    let tree = checkout.run(&["write-tree"])?;
    let there = checkout.run(&["ls-tree", "--name-only", &tree, "--", ".writ", "manifests"])?;
    let had = checkout.ask(&["rev-parse", "--verify", "--quiet", POLICY])?.is_some();
    if there.is_empty() && !had {
        // A hook that other repositories have as well; this is no deploy repository.
        return Ok(());
    }
    let objects = Pushed::here_in_part()?;
    let id = tree.parse().map_err(|_| GitError::Text { command: "write-tree".to_owned() })?;
    let policy =
        |tree: &str| checkout.ask(&["rev-parse", "--verify", "--quiet", &format!("{tree}:.writ")]);
    let changed = policy("HEAD")? != policy(&tree)?;
    check::staged(Findings::of(inspect(&objects, &id), had), changed)
}

fn pre_push(remote: &str) -> Result<(), Failure> {
    let checkout = here();
    let objects = Pushed::here()?;
    for line in lines::outgoing(&input()?)? {
        let Outgoing { commit, reference, there, .. } = &line;
        let old = Some(there).filter(|there| !is_none(there));
        let known = old.filter(|old| objects.contains(old));
        // Of a branch that goes away, what is there says which one hosts follow.
        let from = if is_none(commit) { known } else { known.or(Some(commit)) };
        let Some(from) = from else { continue };
        let pins = PinArgs::default().pins(&checkout, &objects, from)?;
        let Some(pins) = pins.filter(|pins| follows(pins, reference)) else { continue };
        if is_none(commit) {
            return Err(deletion(reference).hint(FORCE));
        }
        if let Some(old) = old.filter(|_| known.is_none()) {
            return Err(Failure {
                message: format!("{remote} has {}, which is not here", old.short()),
                hint: Some(format!("git fetch {remote}, and look at what others did")),
                blame: Blame::Refused,
            });
        }
        decide(&objects, &pins, old, commit)?;
    }
    Ok(())
}

const FORCE: &str = "if it is meant all the same: git push --no-verify";

impl Failure {
    fn and_nothing_committed(self) -> Self {
        self.and("nothing was committed")
            .or_hint("if it is meant all the same: git commit --no-verify")
    }

    fn and_nothing_pushed(self) -> Self {
        self.and("nothing was pushed")
    }

    fn and(mut self, nothing: &str) -> Self {
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        self.message.push_str(nothing);
        self
    }

    fn or_hint(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }
}

/// What a server takes.
fn receive(updates: Vec<Update>) -> Result<(), Failure> {
    let checkout = here();
    reports::only_its_own(&updates)?;
    let real = |update| reports::real(&checkout, update);
    let updates: Vec<Update> = updates.into_iter().map(real).collect::<Result<_, _>>()?;
    nothing_replaced(&updates)?;
    let objects = Pushed::here()?;
    let pins = PinArgs::default().named(&checkout, &objects)?.ok_or_else(|| Failure {
        message: "this server does not know from where to judge a push".to_owned(),
        hint: Some(
            "on the server, in the repository: git config writ.introduction COMMIT".to_owned(),
        ),
        blame: Blame::Refused,
    })?;
    reports::signed(&updates, &checkout, &objects, &pins)?;
    for Update { old, new, reference } in updates.iter().filter(|u| follows(&pins, &u.reference)) {
        if is_none(new) {
            return Err(deletion(reference).hint("hosts follow it; nothing was changed"));
        }
        decide(&objects, &pins, Some(old).filter(|old| !is_none(old)), new)?;
    }
    Ok(())
}

/// Refuses a ref that has git show one object in the place of another (git-replace(1)):
/// whoever fetches it would see another history than hosts do.
fn nothing_replaced(updates: &[Update]) -> Result<(), Failure> {
    let replaces =
        |update: &&Update| update.reference.starts_with("refs/replace/") && !is_none(&update.new);
    match updates.iter().find(replaces) {
        None => Ok(()),
        Some(Update { reference, .. }) => Err(Failure {
            message: format!(
                "{reference} would put another object in the place of one of the history"
            ),
            hint: Some("push a commit that changes what is to change".to_owned()),
            blame: Blame::Refused,
        }),
    }
}

fn decide(
    objects: &Pushed,
    pins: &Pins,
    old: Option<&CommitId>,
    new: &CommitId,
) -> Result<(), Failure> {
    let now = jiff::Timestamp::now().as_second();
    judge(&here(), objects, pins, old, new, now).map(drop).map_err(|failure| Failure {
        message: format!("hosts would refuse this push: {}", failure.message),
        ..failure
    })
}

fn deletion(reference: &str) -> Failure {
    let message = format!("hosts follow {reference}: it is not deleted");
    Failure { message, hint: None, blame: Blame::Refused }
}

fn follows(pins: &Pins, reference: &str) -> bool {
    reference.strip_prefix("refs/heads/") == Some(branch_of(pins))
}

/// Whatever goes wrong is told and no more.
async fn post_receive(config: &Path) {
    let updates = input().and_then(|input| lines::updates(&input));
    let concerned = updates.and_then(|updates| {
        let objects = Pushed::here()?;
        let pins = PinArgs::default().named(&here(), &objects)?;
        // Without pins nobody knows which branch it is.
        Ok(pins.is_none_or(|pins| updates.iter().any(|u| follows(&pins, &u.reference))))
    });
    let done = match concerned {
        Ok(true) if config.exists() => sync::run(sync::Args::of(config)).await,
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = done {
        let text = failure.to_string();
        whisper(&format!(
            "{}the push was taken\n",
            if text.is_empty() { text } else { text + "\n" }
        ));
    }
}

/// Git starts its hooks at the root of the working tree, or in a bare repository.
fn here() -> Checkout {
    Checkout::of_hook()
}
