//! `writ log`: the generations of this host.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::generation::Entry;
use super::{Failure, config_at, show, show_json};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;

/// The generations of this host, newest first.
///
/// Of each its number, commit, verdict, when it was accepted, how long it took to the
/// verdict, who signed it, its author and subject, and which one runs.
///
/// Example: writ log -n 5
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How many.
    #[arg(short, default_value_t = 20)]
    n: usize,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// For programs: {"generations": […]}.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let ledger = Ledger::look(&config_at(&args.config)?.state_directory);
    let numbers = ledger.numbers()?;
    let mut entries = Vec::new();
    let mut damaged = None;
    for &number in numbers.iter().rev().take(args.n) {
        match ledger.generation(number) {
            Ok(generation) => entries.push(Entry::of(generation, &ledger)?),
            // The others can still be told.
            Err(error) => damaged = Some(error),
        }
    }
    if args.json {
        show_json(&serde_json::json!({ "generations": entries }))?;
    } else if numbers.is_empty() {
        show("this host has accepted nothing yet\n");
    } else {
        show(table(&entries));
    }
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

fn table(entries: &[Entry]) -> String {
    let rows: Vec<[String; 7]> = entries.iter().map(row).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (row, entry) in rows.iter().zip(entries) {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(&entry.record.subject);
        text.extend(entry.marks().map(|marks| format!("  {marks}")));
        text.push('\n');
    }
    text
}

fn row(entry: &Entry) -> [String; 7] {
    [
        entry.generation.to_string(),
        entry.record.commit.short().to_owned(),
        entry.word().to_owned(),
        entry.record.accepted.clone(),
        entry.duration(),
        entry.record.signer.to_string(),
        entry.author_name().to_owned(),
    ]
}
