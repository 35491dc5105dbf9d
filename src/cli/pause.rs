//! `writ pause` and `writ resume`: leave this host as it is for a while.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::output::JsonFlag;
use super::{Blame, Failure, config_at, show};
use crate::agent::control::Request;
use crate::agent::socket;
use crate::config::{Config, DEFAULT_PATH};
use crate::ledger::Ledger;
use crate::ledger::pause::Pause;
use crate::names::Literal;

/// How long the agent may take to hear that a pause is over.
const WAKE: Duration = Duration::from_secs(5);

/// Stop the agent from changing this host until `writ resume`, even across restarts.
///
/// For root. The branch is still followed and verified. A generation that is being applied is
/// finished first. Services keep running.
///
/// Example: writ pause --reason "moving the database, until noon"
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The reason, shown by `writ status`.
    #[arg(long)]
    reason: Option<Literal>,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

/// End a pause: the agent applies the newest accepted commit and repairs drift.
///
/// For root.
///
/// Example: writ resume
#[derive(Debug, ClapArgs)]
pub struct ResumeArgs {
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let ledger = opened(&config_at(&args.config)?)?;
    let now = jiff::Timestamp::now();
    let since = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
    let pause = Pause { since, by: asking(), reason: args.reason.clone() };
    ledger.pause(&pause)?;
    show(format!("{pause}\nnothing is changed on this host until: writ resume\n"));
    args.json.print(&serde_json::json!({ "paused": pause }))
}

pub async fn resume(args: ResumeArgs) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    let ledger = opened(&config)?;
    // One that cannot be read is ended all the same.
    let pause = match ledger.paused() {
        Ok(None) => {
            show("this host was not paused\n");
            return args.json.print(&serde_json::json!({ "paused": null, "wasPaused": false }));
        }
        Ok(Some(pause)) => pause.to_string(),
        Err(_) => "paused".to_owned(),
    };
    ledger.resume()?;
    let next = match wake(&config).await {
        Ok(()) => "the agent goes on now; writ status tells how far it is",
        Err(error) if socket::nobody_listens(&error) => {
            "no agent runs here, so nothing goes on yet: systemctl start writ-agent"
        }
        Err(_) => "the agent could not be woken; it goes on at its next look, or now: writ sync",
    };
    show(format!("no longer {pause}\n{next}\n"));
    args.json.print(&serde_json::json!({ "paused": null, "wasPaused": true }))
}

/// Has the agent begin a round, whose end nobody waits for here.
async fn wake(config: &Config) -> std::io::Result<()> {
    socket::tell(&socket::path(&config.runtime_directory), Request::Sync, WAKE).await
}

/// The ledger, for those who may change what the agent does.
fn opened(config: &Config) -> Result<Ledger, Failure> {
    may(config, "only root may pause this host or end a pause")?;
    Ok(Ledger::open(&config.state_directory)?)
}

/// Whether whoever asks may change what the agent does, or this `message`.
pub(super) fn may(config: &Config, message: &str) -> Result<(), Failure> {
    let directory = &config.state_directory;
    if is_allowed(rustix::process::geteuid().as_raw(), owner(directory)) {
        return Ok(());
    }
    Err(Failure { message: message.to_owned(), hint: None, blame: Blame::Refused })
}

/// Root, or whoever the agent runs as.
fn is_allowed(user: u32, owner: Option<u32>) -> bool {
    user == 0 || Some(user) == owner
}

fn owner(directory: &Path) -> Option<u32> {
    rustix::fs::stat(directory).ok().map(|stat| stat.st_uid)
}

/// Who is asking: the person behind sudo, as far as it tells.
fn asking() -> Literal {
    let behind_sudo = std::env::var("SUDO_USER").ok().and_then(|name| name.parse().ok());
    let uid = rustix::process::getuid().as_raw();
    let by_name = || uzers::get_user_by_uid(uid)?.name().to_str()?.parse().ok();
    let by_number = || format!("user {uid}").parse().expect("a number has no control characters");
    behind_sudo.or_else(by_name).unwrap_or_else(by_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_agents_own_user_may_pause() {
        assert!(is_allowed(0, Some(0)) && is_allowed(0, None) && is_allowed(7, Some(7)));
        assert!(!is_allowed(7, Some(0)) && !is_allowed(7, None));
    }
}
