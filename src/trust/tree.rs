//! Reads a tree object strictly: canonical, and only files and folders (rule O2).

use std::collections::BTreeSet;

use super::breach::Breach;
use super::limits;
use super::object::Format;
use crate::names::CommitId;

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) id: CommitId,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Folder,
    File,
    Executable,
    /// A link or a submodule: the one makes a path mean another, the other names what
    /// is not in the history. Refused wherever it would be new.
    Other,
}

/// Reads a folder's entries, in git's order: plain files and folders only.
pub(super) fn read(bytes: &[u8], format: Format) -> Result<Vec<Entry>, Breach> {
    let entries = read_any(bytes, format)?;
    match entries.iter().find(|entry| entry.mode == Mode::Other) {
        Some(other) => Err(broken(format!(
            "{:?} is a symbolic link or a submodule; only files and folders are allowed",
            other.name
        ))),
        None => Ok(entries),
    }
}

/// The same with links and submodules, for a tree that is about to lose them.
pub(super) fn read_any(bytes: &[u8], format: Format) -> Result<Vec<Entry>, Breach> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = BTreeSet::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let entry;
        (entry, rest) = next(rest, format)?;
        if !names.insert(entry.name.clone()) {
            return Err(broken(format!("the name {:?} appears twice", entry.name)));
        }
        if entries.last().is_some_and(|last| sort_key(last) >= sort_key(&entry)) {
            return Err(broken(format!("the name {:?} is not in its place", entry.name)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn broken(because: impl Into<String>) -> Breach {
    Breach::malformed("O2", because)
}

fn next(bytes: &[u8], format: Format) -> Result<(Entry, &[u8]), Breach> {
    let short = || broken("a tree ends within an entry");
    let space = bytes.iter().take(8).position(|&b| b == b' ').ok_or_else(short)?;
    let (mode, rest) = (&bytes[..space], &bytes[space + 1..]);
    let nul = rest.iter().position(|&b| b == 0).ok_or_else(short)?;
    let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
    let (id, rest) = rest.split_at_checked(format.raw_length()).ok_or_else(short)?;
    let name = valid_name(name)?;
    let mode = valid_mode(mode, &name)?;
    Ok((Entry { name, mode, id: format.id_of_raw(id) }, rest))
}

fn valid_mode(mode: &[u8], name: &str) -> Result<Mode, Breach> {
    match mode {
        b"40000" => Ok(Mode::Folder),
        b"100644" => Ok(Mode::File),
        b"100755" => Ok(Mode::Executable),
        b"120000" | b"160000" => Ok(Mode::Other),
        other => {
            Err(broken(format!("{name:?} has the mode {:?}", other.escape_ascii().to_string())))
        }
    }
}

/// Names are UTF-8 without control characters, so that a path in a message, a log
/// or a grant is the path in the tree.
fn valid_name(name: &[u8]) -> Result<String, Breach> {
    let shown = || name[..name.len().min(limits::NAME)].escape_ascii().to_string();
    let text = str::from_utf8(name).map_err(|_| broken(format!("{} is not UTF-8", shown())))?;
    let bad = text.is_empty()
        || text.len() > limits::NAME
        || text == "."
        || text == ".."
        || text.eq_ignore_ascii_case(".git")
        || text.contains('/')
        || text.chars().any(char::is_control);
    if bad { Err(broken(format!("{:?} is not a file name", shown()))) } else { Ok(text.to_owned()) }
}

/// Folders sort as if their names ended in `/` (git, `base_name_compare`).
fn sort_key(entry: &Entry) -> Vec<u8> {
    let mut key = entry.name.clone().into_bytes();
    if entry.mode == Mode::Folder {
        key.push(b'/');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (mode, name) in entries {
            out.extend_from_slice(mode.as_bytes());
            out.push(b' ');
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(&[7; 20]);
        }
        out
    }

    #[test]
    fn folders_sort_as_git_sorts_them() {
        let bytes = tree(&[("100644", b"a.b"), ("40000", b"a"), ("100755", b"a0")]);
        let entries = read(&bytes, Format::Sha1).unwrap();
        let modes: Vec<Mode> = entries.iter().map(|e| e.mode).collect();
        assert_eq!(modes, [Mode::File, Mode::Folder, Mode::Executable]);
        assert_eq!(entries[0].id.as_str(), "07".repeat(20));
    }

    #[test]
    fn anything_but_plain_files_and_folders_is_refused() {
        let bad: &[&[(&str, &[u8])]] = &[
            &[("100644", b"b"), ("100644", b"a")],
            &[("100644", b"a"), ("100644", b"a")],
            &[("100644", b"a"), ("100644", b"a.b"), ("40000", b"a")],
            &[("40000", b"a"), ("100644", b"a.b")],
            &[("120000", b"a")],
            &[("160000", b"a")],
            &[("100664", b"a")],
            &[("040000", b"a")],
            &[("100644", b"")],
            &[("100644", b".")],
            &[("100644", b"..")],
            &[("40000", b".git")],
            &[("40000", b".GIT")],
            &[("100644", b"a/b")],
            &[("100644", b"a\nb")],
            &[("100644", b"\xff")],
        ];
        for entries in bad {
            assert_eq!(read(&tree(entries), Format::Sha1).expect_err("refused").rule, "O2");
        }
        let whole = tree(&[("100644", b"a")]);
        assert!(read(&whole[..whole.len() - 1], Format::Sha1).is_err());
        assert!(read(&whole, Format::Sha256).is_err());
    }
}
