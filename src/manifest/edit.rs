//! Puts another closure into a service's file, and leaves every other byte as it is.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;
use thiserror::Error;
use toml_edit::{Document, Item, TableLike, Value};

use crate::names::{ClosureDigest, ServiceName, StorePath};

/// What a service is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    pub store_path: StorePath,
    pub closure_digest: ClosureDigest,
    /// Bytes of the whole closure.
    pub closure_size: u64,
    /// Stays as it is where there is none.
    pub revision: Option<String>,
}

/// Why a file cannot be given another closure.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EditError {
    #[error("it is not TOML: {0}")]
    Syntax(String),
    #[error("{0} holds something that is not text or a number")]
    Kind(&'static str),
    #[error("`artifact` is not a table")]
    Table,
    #[error("the closure has {0} bytes, more than a manifest can say")]
    Size(u64),
    #[error("it is written in a way that cannot be changed in place")]
    Form,
}

/// The text of a service's file with another closure in it. Comments, order, spaces
/// and every other value stay byte for byte; the same release twice changes nothing.
///
/// # Errors
/// The file is not TOML, or what is to be changed is not of its kind.
pub fn with_release(text: &str, release: &Release) -> Result<String, EditError> {
    let document = parse(text)?;
    let mut edits = Edits { text, edits: Vec::new() };
    let root: &dyn TableLike = document.as_table();
    if let Some(revision) = &release.revision {
        edits.set(root, &Place::ROOT, &[("revision", Value::from(revision))])?;
    }
    let size =
        i64::try_from(release.closure_size).map_err(|_| EditError::Size(release.closure_size))?;
    let fields = [
        ("storePath", Value::from(release.store_path.as_str())),
        ("closureDigest", Value::from(release.closure_digest.as_str())),
        ("closureSize", Value::from(size)),
    ];
    match document.get("artifact") {
        None => edits.append(&fields),
        Some(item) => {
            let table = item.as_table_like().ok_or(EditError::Table)?;
            edits.set(table, &Place::of(item), &fields)?;
        }
    }
    let edited = edits.applied();
    // A spelling that nobody thought of must not go through half understood.
    let holds = parse(&edited).is_ok_and(|document| says(&document, &fields));
    if holds { Ok(edited) } else { Err(EditError::Form) }
}

/// Whether two texts of a service's file differ in nothing but what [`with_release`] writes.
pub fn same_but_release(one: &str, other: &str) -> bool {
    let neutral = |text| {
        let store_path = format!("/nix/store/{}-none", "0".repeat(32)).parse().ok()?;
        let closure_digest = format!("sha256:{}", "0".repeat(64)).parse().ok()?;
        let revision = Some(String::new());
        with_release(text, &Release { store_path, closure_digest, closure_size: 0, revision }).ok()
    };
    one == other || neutral(one).is_some_and(|text| neutral(other) == Some(text))
}

/// The store path and the revision in the text of a service's file, as they are written.
pub fn written_release(text: &str) -> Option<(StorePath, Option<String>)> {
    let document = parse(text).ok()?;
    let path = document.get("artifact")?.get("storePath")?.as_str()?.parse().ok()?;
    let revision = document.get("revision").and_then(Item::as_str).map(str::to_owned);
    Some((path, revision))
}

/// Whether a manifest in the JSON form has this service.
pub fn json_has(text: &[u8], service: &ServiceName) -> bool {
    let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(text) else { return false };
    let services = manifest["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    services.iter().any(|entry| entry["name"].as_str() == Some(service.as_str()))
}

/// The names among `known` that somebody who wrote `given` may have meant.
pub fn near<'a>(given: &ServiceName, known: &'a BTreeSet<String>) -> Vec<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(given.as_str(), name);
    let close = |name: &&str| {
        distance(name) <= 1 + given.as_str().len() / 4 || name.contains(given.as_str())
    };
    let mut near: Vec<&str> = known.iter().map(String::as_str).filter(close).collect();
    near.sort_by_key(|name| distance(name));
    near
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error| EditError::Syntax(error.to_string()))
}

