//! `writ agent`: follows the branch and converges this host.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use tokio::sync::{Notify, mpsc};

use super::{Blame, Failure, config_at, exit, show, show_json};
use crate::agent::control::Control;
use crate::agent::reporting::Reporter;
use crate::agent::{Agent, Report, socket};
use crate::cli::this_host::ThisHost;
use crate::condition::{Reason, Subject};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::verdict::Verdict;
use crate::world::systemd::ended::jobs_of;

/// Follow the branch and converge this host to it.
///
/// Polls the branch on start, at each interval, when a watched path changes, when Caddy has
/// restarted, and on `writ sync`. SIGTERM stops the agent and leaves services running.
///
/// Example: writ agent --config /etc/writ/agent.toml
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Run one round and exit by the host's condition: 0 fine; 1 refused, rolled back or failed;
    /// 3 waiting for something, drift left, or Caddy without its routes.
    #[arg(long)]
    once: bool,
    /// With --once: use only this source. Either one of the config's, by name or URL, or
    /// another one, such as a USB stick (dir:///media/stick/kit). Everything in it is verified
    /// as usual.
    #[arg(long, value_name = "URL", requires = "once")]
    source: Option<String>,
    /// With --once: print the round's outcome as one JSON object; text goes to standard error.
    #[arg(long, requires = "once")]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let mut config = config_at(&args.config)?;
    if let Some(source) = &args.source {
        config = config.with_source(source).map_err(|error| Failure::new(Blame::Usage, &error))?;
    }
    let ledger = Ledger::open(&config.state_directory)?;
    // Two agents on one host would undo each other's work.
    let _claim = ledger.claim()?;
    let world = Arc::new(ThisHost::new(&config)?);
    let listener = socket::listen(&config.runtime_directory).map_err(|error| {
        Failure::new(Blame::World, &error)
            .hint("stop the other agent, or ask it: writ sync, writ status")
    })?;
    let mut agent =
        Agent::new(config.clone(), ledger.clone(), config.sources(), Arc::clone(&world));
    let reporter = Reporter::new(&config, ledger.clone(), agent.shared());
    let (asked, requests) = mpsc::channel(64);
    let control = Control {
        host: config.host.clone(),
        ledger,
        world: Arc::new(ThisHost::new(&config)?),
        agents: world,
        shared: agent.shared(),
        asked,
    };
    control.serve_apart(listener).map_err(|error| Failure::new(Blame::World, &error))?;
    if args.once {
        let report = agent.round().await;
        show(told(&report));
        if args.json {
            show_json(&json(&report))?;
        }
        if let Some(mut reporter) = reporter {
            reporter.look().await;
        }
        exit(&report.judgement)
    } else {
        let reporting = reporter.map(|reporter| tokio::spawn(reporter.run()));
        let moved = Arc::new(Notify::new());
        let woken = Arc::clone(&moved);
        // A Caddy that was restarted may have come back without its routes.
        let outcome = tokio::select! {
            ended = agent.run(requests, moved) => {
                ended.map_err(|error| Failure::new(Blame::World, &error))
            }
            () = jobs_of(&config.caddy.unit, || woken.notify_one()) => Ok(()),
        };
        reporting.inspect(|reporting| reporting.abort());
        outcome
    }
}

fn told(report: &Report) -> String {
    let mut lines = Vec::new();
    if let (Some(generation), Some(commit)) = (report.generation, &report.commit) {
        lines.push(format!("generation {generation}, commit {}", commit.short()));
    }
    lines.extend(report.verdict.as_ref().map(ToString::to_string));
    if !matches!(report.verdict, Some(Verdict::Waiting { .. })) {
        lines.extend(report.waiting.iter().map(|reason| format!("  for      {reason}")));
    }
    lines.extend(report.paused.as_ref().map(ToString::to_string));
    if let Some(refusal) = &report.refused {
        lines.push(format!("{refusal}\n  hint     {}", refusal.remedy));
    }
    for fault in &report.faults {
        lines.push(fault.to_string());
        lines.extend(fault.remedy.iter().map(|remedy| format!("  hint     {remedy}")));
    }
    // What stands in no line above.
    let about = |reason: &&Reason| matches!(reason.about, Subject::Service | Subject::Drift);
    lines.extend(report.judgement.reasons.iter().filter(about).map(|reason| reason.text.clone()));
    lines.join("\n") + "\n"
}

/// The same for programs, in the words of `writ status --json`.
fn json(report: &Report) -> serde_json::Value {
    serde_json::json!({
        "condition": report.judgement.condition,
        "reasons": report.judgement.reasons,
        "generation": report.generation,
        "commit": report.commit,
        "verdict": report.verdict,
        "refused": report.refused,
        "waiting": report.waiting,
        "paused": report.paused,
        "faults": report.faults,
    })
}
