//! `writ log`: the generations of this host.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use jiff::Timestamp;

use super::generation::Entry;
use super::output::{age, terminal};
use super::{Failure, config_at, show, show_json};
use crate::config::DEFAULT_PATH;
use crate::ledger::Ledger;

/// List the generations of this host, newest first.
///
/// Shows each generation's number, commit, verdict, time of acceptance, duration until the
/// verdict, signer, author and subject, and which one is running.
///
/// Example: writ log -n 5
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How many to show.
    #[arg(short, default_value_t = 20)]
    n: usize,
    /// The host's config.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON: {"generations": […]}.
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
        show(table(&entries, terminal().width, Timestamp::now()));
    }
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

/// What stands over the columns; the first [`SHORT`] of them are those of a narrow terminal.
const HEADINGS: [&str; 7] = ["GEN", "COMMIT", "VERDICT", "ACCEPTED", "TOOK", "SIGNER", "AUTHOR"];
const SHORT: usize = 5;

/// One line a generation where that fits, two otherwise; with ages on a terminal.
fn table(entries: &[Entry], width: Option<usize>, now: Timestamp) -> String {
    let rows: Vec<[String; 7]> = entries.iter().map(row).collect();
    let age = |entry| width.map(|_| accepted(entry, now)).unwrap_or_default();
    let ages: Vec<String> = entries.iter().map(age).collect();
    let widths = widths(&rows);
    let whole = |(row, entry): (&[String; 7], &Entry)| cells(row, &widths) + &subject(entry);
    let lines: Vec<String> = rows.iter().zip(entries).map(whole).collect();
    let longest = lines.iter().zip(&ages).map(|(line, age)| line.chars().count() + age.len() + 2);
    let fits = width.is_none_or(|width| longest.max().unwrap_or_default() <= width);
    let headings = HEADINGS.map(str::to_owned);
    if fits {
        let heading = cells(&headings, &widths) + "SUBJECT";
        let aged = lines.iter().zip(&ages).map(|(line, age)| match age.is_empty() {
            true => format!("{line}\n"),
            false => format!("{line}  {age}\n"),
        });
        return format!("{heading}\n{}", aged.collect::<String>());
    }
    let mut text = cells(&headings[..SHORT], &widths).trim_end().to_owned() + "\n";
    for ((row, entry), age) in rows.iter().zip(entries).zip(ages) {
        text += cells(&row[..SHORT], &widths).trim_end();
        let (signer, subject) = (&entry.record.signer, subject(entry));
        text += &format!("\n     {age}, signed by {signer}: {subject}\n");
    }
    text
}

fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    let mut widths = HEADINGS.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

fn cells(row: &[String], widths: &[usize]) -> String {
    row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect()
}

/// The commit's subject, and what the generation is to the host.
fn subject(entry: &Entry) -> String {
    let marks = entry.marks().map(|marks| format!("  {marks}")).unwrap_or_default();
    format!("{}{marks}", entry.record.subject)
}

fn accepted(entry: &Entry, now: Timestamp) -> String {
    entry.record.accepted.parse().map(|at| age(at, now)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::super::output::lay_out;
    use super::*;
    use crate::ledger::CommitRecord;
    use crate::verdict::Verdict;

    fn entry(generation: u64, subject: &str, verdict: Option<Verdict>) -> Entry {
        let record = CommitRecord {
            commit: format!("{generation:x}").repeat(40).parse().unwrap(),
            signer: "alice".parse().unwrap(),
            key: format!("SHA256:{}", "a".repeat(43)).parse().unwrap(),
            author: "Bob <bob@acme.example> 1764550000 +0000".to_owned(),
            committed: 1_764_550_000,
            subject: subject.to_owned(),
            accepted: format!("2026-12-01T1{generation}:00:00Z"),
            urgent: false,
            must_pass: false,
            behind: None,
        };
        let (runs, seconds) = (verdict.is_none(), verdict.as_ref().map(|_| 75));
        Entry { generation, runs, last_good: runs, overtaken: false, record, verdict, seconds }
    }

    #[test]
    fn it_fits_terminals_from_60_columns_up() {
        let refused = Verdict::Refused {
            at: "2026-12-01T12:00:00Z".to_owned(),
            rule: "T1".to_owned(),
            reason: "r".to_owned(),
            because: Vec::new(),
            remedy: "x".to_owned(),
        };
        let entries = [
            entry(3, "web: 1.2.4", None),
            entry(2, "the database moves to another disk, and web waits for it", Some(refused)),
            entry(1, "web: 1.2.3", Some(Verdict::Confirmed { at: String::new() })),
        ];
        let now = "2026-12-01T13:03:00Z".parse().unwrap();
        let shown = [60, 80, 120, 160].map(|width| {
            let text = lay_out(&table(&entries, Some(width), now), width);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{width}:\n{text}");
            format!("--- {width}\n{text}")
        });
        insta::assert_snapshot!(shown.concat());
    }
}
