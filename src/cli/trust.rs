//! `writ trust`: what this host trusts, and root's way out of a lost anchor.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Blame, Failure, show};
use crate::config::{Config, DEFAULT_PATH};
use crate::ledger::Ledger;
use crate::names::CommitId;
use crate::source::repo::Repository;
use crate::trust::{self, Pins};

/// Look at what this host trusts, or put its anchor somewhere else.
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
    /// Show the pins and the last accepted commit.
    ///
    /// Example: writ trust show
    Show,
    /// Have this host accept a commit that does not follow from the last one it
    /// accepted. For root, after a state file was lost or a history was rewritten.
    ///
    /// The commit and its whole history are verified like any other.
    ///
    /// Example: writ trust reset --to 3f2a…
    Reset {
        /// The full id of a commit that you have checked.
        #[arg(long)]
        to: CommitId,
    },
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config =
        Config::load(&args.config).map_err(|error| Failure::new(Blame::Refused, &error))?;
    match &args.command {
        Command::Show => pins(&config),
        Command::Reset { to } => reset(&config, to),
    }
}

fn pins(config: &Config) -> Result<(), Failure> {
    let pins = config.pins();
    let mut text = format!(
        "channel       {}\nintroduction  {}\nintroducer    {}\n",
        pins.channel, pins.introduction, pins.introducer
    );
    if let Some(minimum) = &pins.minimum {
        text.push_str(&format!("minimum       {minimum}\n"));
    }
    let anchor = Ledger::look(&config.state_directory).anchor().map_err(|error| {
        let remedy = error.remedy();
        Failure::new(Blame::Refused, &error).hint(remedy)
    })?;
    match anchor {
        Some(anchor) => text.push_str(&format!("accepted      {}\n", anchor.commit)),
        None => text.push_str("accepted      nothing yet\n"),
    }
    show(text);
    Ok(())
}

fn reset(config: &Config, to: &CommitId) -> Result<(), Failure> {
    let usable = |error: crate::ledger::LedgerError| {
        let remedy = error.remedy();
        Failure::new(Blame::World, &error).hint(remedy)
    };
    let ledger = Ledger::open(&config.state_directory).map_err(usable)?;
    let format = config.repository.object_format;
    let repository = Repository::open_or_create(&ledger.repository(), format)?;
    let now = jiff::Timestamp::now();
    let pins = Pins { revoked: ledger.revoked().map_err(usable)?, ..config.pins() };
    let commit =
        trust::verify(&repository, &pins, None, to, now.as_second()).map_err(|refusal| {
            let remedy = refusal.remedy.clone();
            Failure::new(Blame::Refused, &refusal).hint(remedy)
        })?;
    let number = ledger.reset(&commit, &now.to_string()).map_err(usable)?;
    show(format!("generation {number}: {commit}\nthe agent goes on from there: writ sync\n"));
    Ok(())
}
