//! A file as written: one small tree for both spellings, in which everything knows its place.
//!
//! serde would stop at the first problem and forget where values stood. So TOML
//! and JSON are both read into this tree, and one set of readers turns the tree
//! into services, noting every unknown key, wrong type and bad name on the way.

use std::borrow::Cow;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use toml::de::{DeTable, DeValue};

use super::problem::{Report, Spot};

/// The largest file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Nothing in the schema is nested deeper than six levels; without a bound a
/// small file could exhaust the stack.
const DEEPEST: usize = 32;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) at: Spot<'a>,
    pub(super) value: Value<'a>,
}

/// What either spelling can say.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    /// A number that is no `i64`.
    Number,
    Bool(bool),
    Date,
    Null,
    List(Vec<Node<'a>>),
    Table(Vec<Entry<'a>>),
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) at: Spot<'a>,
    pub(super) node: Node<'a>,
}

impl Value<'_> {
    /// The kind of value, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Number => "a number",
            Self::Bool(_) => "a boolean",
            Self::Date => "a date",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The file's text, where it is text of a bearable size.
pub(super) fn text<'a>(file: &'a str, bytes: &'a [u8], report: &Report) -> Option<&'a str> {
    let whole = Spot::file(file, "");
    if bytes.len() > LARGEST {
        let what = format!("the file has {} bytes, more than {LARGEST}", bytes.len());
        report.add(whole, what, "split it into one file per service");
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let sound = &bytes[..error.valid_up_to()];
            let sound = std::str::from_utf8(sound).unwrap_or_default();
            let spot = Spot::file(file, sound).at(sound.len());
            report.add(spot, "a byte here is not UTF-8", "save the file as UTF-8");
            None
        }
    }
}

/// Reads TOML. A file with a syntax error is reported and not read further,
/// because what a recovered tree lacks would only be reported again.
pub(super) fn toml<'a>(file: &'a str, text: &'a str, report: &Report) -> Option<Node<'a>> {
    let spot = Spot::file(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut sound = true;
    for error in errors {
        let duplicate = error.message() == "duplicate key";
        sound &= duplicate;
        let remedy = if duplicate {
            "keep one of the two; a list of tables is written [[name]]"
        } else {
            "mend the TOML here (https://toml.io/en/v1.0.0)"
        };
        let at = error.span().map_or(spot, |span| spot.at(span.start));
        report.add(at, error.message(), remedy);
    }
    let entries = toml_entries(table.into_inner(), Place { spot, depth: 0 }, report)?;
    sound.then(|| Node { at: spot, value: Value::Table(entries) })
}

/// Where a reader stands: the file, and how many tables and lists deep.
#[derive(Clone, Copy)]
struct Place<'a> {
    spot: Spot<'a>,
    depth: usize,
}

impl<'a> Place<'a> {
    /// One level down; `None`, and a problem, where that is too deep.
    fn deeper(self, at: usize, report: &Report) -> Option<Self> {
        if self.depth < DEEPEST {
            return Some(Self { depth: self.depth + 1, ..self });
        }
        let what = format!("nested more than {DEEPEST} levels deep");
        report.add(self.spot.at(at), what, "nothing in a manifest is nested that deep: flatten it");
        None
    }
}

fn toml_entries<'a>(
    table: DeTable<'a>,
    place: Place<'a>,
    report: &Report,
) -> Option<Vec<Entry<'a>>> {
    table
        .into_iter()
        .map(|(key, value)| {
            let at = place.spot.at(key.span().start);
            let node = toml_node(value.span().start, value.into_inner(), place, report)?;
            Some(Entry { key: key.into_inner(), at, node })
        })
        .collect()
}

fn toml_node<'a>(
    at: usize,
    value: DeValue<'a>,
    place: Place<'a>,
    report: &Report,
) -> Option<Node<'a>> {
    let value = match value {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).map_or(Value::Number, Value::Integer)
        }
        DeValue::Float(_) => Value::Number,
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            let place = place.deeper(at, report)?;
            let items = items
                .into_iter()
                .map(|item| toml_node(item.span().start, item.into_inner(), place, report));
            Value::List(items.collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            Value::Table(toml_entries(table, place.deeper(at, report)?, report)?)
        }
    };
    Some(Node { at: place.spot.at(at), value })
}

/// Strict JSON (RFC 8259): the parser's extensions are all off.
const STRICT: jsonc_parser::ParseOptions = jsonc_parser::ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads JSON.
pub(super) fn json<'a>(file: &'a str, text: &'a str, report: &Report) -> Option<Node<'a>> {
    let spot = Spot::file(file, text);
    let mend = "mend the JSON here, or write it with `builtins.toJSON`";
    if let Some(at) = too_deep(text) {
        Place { spot, depth: DEEPEST }.deeper(at, report);
        return None;
    }
    match jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &STRICT) {
        Ok(jsonc_parser::ParseResult { value: Some(value), .. }) => {
            Some(json_node(value, spot, report))
        }
        Ok(_) => {
            report.add(spot, "the file is empty", mend);
            None
        }
        Err(error) => {
            let what = error.kind().to_string().to_lowercase();
            report.add(spot.at(error.range().start), what, mend);
            None
        }
    }
}

/// Where JSON opens one bracket too many. Looked for before parsing, as the
/// parser itself is recursive.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(at);
        }
    }
    None
}

fn json_node<'a>(value: ast::Value<'a>, spot: Spot<'a>, report: &Report) -> Node<'a> {
    let at = spot.at(value.start());
    let value = match value {
        ast::Value::StringLit(text) => Value::Text(text.value),
        ast::Value::NumberLit(number) => number.value.parse().map_or(Value::Number, Value::Integer),
        ast::Value::BooleanLit(flag) => Value::Bool(flag.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(list) => Value::List(
            list.elements.into_iter().map(|item| json_node(item, spot, report)).collect(),
        ),
        ast::Value::Object(object) => Value::Table(json_entries(object, spot, report)),
    };
    Node { at, value }
}

fn json_entries<'a>(object: ast::Object<'a>, spot: Spot<'a>, report: &Report) -> Vec<Entry<'a>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut entries = Vec::new();
    for property in object.properties {
        let at = spot.at(property.range.start);
        let key = match property.name {
            ast::ObjectPropName::String(name) => name.value,
            ast::ObjectPropName::Word(name) => Cow::Borrowed(name.value),
        };
        if seen.insert(key.clone()) {
            entries.push(Entry { key, at, node: json_node(property.value, spot, report) });
        } else {
            report.add(at, "duplicate key", "keep one of the two");
        }
    }
    entries
}
