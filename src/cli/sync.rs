//! `writ sync`: has the agent look at the branch now.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::download::Shown;
use super::{Blame, Failure, config_at, show, show_json, whisper};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::agent::status::Status;
use crate::config::DEFAULT_PATH;
use crate::verdict::Verdict;

/// How often the agent is asked what it is doing.
const GLANCE: Duration = Duration::from_millis(300);
/// How long a verdict is waited for, in seconds.
const TIMEOUT: u64 = 600;

/// Have the agent look at the branch now, and wait for the verdict.
///
/// Exits as `writ agent --once` does: 0 confirmed, 1 refused, rolled back or failed,
/// 3 waiting for the world.
///
/// Example: writ sync
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Seconds to wait for the verdict; the agent goes on by itself afterwards.
    #[arg(long, default_value_t = TIMEOUT)]
    timeout: u64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// As it is run without arguments, for the host of a config.
    pub(super) fn of(config: &Path) -> Self {
        Self { config: config.to_owned(), timeout: TIMEOUT, json: false }
    }
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    let path = socket::path(&config.runtime_directory);
    let deadline = Duration::from_secs(args.timeout);
    let asking = socket::ask(&path, Request::Sync, deadline);
    let answer = tokio::select! {
        answer = asking => answer,
        never = narrate(&path) => match never {},
    };
    let status = match answer {
        Ok(Reply::Status(status)) => *status,
        Ok(Reply::Refused { because }) => {
            return Err(Failure { message: because, hint: None, blame: Blame::Refused });
        }
        Err(error) => {
            return Err(Failure::new(Blame::World, &error)
                .hint("is the agent running? systemctl status writ-agent"));
        }
    };
    let outcome = judge(&status);
    if args.json {
        show_json(&status)?;
    } else {
        show(&status);
    }
    outcome
}

/// Tells each step as the agent takes it, and how far downloads are, on standard error.
async fn narrate(path: &Path) -> Infallible {
    let mut told = None;
    let mut shown = Shown::default();
    loop {
        tokio::time::sleep(GLANCE).await;
        let Ok(Reply::Status(status)) = socket::ask(path, Request::Status, GLANCE * 10).await
        else {
            continue;
        };
        if status.step.is_some() && status.step != told {
            whisper(&format!("{}\n", status.step.as_deref().unwrap_or_default()));
            told = status.step;
        }
        shown.see(status.download.as_ref());
    }
}

fn judge(status: &Status) -> Result<(), Failure> {
    let refused = status.refused.is_some();
    match &status.verdict {
        Some(Verdict::Confirmed { .. }) if !refused && status.faults.is_empty() => Ok(()),
        Some(Verdict::Refused { .. } | Verdict::RolledBack { .. } | Verdict::Failed { .. }) => {
            Err(Failure::told(Blame::Refused))
        }
        _ if refused => Err(Failure::told(Blame::Refused)),
        _ => Err(Failure::told(Blame::World)),
    }
}
