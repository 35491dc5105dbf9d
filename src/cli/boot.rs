//! `writ boot`: puts the last good generation's units back as the host boots.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Blame, Failure, config_at, show};
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
    let unusable = |error: crate::ledger::LedgerError| {
        let remedy = error.remedy();
        Failure::new(Blame::World, &error).hint(remedy)
    };
    let Some(number) = ledger.last_good().map_err(unusable)? else {
        show("no generation was confirmed yet\n");
        return Ok(());
    };
    let started = restore(&ledger.units(number).map_err(unusable)?)?;
    show(format!("generation {number}: {} units started\n", started.len()));
    Ok(())
}
