//! A working tree as the tree that git would make of it, for [`trust::inspect`].
//!
//! Files are read when they are asked for. The ids are numbers: nothing is hashed, and
//! nobody can sign what is found here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::checkout::CheckoutError;
use super::git_program::{Checkout, GitError};
use crate::names::CommitId;
use crate::trust::{Kind, Objects, Unreadable};

/// The folders that are read to their end, also where git leaves a file out.
const WHOLE: [&str; 2] = [".writ", "manifests"];

/// What a commit of everything in a working tree would hold.
#[derive(Debug)]
pub struct Worktree {
    root: CommitId,
    trees: BTreeMap<CommitId, Vec<u8>>,
    files: BTreeMap<CommitId, PathBuf>,
}

/// A folder while it is listed.
#[derive(Debug, Default)]
struct Folder {
    entries: BTreeMap<Vec<u8>, Node>,
}

#[derive(Debug)]
enum Node {
    Folder(Folder),
    File {
        path: PathBuf,
        executable: bool,
    },
    Link {
        path: PathBuf,
    },
    /// A repository of its own.
    Submodule,
}

impl Worktree {
    /// Lists the working tree that begins at `root`: what git tracks or would add, and all
    /// that lies in `.writ/` and `manifests/`.
    ///
    /// # Errors
    /// A folder cannot be read, or git cannot be started.
    pub fn list(root: &Path) -> Result<Self, CheckoutError> {
        let mut folder = Folder::default();
        for path in listed(root)? {
            let names: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|n| !n.is_empty()).collect();
            let whole = |name: &&[u8]| WHOLE.iter().any(|whole| whole.as_bytes() == *name);
            if !names.first().is_some_and(whole) {
                let place = root.join(OsStr::from_bytes(&path));
                // What is tracked may be gone from the disk.
                if let Ok(metadata) = fs::symlink_metadata(&place) {
                    folder.put(&names, node(place, &metadata));
                }
            }
        }
        for name in WHOLE {
            let place = root.join(name);
            if let Ok(metadata) = fs::symlink_metadata(&place) {
                let node = walked(place, &metadata)?;
                folder.entries.insert(name.as_bytes().to_vec(), node);
            }
        }
        let mut tree = Self { root: id(0), trees: BTreeMap::new(), files: BTreeMap::new() };
        tree.root = tree.written(folder);
        Ok(tree)
    }

    /// The root tree.
    pub fn root(&self) -> &CommitId {
        &self.root
    }

    fn written(&mut self, folder: Folder) -> CommitId {
        let mut entries: Vec<(Vec<u8>, &str, Vec<u8>, CommitId)> = Vec::new();
        for (name, node) in folder.entries {
            let (mode, id) = match node {
                Node::Folder(folder) => ("40000", self.written(folder)),
                Node::File { path, executable } => {
                    (if executable { "100755" } else { "100644" }, self.file(path))
                }
                Node::Link { path } => ("120000", self.file(path)),
                Node::Submodule => ("160000", self.fresh_id()),
            };
            let slash: &[u8] = if mode == "40000" { b"/" } else { b"" };
            entries.push(([&name, slash].concat(), mode, name, id));
        }
        entries.sort();
        let mut bytes = Vec::new();
        for (_, mode, name, id) in entries {
            bytes.extend_from_slice(&[mode.as_bytes(), b" ", &name, b"\0"].concat());
            let hex = id.as_str();
            let raw = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
            bytes.extend(raw.flatten());
        }
        let id = self.fresh_id();
        self.trees.insert(id.clone(), bytes);
        id
    }

    fn file(&mut self, path: PathBuf) -> CommitId {
        let id = self.fresh_id();
        self.files.insert(id.clone(), path);
        id
    }

    /// Each id is the next number; that of a submodule stands for nothing here.
    fn fresh_id(&mut self) -> CommitId {
        let number: u64 = u64::from_str_radix(&self.root.as_str()[20..], 16).unwrap_or_default();
        self.root = id(number + 1);
        self.root.clone()
    }
}

