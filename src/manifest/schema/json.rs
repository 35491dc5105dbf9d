//! The keys of a manifest as a JSON Schema, draft 2020-12.

use serde_json::{Map, Value, json};

use super::{Group, Keys, Kind, groups};

/// Files that a schema is for; the other groups are parts of them.
const FILES: [(&str, &str); 4] = [
    ("service", "A service: manifests/services/<name>.toml"),
    ("profile", "A profile: manifests/profiles/<name>.toml"),
    ("host", "A host: manifests/hosts/<host>.toml"),
    ("json", "A whole manifest as JSON: manifests/manifest.json"),
];

/// The schema of every file of a manifest.
pub fn json() -> Value {
    let mut definitions: Map<String, Value> =
        groups().iter().map(|group| (group.name.to_owned(), object(group))).collect();
    definitions.insert("probe".to_owned(), probe(&definitions));
    for list in ["services", "profiles", "hosts"] {
        named(&mut definitions, list);
    }
    let files: Vec<Value> = FILES.iter().map(|(name, _)| reference(name)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A file of a Writ manifest",
        "description": "What `writ check` can tell beyond this is told by it alone. \
                        #/$defs/service, profile, host and json are for one kind of file each.",
        "anyOf": files,
        "$defs": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn object(group: &Group) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for keys in group.keys {
        for name in keys.names {
            properties.insert((*name).to_owned(), property(keys));
            if keys.default == "required" {
                required.push(*name);
            }
        }
    }
    let mut schema = json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    });
    if let Some((_, title)) = FILES.iter().find(|(name, _)| *name == group.name) {
        schema["title"] = (*title).into();
    }
    if group.name == "service" {
        schema["anyOf"] = json!([{ "required": ["exec"] }, { "required": ["static"] }]);
    }
    schema
}

/// A check of a profile is one of a service, as far as it says what is asked.
fn probe(definitions: &Map<String, Value>) -> Value {
    let health = &definitions["health"]["properties"];
    let keys = ["path", "port", "host", "command"].map(|key| (key.to_owned(), health[key].clone()));
    json!({
        "type": "object", "properties": Map::from_iter(keys), "minProperties": 1,
        "additionalProperties": false,
    })
}

/// In the JSON form each thing carries its name.
fn named(definitions: &mut Map<String, Value>, list: &str) {
    let property = &mut definitions["json"]["properties"][list];
    let thing = property["items"].take();
    property["items"] = json!({ "allOf": [thing, { "required": ["name"] }] });
}

fn property(keys: &Keys) -> Value {
    let mut schema = of(&keys.kind);
    let description = plain(keys.meaning);
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    let literal = keys.default.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    if let Some(default) = literal.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        schema["default"] = default;
    }
    schema
}

/// The text of a table's cell without its links and the marks of code.
fn plain(text: &str) -> String {
    let mut parts = text.replace(": [below]", "[below]");
    while let Some((before, rest)) = parts.split_once('[')
        && let Some((label, rest)) = rest.split_once("](")
        && let Some((_, after)) = rest.split_once(')')
    {
        let label = if label == "below" { "" } else { label };
        parts = format!("{before}{label}{after}");
    }
    parts.replace('`', "")
}

fn of(kind: &Kind) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::TextOrTexts => {
            json!({ "type": ["string", "array"], "items": { "type": "string" } })
        }
        Kind::CommandLine => {
            json!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1 })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Port => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        Kind::One => json!({ "const": 1 }),
        Kind::Percent => either_number("^0*[1-9][0-9]*%$", 1),
        Kind::Limit => either_number("^(0*[1-9][0-9]*[BKMGT%]?|infinity)$", 1),
        Kind::Duration => either_number("^([0-9]+(ms|s|m|min|h|d))+$", 0),
        Kind::Name => text("^[a-z][a-z0-9-]{0,47}$"),
        Kind::Hosts => {
            let items = text("^(\\*|(tag:)?[a-z][a-z0-9-]{0,47})$");
            json!({ "type": "array", "items": items, "minItems": 1 })
        }
        Kind::Account => text("^[a-z_][A-Za-z0-9_-]{0,30}$"),
        Kind::Domain => text("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"),
        Kind::Path => text("^/"),
        Kind::StorePath => {
            text("^/nix/store/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{0,210}$")
        }
        Kind::Digest => text("^sha256:[0-9a-f]{64}$"),
        Kind::Unit => text("^.+\\.(service|timer|socket|target|slice|mount|path)$"),
        Kind::Mode => text("^[0-7]{3,4}$"),
        Kind::Capability => text("^CAP_[A-Z_]+$"),
        Kind::Call => text("^~?@?[a-z][a-z0-9_-]*$"),
        Kind::Family => text("^AF_[A-Z0-9]+$"),
        Kind::Windows => {
            let items = json!({ "anyOf": [{ "type": "string" }, reference("window")] });
            json!({ "type": "array", "items": items })
        }
        Kind::Word(words) => json!({ "enum": words }),
        Kind::WordOrFlag(words) => {
            json!({ "anyOf": [{ "type": "boolean" }, { "enum": words }] })
        }
        Kind::List(item) => json!({ "type": "array", "items": of(item) }),
        Kind::Table(name) => reference(name),
        Kind::Tables(name) => json!({
            "anyOf": [reference(name), { "type": "array", "items": reference(name) }]
        }),
    }
}

/// A whole number from there on, or text of this form.
fn either_number(pattern: &str, least: u64) -> Value {
    json!({ "type": ["integer", "string"], "minimum": least, "pattern": pattern })
}
