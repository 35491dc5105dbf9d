//! Progress for a person: on a terminal drawn again, elsewhere a line for each change.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use super::super::{draw, fit, whisper};
use crate::names::HostName;
use crate::report::waiting::Progress;

/// What a terminal that does not tell is taken for.
const USUAL: Size = Size { columns: 80, rows: 24 };

#[derive(Default)]
pub(super) struct Screen {
    hosts: BTreeMap<HostName, Progress>,
    /// How large the terminal was, and the lines that are on it.
    drawn: Option<(Size, Vec<String>)>,
    trouble: Option<String>,
}

/// A terminal's, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Screen {
    pub(super) fn tell(&mut self, hosts: &BTreeMap<HostName, Progress>) {
        if std::io::stderr().is_terminal() {
            self.draw(hosts);
        } else {
            let new =
                hosts.iter().filter(|(host, progress)| self.hosts.get(host) != Some(progress));
            new.for_each(|host| whisper(&format!("{}\n", line(host))));
        }
        self.hosts.clone_from(hosts);
    }

    fn draw(&mut self, hosts: &BTreeMap<HostName, Progress>) {
        let size = Size::of_terminal();
        let same = self.drawn.as_ref().is_some_and(|(before, _)| *before == size);
        if !same || *hosts != self.hosts {
            self.clear();
            let lines = shown(hosts, size);
            draw(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
            self.drawn = Some((size, lines));
        }
    }

    pub(super) fn clear(&mut self) {
        let Some((_, lines)) = self.drawn.take() else { return };
        match taken(&lines, Size::of_terminal()) {
            0 => {}
            rows => draw(&format!("\x1b[{rows}A\r\x1b[J")),
        }
    }

    /// Told once; the next try may succeed.
    pub(super) fn trouble(&mut self, message: &str) {
        if self.trouble.as_deref() != Some(message) {
            self.clear();
            whisper(&format!("{message}; trying again\n"));
            self.trouble = Some(message.to_owned());
        }
    }
}

impl Size {
    fn of_terminal() -> Self {
        match console::Term::stderr().size_checked() {
            // Some that cannot tell say zero.
            Some((rows, columns)) if rows > 0 && columns > 0 => {
                Self { columns: columns.into(), rows: rows.into() }
            }
            Some(_) | None => USUAL,
        }
    }
}

/// What is drawn: a row a host, and the cursor's below. Where there are more hosts than
/// rows, the confirmed ones are left out before others, and the last row counts them.
fn shown(hosts: &BTreeMap<HostName, Progress>, size: Size) -> Vec<String> {
    let room = size.rows.saturating_sub(1).max(1);
    if hosts.len() <= room {
        return hosts.iter().map(|host| cut(&line(host), size)).collect();
    }
    let mut order: Vec<_> = hosts.iter().collect();
    order.sort_by_key(|(_, progress)| urgency(progress));
    let (kept, left) = order.split_at(room - 1);
    let mut kept = kept.to_vec();
    kept.sort_by_key(|(host, _)| *host);
    let lines = kept.into_iter().map(line).chain([summary(left)]);
    lines.map(|line| cut(&line, size)).collect()
}

/// How many rows lines take that were drawn when the terminal may have been wider.
fn taken(lines: &[String], size: Size) -> usize {
    let rows = lines.iter().map(|line| line.chars().count().div_ceil(size.columns).max(1));
    rows.sum::<usize>().min(size.rows.saturating_sub(1))
}

/// The last column stays free: some terminals begin a row once it is written to.
fn cut(line: &str, size: Size) -> String {
    let (line, room) = (fit::fit(line).replace(['\n', '\t'], " "), size.columns.saturating_sub(1));
    if line.chars().count() <= room {
        return line;
    }
    let kept: String = line.chars().take(room.saturating_sub(1)).collect();
    kept.trim_end().to_owned() + "…"
}

fn urgency(progress: &Progress) -> u8 {
    match progress {
        Progress::Failed(_) => 0,
        Progress::Pending(_) => 1,
        Progress::Confirmed => 2,
    }
}

fn summary(left: &[(&HostName, &Progress)]) -> String {
    let done = left.iter().filter(|(_, progress)| **progress == Progress::Confirmed).count();
    format!("and {} more, {done} of them confirmed", left.len())
}

fn line((host, progress): (&HostName, &Progress)) -> String {
    match progress {
        Progress::Confirmed => format!("{host}: confirmed"),
        Progress::Failed(why) => format!("{host}: {why}"),
        Progress::Pending(what) => format!("{host}: … {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(count: usize) -> BTreeMap<HostName, Progress> {
        let progress = |n: usize| match n % 4 {
            0 | 1 => Progress::Confirmed,
            2 => Progress::Pending("is fetching 312 MiB from the cache, and\n\x1b[31mwaits".into()),
            _ => Progress::Failed("rolled back: web does not answer on port 8080".into()),
        };
        (0..count).map(|n| (format!("node-{n}").parse().unwrap(), progress(n))).collect()
    }

    fn drawn(count: usize, columns: usize, rows: usize) -> String {
        let size = Size { columns, rows };
        let lines = shown(&fleet(count), size);
        assert!(lines.iter().all(|line| line.chars().count() < columns.max(2)), "{lines:?}");
        assert!(lines.len() < rows.max(2) && taken(&lines, size) == lines.len().min(rows - 1));
        lines.join("\n")
    }

    #[test]
    fn what_is_drawn_fits_the_terminal() {
        let sizes = [(4, 120, 24), (4, 40, 5), (9, 40, 5), (9, 12, 2)];
        let all = sizes.map(|(hosts, columns, rows)| drawn(hosts, columns, rows));
        insta::assert_snapshot!(all.join("\n---\n"), @r"
        node-0: confirmed
        node-1: confirmed
        node-2: … is fetching 312 MiB from the cache, and �[31mwaits
        node-3: rolled back: web does not answer on port 8080
        ---
        node-0: confirmed
        node-1: confirmed
        node-2: … is fetching 312 MiB from the…
        node-3: rolled back: web does not answ…
        ---
        node-2: … is fetching 312 MiB from the…
        node-3: rolled back: web does not answ…
        node-7: rolled back: web does not answ…
        and 6 more, 5 of them confirmed
        ---
        and 9 more…
        ");
        drawn(9, 1, 1);
        drawn(0, 40, 5);
    }

    #[test]
    fn lines_of_a_wider_terminal_take_more_rows_on_a_narrow_one() {
        let lines = shown(&fleet(4), Size { columns: 120, rows: 24 });
        assert_eq!(taken(&lines, Size { columns: 120, rows: 24 }), 4);
        let wrapped = taken(&lines, Size { columns: 40, rows: 24 });
        assert_eq!(wrapped, 6);
        assert_eq!(taken(&lines, Size { columns: 40, rows: 4 }), 3);
    }
}
