//! What is wrong with a manifest, gathered and shown all at once.

use std::cell::RefCell;
use std::fmt;

/// Problems shown of one file; a file with more is broken as a whole.
const SHOWN_PER_FILE: usize = 100;

/// Characters of one message.
const LONGEST: usize = 500;

/// One thing that is wrong with a manifest, where, why, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file's path from the repository's root.
    pub file: String,
    /// From 1; 0 where the problem is the file itself.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub what: String,
    pub remedy: String,
}

/// Every problem of a manifest, in order of file, line and column; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.file))?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}\n  hint: {}", self.what, self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem; no host will act on this manifest"),
            n => write!(f, "{n} problems; no host will act on this manifest"),
        }
    }
}

impl std::error::Error for Problems {}

/// A place in one of the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    file: &'a str,
    text: &'a str,
    /// A byte of `text`; `None` is the file as a whole.
    at: Option<usize>,
}

impl<'a> Spot<'a> {
    /// The file as a whole.
    pub(super) fn file(file: &'a str, text: &'a str) -> Self {
        Self { file, text, at: None }
    }

    /// A byte of the same file.
    pub(super) fn at(self, byte: usize) -> Self {
        Self { at: Some(byte), ..self }
    }

    /// `file:line`, for a problem that concerns two places.
    pub(super) fn brief(&self) -> String {
        match self.line_and_column() {
            (0, _) => self.file.to_owned(),
            (line, _) => format!("{}:{line}", self.file),
        }
    }

    /// What tells places apart.
    pub(super) fn key(&self) -> (&'a str, Option<usize>) {
        (self.file, self.at)
    }

    fn line_and_column(&self) -> (usize, usize) {
        let Some(at) = self.at else { return (0, 0) };
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// The problems found so far.
///
/// Readers share it, so that none of them has to stop at its first problem.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Found>);

#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    /// Per file: how many there were, shown or not.
    counts: std::collections::BTreeMap<String, usize>,
}

impl Report {
    /// Notes a problem.
    pub(super) fn add(&self, spot: Spot<'_>, what: impl Into<String>, remedy: impl Into<String>) {
        let mut found = self.0.borrow_mut();
        let count = found.counts.entry(spot.file.to_owned()).or_default();
        *count += 1;
        if *count > SHOWN_PER_FILE {
            return;
        }
        let (line, column) = spot.line_and_column();
        let (what, remedy) = (shown(&what.into()), shown(&remedy.into()));
        let file = spot.file.to_owned();
        found.problems.push(Problem { file, line, column, what, remedy });
    }

    /// `value` where nothing was wrong.
    pub(super) fn settle<T>(self, value: T) -> Result<T, Problems> {
        let Found { mut problems, counts } = self.0.into_inner();
        problems.sort();
        // A key that several checks look at is found wrong by each of them.
        problems.dedup();
        problems.extend(counts.into_iter().filter(|(_, n)| *n > SHOWN_PER_FILE).map(
            |(file, n)| Problem {
                file,
                line: 0,
                column: 0,
                what: format!("{} further problems are not shown", n - SHOWN_PER_FILE),
                remedy: "mend the ones above first".to_owned(),
            },
        ));
        if problems.is_empty() { Ok(value) } else { Err(Problems(problems)) }
    }
}

/// Text that repeats what somebody wrote, fit for a terminal: of bearable length,
/// and with nothing in it that moves the cursor.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        match c {
            _ if count == LONGEST => {
                shown.push('…');
                break;
            }
            c if c.is_control() => shown.extend(c.escape_debug()),
            c => shown.push(c),
        }
    }
    shown
}

/// The one of `valid` that was probably meant by `text`.
pub(super) fn nearest<'v>(text: &str, valid: &[&'v str]) -> Option<&'v str> {
    // A longer text is no typo of ours, and comparing it would cost its square.
    if text.len() > 64 {
        return None;
    }
    let text = text.to_ascii_lowercase();
    valid
        .iter()
        .map(|v| (strsim::damerau_levenshtein(&text, &v.to_ascii_lowercase()), *v))
        .filter(|(distance, v)| *distance <= 1 + v.len() / 5 && 2 * distance < v.len())
        .min()
        .map(|(_, v)| v)
}

/// `` `a`, `b` or `c` ``.
pub(super) fn either(valid: &[&str]) -> String {
    let quoted: Vec<String> = valid.iter().map(|v| format!("`{v}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_not_bytes() {
        let report = Report::default();
        let spot = Spot::file("manifests/services/web.toml", "a = 1\nä = \"ö\" x\n");
        report.add(spot.at(16), "stray `x`", "remove it");
        let Problems(problems) = report.settle(()).unwrap_err();
        assert_eq!((problems[0].line, problems[0].column), (2, 9));
    }

    #[test]
    fn a_file_with_very_many_problems_shows_some_of_them_and_the_count() {
        let report = Report::default();
        let text = "x".repeat(250);
        for at in 0..250 {
            report.add(Spot::file("f", &text).at(at), "bad", "mend");
        }
        let Problems(problems) = report.settle(()).unwrap_err();
        assert_eq!(problems.len(), SHOWN_PER_FILE + 1);
        assert_eq!(problems.last().unwrap().what, "150 further problems are not shown");
    }

    #[test]
    fn what_somebody_wrote_cannot_reach_for_the_terminal() {
        let report = Report::default();
        report.add(Spot::file("a\x1b[2Jb", ""), format!("\u{9b}2J{}", "x".repeat(9999)), "mend");
        let shown = report.settle(()).unwrap_err().to_string();
        assert!(shown.starts_with("a\\u{1b}[2Jb: \\u{9b}2Jx"), "{shown}");
        assert!(shown.len() < 1000);
    }

    #[test]
    fn a_typo_finds_what_was_meant_and_a_stranger_finds_nothing() {
        let keys = ["storePath", "closureDigest", "type"];
        assert_eq!(nearest("sotrePath", &keys), Some("storePath"));
        assert_eq!(nearest("store_path", &keys), Some("storePath"));
        assert_eq!(nearest("colour", &keys), None);
    }
}
