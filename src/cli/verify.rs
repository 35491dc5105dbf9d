//! `writ verify`: what a host would say to a history, without a host.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::basis::{INTRODUCTION, Origin, PinArgs, no_policy};
use super::{Blame, Failure, show, show_json, whisper};
use crate::names::{CommitId, Fingerprint, Principal};
use crate::source::git_program::Checkout;
use crate::source::repo::Repository;
use crate::source::{budget, checkout, operator};
use crate::trust::{self, Account, Objects, Pins, Refusal, VerifiedCommit};

/// Verify a history offline, as a host does on its first start.
///
/// Pins come from --host-config or --introduction (default: git config writ.hostConfig or
/// writ.introduction, or else the first commit with a policy, which proves nothing about its
/// origin). Exit code 0: a host would accept it; 1: it would not.
///
/// Example: writ verify --host-config hosts/biz.toml --explain
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The commit to verify.
    #[arg(default_value = "HEAD")]
    revision: String,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    pins: PinArgs,
    /// The fingerprint of the key that signed the introduction (default: any).
    #[arg(long, requires = "introduction")]
    introducer: Option<Fingerprint>,
    /// The repository's id and branch (default: those of the introduction's policy).
    #[arg(long, requires = "introduction", value_name = "ID:BRANCH")]
    channel: Option<String>,
    /// Explain each commit of the mainline: who signed it, which paths it touches and which
    /// grant allows that; and where the policy is weaker than it looks.
    #[arg(long)]
    explain: bool,
    /// Also list the commits that the working tree's policy would have refused.
    #[arg(long, requires = "explain")]
    draft: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is told, in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(flatten)]
    account: Option<Account>,
}

#[derive(Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
enum Verdict {
    Accepted { commit: CommitId, principal: Principal, key: Fingerprint },
    Refused(Refusal),
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let (repository, head) = checkout::history(&args.repo, &args.revision)
        .map_err(|error| Failure::new(Blame::Usage, &error))?;
    let now = jiff::Timestamp::now().as_second();
    let (verdict, account) = match pins(args, &repository, &head)? {
        Ok(pins) => {
            let verdict = trust::verify(&repository, &pins, None, &head, now);
            let verdict = match (verdict, budget::exceeded(&Checkout::at(&args.repo), None, &head)?)
            {
                (Ok(_), Some(refusal)) => Err(refusal),
                (verdict, _) => verdict,
            };
            let mut account = args.explain.then(|| trust::explain(&repository, &pins, &head, now));
            if let (Some(account), true, Ok(_)) = (&mut account, args.draft, &verdict) {
                account.would_refuse = draft(args, &repository, &pins, &head)?;
            }
            (verdict, account)
        }
        Err(refusal) => (Err(refusal), None),
    };
    let told = Told { verdict: verdict.into(), account };
    if args.json {
        show_json(&told)?;
    } else {
        show(text(&told));
    }
    match told.verdict {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Refused(_) => Err(Failure::told(Blame::Refused)),
    }
}

/// What the working tree's policy would have refused.
fn draft(
    args: &Args,
    repository: &Repository,
    pins: &Pins,
    head: &CommitId,
) -> Result<Vec<Refusal>, Failure> {
    let root = checkout::root_of(&args.repo);
    let draft = operator::policy(&root).map_err(|error| Failure::new(Blame::Usage, &error))?;
    let now = jiff::Timestamp::now().as_second();
    trust::suppose(repository, pins, head, &draft, now).map_err(|refusal| Failure {
        message: refusal.because,
        hint: Some(refusal.remedy),
        blame: Blame::Refused,
    })
}

/// The pins that the command line names, what it leaves out being the
/// introduction's own word.
fn pins(
    args: &Args,
    objects: &impl Objects,
    head: &CommitId,
) -> Result<Result<Pins, Refusal>, Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let introduction = match args.pins.origin(&checkout, head)? {
        Some(Origin::HostConfig(config)) => return Ok(Ok(config.pins())),
        Some(Origin::Introduction(introduction)) => introduction,
        Some(Origin::History(introduction)) => {
            whisper(&format!(
                "judged from {introduction}, the first commit with a policy: the history's own word. \
                 Compare it with what hosts pin, and name it with --introduction or git config {INTRODUCTION}\n"
            ));
            introduction
        }
        None => return Err(no_policy()),
    };
    let claims = match trust::claims(objects, &introduction) {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Ok(Ok(Pins {
        channel: args.channel.clone().unwrap_or(claims.channel),
        introducer: args.introducer.clone().unwrap_or(claims.key),
        introduction,
        minimum: None,
        revoked: Default::default(),
    }))
}

impl From<Result<VerifiedCommit, Refusal>> for Verdict {
    fn from(verdict: Result<VerifiedCommit, Refusal>) -> Self {
        match verdict {
            Ok(commit) => Self::Accepted {
                commit: commit.id().clone(),
                principal: commit.principal().clone(),
                key: commit.key().clone(),
            },
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

fn text(told: &Told) -> String {
    let mut text = String::new();
    if let Some(account) = &told.account {
        tell(&mut text, account);
    }
    match &told.verdict {
        Verdict::Accepted { commit, principal, key } => {
            text += &format!("accepted: {commit}\n  signed by {principal} ({key})\n");
        }
        Verdict::Refused(refusal) => {
            let Refusal { commit, rule, because, remedy, .. } = refusal;
            let reason = refusal.reason.word();
            text += &format!("refused by rule {rule} ({reason}): {commit}\n  {because}\n");
            text += &format!("hint: {remedy}\n");
        }
    }
    text
}

fn tell(text: &mut String, account: &Account) {
    for commit in &account.commits {
        let _ = writeln!(text, "{} {}", commit.commit.short(), commit.subject);
        let _ = writeln!(text, "  signed by {} ({})", commit.principal, commit.key);
        for touched in &commit.touched {
            let _ = write!(text, "  {} {}: {}", touched.change, touched.path, touched.by);
            if !touched.people.is_empty() {
                let people: Vec<&str> = touched.people.iter().map(Principal::as_str).collect();
                let _ = write!(text, ", agreed by {}", people.join(", "));
            }
            text.push('\n');
            for gained in touched.gained.iter().filter(|g| !g.privilege.is_ordinary()) {
                let _ = writeln!(text, "    grants {gained}");
            }
        }
    }
    for refusal in &account.would_refuse {
        let (commit, rule) = (refusal.commit.short(), &refusal.rule);
        let _ = writeln!(text, "would refuse {commit} by rule {rule}: {}", refusal.because);
    }
    for warning in &account.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
}
