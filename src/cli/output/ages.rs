//! How long ago a time is, beside it: people ask that first.

use jiff::Timestamp;

use super::layout::NO_BREAK;

/// As long as `2026-12-01T02:38:02Z`.
const LENGTH: usize = 20;

/// The text with an age behind each time in a sentence. Times at the beginning of a line and in
/// columns stay alone: those are lists.
pub(super) fn with_ages(text: &str, now: Timestamp) -> String {
    text.split_inclusive('\n').map(|line| line_with_ages(line, now)).collect()
}

fn line_with_ages(line: &str, now: Timestamp) -> String {
    let mut told = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("20") {
        let (before, from) = rest.split_at(start);
        told += before;
        let Some((time, after)) = time_at(from) else {
            told += &from[..2];
            rest = &from[2..];
            continue;
        };
        told += &from[..LENGTH];
        let is_alone = told.len() > LENGTH && told[..told.len() - LENGTH].ends_with(' ');
        if is_alone && !after.starts_with("  ") {
            let age = age(time, now);
            let age = age.replace(' ', NO_BREAK.encode_utf8(&mut [0; 4]));
            told += &if after.starts_with(')') { format!(", {age}") } else { format!(" ({age})") };
        }
        rest = after;
    }
    told + rest
}

fn time_at(text: &str) -> Option<(Timestamp, &str)> {
    let (time, after) = text.split_at_checked(LENGTH)?;
    let is_over = !after.starts_with(|c: char| c.is_alphanumeric());
    (time.ends_with('Z') && is_over).then(|| time.parse().ok()).flatten().map(|time| (time, after))
}

/// `3 min ago`, `in 5 h`.
pub(in crate::cli) fn age(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    let length = length(seconds.unsigned_abs());
    match seconds {
        0.. => format!("{length} ago"),
        ..0 => format!("in {length}"),
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_a_sentence_has_its_age() {
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        let told = |text: &str| with_ages(text, now).replace(NO_BREAK, " ");
        assert_eq!(
            told("confirmed at 2026-12-01T11:57:00Z\n"),
            "confirmed at 2026-12-01T11:57:00Z (3 min ago)\n"
        );
        assert_eq!(
            told("healed  a file (at 2026-11-21T11:57:00Z)"),
            "healed  a file (at 2026-11-21T11:57:00Z, 10 days ago)"
        );
        assert_eq!(
            told("issued 2026-12-01T11:59:20Z, expires 2026-12-01T17:00:00Z"),
            "issued 2026-12-01T11:59:20Z (40 s ago), expires 2026-12-01T17:00:00Z (in 5 h)"
        );
    }

    #[test]
    fn lists_and_what_is_no_time_stay_as_they_are() {
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        for text in [
            "2026-12-01T11:57:00Z     3  confirmed  at 20\n",
            "3  confirmed  2026-12-01T11:57:00Z  4s  alice\n",
            "at 2026-12-01T11:57:00 and 20, 2026-13-41T11:57:00Z, 2026-12-01T11:57:00Zulu",
            "grüße 20ü26-12-01T11:57:00Z",
        ] {
            assert_eq!(with_ages(text, now), text);
        }
    }
}
