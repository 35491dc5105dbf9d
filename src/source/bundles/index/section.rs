//! The sections of an index, key by key, each with its line.

use std::collections::BTreeMap;

use super::{BadIndex, Digested, Entry, Noted, Stated};
use crate::names::{BranchName, CommitId};

/// A section's keys, each with its line.
pub(super) struct Section<'a> {
    /// What stands between the quotes.
    name: &'a str,
    line: usize,
    keys: BTreeMap<&'a str, (usize, &'a str)>,
}

/// The sections of an index, `[bundle]` first.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>, BadIndex> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        let wrong = |because: &str| BadIndex::Line { line: number, because: because.to_owned() };
        if line.starts_with('#') {
            continue;
        }
        if let Some(name) = header(line) {
            if name.is_empty() != sections.is_empty() {
                return Err(wrong("there is one section [bundle], and it comes first"));
            }
            sections.push(Section { name, line: number, keys: BTreeMap::new() });
            continue;
        }
        let pair = line.strip_prefix('\t').and_then(|line| line.split_once(" = "));
        let (Some((key, value)), Some(section)) = (pair, sections.last_mut()) else {
            return Err(wrong("it is no line of an index of bundles"));
        };
        if section.keys.insert(key, (number, value)).is_some() {
            return Err(wrong("this key is there twice"));
        }
    }
    Ok(sections)
}

/// What a section is called; nothing for `[bundle]` itself.
fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix("[bundle")?.strip_suffix(']')?;
    if name.is_empty() {
        return Some(name);
    }
    name.strip_prefix(" \"")?.strip_suffix('"').filter(|name| !name.is_empty())
}

pub(super) fn missing(what: &str) -> BadIndex {
    BadIndex::Whole(format!("{what} is missing"))
}

impl<'a> Section<'a> {
    pub(super) fn wrong(&self, key: &str, because: impl Into<String>) -> BadIndex {
        let line = self.keys.get(key).map_or(self.line, |(line, _)| *line);
        BadIndex::Line { line, because: because.into() }
    }

    fn find(&self, key: &str) -> Option<&'a str> {
        self.keys.get(key).map(|(_, value)| *value)
    }

    pub(super) fn take(&self, key: &str) -> Result<&'a str, BadIndex> {
        self.find(key).ok_or_else(|| self.wrong(key, format!("{key} is missing")))
    }

    pub(super) fn id(&self, key: &str) -> Result<CommitId, BadIndex> {
        self.take(key)?.parse().map_err(|_| self.wrong(key, format!("{key} is no id")))
    }

    fn number(&self, key: &str, text: &str) -> Result<u64, BadIndex> {
        let number = text.parse().ok().filter(|n: &u64| n.to_string() == text);
        number.ok_or_else(|| self.wrong(key, format!("{key} is no number")))
    }

    fn noted(&self, key: &str) -> Result<Option<Noted>, BadIndex> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let wrong = || self.wrong(key, format!("{key} is an id and a sequence"));
        let (id, sequence) = value.split_once(' ').ok_or_else(wrong)?;
        let id = id.parse().map_err(|_| wrong())?;
        Ok(Some(Noted { id, sequence: self.number(key, sequence)? }))
    }

    pub(super) fn stated(&self) -> Result<Option<Stated>, BadIndex> {
        const KEY: &str = "writStatements";
        let (head, reset) = (self.noted("writHead")?, self.noted("writReset")?);
        let Some(value) = self.find(KEY).filter(|_| head.is_some() || reset.is_some()) else {
            let alone = head.is_some() || reset.is_some() || self.find(KEY).is_some();
            let because = "statements and the bundle with them are named together";
            return if alone { Err(self.wrong(KEY, because)) } else { Ok(None) };
        };
        let words: Vec<&str> = value.split(' ').collect();
        let [sha256, size, since] = words[..] else {
            return Err(self.wrong(KEY, format!("{KEY} is a SHA-256, a size and a token")));
        };
        let file = Digested::new(sha256, self.number(KEY, size)?);
        let file = file.ok_or_else(|| self.wrong(KEY, format!("{KEY} has no SHA-256")))?;
        Ok(Some(Stated { head, reset, file, since: self.number(KEY, since)? }))
    }

    pub(super) fn entry(self) -> Result<Entry, BadIndex> {
        let token = self.number("creationToken", self.take("creationToken")?)?;
        if self.name != token.to_string() {
            return Err(self.wrong("creationToken", "a bundle is called as its creationToken"));
        }
        let size = self.number("writSize", self.take("writSize")?)?;
        let file = Digested::of_name(self.take("uri")?, size)
            .ok_or_else(|| self.wrong("uri", "a uri is bundles/<SHA-256>.bundle"))?;
        let base = self.find("writBase").map(|_| self.id("writBase")).transpose()?;
        let entry = Entry { token, file, tip: self.id("writTip")?, base };
        self.end()?;
        Ok(entry)
    }

    /// No key is left that nobody asked for.
    pub(super) fn end(&self) -> Result<(), BadIndex> {
        const WHOLE: [&str; 9] = [
            "version",
            "mode",
            "heuristic",
            "writFormat",
            "writBranch",
            "writTip",
            "writHead",
            "writReset",
            "writStatements",
        ];
        const ENTRY: [&str; 5] = ["uri", "creationToken", "writSize", "writTip", "writBase"];
        let known: &[&str] = if self.name.is_empty() { &WHOLE } else { &ENTRY };
        match self.keys.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(self.wrong(key, format!("{key} is not known here"))),
            None => Ok(()),
        }
    }
}

pub(super) fn branch(section: &Section<'_>, value: &str) -> Result<BranchName, BadIndex> {
    let wrong = || section.wrong("writBranch", "writBranch is no branch in quotes");
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).ok_or_else(wrong)?;
    let plain = quoted.replace("\\\"", "\"");
    // What was not written as `Display` writes it would read as something else in git.
    match plain.replace('"', "\\\"") == quoted {
        true => plain.parse().map_err(|_| wrong()),
        false => Err(wrong()),
    }
}
