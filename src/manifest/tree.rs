//! A file as written: one small tree for both spellings, in which everything knows its place.
//!
//! serde would stop at the first problem and forget where values stood. So TOML
//! and JSON are both read into this tree, and one set of readers turns the tree
//! into services, noting every unknown key, wrong type and bad name on the way.

use std::borrow::Cow;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use super::problem::{Report, Spot};

/// The largest file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Lines with broken TOML that are shown.
const MOST_BROKEN_LINES: usize = 50;

/// Nothing in the schema is nested deeper than six levels; without a bound a
/// small file could exhaust the stack.
const DEEPEST: usize = 32;
const FLATTEN: &str = "nothing in a manifest is nested that deep: flatten it";

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
    if let Some(at) = toml_too_deep(text) {
        report.add(spot.at(at), format!("nested more than {DEEPEST} levels deep"), FLATTEN);
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut sound = true;
    let mut lines = std::collections::BTreeSet::new();
    for error in errors {
        let duplicate = error.message() == "duplicate key";
        sound &= duplicate;
        if lines.len() > MOST_BROKEN_LINES {
            continue;
        }
        let remedy = if duplicate {
            "keep one of the two; a list of tables is written [[name]]"
        } else {
            "mend the TOML here (https://toml.io)"
        };
        let at = error.span().map_or(0, |span| text.floor_char_boundary(span.start));
        // What follows on a line that has gone wrong is the parser finding its feet.
        if lines.insert(text[..at].rfind('\n')) {
            report.add(spot.at(at), error.message(), remedy);
        }
    }
    let entries = toml_entries(table.into_inner(), spot);
    sound.then_some(Node { at: spot, value: Value::Table(entries) })
}

/// Where TOML nests too deeply, looked for before parsing: the parser bounds
/// brackets and dotted keys each, but not their product, and drops what it built
/// by recursion.
fn toml_too_deep(text: &str) -> Option<usize> {
    // For each open bracket, what it is closed by and the levels it stands for.
    let mut open: Vec<(TokenKind, usize)> = Vec::new();
    let (mut depth, mut dots) = (0, 0);
    for token in toml_parser::Source::new(text).lex() {
        let closed_by = match token.kind() {
            TokenKind::LeftSquareBracket => Some(TokenKind::RightSquareBracket),
            TokenKind::LeftCurlyBracket => Some(TokenKind::RightCurlyBracket),
            TokenKind::Dot => {
                dots += 1;
                None
            }
            TokenKind::Comma | TokenKind::Newline => {
                dots = 0;
                None
            }
            kind => {
                // A bracket of the wrong kind closes nothing.
                if let Some((_, levels)) = open.pop_if(|(closed_by, _)| *closed_by == kind) {
                    (depth, dots) = (depth - levels, 0);
                }
                None
            }
        };
        if let Some(closed_by) = closed_by {
            open.push((closed_by, 1 + dots));
            (depth, dots) = (depth + 1 + dots, 0);
        }
        if depth + dots > DEEPEST {
            return Some(token.span().start());
        }
    }
    None
}

fn toml_entries<'a>(table: DeTable<'a>, spot: Spot<'a>) -> Vec<Entry<'a>> {
    let entry = |(key, value): (Spanned<DeString<'a>>, Spanned<DeValue<'a>>)| Entry {
        at: spot.at(key.span().start),
        key: key.into_inner(),
        node: toml_node(value, spot),
    };
    table.into_iter().map(entry).collect()
}

fn toml_node<'a>(value: Spanned<DeValue<'a>>, spot: Spot<'a>) -> Node<'a> {
    let at = spot.at(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).map_or(Value::Number, Value::Integer)
        }
        DeValue::Float(_) => Value::Number,
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| toml_node(item, spot)).collect())
        }
        DeValue::Table(table) => Value::Table(toml_entries(table, spot)),
    };
    Node { at, value }
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
    if let Some(at) = json_too_deep(text) {
        report.add(spot.at(at), format!("nested more than {DEEPEST} levels deep"), FLATTEN);
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
            let what = error.kind().to_string().to_lowercase().replace("json", "JSON");
            report.add(spot.at(error.range().start), what, mend);
            None
        }
    }
}

/// Where JSON opens one bracket too many. Looked for before parsing, as the
/// parser itself is recursive.
fn json_too_deep(text: &str) -> Option<usize> {
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
