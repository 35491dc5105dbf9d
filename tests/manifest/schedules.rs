//! A job's calendar events against the `cron` crate, which knows nothing of ours.

use std::str::FromStr;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use proptest::prelude::*;

use writ::manifest::service::Work;

use super::*;

/// A field as our crontab and the crate's both spell it, days of the week by name.
fn field(first: u8, last: u8, names: &'static [&'static str]) -> BoxedStrategy<String> {
    let word = move |value: u8| match names {
        [] => value.to_string(),
        names => names[usize::from(value - first)].to_owned(),
    };
    let range = (first..=last, first..=last).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let item = prop_oneof![
        (first..=last).prop_map(word),
        range.clone().prop_map(move |(a, b)| format!("{}-{}", word(a), word(b))),
        (range, 1..=last).prop_map(move |((a, b), n)| format!("{}-{}/{n}", word(a), word(b))),
    ];
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..=last).prop_map(|n| format!("*/{n}")),
        3 => proptest::collection::vec(item, 1..4).prop_map(|items| items.join(",")),
    ]
    .boxed()
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn calendar(cron: &str) -> Option<Vec<String>> {
    let rest = format!("[schedule]\ncron = \"{cron}\"\n");
    let manifest = draft(&web(&rest)).ok()?;
    let desired = manifest.desired(&"any".parse().unwrap());
    match desired.services.into_values().next()?.work {
        Work::Job { schedule, .. } => Some(schedule.calendar),
        Work::Daemon { .. } | Work::Oneshot { .. } | Work::Static { .. } => None,
    }
}

/// Whether a calendar event of the form `Mon,Tue *-01,02-03 04,05:06:00` elapses.
fn elapses(event: &str, at: DateTime<Utc>) -> bool {
    let among = |list: &str, value: u32| {
        list == "*" || list.split(',').any(|item| item.parse() == Ok(value))
    };
    let mut words = event.split(' ').peekable();
    let weekday = words.next_if(|word| word.starts_with(char::is_alphabetic));
    let date: Vec<&str> = words.next().unwrap().split('-').collect();
    let time: Vec<&str> = words.next().unwrap().split(':').collect();
    assert_eq!((date[0], time[2], words.next()), ("*", "00", None));
    weekday.is_none_or(|days| days.split(',').any(|day| day == at.weekday().to_string()))
        && among(date[1], at.month())
        && among(date[2], at.day())
        && among(time[0], at.hour())
        && among(time[1], at.minute())
        && at.second() == 0
}

proptest! {
    #[test]
    fn a_job_runs_when_its_crontab_line_says(
        minute in field(0, 59, &[]),
        hour in field(0, 23, &[]),
        day in field(1, 31, &[]),
        month in field(1, 12, MONTHS),
        weekday in field(0, 6, DAYS),
        start in 1_700_000_000_i64..1_900_000_000,
    ) {
        let events = calendar(&format!("{minute} {hour} {day} {month} {weekday}"));
        // The crate wants both days to match where crontab(5) wants either.
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        let days = if either { vec![(day.as_str(), "*"), ("*", weekday.as_str())] }
            else { vec![(day.as_str(), weekday.as_str())] };
        let oracles: Vec<cron::Schedule> = days
            .iter()
            .map(|(d, w)| format!("0 {minute} {hour} {d} {month} {w}"))
            .map(|line| cron::Schedule::from_str(&line).unwrap())
            .collect();
        let start = DateTime::from_timestamp(start, 0).unwrap();
        let first = oracles.iter().filter_map(|oracle| oracle.after(&start).next()).min();
        let Some(events) = events else {
            // Refused, because there is no such day.
            prop_assert_eq!(first, None);
            return Ok(());
        };
        let from = first.unwrap_or(start) - TimeDelta::hours(2);
        for minutes in 0..2 * 24 * 60 {
            let at = from + TimeDelta::minutes(minutes);
            let at = at.with_second(0).unwrap();
            let expected = oracles.iter().any(|oracle| oracle.includes(at));
            prop_assert_eq!(events.iter().any(|e| elapses(e, at)), expected, "{} {:?}", at, events);
        }
    }
}
