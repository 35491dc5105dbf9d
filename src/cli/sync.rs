//! `writ sync`: has the agent look at the branch now.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{Blame, Failure, show, show_json};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::agent::status::Status;
use crate::config::{Config, DEFAULT_PATH};
use crate::verdict::Verdict;

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
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config =
        Config::load(&args.config).map_err(|error| Failure::new(Blame::Refused, &error))?;
    let path = socket::path(&config.runtime_directory);
    let deadline = Duration::from_secs(args.timeout);
    let status = match socket::ask(&path, Request::Sync, deadline).await {
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
