//! Encodes values for unit files: one function for each way systemd reads them.
//!
//! Sources: systemd.syntax(7), systemd.service(5) "Command lines",
//! systemd.unit(5) "Specifiers", and `src/core/load-fragment.c` for which key is
//! read in which way. No value holds control characters, so none can end a line.

use std::time::Duration;

/// A word of a list or command line, where systemd unquotes, unescapes and
/// expands specifiers (`ExecStart=`, `Environment=`, `ReadWritePaths=`).
///
/// Within quotes only `\`, `"` and `%` mean anything; a quoted `;` is an
/// argument, not the end of a command.
pub(super) fn word(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// An absolute path that is a whole value: specifiers expand, quotes and
/// backslashes stay (`WorkingDirectory=`).
///
/// A backslash at the end of a line would continue it and a space there would be
/// dropped; a slash behind them changes neither the path nor that.
pub(super) fn path(text: &str) -> String {
    let mut path = prose(text);
    if text.ends_with(['\\', ' ']) {
        path.push('/');
    }
    path
}

/// An absolute path that is a whole value and a glob(7) pattern
/// (`EnvironmentFile=`).
pub(super) fn glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ' ' => pattern.extend(['[', c, ']']),
            '\\' => pattern.push_str(r"\\"),
            '%' => pattern.push_str("%%"),
            _ => pattern.push(c),
        }
    }
    pattern
}

/// A relative path of a list that is split at spaces, then at colons
/// (`StateDirectory=`).
///
/// Both passes see backslash escapes, only the second resolves them, so what is
/// special to either stands as its code.
pub(super) fn relative_path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' | ':' | ' ' => path.push_str(&format!(r"\x{:02x}", u32::from(c))),
            '%' => path.push_str("%%"),
            _ => path.push(c),
        }
    }
    path
}

/// Text in the midst of a value that knows specifiers only (`Description=`).
pub(super) fn prose(text: &str) -> String {
    text.replace('%', "%%")
}

/// A time span to the microsecond, which is as fine as systemd counts.
pub(super) fn duration(span: Duration) -> String {
    if span.subsec_nanos() == 0 {
        format!("{}s", span.as_secs())
    } else if span.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{}ms", span.as_millis())
    } else {
        format!("{}us", span.as_micros())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./=:,+@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_plain_characters_stands_as_it_is() {
        assert_eq!(word("--port=8000"), "--port=8000");
        assert_eq!(word("/nix/store/x-web_1.0/bin/web"), "/nix/store/x-web_1.0/bin/web");
    }

    #[test]
    fn any_other_word_is_quoted_and_its_three_special_characters_escaped() {
        assert_eq!(word(""), r#""""#);
        assert_eq!(word("a b"), r#""a b""#);
        assert_eq!(word(";"), r#"";""#);
        assert_eq!(word("$HOME ${HOME}"), r#""$HOME ${HOME}""#);
        assert_eq!(word("100%n"), r#""100%%n""#);
        assert_eq!(word(r#"say "hi"\n"#), r#""say \"hi\"\\n""#);
        assert_eq!(word("it's"), r#""it's""#);
        assert_eq!(word("grüß"), r#""grüß""#);
        assert_eq!(word("# no comment"), r##""# no comment""##);
    }

    #[test]
    fn a_path_never_ends_a_line_with_a_backslash_or_a_space() {
        assert_eq!(path("/srv/100%"), "/srv/100%%");
        assert_eq!(path("/srv/a\\"), "/srv/a\\/");
        assert_eq!(path("/srv/a "), "/srv/a /");
        assert_eq!(path("/srv/\"a b\""), "/srv/\"a b\"");
    }

    #[test]
    fn an_environment_file_is_never_a_pattern() {
        assert_eq!(glob("/run/*.env"), "/run/[*].env");
        assert_eq!(glob("/run/[a]?\\"), r"/run/[[]a][?]\\");
        assert_eq!(glob("/run/a %n "), "/run/a[ ]%%n[ ]");
    }

    #[test]
    fn a_state_directory_is_never_split() {
        assert_eq!(relative_path("web/cache"), "web/cache");
        assert_eq!(relative_path("a b:c%\"'\\"), r"a\x20b\x3ac%%\x22\x27\x5c");
    }

    #[test]
    fn a_duration_keeps_its_fraction() {
        assert_eq!(duration(Duration::from_secs(90)), "90s");
        assert_eq!(duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(duration(Duration::from_micros(1)), "1us");
    }
}
