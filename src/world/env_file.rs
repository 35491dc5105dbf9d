//! What systemd would silently skip in an environment file.
//!
//! Source: systemd `env-file.c`, `parse_env_file`: a name that is not one is skipped with
//! its value, and the service starts without it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// More of a file is not read.
const LIMIT: u64 = 1 << 20;

/// What is wrong with a file, without any of its values.
pub(super) fn complaint(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    of_text(&String::from_utf8_lossy(&bytes))
}

fn of_text(text: &str) -> Option<String> {
    if text.starts_with('\u{feff}') {
        return Some("it begins with a byte order mark (BOM), so that systemd skips its first line; save it without one".to_owned());
    }
    let mut rest = text;
    while !rest.is_empty() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let end = rest.find('\n').unwrap_or(rest.len());
        let start = rest.trim_start_matches([' ', '\t']);
        let key = rest[..end].split_once('=').map(|(key, _)| key);
        rest = match key {
            Some(key) if !start.starts_with(['#', ';']) => {
                if key.split_whitespace().next() == Some("export") && key.trim() != "export" {
                    return Some(format!(
                        "line {line} begins with `export`, which is for shells, so that systemd skips it; write NAME=value"
                    ));
                }
                after_value(&rest[key.len() + 1..])
            }
            Some(_) | None => rest.get(end + 1..).unwrap_or_default(),
        };
    }
    None
}

/// What follows a value, which may be quoted and have several lines.
fn after_value(value: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\n') => return &value[at + 1..],
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), close) if open == close => quote = None,
            (None | Some(_), _) => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_skip_is_told_by_its_line() {
        for fine in [
            "",
            "A=b\nB='c'\n",
            "# export A=b\n; export A=b\n  A=b",
            "exported=1\nexport=2\n",
            "KEY=\"one\nexport A=b\n\"\nB=c\n",
            "KEY='one\nexport A=b\n'\n",
            "A=one\\\nexport B=two\n",
            "no assignment\n",
        ] {
            assert_eq!(of_text(fine), None, "{fine:?}");
        }
        for (odd, line) in [
            ("export A=b\n", "line 1 begins"),
            ("A=b\n\n  export\tB=secret\n", "line 3 begins"),
            ("KEY=\"one\ntwo\"\nexport A=b\n", "line 3 begins"),
            ("\u{feff}A=b\n", "byte order mark"),
        ] {
            let told = of_text(odd).unwrap();
            assert!(told.contains(line) && !told.contains("secret"), "{told}");
        }
    }
}
