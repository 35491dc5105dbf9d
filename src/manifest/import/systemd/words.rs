//! Words of a value: systemd.syntax(7) "Quoting", systemd.unit(5) "Specifiers" and
//! systemd.service(5) "Command lines".

use std::collections::BTreeMap;

/// A word, and whether it stands there without quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) plain: bool,
}

/// Splits a value at spaces, takes quotes away and resolves escapes. `None` where a
/// quote is left open, as systemd refuses the line.
pub(super) fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, behind) = first(rest)?;
        words.push(word);
        rest = behind.trim_start();
    }
    Some(words)
}

/// The words' texts alone.
pub(super) fn texts(text: &str) -> Option<Vec<String>> {
    Some(words(text)?.into_iter().map(|word| word.text).collect())
}

fn first(text: &str) -> Option<(Word, &str)> {
    let mut word = Word { text: String::new(), plain: true };
    let (mut quote, mut rest) = (None, text);
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        match (quote, c) {
            (None, c) if c.is_ascii_whitespace() => break,
            (None, '"' | '\'') => (quote, word.plain) = (Some(c), false),
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => {
                word.plain = false;
                let (c, after) = escape(behind);
                word.text.push_str(&c);
                rest = after;
                continue;
            }
            (_, c) => word.text.push(c),
        }
        rest = behind;
    }
    quote.is_none().then_some((word, rest))
}

/// What an escape stands for, and what follows it; one that means nothing stays.
fn escape(text: &str) -> (String, &str) {
    let Some(c) = text.chars().next() else { return ("\\".to_owned(), text) };
    let behind = &text[c.len_utf8()..];
    let one = |c: char| (c.to_string(), behind);
    match c {
        'a' => one('\u{7}'),
        'b' => one('\u{8}'),
        'f' => one('\u{c}'),
        'n' => one('\n'),
        'r' => one('\r'),
        't' => one('\t'),
        'v' => one('\u{b}'),
        's' => one(' '),
        '\\' | '"' | '\'' | ';' => one(c),
        'x' => coded(behind, 2, 16).unwrap_or_else(|| ("\\x".to_owned(), behind)),
        'u' => coded(behind, 4, 16).unwrap_or_else(|| ("\\u".to_owned(), behind)),
        'U' => coded(behind, 8, 16).unwrap_or_else(|| ("\\U".to_owned(), behind)),
        '0'..='7' => coded(text, 3, 8).unwrap_or_else(|| (format!("\\{c}"), behind)),
        c => (format!("\\{c}"), behind),
    }
}

fn coded(text: &str, digits: usize, radix: u32) -> Option<(String, &str)> {
    let (code, behind) = text.split_at_checked(digits)?;
    let c = char::from_u32(u32::from_str_radix(code, radix).ok()?)?;
    Some((c.to_string(), behind))
}

/// What the specifiers of a unit stand for.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// `web@blue.service`
    pub(super) unit: String,
}

impl Names {
    /// `web@blue`
    pub(super) fn stem(&self) -> &str {
        self.unit.rsplit_once('.').map_or(&self.unit, |(stem, _)| stem)
    }

    fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    pub(super) fn instance(&self) -> &str {
        self.stem().split_once('@').map_or("", |(_, instance)| instance)
    }

    /// The text with its specifiers resolved.
    ///
    /// # Errors
    /// One of them depends on the host that the unit runs on.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => expanded.push('%'),
                Some(c) => expanded.push_str(&self.specifier(c)?),
                None => expanded.push('%'),
            }
        }
        Ok(expanded)
    }

    fn specifier(&self, c: char) -> Result<String, String> {
        let last = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
        Ok(match c {
            'n' => self.unit.clone(),
            'N' => self.stem().to_owned(),
            'p' => self.prefix().to_owned(),
            'P' => unescaped(self.prefix()),
            'i' => self.instance().to_owned(),
            'I' => unescaped(self.instance()),
            'j' => last(self.prefix()),
            'J' => unescaped(&last(self.prefix())),
            't' => "/run".to_owned(),
            'S' => "/var/lib".to_owned(),
            'C' => "/var/cache".to_owned(),
            'L' => "/var/log".to_owned(),
            'E' => "/etc".to_owned(),
            'T' => "/tmp".to_owned(),
            'V' => "/var/tmp".to_owned(),
            // Of the manager, which is root's.
            'h' => "/root".to_owned(),
            'u' | 'g' => "root".to_owned(),
            'U' | 'G' => "0".to_owned(),
            c => return Err(format!("%{c} is known only on the host")),
        })
    }
}

/// systemd-escape(1) backwards.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let code = rest.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        if let Some(byte) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
            continue;
        }
        let c = if c == '-' { '/' } else { c };
        bytes.extend(c.to_string().into_bytes());
        rest = &rest[c.len_utf8()..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An argument with the variables that are known put in, as systemd does before it
/// starts a program; a lone `$NAME` becomes as many words as its value has.
///
/// # Errors
/// The name of a variable that only the host knows.
pub(super) fn substituted(
    arg: &str,
    known: &BTreeMap<String, String>,
) -> Result<Vec<String>, String> {
    let value = |name: &str| known.get(name).ok_or_else(|| name.to_owned());
    if let Some(name) = arg.strip_prefix('$').filter(|name| is_name(name)) {
        return Ok(texts(value(name)?).unwrap_or_default());
    }
    let (mut text, mut rest) = (String::new(), arg);
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            text.push('$');
            rest = behind;
        } else if let Some((name, behind)) = braced(rest) {
            text.push_str(value(name)?);
            rest = behind;
        } else {
            text.push('$');
        }
    }
    Ok(vec![text + rest])
}

fn braced(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?.split_once('}').filter(|(name, _)| is_name(name))
}

fn is_name(text: &str) -> bool {
    text.parse::<crate::names::EnvName>().is_ok() && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_unquoted_and_unescaped() {
        for (text, wanted) in [
            (r#"a "b c" 'd "e"' f"#, vec!["a", "b c", "d \"e\"", "f"]),
            (r#"--x="a b"c"#, vec!["--x=a bc"]),
            (r"\x41\102\u00e4 a\sb \\ \;", vec!["ABä", "a b", "\\", ";"]),
            (r#"'' "" \q"#, vec!["", "", r"\q"]),
        ] {
            assert_eq!(texts(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(words("'open"), None);
        assert!(words("; \";\"").unwrap()[0].plain && !words("; \";\"").unwrap()[1].plain);
    }

    #[test]
    fn specifiers_are_resolved_where_the_unit_alone_decides() {
        let names = Names { unit: "a-b@c-d\\x2de.service".to_owned() };
        let expanded = names.expand("%n %N %p %i %I %j %P %t %S %% %h 5%").unwrap();
        let wanted = "a-b@c-d\\x2de.service a-b@c-d\\x2de a-b c-d\\x2de c/d-e b a/b /run /var/lib % /root 5%";
        assert_eq!(expanded, wanted);
        assert!(names.expand("%H").unwrap_err().starts_with("%H "));
    }

    #[test]
    fn variables_are_put_in_where_they_are_known() {
        let known = BTreeMap::from([("A".to_owned(), "x 'y z'".to_owned())]);
        let of = |arg| substituted(arg, &known);
        assert_eq!(of("$A").unwrap(), ["x", "y z"]);
        assert_eq!(of("-${A}-$A$$").unwrap(), ["-x 'y z'-$A$"]);
        assert_eq!(of("$$A").unwrap(), ["$A"]);
        assert_eq!(of("${B}").unwrap_err(), "B");
        assert_eq!(of("$").unwrap(), ["$"]);
    }
}
