//! Reads what a file asks for out of its text, key by key.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::sort::{self, Context, Sort};
use super::{Privilege, Request};

/// Whether a path is one whose content hosts act on.
pub(super) fn is_manifest(path: &str) -> bool {
    path.starts_with("manifests/")
}

/// Whether a file below `manifests/` is one that may lie about for people and for git.
pub(super) fn is_note(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("README.md" | ".gitkeep" | ".gitignore"))
}

/// What a file is, by its path.
enum Place<'a> {
    /// A table of this group for one subject.
    Subject(&'static str, &'a str),
    Json,
    Note,
    Stranger,
}

fn place(path: &str) -> Place<'_> {
    let below = path.strip_prefix("manifests/").unwrap_or_default();
    let stem = |folder: &str| below.strip_prefix(folder)?.strip_suffix(".toml");
    let groups = [("services/", "service"), ("profiles/", "profile"), ("hosts/", "host")];
    let named = groups.iter().find_map(|(folder, group)| {
        stem(folder).filter(|stem| !stem.contains('/')).map(|stem| (*group, stem))
    });
    match named {
        Some((group, stem)) => Place::Subject(group, stem),
        None if below == "manifest.json" => Place::Json,
        None if is_note(path) => Place::Note,
        None => Place::Stranger,
    }
}

pub(super) fn requests(path: &str, text: &[u8]) -> BTreeSet<Request> {
    let mut found = Found { requests: BTreeSet::new() };
    let unknown = |what: &str| Privilege::Unknown(what.to_owned());
    match place(path) {
        Place::Note => {}
        Place::Stranger => found.add(path, unknown("is a file that means nothing to Writ")),
        Place::Subject(group, name) => match toml(text) {
            Some(table) => found.subject(group, name, &table),
            None => found.add(name, unknown("has a file that is not TOML")),
        },
        Place::Json => match serde_json::from_slice(text) {
            Ok(Value::Object(table)) => found.table("json", &nobody(path), &table),
            Ok(_) | Err(_) => found.add(path, unknown("is not the JSON of a manifest")),
        },
    }
    found.requests
}

fn toml(text: &[u8]) -> Option<Map<String, Value>> {
    toml::from_str(str::from_utf8(text).ok()?).ok()
}

fn nobody(path: &str) -> Context<'_> {
    Context { subject: path, store_path: "" }
}

struct Found {
    requests: BTreeSet<Request>,
}

impl Found {
    fn add(&mut self, subject: &str, privilege: Privilege) {
        self.requests.insert(Request { subject: subject.to_owned(), privilege });
    }

    /// The table of a service, profile or host.
    fn subject(&mut self, group: &'static str, name: &str, table: &Map<String, Value>) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let artifact = table.get("artifact").and_then(Value::as_object);
        let store_path = artifact.and_then(|artifact| text(artifact.get("storePath")));
        let store_path = store_path.unwrap_or_default();
        let context = Context { subject: name, store_path: &store_path };
        // What a profile leaves out is root's.
        if group == "profile" && !table.contains_key("user") {
            self.add(name, Privilege::User("root".to_owned()));
        }
        self.table(group, &context, table);
    }

    fn table(&mut self, group: &'static str, context: &Context<'_>, table: &Map<String, Value>) {
        // A key that is `null` is left out.
        for (key, value) in table.iter().filter(|(_, value)| !value.is_null()) {
            match sort::of(group, key) {
                Some(sort) => self.value(sort, key, context, value),
                None => {
                    let what = format!("has the key `{key}`, which this version does not know");
                    self.add(context.subject, Privilege::Unknown(what));
                }
            }
        }
    }

    fn value(&mut self, sort: Sort, key: &str, context: &Context<'_>, value: &Value) {
        let judged = match sort {
            Sort::Own => Some(()),
            Sort::Table(group) => each(value, Value::as_object)
                .map(|tables| tables.into_iter().for_each(|t| self.table(group, context, t))),
            Sort::Subjects(group) => each(value, Value::as_object).map(|tables| {
                for table in tables {
                    let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
                    self.subject(group, name, table);
                }
            }),
            Sort::Words(privilege) => each(value, Value::as_str).map(|words| {
                let asked = words.into_iter().filter_map(|word| privilege(context, word));
                asked.for_each(|privilege| self.add(context.subject, privilege));
            }),
            Sort::Port => value
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .map(|port| self.add(context.subject, Privilege::Port(port))),
            Sort::Hardening(closed) => {
                let text = value.to_string();
                if !closed.contains(&text.as_str()) {
                    self.add(context.subject, Privilege::Hardening(format!("{key} = {text}")));
                }
                Some(())
            }
            Sort::HardeningList(is_closed) => each(value, Value::as_str).map(|items| {
                if !is_closed(&items) {
                    let text = format!("{key} = {value}");
                    self.add(context.subject, Privilege::Hardening(text));
                }
            }),
            Sort::HostSetting => {
                self.host_setting(key, context, value);
                Some(())
            }
        };
        if judged.is_none() {
            let what = format!("has a `{key}` that cannot be judged");
            self.add(context.subject, Privilege::Unknown(what));
        }
    }

    /// Each item of a list by itself: a tag that stays is not asked for anew.
    fn host_setting(&mut self, key: &str, context: &Context<'_>, value: &Value) {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for item in items {
            let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            self.add(context.subject, Privilege::HostSetting(format!("{key} {text}")));
        }
    }
}

/// One thing or a list of them; `None` where any is of another kind.
fn each<'v, T: 'v>(value: &'v Value, kind: impl Fn(&'v Value) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::Array(items) => items.iter().map(kind).collect(),
        one => kind(one).map(|one| vec![one]),
    }
}
