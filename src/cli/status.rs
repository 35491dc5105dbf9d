//! `writ status`: what this host runs, and why.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{Blame, Failure, config_at, exit, fleet, show, show_json};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::agent::status::{Status, gather};
use crate::cli::this_host::ThisHost;
use crate::config::{Config, DEFAULT_PATH};
use crate::ledger::Ledger;

const DEADLINE: Duration = Duration::from_secs(20);

/// Show what this host runs and why: commit, generation, verdict, services and routes.
///
/// Asks the running agent. Without one, root gets the answer from the ledger and the host
/// itself.
///
/// Exits by how the host is: 0 fine, 1 where the head is refused or was rolled back or a
/// service has failed, 3 where something is waited for, drift is left, Caddy lacks
/// routes or no agent runs.
///
/// Example: writ status --json
///
/// Example: writ status --fleet --repo ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Show all hosts of the deploy repository by their reports instead. Exits 0 if each has
    /// confirmed the branch's head, 1 otherwise.
    #[arg(long)]
    fleet: bool,
    #[command(flatten)]
    wide: fleet::FleetArgs,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    if args.fleet {
        return fleet::run(&args.wide, args.json).await;
    }
    let config = config_at(&args.config)?;
    let path = socket::path(&config.runtime_directory);
    let status = match socket::ask(&path, Request::Status, DEADLINE).await {
        Ok(Reply::Status(status)) => *status,
        Ok(Reply::Refused { because }) => {
            return Err(Failure { message: because, hint: None, blame: Blame::Refused });
        }
        Err(error) if socket::nobody_listens(&error) => alone(&config).await?,
        Err(error) => {
            let (message, hint) = socket::explain(&path, &error);
            return Err(Failure { message, hint: Some(hint.to_owned()), blame: Blame::World });
        }
    };
    let outcome = exit(&status.judgement);
    if args.json {
        show_json(&status)?;
    } else {
        show(status);
    }
    outcome
}

/// Without an agent, from the ledger and the host.
async fn alone(config: &Config) -> Result<Status, Failure> {
    let world = ThisHost::new(config)?;
    let ledger = Ledger::look(&config.state_directory);
    Ok(gather(&config.host, &ledger, &world, None).await?)
}
