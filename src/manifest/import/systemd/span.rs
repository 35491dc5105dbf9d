//! Time spans and calendar events of systemd.time(7), as a manifest says them.

/// A time span as a manifest writes durations; `None` for what it cannot say.
pub(super) fn duration(text: &str) -> Option<String> {
    let microseconds = microseconds(text)?;
    if microseconds % 1000 != 0 {
        return None;
    }
    let milliseconds = microseconds / 1000;
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let mut rest = milliseconds;
    let mut told = String::new();
    for (unit, name) in units {
        if rest >= unit {
            told.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    Some(if told.is_empty() { "0s".to_owned() } else { told })
}

fn microseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        sum = sum.checked_add(product(number, unit_of(unit)?)?)?;
        rest = behind.trim_start();
    }
    Some(sum)
}

/// A decimal number of a unit.
fn product(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_add(fraction.parse::<u64>().ok()?.checked_mul(unit)? / scale)
}

fn unit_of(name: &str) -> Option<u64> {
    Some(match name {
        "us" | "usec" => 1,
        "ms" | "msec" => 1000,
        "" | "s" | "sec" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        "w" | "week" | "weeks" => 604_800_000_000,
        _ => return None,
    })
}

/// A calendar event as five cron fields and a time zone; `None` for what cron cannot say.
pub(super) fn cron(text: &str) -> Option<(String, Option<String>)> {
    let text = shorthand(text).unwrap_or(text);
    let (mut weekday, mut date, mut time, mut zone) = ("*".to_owned(), None, None, None);
    for (at, token) in text.split_whitespace().enumerate() {
        if time.is_none() && token.contains(':') {
            time = Some(token);
        } else if date.is_none()
            && time.is_none()
            && token.starts_with(|c: char| c.is_ascii_digit() || c == '*')
        {
            date = Some(token);
        } else if at == 0 {
            weekday = weekdays(token)?;
        } else if zone.is_none() && (time.is_some() || date.is_some()) {
            zone = Some(token.to_owned());
        } else {
            return None;
        }
    }
    let (month, day) = date.map_or(Some(("*".to_owned(), "*".to_owned())), day_of)?;
    let (hour, minute) = time.map_or(Some(("0".to_owned(), "0".to_owned())), time_of)?;
    // systemd wants both days to match, cron either.
    (weekday == "*" || day == "*")
        .then(|| (format!("{minute} {hour} {day} {month} {weekday}"), zone))
}

fn shorthand(text: &str) -> Option<&'static str> {
    Some(match text {
        "minutely" => "*-*-* *:*:00",
        "hourly" => "*-*-* *:00:00",
        "daily" => "*-*-* 00:00:00",
        "weekly" => "Mon *-*-* 00:00:00",
        "monthly" => "*-*-01 00:00:00",
        "quarterly" => "*-01,04,07,10-01 00:00:00",
        "semiannually" => "*-01,07-01 00:00:00",
        "yearly" | "annually" => "*-01-01 00:00:00",
        _ => return None,
    })
}

/// Month and day of a date in any year.
fn day_of(date: &str) -> Option<(String, String)> {
    let date = date.strip_prefix("*-").filter(|rest| rest.contains('-')).unwrap_or(date);
    let (month, day) = date.split_once('-')?;
    Some((field(month, 12)?, field(day, 31)?))
}

/// Hour and minute of a time at full minutes.
fn time_of(time: &str) -> Option<(String, String)> {
    let mut parts = time.split(':');
    let (hour, minute) = (field(parts.next()?, 23)?, field(parts.next()?, 59)?);
    let full = parts.next().is_none_or(|seconds| seconds.bytes().all(|b| b == b'0'));
    (full && parts.next().is_none()).then_some((hour, minute))
}

fn field(text: &str, last: u8) -> Option<String> {
    let items: Option<Vec<String>> = text.split(',').map(|item| field_item(item, last)).collect();
    Some(items?.join(","))
}

fn field_item(item: &str, last: u8) -> Option<String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step.parse::<u8>().ok()?)),
        None => (item, None),
    };
    let number = |text: &str| text.parse::<u8>().ok().filter(|n| *n <= last);
    let range = match (range.split_once(".."), step) {
        (Some((from, to)), _) => format!("{}-{}", number(from)?, number(to)?),
        (None, _) if range == "*" => "*".to_owned(),
        (None, None) => number(range)?.to_string(),
        // From there on, to the end.
        (None, Some(_)) => match number(range)? {
            0 => "*".to_owned(),
            from => format!("{from}-{last}"),
        },
    };
    Some(match step {
        Some(step) => format!("{range}/{step}"),
        None => range,
    })
}

fn weekdays(text: &str) -> Option<String> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |text: &str| {
        let text = text.to_ascii_lowercase();
        DAYS.iter().position(|day| text.starts_with(day))
    };
    let mut days = Vec::new();
    for item in text.split(',') {
        let (from, to) = item.split_once("..").unwrap_or((item, item));
        let (from, to) = (day(from)?, day(to)?);
        let to = if to < from { to + DAYS.len() } else { to };
        days.extend((from..=to).map(|at| DAYS[at % DAYS.len()]));
    }
    Some(days.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_durations() {
        for (text, told) in [
            ("5", "5s"),
            ("1min 30s", "1m30s"),
            ("500ms", "500ms"),
            ("1.5h", "1h30m"),
            ("2 hours", "2h"),
            ("1w", "7d"),
            ("0", "0s"),
        ] {
            assert_eq!(duration(text).as_deref(), Some(told), "{text}");
        }
        for text in ["infinity", "5us", "", "x", "1 fortnight"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn calendar_events_are_cron() {
        for (text, told) in [
            ("daily", "0 0 * * *"),
            ("weekly", "0 0 * * mon"),
            ("*-*-* 03:30:00", "30 3 * * *"),
            ("03:30", "30 3 * * *"),
            ("*:0/15", "*/15 * * * *"),
            ("*-*-* *:05/20:00", "5-59/20 * * * *"),
            ("Mon..Fri 22:30", "30 22 * * mon,tue,wed,thu,fri"),
            ("Sat,Sun *-*-* 08..18/2:00", "0 8-18/2 * * sat,sun"),
            ("*-1,7-01 04:00", "0 4 1 1,7 *"),
            ("*-*-01", "0 0 1 * *"),
        ] {
            assert_eq!(cron(text), Some((told.to_owned(), None)), "{text}");
            assert!(crate::manifest::cron::calendar(told, None).is_ok(), "{told}");
        }
        let berlin = Some("Europe/Berlin".to_owned());
        assert_eq!(cron("03:30 Europe/Berlin"), Some(("30 3 * * *".to_owned(), berlin)));
        for text in
            ["Mon *-*-01 00:00", "2026-01-01 00:00", "03:30:15", "*-*~1", "tomorrow", "25:00"]
        {
            assert_eq!(cron(text), None, "{text}");
        }
    }
}
