//! `writ status --fleet`: what every host has told of itself, and whether to believe it.

mod screen;
mod sight;
mod wait;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{Blame, Failure, show, show_json, whisper};
use crate::names::{CommitId, HostName};
use crate::report::table::{Row, table};
use crate::source::lineage;
use sight::Fleet;
pub(super) use wait::Waited;
use wait::wait;

/// How long a remote may take to answer.
const DEADLINE: Duration = Duration::from_secs(120);

/// Where reports are looked for, and what counts.
#[derive(Debug, ClapArgs)]
pub struct FleetArgs {
    /// With --fleet: a checkout of the deploy repository (default: the current directory).
    #[arg(long, requires = "fleet")]
    repo: Option<PathBuf>,
    /// With --fleet: where reports are stored: a remote, a URL, dir:///path, or
    /// s3://BUCKET/FOLDER?profile=… (default: git config writ.reports, or else the remote that
    /// the branch is pushed to).
    #[arg(long, requires = "fleet", value_name = "PLACE")]
    from: Option<String>,
    /// With --fleet: maximum age of a report (default: three of the host's own intervals).
    #[arg(long, requires = "fleet", value_parser = duration, value_name = "DURATION")]
    stale: Option<Duration>,
    /// With --fleet: wait until each host affected by this commit has reported a verdict.
    #[arg(long, requires = "fleet", value_name = "COMMIT")]
    wait: Option<String>,
    /// With --wait: how long to wait.
    #[arg(long, requires = "wait", value_parser = duration, default_value = "5m")]
    timeout: Duration,
}

/// Everything at once, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    head: &'a CommitId,
    /// Whether every host of the manifest has confirmed the head.
    good: bool,
    hosts: &'a [Row],
}

pub async fn run(args: &FleetArgs, json: bool) -> Result<(), Failure> {
    let repo = args.repo.clone().unwrap_or_else(|| ".".into());
    let mut fleet = Fleet::at(&repo, args.from.as_deref())?;
    if let Some(revision) = &args.wait {
        let commit = lineage::commit(fleet.checkout(), revision)?;
        let Waited { rows, outcome } = wait(&mut fleet, (&commit, None), args.timeout).await?;
        show(table(&rows));
        if json {
            show_json(&Told { head: fleet.head(), good: outcome.is_ok(), hosts: &rows })?;
        }
        return outcome;
    }
    fleet.look(DEADLINE).await?;
    let rows = fleet.rows(args.stale)?;
    let good = fleet.is_good(&rows);
    if json {
        show_json(&Told { head: fleet.head(), good, hosts: &rows })?;
    } else {
        show(table(&rows));
        fleet.lag()?.into_iter().for_each(|lag| whisper(&lag));
    }
    if good { Ok(()) } else { Err(Failure::told(Blame::Refused)) }
}

/// Waits for the verdicts on a commit that has just been pushed, and on those that were
/// pushed with it, after the second one.
pub(super) async fn follow(
    repo: &std::path::Path,
    pushed: (&CommitId, Option<&CommitId>),
    timeout: Duration,
) -> Result<Waited, Failure> {
    let waited = wait(&mut Fleet::at(repo, None)?, pushed, timeout).await?;
    show(table(&waited.rows));
    Ok(waited)
}

/// That the verdicts of these hosts can be waited for.
///
/// # Errors
/// A host's reports would not be believed, or the place of reports cannot be reached.
pub(super) async fn can_follow(
    repo: &std::path::Path,
    hosts: &BTreeSet<HostName>,
) -> Result<(), Failure> {
    let mut fleet = Fleet::at(repo, None)?;
    let keyless: Vec<&HostName> = hosts.iter().filter(|host| fleet.is_keyless(host)).collect();
    let Some(first) = keyless.first() else { return fleet.look(DEADLINE).await.map(drop) };
    let names: Vec<&str> = keyless.iter().map(|host| host.as_str()).collect();
    Err(Failure {
        message: format!(
            "the verdict of {} cannot be waited for: the manifest names no reportKey of it",
            names.join(", ")
        ),
        hint: Some(format!(
            "nothing was changed; on the host, `writ report key` prints its key, for reportKey in \
             manifests/hosts/{first}.toml; or leave --wait out"
        )),
        blame: Blame::Usage,
    })
}

/// `90s`, `5m`, `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}
