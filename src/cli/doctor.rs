//! `writ doctor`: whether this host has everything that a generation needs.

mod host;
mod road;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use futures_util::future::{LocalBoxFuture, join_all};
use serde::Serialize;
use tokio::time::timeout;

use super::this_host::ThisHost;
use super::{Blame, Failure, config_at, show, show_json, whisper};
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::Fault;
use crate::ledger::Ledger;

/// Check everything this host needs: config, anchor, branch, caches, nix, systemd, Caddy, disk,
/// clock and agent, and what the host runs.
///
/// A line each: `ok`; `note`, what is good to know and nothing is wrong with; or `WRONG`,
/// with how to fix it. Exits 1 where anything is wrong. Changes nothing. As root, since others may not read everything.
///
/// Example: writ doctor
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Time limit of each check, in seconds; checks run in parallel.
    #[arg(long, default_value_t = 10)]
    timeout: u64,
    /// For programs: {"checks": [{check, grade, ok, text, remedy}]}.
    #[arg(long)]
    json: bool,
}

/// What one check came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    check: &'static str,
    grade: Grade,
    /// Whether nothing is wrong.
    ok: bool,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// How much there is to do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Grade {
    Ok,
    /// Good to know; the host does what it is told.
    Note,
    Wrong,
}

/// What a check has found where nothing is wrong.
enum Word {
    Fine(String),
    Note { text: String, remedy: Option<String> },
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Fine(text)
    }
}

impl Finding {
    fn new(check: &'static str, outcome: Result<Word, Fault>) -> Self {
        let (grade, text, remedy) = match outcome {
            Ok(Word::Fine(text)) => (Grade::Ok, text, None),
            Ok(Word::Note { text, remedy }) => (Grade::Note, text, remedy),
            Err(fault) => (Grade::Wrong, fault.to_string(), fault.remedy),
        };
        Self { check, grade, ok: grade != Grade::Wrong, text, remedy }
    }
}

/// What the checks look at.
struct Patient {
    config: Config,
    /// Where the config was read from.
    config_path: PathBuf,
    ledger: Ledger,
    world: ThisHost,
    deadline: Duration,
}

/// What is well, or what is not.
type Checked = Result<String, Fault>;

/// The same, where there may be something to note.
type Noted = Result<Word, Fault>;

pub async fn run(args: Args) -> Result<(), Failure> {
    let findings = match config_at(&args.config) {
        Ok(config) => examine(&args, config).await?,
        // Nothing else can be asked without it.
        Err(failure) => vec![Finding {
            check: "config",
            grade: Grade::Wrong,
            ok: false,
            text: failure.message,
            remedy: Some("README.md tells what a host's config has to say".to_owned()),
        }],
    };
    let well = findings.iter().all(|finding| finding.ok);
    if args.json {
        show_json(&serde_json::json!({ "checks": findings }))?;
    } else {
        findings.iter().for_each(|finding| show(line(finding)));
    }
    if !well && !rustix::process::geteuid().is_root() {
        whisper("some of this can only be told as root: sudo writ doctor\n");
    }
    if well { Ok(()) } else { Err(Failure::told(Blame::Refused)) }
}

async fn examine(args: &Args, config: Config) -> Result<Vec<Finding>, Failure> {
    let patient = Patient {
        ledger: Ledger::look(&config.state_directory),
        world: ThisHost::new(&config)?,
        config,
        config_path: args.config.clone(),
        deadline: Duration::from_secs(args.timeout.max(1)),
    };
    Ok(join_all(checks(&patient)).await)
}

/// Every check, in the order in which they are shown.
fn checks(patient: &Patient) -> Vec<LocalBoxFuture<'_, Finding>> {
    let mut checks: Vec<LocalBoxFuture<'_, Finding>> = vec![
        Box::pin(finding(patient, "config", road::config(patient))),
        Box::pin(finding(patient, "anchor", road::anchor(patient))),
    ];
    for source in patient.config.clone().sources_within(patient.deadline) {
        checks.push(Box::pin(finding(patient, "source", road::source(patient, source))));
    }
    checks.push(Box::pin(finding(patient, "keys", road::keys(patient))));
    for url in &patient.config.nix.substituters {
        checks.push(Box::pin(finding(patient, "cache", road::cache(patient, url))));
    }
    checks.push(Box::pin(finding(patient, "nix", host::nix(patient))));
    checks.push(Box::pin(finding(patient, "systemd", host::systemd(patient))));
    checks.push(Box::pin(finding(patient, "caddy", host::caddy(patient))));
    for (what, folder) in host::folders(patient) {
        checks.push(Box::pin(finding(patient, "disk", host::disk(what, folder))));
    }
    checks.push(Box::pin(finding(patient, "clock", host::clock(patient))));
    checks.push(Box::pin(finding(patient, "agent", host::agent(patient))));
    checks.push(Box::pin(finding(patient, "services", host::condition(patient))));
    checks
}

async fn finding<T: Into<Word>>(
    patient: &Patient,
    check: &'static str,
    work: impl Future<Output = Result<T, Fault>>,
) -> Finding {
    // The check's own deadline says more; this one is for those that have none.
    let late = patient.deadline + Duration::from_secs(1);
    let outcome = timeout(late, work).await.unwrap_or_else(|_| {
        Err(Fault::wait(format!("check {check}"), format!("no answer within {late:?}")))
    });
    Finding::new(check, outcome.map(Into::into))
}

fn line(finding: &Finding) -> String {
    let Finding { check, grade, text, remedy, .. } = finding;
    let mark = match grade {
        Grade::Ok => "ok",
        Grade::Note => "note",
        Grade::Wrong => "WRONG",
    };
    let mut line = format!("{mark:<5}  {check:<8} {}\n", text.trim_end().replace('\n', "\n  "));
    line.extend(remedy.iter().map(|remedy| format!("  hint     {remedy}\n")));
    line
}
