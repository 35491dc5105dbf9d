//! What is fit for a terminal: text that others wrote moves no cursor, draws over nothing
//! and turns no direction of writing.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text with a mark in the place of each character that a terminal obeys.
pub(super) fn fit(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON with such characters escaped, so that programs lose nothing. Below space, JSON
/// has none of them as they are.
pub(super) fn fit_json(json: String) -> String {
    if !json.contains(is_obeyed) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        if is_obeyed(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

/// Controls but line ends and tabs, and what has others read another order (UAX #9).
fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(fit("a\tgrüße → 1\n"), "a\tgrüße → 1\n");
        assert_eq!(
            fit("\x1b[2Jall\rgone\x07 \u{9b}31m \u{7f}\u{202e}"),
            "\u{fffd}[2Jall\u{fffd}gone\u{fffd} \u{fffd}31m \u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn programs_read_the_same_as_ever() {
        let value = "\x1b\n\u{9b}\u{202e}ü\u{7f}".to_owned();
        let json = serde_json::to_string_pretty(&[&value]).unwrap();
        let told = fit_json(json.clone());
        assert!(!told.contains(is_obeyed), "{told:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&told).unwrap(), [value]);
        assert_eq!(fit_json("[\n  1\n]".to_owned()), "[\n  1\n]");
    }
}
