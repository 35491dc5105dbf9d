//! `writ boot`: puts the last good generation's units back as the host boots.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Failure, config_at, show, whisper};
use crate::config::DEFAULT_PATH;
use crate::fault::causes;
use crate::ledger::Ledger;
use crate::world::systemd::boot::restore;

/// Restore and start the units of the last good generation at boot.
///
/// Needs neither network nor agent. Units live in /run; the ledger keeps the last good copy.
/// `writ-boot.service` runs this before multi-user.target, and the agent takes over from there.
///
/// Example: writ boot
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    let ledger = Ledger::look(&config.state_directory);
    let good = ledger.last_good()?;
    // So that what was booted is kept; a boot does not fail over it.
    if let Err(error) = ledger.set_booted(good) {
        whisper(&format!("warning: {}\n", causes(&error)));
    }
    let Some(number) = good else {
        show("no generation was confirmed yet\n");
        return Ok(());
    };
    let started = restore(&ledger.units(number)?, &ledger.environments(number)?)?;
    show(format!("generation {number}: {} units started\n", started.len()));
    Ok(())
}
