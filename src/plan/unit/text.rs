//! The lines of a unit file, in the order they are set.

use std::fmt::{Display, Write};

/// A unit file under construction; values are encoded by the caller.
#[derive(Debug, Default)]
pub(super) struct UnitText(String);

impl UnitText {
    pub(super) fn section(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.line(format_args!("[{name}]"));
    }

    pub(super) fn set(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key}={value}"));
    }

    /// A setting that is there only where it holds: all of systemd's switches
    /// are off by default.
    pub(super) fn switch(&mut self, key: &str, on: bool) {
        if on {
            self.set(key, "yes");
        }
    }

    /// One line for each value.
    pub(super) fn each<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.set(key, value);
        }
    }

    /// All values in one line; no line where there are none.
    pub(super) fn list<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        if !values.is_empty() {
            self.set(key, values.join(" "));
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("writing to a String cannot fail");
    }
}
