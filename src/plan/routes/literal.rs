//! Says text to Caddy so that it means exactly its characters.

use std::borrow::Cow;

/// Escapes Caddy's placeholders (`{env.HOME}`).
///
/// Caddy drops one backslash in front of every brace and keeps all others. Up to
/// 2.7 it looks at text only where `{` occurs, later also where `}` does (caddy
/// `replacer.go`, `replace`), so `\}` without a `{` would mean two things. An
/// environment variable without a name, which is always empty, makes every
/// version look.
pub(super) fn literal(text: &str) -> Cow<'_, str> {
    if !text.contains('{') && !text.contains("\\}") {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('{', "\\{").replace('}', "\\}");
    Cow::Owned(if text.contains('{') { escaped } else { format!("{{env.}}{escaped}") })
}

/// What [`literal`] was made from.
pub(super) fn plain(text: &str) -> String {
    let text = text.strip_prefix("{env.}").unwrap_or(text);
    text.replace("\\{", "{").replace("\\}", "}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_escaped_and_nothing_else() {
        for (text, escaped) in [
            ("plain $HOME %h \\n", "plain $HOME %h \\n"),
            ("{env.HOME}", "\\{env.HOME\\}"),
            ("a\\{b}", "a\\\\{b\\}"),
            ("}", "}"),
            ("\\}", "{env.}\\\\}"),
        ] {
            assert_eq!(literal(text), escaped);
            assert_eq!(plain(escaped), text);
        }
    }
}
