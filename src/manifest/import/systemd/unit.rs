//! Unit files as systemd reads them: systemd.syntax(7).

use std::cell::RefCell;
use std::collections::BTreeSet;

/// The settings of a unit and its drop-ins, in the order they count.
#[derive(Debug, Default)]
pub(super) struct Unit {
    settings: Vec<Setting>,
    /// What somebody asked for: the rest has no place.
    asked: RefCell<BTreeSet<(String, String)>>,
}

#[derive(Debug)]
struct Setting {
    section: String,
    key: String,
    value: String,
}

impl Unit {
    /// Reads the texts of the unit's own file and of its drop-ins.
    pub(super) fn read<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut unit = Self::default();
        for text in texts {
            unit.add(text);
        }
        unit
    }

    fn add(&mut self, text: &str) {
        let mut section = String::new();
        for line in lines(text) {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                self.settings.push(Setting { section: section.clone(), key, value });
            }
        }
    }

    /// The value of a setting of which the last counts.
    pub(super) fn last(&self, section: &str, key: &str) -> Option<&str> {
        self.ask(section, key);
        let all = || self.settings.iter().filter(|s| s.section == section && s.key == key);
        all().next_back().map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The values of a setting that adds up; an empty one forgets those before it.
    pub(super) fn list(&self, section: &str, key: &str) -> Vec<&str> {
        self.ask(section, key);
        self.effective(section, key)
    }

    fn ask(&self, section: &str, key: &str) {
        self.asked.borrow_mut().insert((section.to_owned(), key.to_owned()));
    }

    fn effective(&self, section: &str, key: &str) -> Vec<&str> {
        let all = self.settings.iter().filter(|s| s.section == section && s.key == key);
        let values: Vec<&str> = all.map(|setting| setting.value.as_str()).collect();
        let from = values.iter().rposition(|value| value.is_empty()).map_or(0, |at| at + 1);
        values[from..].to_vec()
    }

    /// What nobody asked for, as section, key and value.
    pub(super) fn strangers(&self) -> Vec<(&str, &str, &str)> {
        let asked = self.asked.borrow();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for Setting { section, key, .. } in &self.settings {
            if !asked.contains(&(section.clone(), key.clone())) && seen.insert((section, key)) {
                let values = self.effective(section, key);
                found.extend(values.into_iter().map(|v| (section.as_str(), key.as_str(), v)));
            }
        }
        found
    }
}

/// The logical lines: continued ones joined by a space, comments left out also in
/// the midst of those.
fn lines(text: &str) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), None::<String>);
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) || (open.is_none() && line.trim().is_empty()) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        let slashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if slashes % 2 == 1 {
            whole.push_str(&line[..line.len() - 1]);
            whole.push(' ');
            open = Some(whole);
        } else {
            whole.push_str(line);
            lines.push(whole);
        }
    }
    lines.extend(open);
    lines
}

/// systemd's `parse_boolean`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_after_a_backslash_and_comments_do_not_end_them() {
        let text =
            "[Service]\nExecStart=/bin/a \\\n# not this\n  b \\\n; nor this\n c\nUser = x \n";
        let unit = Unit::read([text]);
        assert_eq!(unit.last("Service", "ExecStart"), Some("/bin/a    b   c"));
        assert_eq!(unit.last("Service", "User"), Some("x"));
    }

    #[test]
    fn two_backslashes_end_a_line() {
        let unit = Unit::read(["[Service]\nExecStart=/bin/a \\\\\nUser=x\n"]);
        assert_eq!(unit.last("Service", "User"), Some("x"));
    }

    #[test]
    fn an_empty_value_forgets_what_was_before_it() {
        let drop_in = "[Service]\nEnvironment=\nEnvironment=C=3\nUser=\n";
        let unit = Unit::read(["[Service]\nEnvironment=A=1\nEnvironment=B=2\nUser=x\n", drop_in]);
        assert_eq!(unit.list("Service", "Environment"), ["C=3"]);
        assert_eq!(unit.last("Service", "User"), None);
    }

    #[test]
    fn what_nobody_asked_for_is_known() {
        let unit = Unit::read(["[Service]\nNice=5\nUser=x\n[Install]\nAlias=\n"]);
        unit.last("Service", "User");
        assert_eq!(unit.strangers(), [("Service", "Nice", "5")]);
    }
}
