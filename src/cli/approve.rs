//! `writ approve`: the signed merge of somebody's branch, or a word for it to carry.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::basis;
use super::output::JsonFlag;
use super::review::{LookArgs, Sight, history, is_as_looked_at, is_what_was_pushed};
use super::trust::approval_line;
use super::{Blame, Failure, show, show_as_is, whisper};
use crate::names::CommitId;
use crate::source::landing::{LandingError, Remote};
use crate::source::merging::Meeting;
use crate::source::signing;

/// How often somebody else may have been faster.
const ATTEMPTS: usize = 5;

/// Merge somebody's branch into the one that hosts follow, signed with your key.
///
/// Shows the review first. Stops if the branch was moved after you reviewed it here, or if a
/// local branch differs from the one pushed under its name. The merge is checked by the hosts'
/// own rules before it is pushed. Until then no branch, no file and no index entry is touched,
/// so it is safe to run again after an interruption. If somebody else pushes in the meantime,
/// the merge is made again on top of theirs.
///
/// With --detached it prints an approval line instead. The author adds it to the commit
/// message, or whoever merges passes it with --approval.
///
/// Example: writ approve new-service
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Print an approval and merge nothing.
    #[arg(long, conflicts_with_all = ["no_push", "message"])]
    detached: bool,
    /// The SSH key for --detached (default: the one git signs with).
    #[arg(long, requires = "detached")]
    key: Option<PathBuf>,
    /// Merge locally without pushing.
    #[arg(long)]
    no_push: bool,
    /// The message of the merge.
    #[arg(short, long)]
    message: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

/// What came of it; the JSON of `writ approve --json`.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Outcome {
    /// The deploy branch had all of it.
    Unchanged,
    /// Nothing was merged: this line is to be given to whoever merges.
    Approved {
        approval: String,
    },
    Merged {
        commit: CommitId,
    },
    Pushed {
        commit: CommitId,
    },
}

pub fn run(args: &Args) -> Result<(), Failure> {
    args.json.print(&approve(args)?)
}

fn approve(args: &Args) -> Result<Outcome, Failure> {
    let mut meeting = args.look.meeting()?;
    is_what_was_pushed(&meeting)?;
    is_as_looked_at(&meeting)?;
    let remote = match &meeting.remote {
        None if !args.no_push && !args.detached => {
            return Err(LandingError::NoRemote { branch: meeting.against.to_string() }.into());
        }
        remote => remote.clone().filter(|_| !args.no_push),
    };
    let message =
        args.message.clone().unwrap_or_else(|| format!("Merge branch '{}'", meeting.name));
    let mut lost = None;
    for attempt in 0..ATTEMPTS {
        if meeting.is_there()? {
            show(format!("{} has it already\n", meeting.against));
            return Ok(Outcome::Unchanged);
        }
        let sight = args.look.sight(meeting, &message)?;
        if attempt == 0 {
            show(sight.text());
        }
        if args.detached {
            return detach(args, sight).map(|approval| Outcome::Approved { approval });
        }
        let merge = merged(&sight)?;
        let Some(remote) = &remote else {
            kept(&sight.meeting, &merge)?;
            return Ok(Outcome::Merged { commit: merge });
        };
        match sight.meeting.push(remote, &merge) {
            Ok(()) => {
                pushed(&sight.meeting, &merge);
                return Ok(Outcome::Pushed { commit: merge });
            }
            Err(error) => lost = Some(faster(&sight.meeting, remote, error)?),
        }
        meeting = sight.meeting;
        meeting.look_again()?;
        whisper("somebody else pushed meanwhile, trying again\n");
    }
    let lost = lost.map_or_else(|| LandingError::Detached.into(), not_taken);
    Err(lost.hint("others push all the time; run it again"))
}

/// Whether a push was lost to somebody else's.
///
/// # Errors
/// It was not: nobody has moved the branch.
fn faster(
    meeting: &Meeting,
    remote: &Remote,
    error: LandingError,
) -> Result<LandingError, Failure> {
    let mut now = meeting.clone();
    now.look_again()?;
    if now.base == meeting.base && !error.is_contention() {
        let hint = format!("nothing was changed, here or at {}", remote.name());
        return Err(not_taken(error).hint(hint));
    }
    Ok(error)
}

