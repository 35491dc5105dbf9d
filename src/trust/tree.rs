//! Reads a tree object strictly, and says which of its entries hosts read (rule O2).
//!
//! How a tree is written is looked at in every folder: order, names, modes. That an entry
//! is a plain file or folder with a plain name is asked of `.writ/` and `manifests/` alone,
//! where hosts read what it holds; elsewhere it is a path that somebody changed.

use std::collections::BTreeSet;

use super::breach::Breach;
use super::object::Format;
use super::{Reason, files, limits, policy, twins};
use crate::names::CommitId;

/// The folders of the root that hosts read.
pub(super) const READ: [&str; 2] = [policy::FOLDER, files::FOLDER];

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name as paths show it: bytes that are not UTF-8, control characters and the
    /// backslash are escaped, so that different names are shown differently.
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) id: CommitId,
    /// Whether the name is UTF-8 without control characters.
    plain: bool,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Folder,
    File,
    Executable,
    /// A link or a submodule: the one makes a path mean another, the other names what
    /// is not in the history. Hosts read neither.
    Other,
}

/// Reads the entries of a folder that hosts read, in git's order: plain files and folders.
pub(super) fn read(bytes: &[u8], format: Format) -> Result<Vec<Entry>, Breach> {
    let entries = read_any(bytes, format)?;
    entries.iter().try_for_each(readable)?;
    Ok(entries)
}

/// Reads the entries of any folder.
pub(super) fn read_any(bytes: &[u8], format: Format) -> Result<Vec<Entry>, Breach> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = BTreeSet::new();
    let mut last = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (name, entry);
        (name, entry, rest) = next(rest, format)?;
        if !names.insert(name) {
            return Err(broken(format!("the name \"{}\" appears twice", entry.name)));
        }
        let key = sort_key(name, entry.mode);
        if last >= key {
            return Err(broken(format!("the name \"{}\" is not in its place", entry.name)));
        }
        last = key;
        entries.push(entry);
    }
    Ok(entries)
}

/// Reads the entries of a root tree. Nothing there can be taken for one of the folders
/// that hosts read.
pub(super) fn read_root(bytes: &[u8], format: Format) -> Result<Vec<Entry>, Breach> {
    let entries = read_any(bytes, format)?;
    for entry in &entries {
        if READ.contains(&entry.name.as_str()) {
            readable(entry)?;
        }
        // A name that is not plain is escaped, and shows what it holds by that.
        let twin = |known: &&str| twins::is_twin(entry.name.as_bytes(), known);
        if let Some(known) = READ.iter().find(|known| twin(known)) {
            return Err(twin_of(&entry.name, known));
        }
    }
    Ok(entries)
}

/// Whether hosts read an entry in a folder of theirs.
fn readable(entry: &Entry) -> Result<(), Breach> {
    let name = &entry.name;
    if entry.mode == Mode::Other {
        return Err(Breach::new(
            "O2",
            Reason::Malformed,
            format!("\"{name}\" is a symbolic link or a submodule, and hosts follow neither"),
            "put the files themselves in its place (git rm --cached, then git add), and replace the commit: neither it nor a commit on top of it can be accepted",
        ));
    }
    if !entry.plain {
        return Err(Breach::new(
            "O2",
            Reason::Malformed,
            format!("the name \"{name}\" is not UTF-8 or has a control character in it"),
            "rename it (git mv), and replace the commit: neither it nor a commit on top of it can be accepted",
        ));
    }
    Ok(())
}

fn twin_of(name: &str, known: &str) -> Breach {
    Breach::new(
        "O2",
        Reason::Malformed,
        format!(
            "{name:?} looks like {known:?}, or is the same on some file system: people would take one for the other"
        ),
        "rename it (git mv), and replace the commit: neither it nor a commit on top of it can be accepted",
    )
}

fn broken(because: impl Into<String>) -> Breach {
    Breach::malformed("O2", because)
}

