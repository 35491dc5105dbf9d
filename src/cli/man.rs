//! `writ man`: a manual page for each command.

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory as _};

use super::{Blame, Cli, Failure, show};

/// Write a manual page for each command into an existing folder.
///
/// The text is that of --help.
///
/// Example: writ man ~/.local/share/man/man1
#[derive(Debug, ClapArgs)]
pub struct Args {
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let dir = &args.dir;
    clap_mangen::generate_to(Cli::command(), dir).map_err(|error| {
        let failure = Failure::new(Blame::Refused, &error);
        Failure {
            message: format!("could not write to {}: {}", dir.display(), failure.message),
            ..failure
        }
    })?;
    show(format!("wrote the manual pages to {}\n", dir.display()));
    Ok(())
}
