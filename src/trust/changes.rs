//! The paths in which two trees differ; a rename is a delete and an add (rule G4).

use std::collections::BTreeMap;

use super::breach::Breach;
use super::object::Reader;
use super::tree::{self, Entry, Mode};
use super::{Objects, Reason, limits};
use crate::names::CommitId;

/// One path that is another file, or the same with another mode, or there on one
/// side only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) before: Option<Content>,
    pub(super) after: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) mode: Mode,
    pub(super) id: CommitId,
}

/// A folder with another content on each side; `None` where it does not exist.
struct Folder {
    /// Empty, or ending in `/`.
    prefix: String,
    before: Option<CommitId>,
    after: Option<CommitId>,
}

/// Compares the root trees `before` and `after`, reading only folders that differ.
///
/// What `before` holds has been judged or is the introduction's, so that links and
/// submodules in it can be taken away. Below `.writ/` and `manifests/`, `after` holds
/// what hosts read; elsewhere a link, a submodule and a file with an odd name are paths
/// that changed, like any other, and nothing of what they hold is read.
pub(super) fn between<O: Objects>(
    reader: &Reader<'_, O>,
    before: &CommitId,
    after: &CommitId,
) -> Result<Vec<Change>, Breach> {
    let mut changes = Vec::new();
    let mut folders = Vec::new();
    if before != after {
        let (before, after) = (Some(before.clone()), Some(after.clone()));
        folders.push(Folder { prefix: String::new(), before, after });
    }
    let mut visited = 0;
    while let Some(folder) = folders.pop() {
        for (name, (old, new)) in entries(reader, &folder)? {
            let path = format!("{}{name}", folder.prefix);
            visited += 1;
            budget(&path, is_read(&folder.prefix), visited)?;
            let (old_folder, old_file) = sides(old);
            let (new_folder, new_file) = sides(new);
            if old_folder != new_folder {
                let prefix = format!("{path}/");
                folders.push(Folder { prefix, before: old_folder, after: new_folder });
            }
            if old_file != new_file {
                changes.push(Change { path, before: old_file, after: new_file });
            }
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

type Pair = (Option<Entry>, Option<Entry>);

/// Both sides of a folder, joined by name.
fn entries<O: Objects>(
    reader: &Reader<'_, O>,
    folder: &Folder,
) -> Result<BTreeMap<String, Pair>, Breach> {
    let mut joined: BTreeMap<String, Pair> = BTreeMap::new();
    if let Some(id) = &folder.before {
        for entry in reader.any_tree(id)? {
            let name = entry.name.clone();
            joined.entry(name).or_default().0 = Some(entry);
        }
    }
    if let Some(id) = &folder.after {
        let entries = match &*folder.prefix {
            "" => reader.root(id)?,
            prefix if is_read(prefix) => {
                let entries = reader.tree(id).map_err(|breach| breach.at(prefix))?;
                not_empty(entries, prefix)?
            }
            prefix => unread(reader, id, prefix)?,
        };
        for entry in entries {
            let name = entry.name.clone();
            joined.entry(name).or_default().1 = Some(entry);
        }
    }
    Ok(joined)
}

/// The entries of a folder that hosts do not read.
pub(super) fn unread<O: Objects>(
    reader: &Reader<'_, O>,
    id: &CommitId,
    prefix: &str,
) -> Result<Vec<Entry>, Breach> {
    not_empty(reader.any_tree(id).map_err(|breach| breach.at(prefix))?, prefix)
}

/// Git keeps no empty folders: one would be a change without a path.
fn not_empty(entries: Vec<Entry>, prefix: &str) -> Result<Vec<Entry>, Breach> {
    match entries.is_empty() {
        true => Err(Breach::malformed("O2", format!("{prefix} is an empty folder"))),
        false => Ok(entries),
    }
}

/// An entry as a folder or as a file.
fn sides(entry: Option<Entry>) -> (Option<CommitId>, Option<Content>) {
    match entry {
        None => (None, None),
        Some(Entry { mode: Mode::Folder, id, .. }) => (Some(id), None),
        Some(Entry { mode, id, .. }) => (None, Some(Content { mode, id })),
    }
}

/// Whether hosts read what lies in the folder `prefix`.
fn is_read(prefix: &str) -> bool {
    prefix.split_once('/').is_some_and(|(first, _)| tree::READ.contains(&first))
}

fn budget(path: &str, is_read: bool, visited: usize) -> Result<(), Breach> {
    let too_large = |because, remedy| Err(Breach::new("O5", Reason::TooLarge, because, remedy));
    if is_read && path.split('/').count() > limits::DEPTH {
        let because = format!("{path:?} lies more than {} folders deep", limits::DEPTH);
        return too_large(because, "move it up (git mv), and replace the commit");
    }
    length(path)?;
    if visited > limits::CHANGES {
        let because = format!("it touches more than {} files and folders", limits::CHANGES);
        return too_large(because, "split the change into smaller commits");
    }
    Ok(())
}

/// Whether a path is one that some system opens.
pub(super) fn length(path: &str) -> Result<(), Breach> {
    if path.len() <= limits::PATH {
        return Ok(());
    }
    let (start, end) = (path.floor_char_boundary(80), path.floor_char_boundary(path.len() - 80));
    Err(Breach::new(
        "O5",
        Reason::TooLarge,
        format!(
            "the path \"{}…{}\" has {} bytes, {} are allowed",
            &path[..start],
            &path[end..],
            path.len(),
            limits::PATH
        ),
        "move it up (git mv), and replace the commit",
    ))
}
