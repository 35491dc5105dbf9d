//! Parses the command line, runs one command, and turns how it went into an exit code.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use writ::cli::{Blame, Cli, Command, Failure, output};

fn main() -> ExitCode {
    let (cli, format) = match Cli::from_command_line() {
        Ok(asked) => asked,
        Err(error) => return not_a_command(&error),
    };
    output::begin(format, cli.color);
    log();
    let by_an_operator = is_an_operators(&cli.command);
    if by_an_operator {
        writ::world::stop::watch();
    }
    let done = run(cli.command);
    writ::world::stop::rest_if_leaving();
    if by_an_operator {
        // Where an upload was stopped, nix may not have heard of it.
        writ::world::stop::end_children();
    }
    ended(done)
}

/// Tells what went wrong, if anything did. A command that failed keeps its own exit code
/// where its output was lost as well.
fn ended(done: Result<(), Failure>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for failure in [output::finish(), done].into_iter().filter_map(Result::err) {
        let text = failure.to_string();
        if !text.is_empty() {
            output::whisper(&format!("{text}\n"));
        }
        code = ExitCode::from(failure.blame as u8);
    }
    code
}

/// Help and version were asked for and are output like any other; the rest are mistakes.
fn not_a_command(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        output::begin(output::Format::Text, output::Color::Auto);
        output::whisper(&error.render().to_string());
        return ExitCode::from(Blame::Usage as u8);
    }
    output::show_as_is(error.render());
    ended(Ok(()))
}

/// Whether it works in a checkout for somebody who may stop it.
fn is_an_operators(command: &Command) -> bool {
    matches!(
        command,
        Command::Init(_)
            | Command::Status(_)
            | Command::Setup(_)
            | Command::New(_)
            | Command::Host(_)
            | Command::Plan(_)
            | Command::Set(_)
            | Command::Upload(_)
            | Command::Mirror(_)
            | Command::Kit(_)
            | Command::Push(_)
            | Command::Review(_)
            | Command::Approve(_)
            | Command::Revert(_)
            | Command::Trust(_)
    )
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => writ::cli::init::run(&args),
        Command::Setup(args) => writ::cli::setup::run(&args),
        Command::New(args) => writ::cli::new::run(&args),
        Command::Host(args) => writ::cli::host::run(&args),
        Command::Agent(args) => block_on(writ::cli::agent::run(args)),
        Command::Status(args) => block_on(writ::cli::status::run(args)),
        Command::Sync(args) => block_on(writ::cli::sync::run(args)),
        Command::Check(args) => writ::cli::check::run(&args),
        Command::Plan(args) => block_on(writ::cli::plan::run(args)),
        Command::Set(args) => block_on(writ::cli::set::run(args)),
        Command::Upload(args) => block_on(writ::cli::upload::run(args)),
        Command::Mirror(args) => block_on(writ::cli::mirror::run(args)),
        Command::Push(args) => block_on(writ::cli::push::run(args)),
        Command::Import(args) => writ::cli::import::run(&args),
        Command::Kit(args) => block_on(writ::cli::kit::run(*args)),
        Command::Review(args) => writ::cli::review::run(&args),
        Command::Approve(args) => writ::cli::approve::run(&args),
        Command::Hook(args) => block_on(writ::cli::hook::run(args)),
        Command::Revert(args) => writ::cli::revert::run(&args),
        Command::Log(args) => writ::cli::log::run(&args),
        Command::Show(args) => writ::cli::show::run(&args),
        Command::Trust(args) => block_on(writ::cli::trust::run(args)),
        Command::Boot(args) => writ::cli::boot::run(&args),
        Command::Verify(args) => writ::cli::verify::run(&args),
        Command::Diff(args) => block_on(async move { writ::cli::diff::run(&args).await }),
        Command::Doctor(args) => block_on(writ::cli::doctor::run(args)),
        Command::Gc(args) => block_on(writ::cli::gc::run(args)),
        Command::Events(args) => block_on(writ::cli::events::run(args)),
        Command::Report(args) => block_on(writ::cli::report::run(args)),
        Command::Adopt(args) => writ::cli::adopt::run(&args),
        Command::Pause(args) => writ::cli::pause::run(&args),
        Command::Resume(args) => block_on(writ::cli::pause::resume(args)),
        Command::Restart(args) => block_on(writ::cli::restart::run(args)),
        Command::Completions(args) => {
            writ::cli::completions::run(&args);
            Ok(())
        }
        Command::Man(args) => writ::cli::man::run(&args),
        Command::FetchBranch => {
            writ::source::fetch::run().map_err(|error| Failure::new(Blame::World, &error))
        }
        Command::IndexPacks => {
            writ::source::pack_import::run().map_err(|error| Failure::new(Blame::World, &error))
        }
    }
}

/// One thread: an agent waits most of its life, and a small one waits cheaply.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Blame::World, &error))?;
    let outcome = runtime.block_on(work);
    // A look-up that hangs in a directory service does not keep the program from ending.
    runtime.shutdown_background();
    outcome
}

/// The log goes to standard error, as journald wants it; what the user asked for
/// goes to standard output.
fn log() {
    let filter =
        EnvFilter::try_from_env("WRIT_LOG").unwrap_or_else(|_| EnvFilter::new("warn,writ=info"));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    if journal { builder.without_time().init() } else { builder.init() }
}
