//! `writ gc`: lets go of what this host no longer needs, and says what is kept and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::this_host::ThisHost;
use super::{Blame, Failure, config_at, pause, show, show_json, whisper};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::ledger::retention::Turn;
use crate::plan::retention::{Retention, Version, Why};
use crate::plan::step::human_bytes;
use crate::retire::{look, retire};
use crate::world::World as _;
use crate::world::nix::Collected;

/// How long the agent's round may take.
const PATIENCE: Duration = Duration::from_secs(600);
const GLANCE: Duration = Duration::from_millis(50);

/// Retire old versions of services and old generations, and say what is kept and why.
///
/// For root. The agent does the same after each generation; use this after a change of the
/// config's table `retention`, and for --collect. Whatever is running, was confirmed last, was
/// booted, or has no verdict yet is kept, however old it is. Waits for the agent's current
/// round to end.
///
/// Example: writ gc --collect
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Show what would be retired and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Then run nix's garbage collector, which deletes every store path on this host without a
    /// root, no matter whose, and report the space freed.
    #[arg(long, conflicts_with = "dry_run")]
    collect: bool,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was done; the JSON of `writ gc --json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    #[serde(flatten)]
    retention: Retention,
    /// What nix's collector did, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    collected: Option<Collected>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config_at(&args.config)?;
    pause::may(&config, "only root may retire what this host keeps")?;
    let limits = config.retention.limits();
    let host = ThisHost::new(&config)?;
    let retention = if args.dry_run {
        look(&Ledger::look(&config.state_directory), host.store(), limits).await?
    } else {
        let ledger = Ledger::open(&config.state_directory)?;
        // The collector needs no turn: what a round fetches has its root beforehand.
        retire(&turn(&ledger).await?, &ledger, host.store(), limits).await?
    };
    let mut report = Report { dry_run: args.dry_run, retention, collected: None };
    if !args.json {
        show(&report);
    }
    if args.collect {
        let collected = host.store().collect().await?;
        report.collected = Some(collected);
        if !args.json {
            let Collected { paths, freed } = collected;
            show(format!(
                "nix deleted {paths} store paths: {} are free again\n",
                human_bytes(freed)
            ));
        }
    }
    if args.json { show_json(&report) } else { Ok(()) }
}

/// Waits until the agent is between two rounds.
async fn turn(ledger: &Ledger) -> Result<Turn, Failure> {
    let start = Instant::now();
    let mut told = false;
    loop {
        if let Some(turn) = ledger.turn()? {
            return Ok(turn);
        }
        if start.elapsed() > PATIENCE {
            let message = format!("the agent's round took longer than {PATIENCE:?}");
            let hint = Some("see what it does: writ status".to_owned());
            return Err(Failure { message, hint, blame: Blame::World });
        }
        if !told {
            whisper("waiting for the agent's round to end\n");
            told = true;
        }
        sleep(GLANCE).await;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goes = if self.dry_run { "would go" } else { "retired" };
        let Retention { generations, versions, roots } = &self.retention;
        writeln!(f, "generations")?;
        let mut rest = generations.as_slice();
        while let [first, ..] = rest {
            let alike = rest.iter().take_while(|g| g.kept == first.kept).count();
            let name = match rest[alike - 1].generation {
                last if alike == 1 => last.to_string(),
                last => format!("{} to {last}", first.generation),
            };
            writeln!(f, "  {name:<24} {}", fate(&first.kept, goes))?;
            rest = &rest[alike..];
        }
        let mut services: BTreeMap<_, Vec<&Version>> = BTreeMap::new();
        for version in versions {
            services.entry(&version.service).or_default().push(version);
        }
        for (service, versions) in services {
            writeln!(f, "{service}")?;
            for Version { version, store_path, kept, .. } in versions {
                let name = format!("{version}  {}", store_path.label());
                writeln!(f, "  {name:<24} {}", fate(kept, goes))?;
            }
        }
        if !roots.is_empty() {
            writeln!(f, "downloads that are over")?;
        }
        roots.iter().try_for_each(|root| writeln!(f, "  {:<24} {goes}", root.label()))?;
        self.sum(f)
    }
}

impl Report {
    fn sum(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (versions, old) = (self.retention.going().count(), self.retention.old().count());
        if self.retention.is_quiet() {
            return writeln!(f, "everything is kept");
        }
        let what = format!("{} and {}", counted(versions, "version"), counted(old, "generation"));
        match self.dry_run {
            true => writeln!(f, "{what} would go"),
            false => writeln!(f, "{what} retired; nix gives their space back: writ gc --collect"),
        }
    }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn fate(kept: &BTreeSet<Why>, goes: &str) -> String {
    if kept.is_empty() {
        return goes.to_owned();
    }
    let why: Vec<_> = kept.iter().map(ToString::to_string).collect();
    format!("kept: {}", why.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::retention::Generation;

    fn report(dry_run: bool) -> Report {
        let generation = |generation, why: &[Why]| Generation {
            generation,
            kept: why.iter().copied().collect(),
        };
        let version = |name: &str, version: u64, why: &[Why]| Version {
            service: name.parse().unwrap(),
            version,
            store_path: format!("/nix/store/{}-{name}-1.{version}", "0".repeat(32))
                .parse()
                .unwrap(),
            kept: why.iter().copied().collect(),
        };
        let web = version("web", 1, &[]);
        let retention = Retention {
            generations: vec![
                generation(1, &[Why::Booted]),
                generation(2, &[]),
                generation(3, &[]),
                generation(4, &[]),
                generation(5, &[Why::Current, Why::LastGood, Why::Newest, Why::Recent]),
            ],
            roots: vec![web.store_path.clone()],
            versions: vec![
                version("api", 3, &[Why::Booted]),
                web,
                version("web", 2, &[Why::Current, Why::Recent]),
            ],
        };
        Report { dry_run, retention, collected: None }
    }

    #[test]
    fn it_tells_what_goes_and_why_the_rest_is_kept() {
        insta::assert_snapshot!(report(false), @r#"
        generations
          1                        kept: booted
          2 to 4                   retired
          5                        kept: current, last good, newest, recent
        api
          3  api-1.3               kept: booted
        web
          1  web-1.1               retired
          2  web-1.2               kept: current, recent
        downloads that are over
          web-1.1                  retired
        1 version and 3 generations retired; nix gives their space back: writ gc --collect
        "#);
        assert!(report(true).to_string().ends_with("1 version and 3 generations would go\n"));
    }

    #[test]
    fn programs_read_the_same() {
        let mut report = report(false);
        report.retention.versions.truncate(2);
        report.retention.generations.truncate(2);
        report.collected = Some(Collected { paths: 2, freed: 4096 });
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
        {
          "dryRun": false,
          "generations": [
            {
              "generation": 1,
              "kept": [
                "booted"
              ]
            },
            {
              "generation": 2,
              "kept": []
            }
          ],
          "versions": [
            {
              "service": "api",
              "version": 3,
              "storePath": "/nix/store/00000000000000000000000000000000-api-1.3",
              "kept": [
                "booted"
              ]
            },
            {
              "service": "web",
              "version": 1,
              "storePath": "/nix/store/00000000000000000000000000000000-web-1.1",
              "kept": []
            }
          ],
          "roots": [
            "/nix/store/00000000000000000000000000000000-web-1.1"
          ],
          "collected": {
            "paths": 2,
            "freed": 4096
          }
        }
        "#);
    }
}
