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
/// Lines of systemd that are shown however much the unit said itself.
const OF_SYSTEMD: usize = 2;
/// Entries that are read for each line that is wanted: systemd's own are told last.
const READ_MORE: usize = 4;

/// The last lines of a unit's run: what it said itself, oldest first, then what systemd said
/// of it, where that leaves room. None where there is no journal.
pub(super) async fn last_lines(unit: &UnitName, lines: usize, which: &Which) -> Vec<String> {
    // What the process wrote last may still be on its way into the journal.
    run(&["--sync".to_owned()]).await;
    let mut asked =
        ["--output=json", "--all", "--boot", "--no-pager", "--quiet"].map(str::to_owned).to_vec();
    asked.push(format!("--output-fields={}", FIELDS.join(",")));
    asked.push(format!("--lines={}", lines * READ_MORE));
    asked.push(format!("--unit={unit}"));
    let (own, others) = lines_of(&run(&asked).await, which);
    own_first(own, others, lines)
}

/// What of a run is shown. Where both said much, systemd's last word has a place too: it is
/// the one with the result.
fn own_first(mut own: Vec<String>, mut others: Vec<String>, lines: usize) -> Vec<String> {
    let room = lines.saturating_sub(others.len().min(OF_SYSTEMD));
    own.drain(..own.len().saturating_sub(room));
    others.drain(..others.len().saturating_sub(lines.saturating_sub(own.len())));
    own.extend(others);
    own
}

/// The lines of those entries that are meant: the unit's own, and systemd's of it.
fn lines_of(entries: &str, which: &Which) -> (Vec<String>, Vec<String>) {
    let entries = entries.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for entry in entries.filter(|entry| which.has(entry)) {
        // Only systemd writes this field of another's run.
        let lines = if entry["INVOCATION_ID"].is_string() { &mut others } else { &mut own };
        lines.extend(text(&entry["MESSAGE"]).iter().flat_map(|text| text.lines()).map(harmless));
    }
    (own, others)
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
        assert_eq!(lines_of(&entries, &begun).0, ["first", "second", r"r\u{1b}"]);
        let last = |invocation: &str| {
            let since = Duration::from_secs(5);
            let which = Which::Last(Last { invocation: invocation.to_owned(), since });
            let unknown = |at: &str| entry(at, "", "\"of a process that was gone\"");
            let unknown = [unknown("4999999"), unknown("5000000")].concat();
            let unknown = unknown.replace("\"_SYSTEMD_INVOCATION_ID\":\"\",", "");
            lines_of(&(entries.clone() + "\n" + &unknown), &which).0
        };
        assert_eq!(last("two"), ["first", "second", "of a process that was gone"]);
        assert_eq!(
            last("one")[1..],
            ["late words of the run before", "of a process that was gone"]
        );
    }

    #[test]
    fn the_units_own_last_words_come_first_and_systemds_result_is_kept() {
        let lines = |what: &str, count: usize| (0..count).map(|n| format!("{what} {n}")).collect();
        assert_eq!(
            own_first(lines("own", 9), lines("systemd", 9), 4),
            ["own 7", "own 8", "systemd 7", "systemd 8"]
        );
        assert_eq!(own_first(Vec::new(), lines("systemd", 3), 2), ["systemd 1", "systemd 2"]);
        assert_eq!(own_first(lines("own", 1), lines("systemd", 1), 9), ["own 0", "systemd 0"]);
    }

    /// As journald has them: systemd's word names the run that it is about.
    #[test]
    fn what_systemd_says_is_told_from_what_the_unit_says() {
        let entries = concat!(
            r#"{"INVOCATION_ID":"one","MESSAGE":"Started web"}"#,
            "\n",
            r#"{"_SYSTEMD_INVOCATION_ID":"one","MESSAGE":"no such table"}"#,
            "\n",
            r#"{"INVOCATION_ID":"one","MESSAGE":"Main process exited, status=1"}"#,
        );
        let last = Last { invocation: "one".to_owned(), since: Duration::ZERO };
        let (own, others) = lines_of(entries, &Which::Last(last));
        assert_eq!(own, ["no such table"]);
        assert_eq!(others, ["Started web", "Main process exited, status=1"]);
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
