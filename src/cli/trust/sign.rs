//! `writ trust approve`, `head` and `recover`: words that are signed beside a commit.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::overview::moment;
use crate::cli::output::JsonFlag;
use crate::cli::{Blame, Failure, show, show_as_is, whisper};
use crate::names::{BranchName, CommitId};
use crate::source::checkout::{self, CheckoutError};
use crate::source::operator;
use crate::trust::detached::{self, approval, trailer};
use crate::trust::{self, HEAD, HeadStatement, RESET, ResetStatement};

#[derive(Debug, ClapArgs)]
pub(super) struct Approve {
    /// The commit that you have reviewed.
    commit: String,
    /// Your key: a private key file, or the public half of one in an SSH agent.
    #[arg(long)]
    key: PathBuf,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Head {
    /// The branch that hosts follow.
    #[arg(default_value = "main")]
    branch: BranchName,
    /// The key for head statements, which may sign nothing else.
    #[arg(long)]
    key: PathBuf,
    /// How long the statement is valid, at most seven days.
    #[arg(long, default_value = "24h")]
    expires: jiff::SignedDuration,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Recover {
    /// The branch that was rewritten.
    #[arg(default_value = "main")]
    branch: BranchName,
    /// The full id of the commit that hosts have accepted.
    #[arg(long)]
    from: CommitId,
    /// The full id of the commit to accept instead; the branch continues from there.
    #[arg(long)]
    to: CommitId,
    /// One of the recovery keys.
    #[arg(long)]
    key: PathBuf,
    /// How long the statement is valid.
    #[arg(long, default_value = "24h")]
    expires: jiff::SignedDuration,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn approve(args: &Approve) -> Result<(), Failure> {
    let (repository, id) = checkout::history(&args.repo, &args.commit).map_err(usage)?;
    let content = trust::content(&repository, &id).map_err(refused)?;
    let trust::Content { base, tree, channel, subject } = &content;
    whisper(&format!("approving {} ({subject}) on {}\n", id.short(), base.short()));
    let line = approval_line(&args.key, channel, base, tree)?;
    show_as_is(format!("{line}\n"));
    whisper("put this line at the end of the commit's message: git commit --amend -S\n");
    args.json.print(&serde_json::json!({ "commit": id, "base": base, "approval": line }))
}

/// The line with which the owner of `key` approves that `tree` follows on `base`.
pub(in crate::cli) fn approval_line(
    key: &Path,
    channel: &str,
    base: &CommitId,
    tree: &CommitId,
) -> Result<String, Failure> {
    let armor = sign(key, detached::NAMESPACE, &approval(channel, base, tree))?;
    trailer(&armor).ok_or_else(|| Failure {
        message: "ssh-keygen gave something else than a signature".to_owned(),
        hint: None,
        blame: Blame::World,
    })
}

pub(super) fn head(args: &Head) -> Result<(), Failure> {
    let (repository, commit) = branch(&args.repo, &args.branch)?;
    let channel = trust::channel(&repository, &commit).map_err(refused)?;
    let name = format!("refs/writ/head/{}", args.branch);
    let (now, expires) = window(args.expires);
    let known = operator::statement(&args.repo, &name).map_err(usage)?;
    let sequence = next_sequence(known.as_deref(), now);
    let statement = HeadStatement { commit, sequence, issued: now, expires, by: None };
    let text = statement.text(&channel);
    let signed = format!("{text}{}", sign(&args.key, HEAD, &text)?);
    operator::publish(&args.repo, &name, &signed).map_err(usage)?;
    show(format!("{text}stored; publish it: git push origin {name}\n"));
    let HeadStatement { commit, issued, .. } = &statement;
    args.json.print(&serde_json::json!({
        "ref": name,
        "commit": commit,
        "sequence": sequence,
        "issued": moment(*issued),
        "expires": moment(expires),
    }))
}

pub(super) fn recover(args: &Recover) -> Result<(), Failure> {
    let (repository, _) = branch(&args.repo, &args.branch)?;
    let channel = trust::channel(&repository, &args.to).map_err(refused)?;
    let name = format!("refs/writ/reset/{}", args.branch);
    let (now, expires) = window(args.expires);
    let known = operator::statement(&args.repo, &name).map_err(usage)?;
    let sequence = next_sequence(known.as_deref(), now);
    let (from, to) = (args.from.clone(), args.to.clone());
    let fresh = ResetStatement { from, to, sequence, expires }.text(&channel);
    // Another holder may have begun; then this is one more signature under the same words.
    let begun = known.filter(|known| same_move(known, &fresh));
    let text = match &begun {
        Some(known) => known.split(BEGIN).next().unwrap_or_default().to_owned(),
        None => fresh.clone(),
    };
    let signed = begun.unwrap_or_else(|| text.clone()) + &sign(&args.key, RESET, &text)?;
    operator::publish(&args.repo, &name, &signed).map_err(usage)?;
    let signatures = signed.matches(BEGIN).count();
    show(format!(
        "{text}stored with {signatures} of the recovery keys' signatures; publish it: git push origin {name}\n"
    ));
    args.json.print(&serde_json::json!({
        "ref": name, "from": args.from, "to": args.to, "signatures": signatures,
    }))
}

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";

/// Whether two statements lead from one commit to one commit.
fn same_move(one: &str, other: &str) -> bool {
    let ways = |text: &str| -> Vec<String> {
        let named = |line: &&str| ["channel ", "from ", "to "].iter().any(|n| line.starts_with(n));
        text.lines().filter(named).map(str::to_owned).collect()
    };
    ways(one) == ways(other)
}

/// Sequences only rise, also where this checkout knows no earlier statement.
fn next_sequence(known: Option<&str>, now: i64) -> u64 {
    let known = known.and_then(|text| text.lines().find_map(|l| l.strip_prefix("sequence ")));
    let known: Option<u64> = known.and_then(|number| number.parse().ok());
    known.map_or(0, |known| known + 1).max(now.unsigned_abs())
}

fn window(expires: jiff::SignedDuration) -> (i64, i64) {
    let now = jiff::Timestamp::now().as_second();
    (now, now.saturating_add(expires.as_secs()))
}

fn branch(
    repo: &Path,
    branch: &BranchName,
) -> Result<(crate::source::repo::Repository, CommitId), Failure> {
    checkout::history(repo, &format!("refs/heads/{branch}")).map_err(usage)
}

fn sign(key: &Path, namespace: &str, text: &str) -> Result<String, Failure> {
    operator::sign(key, namespace, text).map_err(|error| Failure::new(Blame::World, &error))
}

fn refused(refusal: trust::Refusal) -> Failure {
    let remedy = refusal.remedy.clone();
    Failure::new(Blame::Refused, &refusal).hint(remedy)
}

fn usage(error: CheckoutError) -> Failure {
    Failure::new(Blame::Usage, &error)
}
