//! The command line: one file a command, each with its arguments and what it does.

pub mod adopt;
pub mod agent;
pub mod approve;
mod basis;
pub mod boot;
mod cache_config;
pub mod check;
pub mod completions;
mod consequences;
pub mod diff;
pub mod doctor;
mod download;
pub mod events;
mod fit;
pub mod fleet;
pub mod gc;
pub mod generation;
pub mod hook;
pub mod host;
mod host_config;
pub mod import;
pub mod init;
pub mod kit;
pub mod log;
pub mod man;
pub mod mirror;
pub mod new;
pub mod output;
pub mod pause;
pub mod plan;
mod programs;
mod progress;
pub mod push;
pub mod report;
pub mod restart;
pub mod revert;
pub mod review;
mod service_file;
pub mod set;
pub mod setup;
pub mod show;
mod sites;
pub mod status;
pub mod sync;
pub mod this_host;
pub mod trust;
pub mod upload;
pub mod verify;
mod version_change;
mod way;

use std::error::Error;
use std::fmt;
use std::path::Path;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::condition::{Condition, Judgement};
use crate::config::Config;
use crate::fault::{Fault, Retry, causes};
use crate::ledger::LedgerError;
use output::{Color, Format, draw, show, show_as_is, show_json, whisper};

/// Deploys Nix-built services to hosts from a signed git branch.
///
/// Exit codes: 0 fine, 1 refused or failed, 2 usage, 3 not reachable or not ready.
#[derive(Debug, Parser)]
#[command(name = "writ", version, max_term_width = 100, after_long_help = EXIT_CODES)]
#[command(disable_colored_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// When to use colors.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

impl Cli {
    /// The command line of this process, and for whom it is to print.
    ///
    /// # Errors
    /// It was not understood, or asks for help.
    pub fn from_command_line() -> Result<(Self, Format), clap::Error> {
        let matches = Self::command().try_get_matches()?;
        Ok((Self::from_arg_matches(&matches)?, format_of(&matches)))
    }
}

/// Every command that has `--json` has it by this name.
fn format_of(matches: &ArgMatches) -> Format {
    let json = matches.try_get_one::<bool>("json").ok().flatten();
    match (json, matches.subcommand()) {
        (Some(true), _) => Format::Json,
        (_, Some((_, inner))) => format_of(inner),
        (_, None) => Format::Text,
    }
}

/// What each value of [`Blame`] means to a script.
const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  refused or failed: a manifest, signature, config, generation or service is not in order;
     trying again does not help
  2  invalid command line
  3  something could not be reached or is not ready: an agent, a network, a cache, Caddy;
     trying again may help";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Args),
    Setup(setup::Args),
    Agent(agent::Args),
    Status(status::Args),
    Sync(sync::Args),
    Check(check::Args),
    Plan(plan::Args),
    New(new::Args),
    Host(host::Args),
    Set(set::Args),
    Upload(upload::Args),
    Mirror(mirror::Args),
    Push(push::Args),
    Import(import::Args),
    Kit(Box<kit::Args>),
    Review(review::Args),
    Approve(approve::Args),
    Hook(hook::Args),
    Revert(revert::Args),
    Log(log::Args),
    Show(show::Args),
    Diff(diff::Args),
    Events(events::Args),
    Doctor(doctor::Args),
    Gc(gc::Args),
    Report(report::Args),
    Adopt(adopt::Args),
    Pause(pause::Args),
    Resume(pause::ResumeArgs),
    Restart(restart::Args),
    Trust(trust::Args),
    Boot(boot::Args),
    Verify(verify::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// The agent's own child: fetches a branch for its parent.
    #[command(hide = true)]
    FetchBranch,
    /// The agent's own child: checks packs for its parent.
    #[command(hide = true)]
    IndexPacks,
}

/// Whose fault it was that a command did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Refused or failed.
    Refused = 1,
    /// The command line.
    Usage = 2,
    /// A host, server or cache could not be reached or is not ready.
    World = 3,
}

/// A command that did not do what it was asked, in words for a person.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub hint: Option<String>,
    pub blame: Blame,
}

impl Failure {
    pub fn new(blame: Blame, error: &dyn Error) -> Self {
        Self { message: causes(error), hint: None, blame }
    }

    /// A failure that is told by what was already printed.
    pub fn told(blame: Blame) -> Self {
        Self { message: String::new(), hint: None, blame }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let blame = match fault.retry {
            Retry::Soon => Blame::World,
            Retry::NextCommit => Blame::Refused,
        };
        Self { message: fault.to_string(), hint: fault.remedy, blame }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::new(Blame::Refused, &error).hint(error.remedy())
    }
}

/// The exit code of how a host is, after that was shown.
fn exit(judgement: &Judgement) -> Result<(), Failure> {
    match judgement.condition {
        Condition::Fine => Ok(()),
        Condition::Failed => Err(Failure::told(Blame::Refused)),
        Condition::NotReady => Err(Failure::told(Blame::World)),
    }
}

/// The config that a command was pointed at.
pub fn config_at(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|error| Failure::new(Blame::Refused, &error))
}

/// What servers and manifests said is part of it, and fit for a terminal.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            write!(f, "error: {}", fit::fit(&self.message))?;
        }
        let Some(hint) = self.hint.as_deref().map(fit::fit) else { return Ok(()) };
        match self.message.is_empty() {
            true => write!(f, "hint: {hint}"),
            false => write!(f, "\nhint: {hint}"),
        }
    }
}
