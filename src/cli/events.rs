//! `writ events`: what the agent of this host did and saw.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::output::{is_read, show, show_json_line};
use super::{Blame, Failure, config_at};
use crate::config::DEFAULT_PATH;
use crate::events::{Event, Events, Follower};
use crate::ledger::Ledger;

/// How long a change may stay unseen where the kernel does not tell of it.
const GLANCE: Duration = Duration::from_secs(2);

/// Show what the agent did and saw: commits accepted and refused, steps, verdicts, drift, and
/// sources lost and found.
///
/// Oldest first. A condition that persists is reported once, so a quiet host prints nothing.
///
/// Example: writ events --follow
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Keep printing new events until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// How many recorded events to show.
    #[arg(short, default_value_t = 50)]
    n: usize,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON, one object per line.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let ledger = Ledger::look(&config_at(&args.config)?.state_directory);
    let events = Events::at(ledger.events());
    let unreadable = |error: std::io::Error| {
        Failure::new(Blame::World, &error)
            .hint(format!("the events are in {}", events.path().display()))
    };
    // Before what is there is read, so that nothing falls in between.
    let mut follower = Follower::from_the_end(&events).map_err(unreadable)?;
    let known = events.read().map_err(unreadable)?;
    if !tell(known[known.len().saturating_sub(args.n)..].iter(), args.json)? || !args.follow {
        return Ok(());
    }
    // What was written between the two was printed already.
    let between = follower.news().map_err(unreadable)?;
    let mut heard = tell(between.iter().filter(|event| !known.contains(event)), args.json)?;
    let written = Arc::new(Notify::new());
    let _watcher = watch(&events, Arc::clone(&written));
    while heard {
        let _ = timeout(GLANCE, written.notified()).await;
        heard = tell(follower.news().map_err(unreadable)?.iter(), args.json)?;
    }
    Ok(())
}

/// Watches the folder, since the file may not be there yet and is begun anew at times.
fn watch(events: &Events, written: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let wake = move |event: Result<notify::Event, notify::Error>| {
        // Reading is no news.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            written.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(wake).ok()?;
    watcher.watch(events.path().parent()?, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// Prints events, and returns whether anybody reads them still (`| head` does not).
fn tell<'a>(events: impl Iterator<Item = &'a Event>, json: bool) -> Result<bool, Failure> {
    for event in events {
        match json {
            true => show_json_line(event)?,
            false => show(line(event) + "\n"),
        }
    }
    Ok(is_read())
}

/// In one line; what others wrote must not steer the terminal.
fn line(event: &Event) -> String {
    let generation = event.generation.map(|n| n.to_string()).unwrap_or_default();
    let text = event.text.trim_end().replace('\n', "; ");
    let text = text.replace('\t', "\u{fffd}");
    format!("{}  {generation:>4}  {:<12}  {text}", event.time, event.kind.word())
}
