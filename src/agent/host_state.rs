//! The part of a host's report that is worth another one as soon as it changes.

use std::collections::BTreeMap;

use super::judging::{LedgerView, judge_snapshot};
use super::{Snapshot, now};
use crate::condition::{AgentState, Health};
use crate::ledger::{Ledger, LedgerError, RefusedHead};
use crate::names::{CommitId, ServiceName};
use crate::plan::drift::What;
use crate::report::{Kind, State, Told};
use crate::verdict::Verdict;

/// Services that are named; a report has its largest size.
const MOST: usize = 20;

/// How a host is, by its ledger and what its agent saw last; with the journal's lines
/// where its config says `detail`.
///
/// # Errors
/// The ledger cannot be read.
pub fn host_state(
    ledger: &Ledger,
    snapshot: &Snapshot,
    detail: bool,
) -> Result<State, LedgerError> {
    let newest = ledger.newest()?;
    let current = ledger.current()?;
    let runs = current.map(|number| ledger.generation(number)).transpose()?;
    let refused = ledger.refused_head()?;
    let verdict = newest.as_ref().and_then(|newest| newest.verdict.as_ref());
    let refusal = refused.as_ref().map(|refused| &refused.refusal);
    let judged = LedgerView { verdict, refused: refusal };
    let judgement = judge_snapshot(AgentState::Running, judged, snapshot);
    let own = newest.as_ref().map(|newest| newest.record.commit.clone());
    let (head, told) = match &refused {
        Some(refused) => refused_head(refused),
        None => (own, verdict.map(|verdict| Told::of(verdict, now().into(), detail))),
    };
    let by_hand = snapshot.drift.iter().filter(|drift| drift.what != What::UnitFailed);
    Ok(State {
        head,
        commit: runs.map(|runs| runs.record.commit),
        generation: newest.as_ref().map(|newest| newest.number),
        verdict: told,
        condition: Some(judgement.condition),
        services: not_up(&snapshot.services),
        waiting: waiting(verdict, snapshot),
        fault: fault(snapshot),
        drift: by_hand.count(),
        paused: ledger.paused()?.and_then(|pause| pause.since.parse().ok()),
        waiting_until: snapshot.opens.map(Into::into),
    })
}

/// What is waited for and stands in no verdict.
fn waiting(verdict: Option<&Verdict>, snapshot: &Snapshot) -> Vec<String> {
    match verdict {
        Some(Verdict::Waiting { .. }) => Vec::new(),
        _ => {
            snapshot.waiting.iter().take(MOST).map(|reason| crate::report::short(reason)).collect()
        }
    }
}

/// A head that is not obeyed, and why.
fn refused_head(RefusedHead { at, refusal }: &RefusedHead) -> (Option<CommitId>, Option<Told>) {
    let reason = crate::report::short(&refusal.to_string());
    let since = at.parse().unwrap_or_else(|_| now().into());
    let told = Told { kind: Kind::Refused, since, reason: Some(reason), detail: Vec::new() };
    (Some(refusal.commit.clone()), Some(told))
}

fn fault(snapshot: &Snapshot) -> Option<String> {
    let faults = [&snapshot.source_fault, &snapshot.stale, &snapshot.fault];
    let first = faults.into_iter().flatten().next()?;
    Some(crate::report::short(&first.to_string()))
}

/// The services that are not up, each with what is wrong; without numbers that change
/// by the second, since each change is worth a report.
fn not_up(services: &BTreeMap<ServiceName, Health>) -> BTreeMap<ServiceName, String> {
    let told = |(name, health): (&ServiceName, &Health)| {
        let text = match health {
            Health::Up => return None,
            Health::CrashLoop(_) => "crash loop".to_owned(),
            Health::Changing(_) | Health::Stopped | Health::Failed(_) => health.to_string(),
        };
        Some((name.clone(), crate::report::short(&text)))
    };
    services.iter().filter_map(told).take(MOST).collect()
}
