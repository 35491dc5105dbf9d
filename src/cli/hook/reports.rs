//! What hosts push to a server: each its own report, signed with its own key, and nothing else.

use std::env;

use super::Update;
use super::lines::is_none;
use crate::cli::basis::branch_of;
use crate::cli::{Blame, Failure};
use crate::manifest::{Manifest, WorkingTree};
use crate::names::HostName;
use crate::report::LIMIT;
use crate::report::fleet::{Arrived, Marks, Roster, Standing, judge};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::source::outbox::REFS;
use crate::source::quarantine::Pushed;
use crate::trust::Pins;

/// Names the host that pushes; the server's own way to tell accounts apart sets it.
const HOST: &str = "WRIT_HOST";

/// Refuses what a host may not push, where it is one that pushes.
///
/// # Errors
/// It is anything but a report of its own.
pub(super) fn only_its_own(updates: &[Update]) -> Result<(), Failure> {
    let Some(named) = env::var_os(HOST) else { return Ok(()) };
    let host: HostName =
        named.to_string_lossy().parse().map_err(|error| refused(format!("{HOST}: {error}")))?;
    let own = format!("{REFS}{host}");
    let beyond = updates.iter().find(|update| update.reference != own || is_none(&update.new));
    beyond.map_or(Ok(()), |Update { reference, .. }| {
        let message =
            format!("{host} is a host: it writes {own}, and nothing else; this is {reference}");
        Err(refused(message))
    })
}

/// Refuses a ref under a host's name that leads to anything else than a report which
/// that host has signed and which is no older than the one before. Taking one away is
/// a matter of people's.
///
/// # Errors
/// Why it does not count.
pub(super) fn signed(
    updates: &[Update],
    checkout: &Checkout,
    objects: &Pushed,
    pins: &Pins,
) -> Result<(), Failure> {
    in_the_way(updates)?;
    let mut told = updates.iter().filter_map(|update| {
        Some((update.reference.strip_prefix(REFS)?, update)).filter(|(_, u)| !is_none(&u.new))
    });
    let Some(first) = told.next() else { return Ok(()) };
    let hosts = Hosts::of(checkout, pins)?;
    [first].into_iter().chain(told).try_for_each(|(name, update)| {
        let new = objects.report(&update.new, LIMIT);
        let old = Some(&update.old).filter(|old| !is_none(old));
        let old = old.and_then(|old| objects.report(old, LIMIT).ok());
        hosts.counts(name, new, old).map_err(|why| {
            refused(format!("{REFS}{name} takes a report of the host {name}: {why}"))
        })
    })
}

/// A ref `refs/writ/status` would leave no room for those below it.
fn in_the_way(updates: &[Update]) -> Result<(), Failure> {
    let above = |update: &&Update| REFS.starts_with(&format!("{}/", update.reference));
    match updates.iter().filter(|update| !is_none(&update.new)).find(above) {
        Some(Update { reference, .. }) => {
            Err(refused(format!("{reference} would be in the way of what hosts push")))
        }
        None => Ok(()),
    }
}

/// The hosts as the branch names them that is here already.
struct Hosts {
    manifest: Manifest<WorkingTree>,
    channel: String,
}

impl Hosts {
    fn of(checkout: &Checkout, pins: &Pins) -> Result<Self, Failure> {
        let branch = branch_of(pins);
        let files = checkout::revision(checkout.root(), &format!("refs/heads/{branch}")).map_err(
            |error| {
                Failure::new(Blame::Refused, &error)
                    .hint(format!("push {branch} first: it names the hosts' keys"))
            },
        )?;
        let manifest =
            Manifest::draft(&files).map_err(|problems| Failure::new(Blame::Refused, &problems))?;
        Ok(Self { manifest, channel: pins.channel.clone() })
    }

    fn counts(
        &self,
        name: &str,
        new: Result<Vec<u8>, String>,
        old: Option<Vec<u8>>,
    ) -> Result<(), String> {
        let host: HostName = name.parse().map_err(|error| format!("{error}"))?;
        if !self.manifest.hosts().contains(&host) {
            return Err("the manifest has no such host".to_owned());
        }
        let key = self.manifest.report_key(&host).cloned();
        let roster = Roster { channel: self.channel.clone(), hosts: [(host, key)].into() };
        let mut marks = Marks::default();
        // One that does not count has nothing to be newer than.
        old.map(|old| judge(&roster, &of(name, Ok(old)), &mut marks));
        match judge(&roster, &of(name, new), &mut marks).remove(name) {
            Some(Standing::Told(_)) => Ok(()),
            Some(Standing::Doubtful(why)) => Err(why),
            Some(Standing::Never | Standing::Stranger) | None => Err("there is none".to_owned()),
        }
    }
}

fn of(name: &str, report: Result<Vec<u8>, String>) -> Arrived {
    [(name.to_owned(), report)].into()
}

fn refused(message: String) -> Failure {
    let hint = "docs/fleet.md tells what hosts push, and from where this server knows them";
    Failure { message, hint: Some(hint.to_owned()), blame: Blame::Refused }
}

/// What a ref of the server stands for: pushed through a symbolic one, it is the other
/// that moves.
pub(super) fn real(checkout: &Checkout, update: Update) -> Result<Update, Failure> {
    let mut reference = update.reference;
    // As deep as git follows them (refs.c, `SYMREF_MAXDEPTH`).
    for _ in 0..5 {
        match checkout.ask(&["symbolic-ref", "--quiet", &reference])? {
            Some(target) => reference = target,
            None => break,
        }
    }
    Ok(Update { reference, ..update })
}
