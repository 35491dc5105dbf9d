//! Five-field cron as crontab(5) means it, turned into systemd.time(7) calendar events.

use super::problem::nearest;

/// One of the five fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// Words for the values from `first` on.
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", first: 0, last: 59, words: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, words: &[] };
const DAY: Field = Field { name: "day of month", first: 1, last: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday as 0 is.
const WEEKDAY: Field = Field {
    name: "day of week",
    first: 0,
    last: 7,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// crontab(5)'s shorthands; `@reboot` is none of them, as a timer of ours does
/// not run at boot.
const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What a crontab line cannot be, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadCron {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl BadCron {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// The values a field allows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    field: Field,
    /// Bit n stands for the value n.
    values: u64,
    /// Written with a `*`: crontab(5) calls a field without one "restricted".
    star: bool,
}

/// The calendar events that together elapse when the crontab line does, in the
/// time zone given or else the host's.
pub(super) fn calendar(cron: &str, timezone: Option<&str>) -> Result<Vec<String>, BadCron> {
    let [minute, hour, day, month, weekday] = fields(cron)?;
    let time = format!("{}:{}:00", hour.list(), minute.list());
    let zone = timezone.map(|zone| format!(" {zone}")).unwrap_or_default();
    let event = |weekday: Option<&Allowed>, day: Option<&Allowed>| {
        let weekday = weekday.map(Allowed::weekdays).unwrap_or_default();
        let day = day.map_or_else(|| "*".to_owned(), Allowed::list);
        format!("{weekday}*-{}-{day} {time}{zone}", month.list())
    };
    // crontab(5): where both days are restricted, either of them will do.
    let either_day = !day.star && !weekday.star;
    if !exists(&day, &month) && !either_day {
        let what = format!("no month of {cron:?} has such a day");
        return Err(BadCron::new(what, "mend the day of month or the month"));
    }
    Ok(if either_day {
        vec![event(Some(&weekday), None), event(None, Some(&day))]
    } else {
        vec![event(Some(&weekday), Some(&day))]
    })
}

fn fields(cron: &str) -> Result<[Allowed; 5], BadCron> {
    let remedy = "write five fields: minute, hour, day of month, month, day of week";
    let cron = match SHORTHANDS.iter().find(|(word, _)| *word == cron) {
        Some((_, fields)) => fields,
        None if cron == "@reboot" => {
            let remedy = "leave [schedule] out and write `type = \"oneshot\"` in [exec]";
            return Err(BadCron::new("`@reboot` is no time", remedy));
        }
        None if cron.starts_with('@') => {
            let words = SHORTHANDS.map(|(word, _)| word);
            let remedy = match nearest(cron, &words) {
                Some(word) => format!("did you mean `{word}`?"),
                None => remedy.to_owned(),
            };
            return Err(BadCron::new(format!("{cron:?} is no cron shorthand"), remedy));
        }
        None => cron,
    };
    let written: Vec<&str> = cron.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = written[..] else {
        let what = format!("{cron:?} has {} fields, not five", written.len());
        return Err(BadCron::new(what, remedy));
    };
    Ok([
        MINUTE.read(minute)?,
        HOUR.read(hour)?,
        DAY.read(day)?,
        MONTH.read(month)?,
        WEEKDAY.read(weekday)?,
    ])
}

impl Field {
    fn read(self, text: &str) -> Result<Allowed, BadCron> {
        let mut values = 0;
        for item in text.split(',') {
            values |= self.item(item)?;
        }
        if self == WEEKDAY && values & (1 << 7) != 0 {
            values = values & !(1 << 7) | 1;
        }
        Ok(Allowed { field: self, values, star: text.starts_with('*') })
    }

    /// `*`, `*/n`, `a`, `a-b` or `a-b/n`.
    fn item(self, item: &str) -> Result<u64, BadCron> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if range == "*" => (self.first, self.last - u8::from(self == WEEKDAY)),
            None if step.is_some() => {
                let what = format!("{item:?} of the {} has a step without a range", self.name);
                return Err(BadCron::new(what, format!("write \"{range}-{}/n\"", self.last)));
            }
            None => (self.value(range)?, self.value(range)?),
        };
        if from > to {
            let what = format!("{item:?} of the {} runs backwards", self.name);
            let (first, last) = (self.first, self.last);
            return Err(BadCron::new(what, format!("write \"{from}-{last},{first}-{to}\"")));
        }
        Ok((from..=to).step_by(step.unwrap_or(1)).fold(0, |bits, value| bits | 1 << value))
    }

    fn step(self, text: &str) -> Result<usize, BadCron> {
        let step = number(text).filter(|step| (1..=self.last).contains(step));
        step.map(usize::from).ok_or_else(|| {
            let what = format!("{text:?} is no step of the {}", self.name);
            BadCron::new(what, format!("write a number from 1 to {}", self.last))
        })
    }

    fn value(self, text: &str) -> Result<u8, BadCron> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let word = word.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.first);
        let value = word.or_else(|| number(text)).filter(|v| (self.first..=self.last).contains(v));
        value.ok_or_else(|| {
            let what = format!("{text:?} is no {}", self.name);
            let words = match self.words {
                [first, .., last] => format!(", or {first} to {last}"),
                _ => String::new(),
            };
            BadCron::new(what, format!("write {} to {}{words}", self.first, self.last))
        })
    }
}