fn says(document: &Document<&str>, fields: &[(&str, Value)]) -> bool {
    fields.iter().all(|(key, wanted)| {
        let found = document.get("artifact").and_then(|artifact| artifact.get(key));
        let Some(found) = found.and_then(Item::as_value) else { return false };
        found.as_str() == wanted.as_str() && found.as_integer() == wanted.as_integer()
    })
}

/// Where keys of a table are written.
struct Place {
    /// What stands before a key.
    prefix: &'static str,
    /// Several on one line, between commas.
    inline: bool,
}

impl Place {
    const ROOT: Self = Self { prefix: "", inline: false };

    fn of(artifact: &Item) -> Self {
        let dotted = artifact.as_table().is_some_and(toml_edit::Table::is_dotted);
        let prefix = if dotted { "artifact." } else { "" };
        Self { prefix, inline: artifact.is_inline_table() }
    }
}

/// Changes of a text, each a range and what takes its place.
struct Edits<'a> {
    text: &'a str,
    edits: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    /// Gives keys of a table their values: in place, or after the key before them.
    fn set(
        &mut self,
        table: &dyn TableLike,
        place: &Place,
        fields: &[(&'static str, Value)],
    ) -> Result<(), EditError> {
        let mut anchor = self.anchor(table, place);
        for (key, value) in fields {
            match table.get(key) {
                None => self.insert(anchor.as_ref(), place, key, value),
                Some(item) => {
                    let scalar = item.as_value().filter(|v| v.is_str() || v.is_integer());
                    let span = scalar.and_then(Value::span).ok_or(EditError::Kind(key))?;
                    anchor = Some(span.clone());
                    let same = scalar.is_some_and(|old| {
                        old.as_str() == value.as_str() && old.as_integer() == value.as_integer()
                    });
                    if !same {
                        self.edits.push((span, value.to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    /// The last plain value of a table, before any table below it; at the root, where
    /// new keys read best: after `hosts`.
    fn anchor(&self, table: &dyn TableLike, place: &Place) -> Option<Range<usize>> {
        let span = |item: &Item| item.as_value().and_then(Value::span);
        let hosts = table.get("hosts").filter(|_| place.prefix.is_empty()).and_then(span);
        hosts.or_else(|| table.iter().filter_map(|(_, item)| span(item)).max_by_key(|s| s.end))
    }

    fn insert(&mut self, after: Option<&Range<usize>>, place: &Place, key: &str, value: &Value) {
        let (at, text) = match after {
            Some(span) if place.inline => (span.end, format!(", {key} = {value}")),
            Some(span) => self.line(span.end, &format!("{}{key} = {value}", place.prefix)),
            None => (0, format!("{key} = {value}{}", self.line_end())),
        };
        self.edits.push((at..at, text));
    }

    /// A line of its own after the one in which `before` stands.
    fn line(&self, before: usize, line: &str) -> (usize, String) {
        let end = self.line_end();
        match self.text[before..].find('\n') {
            Some(length) => (before + length + 1, format!("{line}{end}")),
            None => (self.text.len(), format!("{end}{line}")),
        }
    }

    /// A table at the end, for a service that had no closure yet.
    fn append(&mut self, fields: &[(&str, Value)]) {
        let end = self.line_end();
        let gap = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { end };
        let lines: String =
            fields.iter().map(|(key, value)| format!("{key} = {value}{end}")).collect();
        let at = self.text.len();
        self.edits.push((at..at, format!("{gap}{end}[artifact]{end}{lines}")));
    }

    fn line_end(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    fn applied(mut self) -> String {
        // Insertions at one place keep their order.
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.to_owned();
        for (range, new) in self.edits.into_iter().rev() {
            text.replace_range(range, &new);
        }
        text
    }
}
