//! Colours, by the words that Writ itself writes: verdicts, states, labels and headings.
//!
//! A colour only underlines what the word says; nothing is told by colour alone.

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// What a line, or a cell of it, begins with.
const BEGINNINGS: [(&str, &str); 22] = [
    ("error:", RED),
    ("warning:", YELLOW),
    ("note:", CYAN),
    ("hint:", CYAN),
    ("next:", CYAN),
    ("applying since", YELLOW),
    ("confirmed at", GREEN),
    ("rolling back", YELLOW),
    ("being taken back", YELLOW),
    ("rolled back", RED),
    ("taken back", RED),
    ("refused at", RED),
    ("refused by rule", RED),
    ("waiting since", YELLOW),
    ("failed at", RED),
    ("failed:", RED),
    ("failed (", RED),
    ("crash loop", RED),
    ("not ready:", YELLOW),
    ("paused since", YELLOW),
    ("accepted:", GREEN),
    ("no longer paused", GREEN),
];

/// What a whole cell is.
const CELLS: [(&str, &str); 23] = [
    ("ok", GREEN),
    ("fine", GREEN),
    ("not ready", YELLOW),
    ("note", CYAN),
    ("WRONG", RED),
    ("active", GREEN),
    ("scheduled", GREEN),
    ("confirmed", GREEN),
    ("activating", YELLOW),
    ("applying", YELLOW),
    ("waiting", YELLOW),
    ("rolling-back", YELLOW),
    ("failed", RED),
    ("refused", RED),
    ("rolled-back", RED),
    ("rolled back", RED),
    ("fault", RED),
    ("drift", YELLOW),
    ("no cache", YELLOW),
    ("waits for", YELLOW),
    ("hint", CYAN),
    ("reason", BOLD),
    ("healed", GREEN),
];

/// What a whole line is, and what stands over columns.
const HEADINGS: [&str; 4] = ["services", "routes", "plan", "GEN  "];

/// The text with colours; each is over at the end of its word.
pub(super) fn paint(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let body = line.trim_end_matches('\n');
    let end = &line[body.len()..];
    let is_heading = HEADINGS.iter().any(|heading| match heading.ends_with(' ') {
        true => body.starts_with(heading),
        false => body == *heading,
    });
    if is_heading {
        return format!("{BOLD}{body}{PLAIN}{end}");
    }
    let mut painted = String::with_capacity(line.len());
    let mut rest = body;
    while !rest.is_empty() {
        let (gap, from) = rest.split_at(rest.len() - rest.trim_start_matches(' ').len());
        painted += gap;
        let cell_end = from.find("  ").unwrap_or(from.len());
        let (cell, after) = from.split_at(cell_end);
        painted += &paint_cell(cell);
        rest = after;
    }
    painted + end
}

fn paint_cell(cell: &str) -> String {
    if let Some((_, color)) = CELLS.iter().find(|(word, _)| *word == cell.trim_end()) {
        return format!("{color}{cell}{PLAIN}");
    }
    match BEGINNINGS.iter().find(|(beginning, _)| cell.starts_with(beginning)) {
        Some((beginning, color)) => {
            format!("{color}{beginning}{PLAIN}{}", &cell[beginning.len()..])
        }
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::verdict::Verdict;

    #[test]
    fn a_colour_takes_nothing_away_and_ends_with_its_word() {
        let text = "biz\nconfirmed at noon\n  reason   could not\n\nservices\n  web  active  web-1\nGEN  COMMIT\n";
        let painted = paint(text);
        assert_eq!(console::strip_ansi_codes(&painted), text);
        assert_eq!(painted.matches(PLAIN).count(), 5);
        for line in painted.lines().filter(|line| line.contains('\x1b')) {
            let (last, plain) = (line.rfind("\x1b[").unwrap(), line.rfind(PLAIN).unwrap());
            assert_eq!(last, plain, "{line:?}");
        }
    }

    /// Words of the verdict and their colours cannot part.
    #[test]
    fn every_verdict_has_its_colour() {
        let fault = || Fault::refuse("see web", "it failed");
        let (at, step) = (|| "noon".to_owned(), || "watch".to_owned());
        let verdicts = [
            Verdict::Applying { since: at() },
            Verdict::Confirmed { at: at() },
            Verdict::RollingBack { since: at(), to: None, step: step(), fault: fault() },
            Verdict::RolledBack { at: at(), to: None, step: step(), fault: fault() },
            Verdict::Refused {
                at: at(),
                rule: "T1".to_owned(),
                reason: "x".to_owned(),
                because: Vec::new(),
                remedy: "y".to_owned(),
            },
            Verdict::Waiting { since: at(), reasons: Vec::new() },
            Verdict::Failed { at: at(), step: step(), fault: fault(), rollback: fault() },
        ];
        for verdict in verdicts {
            assert!(paint(&verdict.to_string()).starts_with('\x1b'), "{verdict}");
            assert_ne!(paint_cell(verdict.word()), verdict.word());
        }
    }
}