impl Objects for Worktree {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        let fits =
            |size: u64| if size > limit { Err(Unreadable::TooLarge { size }) } else { Ok(()) };
        if let Some(bytes) = self.trees.get(id) {
            fits(bytes.len() as u64)?;
            return Ok(Some((Kind::Tree, bytes.clone())));
        }
        let Some(path) = self.files.get(id) else { return Ok(None) };
        let damaged = |error: std::io::Error| Unreadable::Damaged(error.to_string());
        let metadata = fs::symlink_metadata(path).map_err(damaged)?;
        fits(metadata.len())?;
        let bytes = if metadata.is_symlink() {
            fs::read_link(path).map(|target| target.as_os_str().as_bytes().to_vec())
        } else {
            fs::read(path)
        };
        Ok(Some((Kind::Blob, bytes.map_err(damaged)?)))
    }
}

impl Folder {
    fn put(&mut self, names: &[&[u8]], node: Node) {
        match names {
            [] => {}
            [name] => drop(self.entries.insert(name.to_vec(), node)),
            [name, rest @ ..] => {
                let below = self
                    .entries
                    .entry(name.to_vec())
                    .or_insert_with(|| Node::Folder(Self::default()));
                if let Node::Folder(folder) = below {
                    folder.put(rest, node);
                }
            }
        }
    }
}

/// What git has of a working tree; nothing where it is in no repository.
fn listed(root: &Path) -> Result<Vec<Vec<u8>>, CheckoutError> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    match Checkout::at(root).bytes(&args) {
        Ok(list) => {
            Ok(list.split(|&b| b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect())
        }
        Err(GitError::Failed { .. }) => Ok(Vec::new()),
        Err(error) => {
            let (path, why) = (root.to_owned(), error.to_string());
            Err(CheckoutError::Unusable { path, why })
        }
    }
}

fn node(path: PathBuf, metadata: &Metadata) -> Node {
    if metadata.is_dir() {
        Node::Submodule
    } else if metadata.is_symlink() {
        Node::Link { path }
    } else {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        Node::File { path, executable }
    }
}

/// A folder to its end. A device or a socket stands there as a link does: git takes none.
fn walked(path: PathBuf, metadata: &Metadata) -> Result<Node, CheckoutError> {
    if !metadata.is_dir() {
        return Ok(match metadata.is_file() {
            true => node(path, metadata),
            false => Node::Link { path },
        });
    }
    let unreadable = |source| CheckoutError::Unreadable { path: path.clone(), source };
    let mut folder = Folder::default();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let metadata = entry.metadata().map_err(unreadable)?;
        let node = walked(entry.path(), &metadata)?;
        // Git keeps no empty folders.
        if !matches!(&node, Node::Folder(folder) if folder.entries.is_empty()) {
            folder.entries.insert(entry.file_name().as_bytes().to_vec(), node);
        }
    }
    Ok(Node::Folder(folder))
}

fn id(number: u64) -> CommitId {
    format!("{number:040x}").parse().expect("forty hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::inspect;

    fn put(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_folder_is_read_as_the_tree_that_git_makes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "manifests/services/a.b.toml", b"1");
        put(dir.path(), "manifests/services/a/x", b"2");
        put(dir.path(), "manifests/services/a0", b"3");
        fs::create_dir(dir.path().join("manifests/empty")).unwrap();
        let tree = Worktree::list(dir.path()).unwrap();
        let found = inspect(&tree, tree.root());
        assert_eq!(found.violations, []);
        let files = found.files.unwrap();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(p, b)| (p.as_str(), &b[..])).collect();
        assert_eq!(
            files,
            [
                ("manifests/services/a.b.toml", &b"1"[..]),
                ("manifests/services/a/x", b"2"),
                ("manifests/services/a0", b"3"),
            ]
        );
    }
}
