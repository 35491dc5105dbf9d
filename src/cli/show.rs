//! `writ show`: everything that is recorded of one generation.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::generation::{Entry, Which};
use super::{Failure, config_at, show, show_json};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;
use crate::plan::record::PlanRecord;
use crate::verdict::Verdict;

/// Show one generation of this host: its commit, its verdict with the reason, and its plan.
///
/// The plan is the one begun last; after an interruption, that is what was left to do.
///
/// Example: writ show 12
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A number, `newest`, `current` or `last-good`.
    #[arg(default_value = "newest")]
    generation: Which,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: Entry,
    plan: Option<PlanRecord>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let ledger = Ledger::look(&config_at(&args.config)?.state_directory);
    let generation = args.generation.find(&ledger)?;
    let plan = ledger.recorded_plan(generation.number)?;
    let shown = Shown { entry: Entry::of(generation, &ledger)?, plan };
    if args.json {
        return show_json(&shown);
    }
    show(text(&shown));
    Ok(())
}

fn text(shown: &Shown) -> String {
    let Shown { entry, plan } = shown;
    let record = &entry.record;
    let marks = entry.marks().map(|marks| format!("  {marks}")).unwrap_or_default();
    let committed = entry.committed();
    let mut text = format!(
        "generation {}{marks}\ncommit     {}\nsubject    {}\nauthor     {}\nsigned by  {} ({})\ncommitted  {committed}\naccepted   {}\n",
        entry.generation,
        record.commit,
        record.subject,
        entry.author(),
        record.signer,
        record.key,
        record.accepted
    );
    match &entry.verdict {
        Some(verdict) => text.push_str(&format!("{verdict}\n")),
        None => text.push_str("not begun yet\n"),
    }
    if entry.overtaken {
        text.push_str("overtaken  newer generations took its place\n");
    }
    if entry.seconds.is_some() {
        text.push_str(&format!("took       {}\n", entry.duration()));
    }
    match plan {
        Some(plan) => {
            text.push_str("plan\n");
            text.extend(plan.lines.iter().map(|line| format!("  {line}\n")));
        }
        None if matches!(entry.verdict, Some(Verdict::Confirmed { .. })) => {
            text.push_str("plan\n  nothing to do\n");
        }
        None => {}
    }
    text
}
