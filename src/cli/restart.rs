//! `writ restart`: has the agent begin a service anew.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{Blame, Failure, config_at, output, whisper};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::agent::status::ServiceStatus;
use crate::config::DEFAULT_PATH;
use crate::names::ServiceName;

/// Restart a service on this host and watch it until it is healthy.
///
/// For root. The agent stops and starts the unit, so it does not count as drift; `writ events`
/// records it. The generation does not change. Exit code 1: no such service, or it is not
/// healthy afterwards.
///
/// Example: writ restart web
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The service.
    service: ServiceName,
    /// Seconds to wait; the agent continues on its own afterwards.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What it is after the restart.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Restarted {
    service: ServiceName,
    #[serde(flatten)]
    status: Option<ServiceStatus>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    let path = socket::path(&config.runtime_directory);
    let request = Request::Restart { service: args.service.clone() };
    whisper(&format!("restarting {}, and watching until it is healthy\n", args.service));
    match socket::ask(&path, request, Duration::from_secs(args.timeout)).await {
        Ok(Reply::Status(mut status)) => {
            let status = status.services.remove(&args.service);
            output::answer(&Restarted { service: args.service, status })
        }
        Ok(Reply::Refused { because }) => {
            Err(Failure { message: because, hint: None, blame: Blame::Refused })
        }
        Err(error) if socket::nobody_listens(&error) => Err(Failure {
            message: "no agent runs on this host".to_owned(),
            hint: Some("systemctl start writ-agent".to_owned()),
            blame: Blame::World,
        }),
        Err(error) => Err(Failure::new(Blame::World, &error).hint("journalctl -u writ-agent")),
    }
}

impl fmt::Display for Restarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "restarted {}", self.service)?;
        if let Some(status) = &self.status {
            write!(f, ": {}", status.state)?;
            if let Some(pid) = status.pid {
                write!(f, ", pid {pid}")?;
            }
        }
        writeln!(f)
    }
}
