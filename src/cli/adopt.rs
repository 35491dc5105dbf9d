//! `writ adopt`: root gives a service the state directories that it found on its host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Blame, Failure, config_at, pause, show};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::names::{Literal, ServiceName};

/// Let a service have directories below /var/lib that were there before it.
///
/// For root. A directory that exists and was not made for a service is not given to it:
/// systemd would hand all of it to the service's user. The generation that asks for it waits,
/// and names this command. Without --directory it is the one named after the service.
///
/// Example: writ adopt gitea
#[derive(Debug, ClapArgs)]
pub struct Args {
    service: ServiceName,
    /// A name below /var/lib; may be repeated.
    #[arg(long, value_name = "NAME")]
    directory: Vec<Literal>,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    pause::may(&config, "only root may give a service what lies on this host")?;
    let ledger = Ledger::open(&config.state_directory)?;
    let named = match &args.directory[..] {
        [] => vec![args.service.as_str().parse().map_err(|_| Failure::told(Blame::Usage))?],
        named => named.to_vec(),
    };
    let directories: BTreeMap<Literal, ServiceName> =
        named.into_iter().map(|name| (name, args.service.clone())).collect();
    ledger.own_state(&directories)?;
    for directory in directories.keys() {
        show(format!("/var/lib/{directory} is {}'s\n", args.service));
    }
    show("the agent goes on at its next look, or now: writ sync\n");
    Ok(())
}
