//! A service's file in the making, with remarks for whoever finishes it.

use toml_edit::{Array, Value};

use super::secret::redacted;

/// The tables of a service, in the order they are written.
const TABLES: [&str; 7] = ["artifact", "exec", "env", "schedule", "health", "systemd", "hardening"];

/// Lines by their table; the first are the file's own.
#[derive(Debug, Default)]
pub(super) struct Draft {
    head: Vec<String>,
    root: Vec<String>,
    tables: [Vec<String>; TABLES.len()],
    lost: Vec<String>,
    tail: Vec<String>,
}

impl Draft {
    /// A comment before everything else.
    pub(super) fn remark(&mut self, text: &str) {
        self.head.push(comment(text));
    }

    /// A setting of the file's own table, or of one of [`TABLES`].
    pub(super) fn set(&mut self, table: &str, key: &str, value: impl Into<Value>) {
        let value = value.into().decorated(" ", "");
        self.line(table, format!("{key} ={value}"));
    }

    /// The same with a comment behind it.
    pub(super) fn set_because(&mut self, table: &str, key: &str, value: &str, why: &str) {
        let value = Value::from(value).decorated(" ", " ");
        self.line(table, format!("{key} ={value}{}", comment(why)));
    }

    pub(super) fn list(&mut self, table: &str, key: &str, items: &[String]) {
        self.set(table, key, items.iter().collect::<Array>());
    }

    /// A comment among the settings of a table.
    pub(super) fn note(&mut self, table: &str, text: &str) {
        self.line(table, comment(text));
    }

    /// A setting of the unit that has no place here.
    pub(super) fn lost(&mut self, key: &str, value: &str, why: &str) {
        let line = format!("not carried over: {key}={} ({why})", redacted(key, value));
        let line = comment(&line);
        if !self.lost.contains(&line) {
            self.lost.push(line);
        }
    }

    /// A comment after everything else.
    pub(super) fn suggest(&mut self, line: &str) {
        self.tail.push(comment(line));
    }

    fn line(&mut self, table: &str, line: String) {
        match TABLES.iter().position(|name| *name == table) {
            Some(at) => self.tables[at].push(line),
            None => self.root.push(line),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut parts = vec![[&self.head[..], &self.root].concat()];
        for (name, lines) in TABLES.iter().zip(&self.tables).filter(|(_, lines)| !lines.is_empty())
        {
            parts.push([&[format!("[{name}]")], &lines[..]].concat());
        }
        parts.extend([self.lost.clone(), self.tail.clone()]);
        let parts = parts.into_iter().filter(|lines| !lines.is_empty());
        let parts: Vec<String> = parts.map(|lines| lines.join("\n") + "\n").collect();
        parts.join("\n")
    }
}

fn comment(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { "#".to_owned() } else { format!("# {text}") }
}
