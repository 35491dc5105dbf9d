//! A netrc, as curl and git have it: who this host is on which server.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A file with passwords.
#[derive(Clone, Debug)]
pub enum Netrc {
    /// Somebody named it: it has to be there.
    Named(PathBuf),
    /// Nix takes passwords from there, if there are any.
    OfNix(PathBuf),
}

impl Netrc {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Named(path) | Self::OfNix(path) => path,
        }
    }

    /// The login for a server.
    ///
    /// # Errors
    /// The file cannot be read or is no netrc, in words for a person.
    pub(crate) fn login(&self, host: &str) -> Result<Option<Login>, String> {
        let told = |why: String| format!("{}: {why}", self.path().display());
        let text = match (fs::read_to_string(self.path()), self) {
            (Err(error), Self::OfNix(_)) if error.kind() == ErrorKind::NotFound => String::new(),
            (text, _) => text.map_err(|error| told(error.to_string()))?,
        };
        login(&text, host).map_err(told)
    }
}

/// Who one is on a server.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The login for a server: the first that names it, or the `default` at the end.
///
/// # Errors
/// The file is none, in words for a person; nothing of what it holds is repeated.
pub(crate) fn login(text: &str, host: &str) -> Result<Option<Login>, String> {
    let mut words = words(text);
    let mut entry: Option<Entry> = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{}` has no value", known(word)));
        match (word, &mut entry) {
            ("machine" | "default", Some(entry)) if entry.ours => break,
            ("machine", _) => entry = Some(Entry::new(value()?.eq_ignore_ascii_case(host))),
            ("default", _) => entry = Some(Entry::new(true)),
            ("login", Some(entry)) => entry.user = Some(value()?.to_owned()),
            ("password", Some(entry)) => entry.password = Some(value()?.to_owned()),
            ("account", Some(_)) => drop(value()?),
            _ => return Err(format!("it says `{}` where nothing of a netrc stands", known(word))),
        }
    }
    match entry.filter(|entry| entry.ours) {
        None => Ok(None),
        Some(Entry { user, password: Some(password), .. }) => {
            Ok(Some(Login { user: user.unwrap_or_default(), password }))
        }
        Some(_) => Err(format!("it has no password for {host}")),
    }
}

struct Entry {
    ours: bool,
    user: Option<String>,
    password: Option<String>,
}

impl Entry {
    fn new(ours: bool) -> Self {
        Self { ours, user: None, password: None }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace)
}

/// A word that may be told: a password that slipped is not.
fn known(word: &str) -> &str {
    let known = ["machine", "default", "login", "password", "account", "macdef"];
    known.into_iter().find(|known| *known == word).unwrap_or("…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_for_the_server_counts() {
        let text = "# ours\nmachine a.example login bob password s3cret\nmachine b.example\n  login eve\n  password x#y\ndefault login any password thing\n";
        let found = |host: &str| {
            let Login { user, password } = login(text, host).unwrap().unwrap();
            format!("{user}:{password}")
        };
        assert_eq!(found("a.example"), "bob:s3cret");
        assert_eq!(found("B.example"), "eve:x#y");
        assert_eq!(found("c.example"), "any:thing");
        assert!(login("machine a.example login b password c", "d").unwrap().is_none());
    }

    #[test]
    fn a_mistake_does_not_tell_a_password() {
        for text in [
            "machine a login b password",
            "machine a login b",
            "machine a b s3cret",
            "s3cret",
            "macdef init",
        ] {
            let why = login(text, "a").err().unwrap();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
