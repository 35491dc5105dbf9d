//! `writ adopt`: root gives a service the state directories that it found on its host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::output::JsonFlag;
use super::{Blame, Failure, config_at, pause, show};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::names::{Literal, ServiceName};

/// Give a service directories below /var/lib that existed before it.
///
/// For root. A service does not get an existing directory that was not created for it, since
/// systemd would change the owner of everything in it. The generation that asks for it waits
/// and names this command. Default: the directory named after the service.
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
    #[command(flatten)]
    json: JsonFlag,
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
    let names: Vec<&Literal> = directories.keys().collect();
    args.json.print(&serde_json::json!({ "service": args.service, "directories": names }))
}
