//! `writ report`: what this host tells others of itself.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Failure, config_at, show, whisper};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;

/// What this host tells others of itself, for `writ status --fleet`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, global = true, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the public key that this host signs its reports with, for
    /// `manifests/hosts/<host>.toml`. Made where there is none; for root.
    ///
    /// Example: writ report key
    Key,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    match args.command {
        Command::Key => {
            // The folder of the key, where no agent has run yet.
            Ledger::open(&config.state_directory)?;
            let public = config.report_key().public().await?;
            show(format!("{public}\n"));
            let file = format!("manifests/hosts/{}.toml", config.host);
            whisper(&format!("in {file}: reportKey = \"{public}\"\n"));
            Ok(())
        }
    }
}
