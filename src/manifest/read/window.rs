//! Reads a host's deploy windows.

use std::str::FromStr;
use std::time::Duration;

use cron::Schedule;

use crate::manifest::problem::Report;
use crate::manifest::table::{Field, Spotted, Table, table, text};
use crate::manifest::tree::{Node, Value};
use crate::manifest::window::{Window, Windows, Zone};
use crate::names::Literal;

/// How long a window is that does not say so.
const LENGTH: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Reads `windows` and `timezone` of a host's table.
pub(super) fn read(table: &Table<'_, '_>) -> Windows {
    let list: Vec<Window> =
        table.list::<Window>("windows").into_iter().map(|window| window.value).collect();
    let zone = table.spotted::<Literal>("timezone");
    if let (Some(zone), None) = (&zone, table.entry("windows")) {
        let what = "`timezone` has no effect: the host has no `windows`";
        table.report.add(zone.at, what, "remove it, or give the host windows");
    }
    Windows { list, zone: zone.map_or_else(Zone::utc, |zone| named(zone, table.report)) }
}

fn named(zone: Spotted<'_, Literal>, report: &Report) -> Zone {
    let name = zone.value.as_str();
    Zone::named(name).unwrap_or_else(|| {
        let what = format!("{name:?} is no time zone that writ knows");
        report.add(zone.at, what, "write an IANA name: \"Europe/Berlin\" or \"UTC\"");
        Zone::utc()
    })
}

/// `"0 0 2-5 * * Mon-Fri"`, or the same with a length.
impl Field for Window {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Table(_) => table(node, "the window", report, long)?,
            _ => Some(Self { schedule: schedule(node, report)?, length: LENGTH }),
        }
    }
}

fn long(table: &Table<'_, '_>) -> Option<Window> {
    let cron = table.entry("cron");
    if cron.is_none() {
        table.lacks("cron", "write when it opens: cron = \"0 30 2 * * *\" is at 02:30");
    }
    let length = table.spotted::<Duration>("for");
    let schedule = cron.and_then(|cron| schedule(&cron.node, table.report));
    if let Some(length) = &length
        && !(SHORTEST..=LONGEST).contains(&length.value)
    {
        let what = format!("a window of {:?} is too short or too long", length.value);
        table.report.add(length.at, what, "write a length from \"1m\" to \"7d\"");
    }
    Some(Window { schedule: schedule?, length: length.map_or(LENGTH, |length| length.value) })
}

/// Six cron fields, seconds first, as the `cron` crate reads them.
fn schedule(node: &Node<'_>, report: &Report) -> Option<Schedule> {
    let text = text(node, report)?;
    let remedy = "write six fields: second, minute, hour, day of month, month, day of week; \
                  for example \"0 0 2-5 * * Mon-Fri\"";
    let mut fields: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let number = fields.len();
    let Some(weekday) = fields.get_mut(5).filter(|_| number == 6) else {
        let what = format!("the window {text:?} has {number} fields, not six");
        report.add(node.at, what, remedy);
        return None;
    };
    *weekday = weekday.split(',').map(named_days).collect::<Vec<_>>().join(",");
    match Schedule::from_str(&fields.join(" ")) {
        Ok(schedule) if schedule.after(&chrono::DateTime::UNIX_EPOCH).next().is_none() => {
            let what = format!("the window {text:?} never opens: no month has such a day");
            report.add(node.at, what, "mend the day of month or the month");
            None
        }
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let why = error.to_string();
            // The lines before the last repeat the text and point into it.
            let why = why.lines().next_back().unwrap_or_default();
            report.add(node.at, format!("the window {text:?} is no cron: {why}"), remedy);
            None
        }
    }
}

/// An item of the weekdays with its numbers as names: to the `cron` crate 1 is Sunday,
/// and to crontab(5), and so to `[schedule]`, Monday.
fn named_days(item: &str) -> String {
    const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let day = |text: &str| text.parse::<usize>().ok().filter(|day| *day <= 7);
    match (day(from), day(to), step.parse::<usize>()) {
        (Some(from), Some(to), Ok(step @ 1..)) if from <= to => {
            let days: Vec<&str> = (from..=to).step_by(step).map(|day| NAMES[day % 7]).collect();
            days.join(",")
        }
        // Names and `*`, or nothing at all, which the crate tells.
        _ => item.to_owned(),
    }
}
