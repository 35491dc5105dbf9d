//! `writ sync`: has the agent look at the branch now.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::download::Shown;
use super::{Blame, Failure, config_at, exit, show, show_json, whisper};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::config::DEFAULT_PATH;

/// How often the agent is asked what it is doing.
const GLANCE: Duration = Duration::from_millis(300);
/// How long a verdict is waited for, in seconds.
const TIMEOUT: u64 = 600;

/// Have the agent poll the branch now and wait for the verdict.
///
/// Exits like `writ status`: 0 fine; 1 refused, rolled back or failed, also a service; 3
/// waiting for something, drift left, or Caddy without its routes.
///
/// Example: writ sync
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Seconds to wait for the verdict; the agent continues on its own afterwards.
    #[arg(long, default_value_t = TIMEOUT)]
    timeout: u64,
    /// Print JSON.
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
            let (message, hint) = socket::explain(&path, &error);
            return Err(Failure { message, hint: Some(hint.to_owned()), blame: Blame::World });
        }
    };
    let outcome = exit(&status.judgement);
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
