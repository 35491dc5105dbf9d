//! Reads the files below `manifests/`, within budgets (rules O2, O3, O5).

use std::collections::BTreeMap;

use super::breach::Breach;
use super::object::Reader;
use super::tree::Mode;
use super::{Objects, Reason, limits};
use crate::names::CommitId;

pub(super) const FOLDER: &str = "manifests";

/// Every file below `manifests/` of the root tree `root`, by path; none where there
/// is no such folder.
pub(super) fn manifests<O: Objects>(
    reader: &Reader<'_, O>,
    root: &CommitId,
) -> Result<BTreeMap<String, Vec<u8>>, Breach> {
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    let mut folders = Vec::new();
    for entry in reader.root(root)?.into_iter().filter(|entry| entry.name == FOLDER) {
        match entry.mode {
            Mode::Folder => folders.push((FOLDER.to_owned(), entry.id)),
            Mode::File | Mode::Executable | Mode::Other => {
                return Err(Breach::new(
                    "O2",
                    Reason::Malformed,
                    "manifests is a file, not a folder",
                    "rename it (git mv), and commit again",
                ));
            }
        }
    }
    let mut entries = 0;
    while let Some((folder, id)) = folders.pop() {
        for entry in reader.tree(&id).map_err(|breach| breach.at(&folder))? {
            let path = format!("{folder}/{}", entry.name);
            entries += 1;
            budget(&path, entries, bytes)?;
            match entry.mode {
                Mode::Folder => folders.push((path, entry.id)),
                Mode::File | Mode::Executable | Mode::Other => {
                    let content = reader.file(&entry.id).map_err(|breach| breach.at(&path))?;
                    bytes += content.len();
                    files.insert(path, content);
                }
            }
        }
    }
    budget(FOLDER, entries, bytes)?;
    Ok(files)
}

fn budget(path: &str, entries: usize, bytes: usize) -> Result<(), Breach> {
    let small = "keep manifests/ small; closures carry the rest";
    let (because, remedy) = if path.split('/').count() > limits::DEPTH {
        let because = format!("{path:?} lies more than {} folders deep", limits::DEPTH);
        (because, "move it up (git mv), and replace the commit")
    } else if entries > limits::FILES {
        let most = limits::FILES;
        (format!("there are more than {most} files and folders below manifests/"), small)
    } else if bytes > limits::FILE_BYTES {
        let most = limits::FILE_BYTES;
        (format!("the files below manifests/ have more than {most} bytes"), small)
    } else {
        return Ok(());
    };
    Err(Breach::new("O5", Reason::TooLarge, because, remedy))
}
