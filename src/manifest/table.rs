//! Reads a table key by key and notices the keys nobody asked for.

use std::cell::RefCell;

use super::problem::{Report, Spot, either, nearest};
use super::tree::{Entry, Node, Value};
use crate::names::Literal;

/// A type that a value of the tree can be.
pub(super) trait Field: Sized {
    /// Reads the value, or notes what is wrong with it.
    fn read(node: &Node<'_>, report: &Report) -> Option<Self>;
}

/// A value with the place it was written at, for checks across files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spotted<'a, T> {
    pub(super) value: T,
    pub(super) at: Spot<'a>,
}

/// One table being read.
pub(super) struct Table<'t, 'a> {
    /// How messages call it: `[exec]`; empty for the file's own table.
    name: &'static str,
    at: Spot<'a>,
    entries: &'t [Entry<'a>],
    /// The keys asked for so far: all that there may be, once reading is over.
    asked: RefCell<Vec<&'static str>>,
    pub(super) report: &'t Report,
}

/// Reads `node` as a table with `read`; afterwards a key that `read` did not ask
/// for is a problem.
pub(super) fn table<'t, 'a, R>(
    node: &'t Node<'a>,
    name: &'static str,
    report: &'t Report,
    read: impl FnOnce(&Table<'t, 'a>) -> R,
) -> Option<R> {
    table_at(node.at, node, name, report, read)
}

/// The same for a table that is known by another place, its key: in TOML as in
/// JSON the best there is to show for something that is not there.
fn table_at<'t, 'a, R>(
    at: Spot<'a>,
    node: &'t Node<'a>,
    name: &'static str,
    report: &'t Report,
    read: impl FnOnce(&Table<'t, 'a>) -> R,
) -> Option<R> {
    let Value::Table(entries) = &node.value else {
        let what = format!("expected a table, found {}", node.value.kind());
        report.add(node.at, what, format!("write {name} as a table"));
        return None;
    };
    let table = Table { name, at, entries, asked: RefCell::default(), report };
    let result = read(&table);
    table.mark_strangers();
    Some(result)
}

