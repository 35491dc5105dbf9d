//! An operator's checkout: the manifest files of its working tree or of any revision.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use gix::object::tree::EntryKind;
use thiserror::Error;

use super::repo::Repository;
use crate::names::CommitId;

/// The folder of a deploy repository that holds its manifest.
const MANIFESTS: &str = "manifests";

/// A file larger than this is no manifest; trust refuses it as well (rule O5).
const FILE_LIMIT: u64 = 1024 * 1024;

/// Links and folders deeper than this are not followed (rule O5).
const DEPTH: usize = 16;

/// Why a checkout cannot be read.
#[derive(Debug, Error)]
pub enum CheckoutError {
    #[error("could not read {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("could not write {path}")]
    Unwritable { path: PathBuf, source: std::io::Error },
    #[error("{path} has no folder `manifests`; is it a deploy repository?")]
    NoManifests { path: PathBuf },
    #[error("{path}: {why}")]
    Unusable { path: PathBuf, why: String },
    #[error("{path} is not in a git repository: {why}")]
    NoRepository { path: PathBuf, why: String },
    #[error("there is no commit `{revision}`: {why}")]
    NoRevision { revision: String, why: String },
}

/// The files below `manifests/` of a working tree, by path from its root.
pub fn working_tree(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, CheckoutError> {
    let folder = root.join(MANIFESTS);
    if !folder.is_dir() {
        return Err(CheckoutError::NoManifests { path: root.to_owned() });
    }
    let mut files = BTreeMap::new();
    walk(&folder, MANIFESTS, DEPTH, &mut files)?;
    Ok(files)
}

fn walk(
    folder: &Path,
    name: &str,
    depth: usize,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), CheckoutError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CheckoutError::Unreadable { path, source }
    };
    let unusable = |path: &Path, why: &str| CheckoutError::Unusable {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if depth == 0 {
        return Err(unusable(folder, "folders are nested too deep"));
    }
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let Some(leaf) = path.file_name().and_then(|leaf| leaf.to_str()) else {
            return Err(unusable(&path, "its name is not UTF-8"));
        };
        let name = format!("{name}/{leaf}");
        let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
        if metadata.is_dir() {
            walk(&path, &name, depth - 1, files)?;
        } else if !metadata.is_file() {
            return Err(unusable(&path, "only plain files and folders count; links are refused"));
        } else if metadata.len() > FILE_LIMIT {
            return Err(unusable(&path, "it is larger than 1 MiB"));
        } else {
            files.insert(name, fs::read(&path).map_err(unreadable(&path))?);
        }
    }
    Ok(())
}

/// The files below `manifests/` of a revision; nothing about it is verified.
pub fn revision(root: &Path, revision: &str) -> Result<BTreeMap<String, Vec<u8>>, CheckoutError> {
    let repository = gix::discover(root).map_err(|error| CheckoutError::NoRepository {
        path: root.to_owned(),
        why: error.to_string(),
    })?;
    let missing = |why: String| CheckoutError::NoRevision { revision: revision.to_owned(), why };
    let commit = commit_of(&repository, revision)?;
    let tree = commit.tree().map_err(|error| missing(error.to_string()))?;
    let entries =
        tree.traverse().breadthfirst.files().map_err(|error| missing(error.to_string()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let name = entry.filepath.to_str_lossy().into_owned();
        let inside = name.starts_with("manifests/");
        if !inside || entry.mode.kind() == EntryKind::Tree {
            continue;
        }
        let blob = repository.find_object(entry.oid).map_err(|error| missing(error.to_string()))?;
        files.insert(name, blob.data.clone());
    }
    Ok(files)
}

/// The files below `manifests/` and `.writ/` of a tree, such as git makes of an index.
///
/// # Errors
/// There is no such tree, or it holds there what no host reads.
pub fn tree(root: &Path, id: &str) -> Result<BTreeMap<String, Vec<u8>>, CheckoutError> {
    let unusable = |why: String| CheckoutError::Unusable { path: root.to_owned(), why };
    let repository = gix::discover(root).map_err(|error| unusable(error.to_string()))?;
    let found = repository.rev_parse_single(id).map_err(|error| unusable(error.to_string()))?;
    let object = found.object().map_err(|error| unusable(error.to_string()))?;
    let tree = object.try_into_tree().map_err(|error| unusable(error.to_string()))?;
    let entries =
        tree.traverse().breadthfirst.files().map_err(|error| unusable(error.to_string()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let name = entry.filepath.to_str().map_err(|_| {
            let name = entry.filepath.escape_ascii();
            unusable(format!("{name} is not UTF-8, and hosts refuse such a name; git mv it"))
        })?;
        let name = name.to_owned();
        let inside = name.starts_with("manifests/") || name.starts_with(".writ/");
        match entry.mode.kind() {
            _ if !inside => {}
            EntryKind::Tree => {}
            EntryKind::Link | EntryKind::Commit => {
                let why = "only plain files and folders count; links are refused";
                return Err(unusable(format!("{name}: {why}")));
            }
            EntryKind::Blob | EntryKind::BlobExecutable => {
                let blob = repository.find_object(entry.oid);
                let blob = blob.map_err(|error| unusable(error.to_string()))?;
                files.insert(name, blob.data.clone());
            }
        }
    }
    Ok(files)
}

fn commit_of<'r>(
    repository: &'r gix::Repository,
    revision: &str,
) -> Result<gix::Commit<'r>, CheckoutError> {
    let missing = |why: String| CheckoutError::NoRevision { revision: revision.to_owned(), why };
    repository
        .rev_parse_single(revision)
        .map_err(|error| missing(error.to_string()))?
        .object()
        .and_then(|object| object.peel_to_commit().map_err(gix::Error::from_error))
        .map_err(|error| missing(error.to_string()))
}

/// The history that `root` lies in, for reading alone, and the commit that
/// `revision` names in it.
///
/// # Errors
/// There is no repository, it is shallow, or it has no such commit.
pub fn history(root: &Path, revision: &str) -> Result<(Repository, CommitId), CheckoutError> {
    let no_repository = |why: String| CheckoutError::NoRepository { path: root.to_owned(), why };
    let found = gix::discover(root).map_err(|error| no_repository(error.to_string()))?;
    let missing = |why: String| CheckoutError::NoRevision { revision: revision.to_owned(), why };
    let commit = commit_of(&found, revision)?;
    let id = commit.id.to_string().parse().map_err(|_| missing("it has no full id".to_owned()))?;
    let repository = Repository::open_to_read(found.common_dir())
        .map_err(|fault| no_repository(fault.because))?;
    Ok((repository, id))
}

/// The root of the checkout that `start` lies in, or `start` itself outside of one.
pub fn root_of(start: &Path) -> PathBuf {
    gix::discover(start)
        .ok()
        .and_then(|repository| repository.workdir().map(Path::to_owned))
        .unwrap_or_else(|| start.to_owned())
}
