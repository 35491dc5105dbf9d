//! `writ report`: what this host tells others of itself.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::output::JsonFlag;
use super::{Failure, config_at, show_as_is, whisper};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;

/// What this host reports about itself for `writ status --fleet`.
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
    /// `manifests/hosts/<host>.toml`. Created if missing. For root.
    ///
    /// Example: writ report key
    Key {
        #[command(flatten)]
        json: JsonFlag,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    match args.command {
        Command::Key { json } => {
            // The folder of the key, where no agent has run yet.
            Ledger::open(&config.state_directory)?;
            let public = config.report_key().public().await?;
            show_as_is(format!("{public}\n"));
            let file = format!("manifests/hosts/{}.toml", config.host);
            whisper(&format!("in {file}: reportKey = \"{public}\"\n"));
            let (host, key) = (&config.host, public.to_string());
            json.print(&serde_json::json!({ "host": host, "file": file, "reportKey": key }))
        }
    }
}
