//! `writ plan --sign`: the commit at HEAD says what each host will do with it.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::way::{Way, accepted, with_plans};
use super::super::{Blame, Failure, show, show_json};
use super::{Args, before, hosts};
use crate::names::HostName;
use crate::plan::contents::Contents;
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::trust::{SignedPlan, without_plans};

/// Amends HEAD, whose content stays as it is.
pub(super) fn run(args: &Args, root: &Path) -> Result<(), Failure> {
    let checkout = Checkout::at(root);
    if args.revision.as_deref().is_some_and(|revision| revision != "HEAD") {
        return Err(refused("only HEAD is signed", "check the commit out", Blame::Usage));
    }
    amendable(&checkout)?;
    let mut plans: Vec<SignedPlan> = Vec::new();
    for way in ways(args, root)? {
        let hosts = hosts(args, &way)?;
        show(way.outlook(&hosts, &Contents::new())?);
        let new = way.signed(&hosts).into_iter().filter(|plan| !plans.contains(plan));
        plans.extend(new.collect::<Vec<_>>());
    }
    let changed = record(&checkout, args.host.as_slice(), &plans)?;
    if args.json {
        let commit = checkout.run(&["rev-parse", "HEAD"])?;
        let plan =
            |plan: &SignedPlan| serde_json::json!({ "host": plan.host, "digest": plan.digest });
        let plans: Vec<_> = plans.iter().map(plan).collect();
        show_json(&serde_json::json!({ "commit": commit, "changed": changed, "plans": plans }))?;
    }
    Ok(())
}

/// From the first parent, and from what is named.
fn ways(args: &Args, root: &Path) -> Result<Vec<Way>, Failure> {
    let files = checkout::revision(root, "HEAD")?;
    let named = match &args.against {
        Some(against) => Some(Way { old: before(args, root, against)?, new: accepted(&files)? }),
        None => None,
    };
    // The first commit has no parent, and nothing ran before it.
    let parent = Way::base(root, "HEAD^").unwrap_or_default();
    let own = Way { old: parent, new: accepted(&files)? };
    Ok([own].into_iter().chain(named).collect())
}

/// Whether HEAD had to be signed anew.
fn record(checkout: &Checkout, only: &[HostName], plans: &[SignedPlan]) -> Result<bool, Failure> {
    let message = checkout.run(&["log", "-1", "--format=%B", "HEAD"])?;
    let told = with_plans(checkout, &without_plans(&message, only), plans)?;
    if told.trim_end() == message.trim_end() {
        show(if plans.is_empty() { "no host needs a plan\n" } else { "signed already\n" });
        return Ok(false);
    }
    let amend =
        ["commit", "--amend", "--quiet", "-S", "--allow-empty", "--cleanup=whitespace", "-F", "-"];
    checkout.feed(&amend, &told)?;
    let hosts: BTreeSet<&str> = plans.iter().map(|plan| plan.host.as_str()).collect();
    let hosts: Vec<&str> = hosts.into_iter().collect();
    let head = checkout.run(&["log", "-1", "--format=%h %s"])?;
    show(format!("{head}\nsigned with the plan of {}; now: git push\n", hosts.join(", ")));
    Ok(true)
}

/// A commit that others may have is not changed, nor is anything taken into it by chance.
fn amendable(checkout: &Checkout) -> Result<(), Failure> {
    if let Some(changed) = checkout.ask(&["status", "--porcelain", "--untracked-files=no"])? {
        let message = format!("the checkout has changes that are not committed:\n{changed}");
        return Err(refused(&message, "commit or stash them first", Blame::Refused));
    }
    let at = ["for-each-ref", "--contains=HEAD", "--format=%(refname:short)", "refs/remotes"];
    match checkout.ask(&at)? {
        None => Ok(()),
        Some(pushed) => Err(refused(
            &format!("HEAD is pushed already ({})", pushed.replace('\n', ", ")),
            "put a commit on top, then run this again: git commit --allow-empty -S -m \"the plan\"",
            Blame::Refused,
        )),
    }
}

fn refused(message: &str, hint: &str, blame: Blame) -> Failure {
    Failure { message: message.to_owned(), hint: Some(hint.to_owned()), blame }
}
