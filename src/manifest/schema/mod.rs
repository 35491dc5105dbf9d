//! What a manifest may say, for people and for editors: the tables of docs/manifest.md and
//! a JSON Schema, both from one list of keys.
//!
//! The reader knows more than a schema can tell: what is at odds with something elsewhere
//! is for `writ check`.

mod json;
mod keys;

pub use json::json;

/// One table of a manifest.
#[derive(Debug)]
pub struct Group {
    /// `exec`; what `docs/manifest.md` marks its table with.
    pub name: &'static str,
    columns: &'static [&'static str],
    keys: &'static [Keys],
}

/// Keys that are told in one row.
#[derive(Debug)]
struct Keys {
    names: &'static [&'static str],
    kind: Kind,
    /// The kind in words.
    told: &'static str,
    default: &'static str,
    meaning: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Texts,
    TextOrTexts,
    Flag,
    Count,
    Port,
    Percent,
    Limit,
    Duration,
    Name,
    Hosts,
    Account,
    Domain,
    Path,
    StorePath,
    Digest,
    Unit,
    Mode,
    Capability,
    Call,
    Family,
    CommandLine,
    Windows,
    /// The version of the JSON form.
    One,
    Word(&'static [&'static str]),
    WordOrFlag(&'static [&'static str]),
    List(&'static Kind),
    Table(&'static str),
    /// One, or a list of them.
    Tables(&'static str),
}

/// Every table.
pub fn groups() -> &'static [Group] {
    keys::GROUPS
}

impl Group {
    /// The keys that there may be.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().flat_map(|keys| keys.names.iter().copied())
    }

    /// The table of the reference.
    pub fn markdown(&self) -> String {
        let line = |cells: &[&str]| {
            let cells: Vec<String> = cells
                .iter()
                .map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") })
                .collect();
            format!("|{}|\n", cells.join("|"))
        };
        let mut text = line(self.columns);
        text.push_str(&format!("|{}\n", "---|".repeat(self.columns.len())));
        for keys in self.keys {
            let names: Vec<String> = keys.names.iter().map(|name| format!("`{name}`")).collect();
            let cells = [names.join(", ").as_str(), keys.told, keys.default, keys.meaning]
                .map(str::to_owned);
            let cells: Vec<&str> =
                cells.iter().map(String::as_str).take(self.columns.len()).collect();
            text.push_str(&line(&cells));
        }
        text
    }
}
