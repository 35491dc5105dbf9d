//! What a program reads of a command: one JSON object with its version, and times of one format.

use std::process::Output;

use serde_json::Value;

/// The object that a command printed, and nothing else was on standard output.
pub(crate) fn object(output: &Output) -> Value {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(out);
    let object: Value =
        serde_json::from_slice(out).unwrap_or_else(|error| panic!("{error}: {text}{err}"));
    assert_is_for_programs(&object);
    object
}

/// # Panics
/// It does not begin with its version, or tells a time in a format of its own.
pub(crate) fn assert_is_for_programs(object: &Value) {
    let first = object.as_object().and_then(|fields| fields.iter().next());
    assert_eq!(first, Some((&"version".to_owned(), &1.into())), "{object}");
    times(object, "");
}

fn times(value: &Value, key: &str) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| times(value, key)),
        Value::Array(values) => values.iter().for_each(|value| times(value, key)),
        Value::String(text) if is_a_time(key, text) => {
            let utc: Option<jiff::Timestamp> = text.parse().ok().filter(|_| text.ends_with('Z'));
            assert_eq!(utc.map(|time| time.to_string()).as_ref(), Some(text), "{key}: {text}");
            assert!(!text.contains('.'), "{key}: {text} is not to the second");
        }
        // Seconds since 1970, of these years; a statement's sequence may look like them.
        Value::Number(number) if key != "sequence" => {
            let seconds = number.as_i64().unwrap_or_default();
            assert!(!(1_600_000_000..2_200_000_000).contains(&seconds), "{key}: {number}");
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// By its name, or since it begins as one.
fn is_a_time(key: &str, text: &str) -> bool {
    let named = ["since", "until", "fetched", "seen", "accepted", "committed", "issued"];
    let date = text.get(..5).is_some_and(|year| year.starts_with("20") && year.ends_with('-'));
    let is_text = ["subject", "local", "revision"].contains(&key);
    (named.contains(&key) && !is_a_commit(text)) || date && !is_text
}

/// `since` and `accepted` may be commits, too.
fn is_a_commit(text: &str) -> bool {
    text.len() >= 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}