fn next(bytes: &[u8], format: Format) -> Result<(&[u8], Entry, &[u8]), Breach> {
    let short = || broken("a tree ends within an entry");
    let space = bytes.iter().take(8).position(|&b| b == b' ').ok_or_else(short)?;
    let (mode, rest) = (&bytes[..space], &bytes[space + 1..]);
    let nul = rest.iter().position(|&b| b == 0).ok_or_else(short)?;
    let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
    let (id, rest) = rest.split_at_checked(format.raw_length()).ok_or_else(short)?;
    valid_name(name)?;
    let shown = shown(name);
    let mode = valid_mode(mode, &shown)?;
    let plain = str::from_utf8(name).is_ok_and(|text| !text.chars().any(char::is_control));
    Ok((name, Entry { name: shown, mode, id: format.id_of_raw(id), plain }, rest))
}

fn valid_mode(mode: &[u8], name: &str) -> Result<Mode, Breach> {
    match mode {
        b"40000" => Ok(Mode::Folder),
        b"100644" => Ok(Mode::File),
        b"100755" => Ok(Mode::Executable),
        b"120000" | b"160000" => Ok(Mode::Other),
        other => {
            Err(broken(format!("\"{name}\" has the mode {:?}", other.escape_ascii().to_string())))
        }
    }
}

/// What no folder holds, whoever reads it.
fn valid_name(name: &[u8]) -> Result<(), Breach> {
    let short = &name[..name.len().min(limits::NAME)];
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(broken(format!("\"{}\" is not a file name", shown(short))));
    }
    if name.len() > limits::NAME {
        return Err(broken(format!(
            "the name \"{}…\" has {} bytes, {} are allowed",
            shown(&name[..20]),
            name.len(),
            limits::NAME
        )));
    }
    if twins::is_git(name) {
        return Err(Breach::new(
            "O2",
            Reason::Malformed,
            format!(
                "{:?} is git's own folder on some file system: git refuses it too (git fsck)",
                String::from_utf8_lossy(name)
            ),
            "rename it (git mv), and replace the commit: neither it nor a commit on top of it can be accepted",
        ));
    }
    Ok(())
}

/// A name without what a terminal obeys. Different names are shown differently.
fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Folders sort as if their names ended in `/` (git, `base_name_compare`).
fn sort_key(name: &[u8], mode: Mode) -> Vec<u8> {
    let slash: &[u8] = if mode == Mode::Folder { b"/" } else { b"" };
    [name, slash].concat()
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

    #[test]
    fn outside_of_what_hosts_read_a_link_or_an_odd_name_is_a_path_like_any_other() {
        let bytes = tree(&[
            ("120000", b"a"),
            ("100644", b"a\tb"),
            ("100644", b"a\\tb"),
            ("160000", b"b"),
            ("100644", b"\xff"),
        ]);
        let entries = read_any(&bytes, Format::Sha1).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a", "a\\tb", "a\\\\tb", "b", "\\xff"]);
        assert!(read(&bytes, Format::Sha1).is_err());
        assert_eq!(read_root(&bytes, Format::Sha1).unwrap(), entries);
    }

    #[test]
    fn no_two_names_are_shown_alike() {
        let pieces: [&[u8]; 8] =
            [b"a", b"\\", b"\t", b"t", b"\xff", b"x", "\u{85}".as_bytes(), b"u{85}"];
        let mut seen = std::collections::BTreeMap::new();
        for n in 0..8_usize.pow(4) {
            let name: Vec<u8> =
                (0..4).flat_map(|at| pieces[n / 8_usize.pow(at) % 8].to_vec()).collect();
            let before = seen.insert(shown(&name), name.clone());
            assert!(before.is_none_or(|before| before == name), "{name:?}");
        }
    }

    #[test]
    fn what_hosts_read_has_no_twin_beside_it() {
        for name in [&b".WRIT"[..], b"MANIFE~1", b"Manifests", ".wr\u{200d}it".as_bytes()] {
            assert_eq!(read_root(&tree(&[("40000", name)]), Format::Sha1).unwrap_err().rule, "O2");
            assert!(read_any(&tree(&[("40000", name)]), Format::Sha1).is_ok());
        }
        for name in [&b".writ"[..], b"manifests"] {
            assert!(read_root(&tree(&[("40000", name)]), Format::Sha1).is_ok());
            assert!(read_root(&tree(&[("120000", name)]), Format::Sha1).is_err());
            assert!(read_root(&tree(&[("160000", name)]), Format::Sha1).is_err());
        }
    }
}
