//! A unit's last journal lines, fit to be shown.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::names::UnitName;

const READ_WITHIN: Duration = Duration::from_secs(10);
/// Characters of one line; a stack trace in one line shall not fill a verdict.
const LONGEST_LINE: usize = 500;

/// The last lines of this boot, oldest first; none where there is no journal.
pub(super) async fn last_lines(unit: &UnitName, lines: usize) -> Vec<String> {
    // What the process wrote last may still be on its way into the journal.
    run(&["--sync"]).await;
    let count = lines.to_string();
    let unit = unit.as_str();
    let text = run(&[
        "--unit",
        unit,
        "--lines",
        &count,
        "--output=cat",
        "--boot",
        "--no-pager",
        "--quiet",
    ])
    .await;
    text.lines().map(harmless).collect()
}

async fn run(args: &[&str]) -> String {
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
    use super::*;

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
