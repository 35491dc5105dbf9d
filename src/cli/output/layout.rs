//! Lines that fit a terminal: broken between words, and going on where their text began.

/// A space at which no line is broken.
pub(super) const NO_BREAK: char = '\u{a0}';

/// What a line with a command for the reader begins with.
const COMMAND: &str = "next: ";

/// The same text in lines of at most `width` characters. A word that is longer, such as a
/// store path, stays whole on a line of its own.
pub(in crate::cli) fn lay_out(text: &str, width: usize) -> String {
    text.split_inclusive('\n').map(|line| lay_out_line(line, width)).collect()
}

fn lay_out_line(line: &str, width: usize) -> String {
    let (body, end) = match line.strip_suffix('\n') {
        Some(body) => (body, "\n"),
        None => (line, ""),
    };
    // A command that is to be copied stays one line, whatever a terminal makes of it.
    if body.chars().count() <= width || body.starts_with(COMMAND) {
        return line.replace(NO_BREAK, " ");
    }
    let indent = hanging(body, width);
    let mut lines = vec![String::new()];
    let (mut used, mut gap) = (0, String::new());
    for word in words(body) {
        if word.starts_with(' ') {
            gap = word.to_owned();
            continue;
        }
        let long = word.chars().count();
        let is_begun = lines.last().is_some_and(|line| !line.trim().is_empty());
        // What fits on no line gains nothing by a new one.
        let has_room = indent + long <= width;
        if is_begun && has_room && used + gap.len() + long > width {
            lines.push(" ".repeat(indent) + word);
            used = indent + long;
        } else if let Some(last) = lines.last_mut() {
            used += gap.len() + long;
            *last += &gap;
            *last += word;
        }
        gap.clear();
    }
    lines.join("\n").replace(NO_BREAK, " ") + end
}

/// Where the text of a line begins, behind its labels: lines that it goes on in begin there.
fn hanging(line: &str, width: usize) -> usize {
    let lead = line.len() - line.trim_start_matches(' ').len();
    let mut column = 0;
    let mut last = lead + 2;
    for word in words(line) {
        let long = word.chars().count();
        let is_gap = word.starts_with(' ') && long >= 2 && column > lead;
        column += long;
        if is_gap && column <= width / 2 {
            last = column;
        }
    }
    last.min(width / 2)
}

/// Words and the spaces between them, in turn.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let is_space = rest.starts_with(' ');
        let end = rest.find(|c| (c == ' ') != is_space).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
rolled back to 3f2a91c7d0 at 2026-12-01T02:38:02Z (3\u{a0}min\u{a0}ago)
  step     watch   web  GET http://127.0.0.1:8000/health for 10s
  reason   could not see service web healthy: it failed (exit-code, status 203/EXEC), and the last probe had no answer
    journal: web: cannot open /var/lib/secrets/web.env: permission denied, giving up
  hint     /nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-with-a-rather-long-name-1.2.3/bin/web
";

    #[test]
    fn lines_are_broken_between_words_and_go_on_where_they_began() {
        let all = [60, 80, 120].map(|width| format!("--- {width}\n{}", lay_out(TEXT, width)));
        insta::assert_snapshot!(all.concat());
    }

    #[test]
    fn nothing_is_lost_and_no_word_is_broken() {
        let plain = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in 60..130 {
            let text = lay_out(TEXT, width);
            assert_eq!(plain(&text), plain(TEXT));
            for line in text.lines() {
                // Wider are only those with a word for which there is no room.
                let longest = line.split_whitespace().map(|word| word.chars().count()).max();
                let is_fit = line.chars().count() <= width;
                assert!(is_fit || longest > Some(width - 12), "{width}: {line}");
            }
        }
        let next = format!("next: writ {}", "trust ".repeat(20));
        assert_eq!(lay_out(&next, 60), next);
        assert_eq!(lay_out("as it is\n\n  short", 60), "as it is\n\n  short");
    }
}
