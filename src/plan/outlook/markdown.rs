//! An outlook as a comment on a change that is reviewed: a table, and a fold for each host.
//!
//! Everything that people write into manifests stands between `<code>` or `<pre>` with
//! each character that Markdown or HTML gives a meaning written as an entity, so that no
//! name of a branch, a domain or a package can draw a link or close a fold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{HostOutlook, Outlook};
use crate::names::HostName;
use crate::plan::routes::RouteLine;
use crate::plan::step::human_bytes;

/// Forges take comments of 64 Ki characters.
const LENGTH: usize = 50_000;
/// Rows of the table, and names in a line.
const ROWS: usize = 100;
const NAMES: usize = 20;
/// Lines of one host, and characters of a line.
const LINES: usize = 60;
const WIDTH: usize = 200;

impl Outlook {
    /// `from` and `to` are the revisions as they were given.
    pub fn markdown(&self, from: &str, to: &str) -> String {
        let mut text = format!("### What hosts would do: {} → {}\n\n", code(from), code(to));
        if self.hosts.is_empty() {
            text.push_str("No host has anything to do.\n");
            return text;
        }
        privileges(&mut text, self);
        table(&mut text, self);
        text.push_str("\nNo host reboots.");
        if !self.unchanged.is_empty() {
            let _ = write!(text, " Nothing to do on {}.", named(&self.unchanged));
        }
        text.push('\n');
        let mut left = self.hosts.len();
        for (host, outlook) in &self.hosts {
            let fold = fold(host, outlook);
            if text.len() + fold.len() > LENGTH {
                let _ = writeln!(text, "\n… and {left} more");
                break;
            }
            text.push_str(&fold);
            left -= 1;
        }
        text
    }
}

/// First of all: what services gain and lose of their hosts, once each.
fn privileges(text: &mut String, outlook: &Outlook) {
    let mut told: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
    for (host, outlook) in &outlook.hosts {
        for change in &outlook.plan.privileges {
            told.entry(change.to_string()).or_default().push(host.clone());
        }
    }
    if told.is_empty() {
        return;
    }
    text.push_str("**What services gain and lose of their hosts:**\n\n");
    for (change, hosts) in told.iter().take(ROWS) {
        let _ = writeln!(text, "- {} on {}", code(change), named(hosts));
    }
    if let Some(more) = told.len().checked_sub(ROWS).filter(|more| *more > 0) {
        let _ = writeln!(text, "- … and {more} more");
    }
    text.push('\n');
}

fn table(text: &mut String, outlook: &Outlook) {
    text.push_str("| host | services | routes | packages | to fetch |\n|---|---|---|---|---|\n");
    for (host, outlook) in outlook.hosts.iter().take(ROWS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            code(host.as_str()),
            services(outlook),
            routes(outlook),
            packages(outlook),
            weight(outlook),
        );
    }
    if let Some(more) = outlook.hosts.len().checked_sub(ROWS).filter(|more| *more > 0) {
        let _ = writeln!(text, "| … and {more} more | | | | |");
    }
}

fn services(outlook: &HostOutlook) -> String {
    let of = &outlook.services;
    counted(&[
        (of.started.len(), "started"),
        (of.restarted.len(), "restarted"),
        (of.reloaded.len(), "reloaded"),
        (of.stopped.len(), "stopped"),
    ])
}

fn routes(outlook: &HostOutlook) -> String {
    let count = |is: fn(&RouteLine) -> bool| outlook.routes().filter(|line| is(line)).count();
    counted(&[
        (count(|line| matches!(line, RouteLine::Added { .. })), "added"),
        (count(|line| matches!(line, RouteLine::Removed { .. })), "removed"),
        (
            count(|line| matches!(line, RouteLine::Changed { .. } | RouteLine::Moved { .. })),
            "changed",
        ),
    ])
}

fn packages(outlook: &HostOutlook) -> String {
    let known = outlook.closures.iter().filter_map(|line| line.packages.as_ref());
    counted(&[(known.map(|packages| packages.changes.len()).sum(), "changed")])
}

fn weight(outlook: &HostOutlook) -> String {
    let size = &outlook.size;
    let bytes = size.download.or(size.disk);
    bytes.map_or_else(|| "–".to_owned(), |bytes| format!("≤ {}", human_bytes(bytes)))
}

fn counted(counts: &[(usize, &str)]) -> String {
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}

fn named(hosts: &[HostName]) -> String {
    let shown: Vec<String> = hosts.iter().take(NAMES).map(|host| code(host.as_str())).collect();
    match hosts.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A `<pre>` on a line of its own ends at its `</pre>` and nowhere before, whatever
/// lines are in it (CommonMark 4.6, the first kind of HTML block).
fn fold(host: &HostName, outlook: &HostOutlook) -> String {
    let whole = outlook.to_string();
    let mut lines: Vec<String> = whole.lines().take(LINES).map(shortened).collect();
    if let Some(more) = whole.lines().count().checked_sub(LINES).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more"));
    }
    let told = services(outlook);
    format!(
        "\n<details><summary>{}: {told}</summary>\n\n<pre>\n{}\n</pre>\n\n</details>\n",
        code(host.as_str()),
        lines.join("\n")
    )
}

fn shortened(line: &str) -> String {
    let start: String = line.chars().take(WIDTH).collect();
    let more = if line.chars().nth(WIDTH).is_some() { "…" } else { "" };
    escaped(&start) + more
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", shortened(text))
}

/// Letters and digits of every script stay; so do marks that mean nothing here.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '.' | ',' | '-' | '/' | '+' | '=' | '%' | '→' | '…' | '–' => {
                escaped.push(c)
            }
            c if c.is_alphanumeric() => escaped.push(c),
            // What nobody sees, and what has others read another order.
            c if c.is_control() || is_invisible(c) => escaped.push('\u{fffd}'),
            c => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
        }
    }
    escaped
}

/// Unicode's directional marks, joiners and other format characters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_means_anything() {
        let evil =
            "</pre></details><img src=x>|`[a](https://evil.example)`@alice #1 $x$ *b*\u{202e}\n";
        let told = escaped(evil);
        for mark in ['<', '>', '|', '`', '[', '(', '@', '*', '$', '\n', '\u{202e}'] {
            assert!(!told.contains(mark), "{mark:?}: {told}");
        }
        assert!(!told.contains("://"), "{told}");
        assert_eq!(escaped("grüße → 1.2-pre"), "grüße → 1.2-pre");
    }
}
