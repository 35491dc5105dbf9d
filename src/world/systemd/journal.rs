//! A unit's last journal lines, fit to be shown.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::runs::Which;
use crate::names::UnitName;

const READ_WITHIN: Duration = Duration::from_secs(10);
/// Characters of one line; a stack trace in one line shall not fill a verdict.
const LONGEST_LINE: usize = 500;

/// What is asked of an entry.
const FIELDS: [&str; 3] = ["MESSAGE", "_SYSTEMD_INVOCATION_ID", "INVOCATION_ID"];

/// The last lines of a unit's run, oldest first; none where there is no journal.
pub(super) async fn last_lines(unit: &UnitName, lines: usize, which: &Which) -> Vec<String> {
    // What the process wrote last may still be on its way into the journal.
    run(&["--sync".to_owned()]).await;
    let mut asked =
        ["--output=json", "--all", "--boot", "--no-pager", "--quiet"].map(str::to_owned).to_vec();
    asked.push(format!("--output-fields={}", FIELDS.join(",")));
    asked.push(format!("--lines={lines}"));
    asked.push(format!("--unit={unit}"));
    let mut found = lines_of(&run(&asked).await, which);
    found.drain(..found.len().saturating_sub(lines));
    found
}

/// The lines of those entries that are meant.
fn lines_of(entries: &str, which: &Which) -> Vec<String> {
    let entries = entries.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let texts =
        entries.filter(|entry| which.has(entry)).filter_map(|entry| text(&entry["MESSAGE"]));
    texts.flat_map(|text| text.lines().map(harmless).collect::<Vec<_>>()).collect()
}

/// A field's value: what is not plain text is given byte by byte.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> =
                bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

async fn run(args: &[String]) -> String {
    let mut journalctl = Command::new("journalctl");
    journalctl.args(args).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(READ_WITHIN, journalctl.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // Evidence is for a person; that there is none fails nothing.
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

/// A service's output shall not drive the terminal of who reads it.
fn harmless(line: &str) -> String {
    let mut shown = String::new();
    for c in line.chars().take(LONGEST_LINE) {
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() || reorders(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if line.chars().nth(LONGEST_LINE).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that change the order in which others are shown (UAX #9).
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::super::runs::{Last, Runs};
    use super::*;

    #[test]
    fn lines_are_those_of_the_run_at_hand() {
        let entry = |at: &str, id: &str, message: &str| {
            format!(
                "{{\"__MONOTONIC_TIMESTAMP\":\"{at}\",\"_SYSTEMD_INVOCATION_ID\":\"{id}\",\"MESSAGE\":{message}}}\n"
            )
        };
        let late = u64::MAX.to_string();
        let entries = [
            entry("1", "one", "\"of an earlier boot's minute\""),
            entry(&late, "one", "\"late words of the run before\""),
            entry(&late, "two", "\"first\\nsecond\""),
            entry(&late, "three", "[114,27]"),
            entry(&late, "three", "null"),
            "cut off {".to_owned(),
        ]
        .concat();
        let (runs, unit) = (Runs::default(), "writ-web.service".parse().unwrap());
        runs.ends(&unit, "one".to_owned());
        runs.ends(&unit, String::new());
        let begun = Which::Begun(runs.of(&unit).unwrap());
        assert_eq!(lines_of(&entries, &begun), ["first", "second", r"r\u{1b}"]);
        let last = |invocation: &str| {
            let since = Duration::from_secs(5);
            let which = Which::Last(Last { invocation: invocation.to_owned(), since });
            let unknown = |at: &str| entry(at, "", "\"of a process that was gone\"");
            let unknown = [unknown("4999999"), unknown("5000000")].concat();
            let unknown = unknown.replace("\"_SYSTEMD_INVOCATION_ID\":\"\",", "");
            lines_of(&(entries.clone() + "\n" + &unknown), &which)
        };
        assert_eq!(last("two"), ["first", "second", "of a process that was gone"]);
        assert_eq!(
            last("one")[1..],
            ["late words of the run before", "of a process that was gone"]
        );
    }

    #[test]
    fn a_line_cannot_drive_a_terminal() {
        assert_eq!(harmless("\u{1b}[31mred\u{7}\tgrün"), r"\u{1b}[31mred\u{7} grün");
        assert_eq!(harmless("a\u{202e}b"), r"a\u{202e}b");
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = "ü".repeat(LONGEST_LINE + 1);
        assert_eq!(harmless(&line), format!("{}…", "ü".repeat(LONGEST_LINE)));
        assert_eq!(harmless(&line[2..]), "ü".repeat(LONGEST_LINE));
    }
}
