//! The version-1 JSON form as TOML files that mean the same.
//!
//! Values go over one by one, in their order, so that nothing is lost that either
//! spelling can say; only `null`, which counts as left out, is left out.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table};

use crate::manifest::problem::{Problems, Report};
use crate::manifest::tree::{self, Entry, Node, Value};
use crate::manifest::{Manifest, WorkingTree};

/// Where the JSON form lies in a repository.
const JSON: &str = "manifests/manifest.json";

/// The lists of the JSON form, each with the folder that takes its place.
const FOLDERS: [&str; 3] = ["services", "profiles", "hosts"];

/// What becomes of a JSON file.
#[derive(Debug)]
pub struct Imported {
    /// The new files' texts by path from the repository's root.
    pub files: BTreeMap<String, String>,
    /// What the repository means then; the same as before.
    pub manifest: Manifest<WorkingTree>,
}

/// Why a JSON file cannot become TOML.
#[derive(Debug, Error)]
pub enum JsonError {
    /// As if the file lay at `manifests/manifest.json`.
    #[error("{0}")]
    Problems(Problems),
    #[error("the TOML would not mean the same as the JSON: this is a mistake of writ's")]
    Differs,
}

/// The files that say what `text` says, in a repository that has the files `beside`
/// and no other JSON.
///
/// # Errors
/// Every problem of the manifest as it is; among them each name that is there already.
pub fn from_json(text: &[u8], beside: &BTreeMap<String, Vec<u8>>) -> Result<Imported, JsonError> {
    let mut all = beside.clone();
    all.insert(JSON.to_owned(), text.to_vec());
    let before = Manifest::draft(&all).map_err(JsonError::Problems)?;
    let files = spelled(text).ok_or(JsonError::Differs)?;
    all.remove(JSON);
    all.extend(files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())));
    match Manifest::draft(&all) {
        Ok(manifest) if manifest == before => Ok(Imported { files, manifest }),
        // A manifest of nothing at all has no other spelling, either.
        Ok(_) => Err(JsonError::Differs),
        Err(problems) => Err(JsonError::Problems(problems)),
    }
}

/// `None` for what the reader would have refused.
fn spelled(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let report = Report::default();
    let text = tree::text(JSON, text, &report)?;
    let root = tree::json(JSON, text, &report)?;
    let Value::Table(entries) = &root.value else { return None };
    let header = match text_of(entries, "generation") {
        Some(written) => format!("# Was in manifest.json, generation {written}.\n"),
        None => String::new(),
    };
    let mut files = BTreeMap::new();
    let shared = domains(list_of(entries, "services"));
    for folder in FOLDERS {
        for node in list_of(entries, folder) {
            let Value::Table(thing) = &node.value else { return None };
            let name = text_of(thing, "name")?;
            let toml = document(thing, &shared, name)?;
            files.insert(format!("manifests/{folder}/{name}.toml"), format!("{header}{toml}"));
        }
    }
    Some(files)
}

fn entry<'t, 'a>(entries: &'t [Entry<'a>], key: &str) -> Option<&'t Value<'a>> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node.value)
}

fn text_of<'t>(entries: &'t [Entry<'_>], key: &str) -> Option<&'t str> {
    match entry(entries, key) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn list_of<'t, 'a>(entries: &'t [Entry<'a>], key: &str) -> &'t [Node<'a>] {
    match entry(entries, key) {
        Some(Value::List(nodes)) => nodes,
        _ => &[],
    }
}

/// The services of each domain. In one file they share it without a word; in several
/// each has to name the others.
type Domains = BTreeMap<String, BTreeSet<String>>;

fn domains(services: &[Node<'_>]) -> Domains {
    let mut domains = Domains::new();
    for node in services {
        let Value::Table(service) = &node.value else { continue };
        let Some(name) = text_of(service, "name") else { continue };
        let routes = match entry(service, "http") {
            Some(Value::List(nodes)) => nodes.iter().map(|node| &node.value).collect(),
            one => Vec::from_iter(one),
        };
        for route in routes {
            let Value::Table(route) = route else { continue };
            for domain in names(route) {
                domains.entry(domain.to_owned()).or_default().insert(name.to_owned());
            }
        }
    }
    domains
}

/// Every domain of a route.
fn names<'t>(route: &'t [Entry<'_>]) -> Vec<&'t str> {
    let one = ["domain", "stagingDomain"].into_iter().filter_map(|key| text_of(route, key));
    let list = list_of(route, "redirectFrom").iter().filter_map(|node| match &node.value {
        Value::Text(text) => Some(text.as_ref()),
        _ => None,
    });
    one.chain(list).collect()
}

/// One thing's file: its name is the file's.
fn document(entries: &[Entry<'_>], shared: &Domains, name: &str) -> Option<String> {
    let mut document = DocumentMut::new();
    *document.as_table_mut() = table(entries.iter().filter(|entry| entry.key != "name"))?;
    match document.get_mut("http") {
        Some(Item::Table(route)) => share(route, shared, name),
        Some(Item::ArrayOfTables(routes)) => {
            routes.iter_mut().for_each(|route| share(route, shared, name));
        }
        Some(_) | None => {}
    }
    Some(document.to_string())
}

/// Has a route name the other services of its domains.
fn share(route: &mut Table, shared: &Domains, name: &str) {
    let text = |item: &Item| item.as_str().map(str::to_owned);
    let one = ["domain", "stagingDomain"].into_iter().filter_map(|key| text(route.get(key)?));
    let list = route.get("redirectFrom").and_then(Item::as_array).into_iter().flatten();
    let domains = one.chain(list.filter_map(|value| value.as_str().map(str::to_owned)));
    let others: BTreeSet<&str> = domains
        .filter_map(|domain| shared.get(&domain))
        .flatten()
        .map(String::as_str)
        .filter(|other| *other != name)
        .collect();
    if !others.is_empty() && !route.contains_key("sharedWith") {
        route.insert("sharedWith", Item::Value(Array::from_iter(others).into()));
    }
}

fn table<'t, 'a: 't>(entries: impl Iterator<Item = &'t Entry<'a>>) -> Option<Table> {
    let mut table = Table::new();
    for entry in entries {
        let item = match &entry.node.value {
            Value::Null => continue,
            Value::Table(entries) => Item::Table(self::table(entries.iter())?),
            Value::List(nodes) if entry.key == "http" && !nodes.is_empty() => {
                Item::ArrayOfTables(tables(nodes)?)
            }
            other => Item::Value(value(other)?),
        };
        table.insert(&entry.key, item);
    }
    Some(table)
}

fn tables(nodes: &[Node<'_>]) -> Option<ArrayOfTables> {
    let one = |node: &Node<'_>| match &node.value {
        Value::Table(entries) => table(entries.iter()),
        _ => None,
    };
    nodes.iter().map(one).collect()
}

fn value(value: &Value<'_>) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Text(text) => text.as_ref().into(),
        Value::Integer(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::List(nodes) => {
            let items: Option<Array> = nodes.iter().map(|node| self::value(&node.value)).collect();
            items?.into()
        }
        Value::Table(entries) => {
            let mut table = InlineTable::new();
            for entry in entries.iter().filter(|e| !matches!(e.node.value, Value::Null)) {
                table.insert(entry.key.as_ref(), self::value(&entry.node.value)?);
            }
            table.into()
        }
        Value::Number | Value::Date | Value::Null => return None,
    })
}
