//! The numbers as a table, with what they should be.

use std::time::Duration;

use crate::floor::Floor;
use crate::meter::Calls;

/// What was measured on a host with so many services.
pub(crate) struct Column {
    pub(crate) services: usize,
    pub(crate) quiet: Duration,
    pub(crate) quiet_cpu: Duration,
    /// A quiet round and the status at its end, as `writ sync` shows it.
    pub(crate) status_cpu: Duration,
    pub(crate) quiet_calls: Calls,
    pub(crate) one: Duration,
    pub(crate) one_cpu: Duration,
    pub(crate) one_calls: Calls,
    pub(crate) all_new: Duration,
    pub(crate) all_changed: Duration,
    pub(crate) floor: Floor,
    /// In bytes.
    pub(crate) memory: u64,
}

/// What a number is to be, in words, and whether it is.
type Target = (&'static str, fn(&Column) -> bool);

/// How a number is read from a column, and where there is a target, whether it is met.
struct Row {
    name: &'static str,
    show: fn(&Column) -> String,
    target: Option<Target>,
}

const ROWS: [Row; 18] = [
    row("quiet round, time", |c| ms(c.quiet)),
    aimed(
        "quiet round, CPU",
        |c| ms(c.quiet_cpu),
        "< 60 ms",
        |c| c.quiet_cpu < Duration::from_millis(60),
    ),
    row("quiet round with `writ sync`, CPU", |c| ms(c.status_cpu)),
    row("quiet round, D-Bus calls", |c| c.quiet_calls.bus.to_string()),
    aimed(
        "… about one unit",
        |c| c.quiet_calls.about_a_unit.to_string(),
        "0",
        |c| c.quiet_calls.about_a_unit == 0,
    ),
    row("quiet round, requests to Caddy", |c| c.quiet_calls.caddy_reads.to_string()),
    aimed(
        "quiet round, programs",
        |c| names(&c.quiet_calls),
        "no nix",
        |c| !names(&c.quiet_calls).contains("nix"),
    ),
    aimed(
        "one change: branch moved → started",
        |c| ms(c.one),
        "< 400 ms",
        |c| c.one < Duration::from_millis(400),
    ),
    row("one change, CPU to confirmed", |c| ms(c.one_cpu)),
    row("one change, D-Bus calls", |c| c.one_calls.bus.to_string()),
    aimed(
        "one change, daemon-reloads",
        |c| c.one_calls.daemon_reloads.to_string(),
        "0",
        |c| c.one_calls.daemon_reloads == 0,
    ),
    aimed(
        "one change, changes of Caddy",
        |c| c.one_calls.caddy_changes.to_string(),
        "0",
        |c| c.one_calls.caddy_changes == 0,
    ),
    row("one change, programs", |c| names(&c.one_calls)),
    aimed(
        "all changed → all started",
        |c| ms(c.all_changed),
        "< 1.3 × restart",
        |c| c.all_changed < c.floor.restart * 13 / 10,
    ),
    row("floor: RestartUnit for all, 16 at once", |c| ms(c.floor.restart)),
    aimed(
        "all new → all started",
        |c| ms(c.all_new),
        "< 1.3 × start",
        |c| c.all_new < c.floor.start * 13 / 10,
    ),
    row("floor: StartUnit for all, 16 at once", |c| ms(c.floor.start)),
    aimed(
        "memory at its highest",
        |c| format!("{:.1} MB", c.memory as f64 / 1e6),
        "< 60 MB",
        |c| c.memory < 60_000_000,
    ),
];

const fn row(name: &'static str, show: fn(&Column) -> String) -> Row {
    Row { name, show, target: None }
}

const fn aimed(
    name: &'static str,
    show: fn(&Column) -> String,
    target: &'static str,
    met: fn(&Column) -> bool,
) -> Row {
    Row { name, show, target: Some((target, met)) }
}

/// Targets are for the last column.
pub(crate) fn print(columns: &[Column]) {
    let Some(last) = columns.last() else { return };
    let sizes: Vec<String> = columns.iter().map(|column| column.services.to_string()).collect();
    println!("| services | {} | target | |", sizes.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(columns.len()));
    for Row { name, show, target } in &ROWS {
        let cells: Vec<String> = columns.iter().map(show).collect();
        let (target, verdict) = match target {
            Some((target, met)) => (*target, if met(last) { "met" } else { "missed" }),
            None => ("", ""),
        };
        println!("| {name} | {} | {target} | {verdict} |", cells.join(" | "));
    }
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn names(calls: &Calls) -> String {
    match calls.programs.as_deref() {
        None => "not counted".to_owned(),
        Some([]) => "none".to_owned(),
        Some(programs) => programs.join(", "),
    }
}
