//! `writ completions`: what a shell has to know to complete our commands.

use clap::{Args as ClapArgs, CommandFactory as _, ValueEnum};
use clap_complete::Shell as Dialect;

use super::{Cli, show_as_is};

/// Print a completion script for a shell: commands, options and their values.
///
/// Example: writ completions bash > ~/.local/share/bash-completion/completions/writ
///
/// Example: writ completions zsh > ~/.zfunc/_writ
///
/// Example: writ completions fish > ~/.config/fish/completions/writ.fish
#[derive(Debug, ClapArgs)]
pub struct Args {
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args) {
    let dialect = match args.shell {
        Shell::Bash => Dialect::Bash,
        Shell::Zsh => Dialect::Zsh,
        Shell::Fish => Dialect::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(dialect, &mut Cli::command(), "writ", &mut script);
    show_as_is(String::from_utf8_lossy(&script));
}