fn not_taken(error: LandingError) -> Failure {
    Failure::new(Blame::Refused, &error)
}

/// The merge, signed and accepted by every rule that hosts have.
fn merged(sight: &Sight) -> Result<CommitId, Failure> {
    may_merge(sight)?;
    let merge = sight.meeting.commit(&sight.proposal)?;
    let (objects, base) = history(&sight.meeting)?;
    let now = jiff::Timestamp::now().as_second();
    let checkout = &sight.meeting.checkout;
    let judged = basis::judge(checkout, &objects, &sight.pins, Some(&base), &merge, now);
    judged.map_err(|failure| Failure {
        message: format!("hosts would refuse your merge: {}", failure.message),
        ..failure
    })?;
    Ok(merge)
}

/// What needs no signature to be known is told before a key is touched.
fn may_merge(sight: &Sight) -> Result<(), Failure> {
    let refuse = |message: String, hint: String| {
        Err(Failure { message, hint: Some(hint), blame: Blame::Refused })
    };
    let own = |principal| sight.you.as_ref() == Some(principal);
    let mine = sight.review.merges.iter().find(|merger| own(&merger.principal));
    if sight.review.merges.is_empty() || sight.has_problems() {
        return refuse(
            format!("hosts would refuse every merge of {}", sight.meeting.name),
            sight.advice.told(),
        );
    }
    let Some((merger, refusal)) = mine.and_then(|m| Some((m, m.refused.as_ref()?))) else {
        return Ok(());
    };
    let (you, rule, because) = (&merger.principal, &refusal.rule, &refusal.because);
    let message = format!(
        "hosts would refuse a merge by {you} by rule {rule}: {because}; nothing was changed"
    );
    refuse(message, sight.advice.told())
}

fn pushed(meeting: &Meeting, merge: &CommitId) {
    show(format!("\n{} merged\npushed\n", merge.short()));
    if let Err(error) = meeting.follow(merge) {
        whisper(&format!(
            "this checkout stays behind ({error}); git pull, when that is out of the way\n"
        ));
    }
}

fn kept(meeting: &Meeting, merge: &CommitId) -> Result<(), Failure> {
    meeting.follow(merge)?;
    let to = meeting.remote.as_ref().map_or("REMOTE", Remote::name);
    show(format!(
        "\n{} merged\nlook at it, then: git push {to} {merge}:refs/heads/{}\n",
        merge.short(),
        meeting.against
    ));
    Ok(())
}

/// Prints the approval, once it is known to count.
fn detach(args: &Args, sight: Sight) -> Result<String, Failure> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            let unfit = |error| Failure::new(Blame::Usage, &error);
            let key = signing::find(&sight.meeting.checkout, None).map_err(unfit)?;
            key.file(&sight.meeting.checkout).map_err(unfit)?
        }
    };
    let trustworthy = &sight.proposal;
    let line = approval_line(&key, &sight.pins.channel, &trustworthy.base, &trustworthy.tree)?;
    counts(args, sight, &line)?;
    show_as_is(format!("\n{line}\n"));
    whisper(
        "who merges gives it with --approval 'LINE'; or, where the branch is one commit on top, \
         its author puts it at the end of the message: git commit --amend -S\n",
    );
    Ok(line)
}

/// # Errors
/// The approval would count for nothing.
fn counts(args: &Args, sight: Sight, line: &str) -> Result<(), Failure> {
    let agreed =
        |sight: &Sight| sight.review.paths.iter().map(|path| path.agreed.len()).collect::<Vec<_>>();
    let (before, ignored) = (agreed(&sight), sight.review.ignored.len());
    let message = format!("a merge\n\n{line}");
    let after = args.look.sight(sight.meeting, &message)?;
    let why = if after.review.ignored.len() > ignored {
        after.review.ignored.last().cloned().unwrap_or_default()
    } else if agreed(&after) == before {
        "it adds nobody to those who have agreed, on any path".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure {
        message: format!("your approval would not count: {why}"),
        hint: Some("`writ trust show` tells who may approve: a key needs the namespace writ-approve, and its owner a grant for the path".to_owned()),
        blame: Blame::Refused,
    })
}