/// Digits only: `parse` alone would take a sign too.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Allowed {
    fn has(&self, value: u8) -> bool {
        self.values & (1 << value) != 0
    }

    /// The values, or `*` for all of them.
    fn list(&self) -> String {
        let all = self.field.first..=self.field.last;
        if all.clone().all(|value| self.has(value)) {
            return "*".to_owned();
        }
        let values: Vec<String> =
            all.filter(|value| self.has(*value)).map(|value| format!("{value:02}")).collect();
        values.join(",")
    }

    /// The days of the week with a space behind; nothing for all seven.
    fn weekdays(&self) -> String {
        const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        let days: Vec<&str> =
            (0..7).zip(NAMES).filter(|(day, _)| self.has(*day)).map(|(_, name)| name).collect();
        if days.len() == 7 { String::new() } else { format!("{} ", days.join(",")) }
    }
}

/// Whether any of the months has any of the days.
fn exists(day: &Allowed, month: &Allowed) -> bool {
    const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    (1..=12).zip(LENGTHS).any(|(m, length)| month.has(m) && (1..=length).any(|d| day.has(d)))
}

/// Whether this is the shape of an IANA time zone's name: `Europe/Berlin`. Which
/// zones there are is the host's knowledge.
pub(super) fn is_timezone(text: &str) -> bool {
    text.len() <= 64
        && text.split('/').all(|part| {
            part.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(cron: &str) -> Vec<String> {
        calendar(cron, None).unwrap()
    }

    #[test]
    fn a_crontab_line_becomes_calendar_events() {
        assert_eq!(events("0 3 * * *"), ["*-*-* 03:00:00"]);
        assert_eq!(
            events("*/20 9-17 * * MON-fri"),
            ["Mon,Tue,Wed,Thu,Fri *-*-* 09,10,11,12,13,14,15,16,17:00,20,40:00"]
        );
        assert_eq!(events("0 0 1 jan,7 *"), ["*-01,07-01 00:00:00"]);
        assert_eq!(events("@weekly"), ["Sun *-*-* 00:00:00"]);
        assert_eq!(
            calendar("0 3 * * *", Some("Europe/Berlin")).unwrap(),
            ["*-*-* 03:00:00 Europe/Berlin"]
        );
    }

    #[test]
    fn seven_is_sunday() {
        assert_eq!(events("0 0 * * 7"), events("0 0 * * 0"));
        assert_eq!(events("0 0 * * 5-7"), ["Sun,Fri,Sat *-*-* 00:00:00"]);
        assert_eq!(events("0 0 * * 1-7"), events("0 0 * * *"));
    }

    #[test]
    fn two_restricted_days_are_two_events() {
        assert_eq!(events("0 0 13 * 5"), ["Fri *-*-* 00:00:00", "*-*-13 00:00:00"]);
        // A `*` with a step does not restrict: both must hold.
        assert_eq!(events("0 0 */15 * 1"), ["Mon *-*-01,16,31 00:00:00"]);
    }

    #[test]
    fn what_is_no_crontab_line_says_why() {
        for (cron, what) in [
            ("0 3 * *", "has 4 fields"),
            ("60 3 * * *", "\"60\" is no minute"),
            ("0 3 * * 8", "\"8\" is no day of week"),
            ("0 3 * mai *", "\"mai\" is no month"),
            ("0 22-4 * * *", "runs backwards"),
            ("5/10 * * * *", "a step without a range"),
            ("*/0 * * * *", "no step"),
            ("+5 * * * *", "no minute"),
            (",5 * * * *", "no minute"),
            ("@reboot", "no time"),
            ("@dayly", "no cron shorthand"),
            ("0 0 31 2,4 *", "no month"),
        ] {
            let bad = calendar(cron, None).unwrap_err();
            assert!(bad.what.contains(what), "{cron}: {}", bad.what);
        }
        assert!(calendar("0 0 30 2 1", None).is_ok(), "the Mondays of February remain");
    }

    #[test]
    fn a_time_zone_is_a_plain_path() {
        for zone in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(is_timezone(zone), "{zone}");
        }
        for zone in ["", "Europe/", "../etc/passwd", "Europe Berlin", "utc\n"] {
            assert!(!is_timezone(zone), "{zone}");
        }
    }
}
