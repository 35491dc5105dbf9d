//! `writ boot`: puts the last good generation's units back as the host boots.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Failure, config_at, show};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::world::systemd::boot::restore;

/// Put the units of the last good generation back and start them, as part of the
/// boot.
///
/// Needs neither network nor agent: units live in /run, and the ledger holds the
/// last good copy. `writ-boot.service` runs this before multi-user.target; the
/// agent takes over from there.
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
    let Some(number) = ledger.last_good()? else {
        show("no generation was confirmed yet\n");
        return Ok(());
    };
    let started = restore(&ledger.units(number)?)?;
    show(format!("generation {number}: {} units started\n", started.len()));
    Ok(())
}