impl<'t, 'a> Table<'t, 'a> {
    /// The entry of a key. JSON's `null` counts as absent, as `builtins.toJSON`
    /// writes it for options that were not set.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'t Entry<'a>> {
        self.asked.borrow_mut().push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!matches!(entry.node.value, Value::Null)).then_some(entry)
    }

    /// Where the key stands.
    pub(super) fn spot(&self, key: &'static str) -> Option<Spot<'a>> {
        self.entry(key).map(|entry| entry.at)
    }

    /// Where the key stands, or else the table.
    pub(super) fn spot_or_self(&self, key: &'static str) -> Spot<'a> {
        self.spot(key).unwrap_or(self.at)
    }

    /// Where the table stands.
    pub(super) fn at(&self) -> Spot<'a> {
        self.at
    }

    /// The key's value, where there is one and it is sound.
    pub(super) fn value<T: Field>(&self, key: &'static str) -> Option<T> {
        T::read(&self.entry(key)?.node, self.report)
    }

    /// The same, with its place.
    pub(super) fn spotted<T: Field>(&self, key: &'static str) -> Option<Spotted<'a, T>> {
        let entry = self.entry(key)?;
        T::read(&entry.node, self.report).map(|value| Spotted { value, at: entry.node.at })
    }

    /// The key's value; its absence is a problem.
    pub(super) fn required<T: Field>(&self, key: &'static str, remedy: &str) -> Option<T> {
        if self.entry(key).is_none() {
            self.lacks(key, remedy);
        }
        self.value(key)
    }

    /// Notes that a key is missing.
    pub(super) fn lacks(&self, key: &'static str, remedy: &str) {
        let place = if self.name.is_empty() { "the file" } else { self.name };
        self.report.add(self.at, format!("{place} lacks `{key}`"), remedy);
    }

    /// Reads the key's table with `read`.
    pub(super) fn table<R>(
        &self,
        key: &'static str,
        name: &'static str,
        read: impl FnOnce(&Table<'t, 'a>) -> R,
    ) -> Option<R> {
        let entry = self.entry(key)?;
        table_at(entry.at, &entry.node, name, self.report, read)
    }

    /// The items of a list; none where there is no list.
    pub(super) fn nodes(&self, key: &'static str) -> &'t [Node<'a>] {
        let Some(entry) = self.entry(key) else { return &[] };
        if let Value::List(nodes) = &entry.node.value {
            return nodes;
        }
        Vec::<Literal>::read(&entry.node, self.report);
        &[]
    }

    /// The sound items of a list, each with its place.
    pub(super) fn list<T: Field>(&self, key: &'static str) -> Vec<Spotted<'a, T>> {
        let item = |node: &Node<'a>| {
            T::read(node, self.report).map(|value| Spotted { value, at: node.at })
        };
        self.nodes(key).iter().filter_map(item).collect()
    }

    /// The entries of the key's table, where its keys are the operator's own.
    pub(super) fn free(&self, key: &'static str, name: &'static str) -> &'t [Entry<'a>] {
        let Some(entry) = self.entry(key) else { return &[] };
        if let Value::Table(entries) = &entry.node.value {
            return entries;
        }
        table(&entry.node, name, self.report, |_| ());
        &[]
    }

    fn mark_strangers(&self) {
        let asked = self.asked.borrow();
        for entry in self.entries.iter().filter(|e| !asked.contains(&e.key.as_ref())) {
            let place = match self.name {
                "" => String::new(),
                name => format!(" in {name}"),
            };
            let what = format!("unknown key `{}`{place}", entry.key.escape_debug());
            self.report.add(entry.at, what, remedy_for(&entry.key, &asked));
        }
    }
}

/// Where the keys of a service live, for those that were put elsewhere.
const HOMES: [(&str, &[&str]); 6] = [
    ("[artifact]", &["storePath", "closureDigest", "closureSize"]),
    ("[exec]", &["command", "args", "user", "group", "workingDirectory", "reload"]),
    ("[http]", &["domain", "internalPort", "https", "stagingDomain", "redirectFrom", "headers"]),
    ("[health]", &["interval", "timeout", "healthyFor", "deadline"]),
    (
        "[systemd]",
        &["after", "requires", "wants", "restart", "restartSec", "stateDirectory", "memoryMax"],
    ),
    (
        "[hardening]",
        &[
            "dynamicUser",
            "privateTmp",
            "protectSystem",
            "protectHome",
            "capabilities",
            "readWritePaths",
            "umask",
        ],
    ),
];

fn remedy_for(key: &str, valid: &[&'static str]) -> String {
    if let Some(meant) = nearest(key, valid) {
        return format!("did you mean `{meant}`?");
    }
    if let Some((home, _)) = HOMES.iter().find(|(_, keys)| keys.contains(&key)) {
        return format!("of a service, `{key}` belongs in {home}");
    }
    let mut valid = valid.to_vec();
    valid.sort_unstable();
    valid.dedup();
    format!("remove it; there may be {}", either(&valid))
}

/// The text of a node.
pub(super) fn text<'t>(node: &'t Node<'_>, report: &Report) -> Option<&'t str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    let remedy = match &node.value {
        Value::Integer(_) | Value::Number | Value::Bool(_) | Value::Date => {
            "put it in double quotes"
        }
        Value::List(_) | Value::Table(_) | Value::Null | Value::Text(_) => {
            "write one string in double quotes"
        }
    };
    report.add(node.at, format!("expected a string, found {}", node.value.kind()), remedy);
    None
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    node: &Node<'_>,
    report: &Report,
    choices: &[(&str, T)],
) -> Option<T> {
    let text = text(node, report)?;
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let what = format!("{text:?} is none of {}", either(&words));
    let remedy = match nearest(text, &words) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => "write one of these words".to_owned(),
    };
    report.add(node.at, what, remedy);
    None
}

impl<T: Field> Field for Vec<T> {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let Value::List(nodes) = &node.value else {
            let what = format!("expected a list, found {}", node.value.kind());
            report.add(node.at, what, "write a list: [\"…\", \"…\"]");
            return None;
        };
        Some(nodes.iter().filter_map(|node| T::read(node, report)).collect())
    }
}
