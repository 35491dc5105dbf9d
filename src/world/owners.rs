//! Whether others could put something else in the place of a file that root relies on.
//!
//! As sshd's StrictModes does, and for every folder on the way, links included: whoever
//! can rename a folder chooses what lies in it.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// More links in a row are a loop (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Only the owner of an entry can rename or delete it (`S_ISVTX`).
const STICKY: u32 = 0o1000;

/// A file or folder that others can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    pub path: PathBuf,
    pub mode: u32,
    pub owner: u32,
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, owner } = self;
        let path = path.display();
        write!(
            f,
            "{path} may be changed by others (mode {mode:o}, owner {owner}): chown root {path}; chmod go-w {path}"
        )
    }
}

/// The first folder or link on the way to `path` that others could change; `path` itself
/// is not looked at, unless it is a link.
///
/// # Errors
/// The way leads nowhere, or cannot be looked at.
pub fn exposed(path: &Path) -> io::Result<Option<Exposed>> {
    let path = std::path::absolute(path)?;
    let mut left: VecDeque<PathBuf> = parts(&path).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    let mut sticky = match unsafe_folder(&at)? {
        Ok(sticky) => sticky,
        Err(exposed) => return Ok(Some(exposed)),
    };
    while let Some(part) = left.pop_front() {
        if part.as_os_str() == ".." {
            at.pop();
            continue;
        }
        at.push(part);
        let found = fs::symlink_metadata(&at)?;
        if found.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many links"));
            }
            if sticky && !is_ours(&found) {
                return Ok(Some(said(&at, &found)));
            }
            let target = fs::read_link(&at)?;
            at = if target.is_absolute() { PathBuf::from("/") } else { parent(&at) };
            sticky = unsafe_folder(&at)?.unwrap_or_default();
            parts(&target).rev().for_each(|part| left.push_front(part));
        } else if found.is_dir() && !left.is_empty() {
            match unsafe_folder(&at)? {
                Ok(found) => sticky = found,
                Err(exposed) => return Ok(Some(exposed)),
            }
        } else if sticky && !is_ours(&found) {
            return Ok(Some(said(&at, &found)));
        }
    }
    Ok(None)
}

/// Whether a folder is sticky, where nobody else can change what is in it.
fn unsafe_folder(folder: &Path) -> io::Result<Result<bool, Exposed>> {
    let found = fs::symlink_metadata(folder)?;
    let sticky = found.mode() & STICKY != 0;
    // Root's own group is root's.
    let group = found.mode() & 0o020 != 0 && found.gid() != 0;
    let open = (group || found.mode() & 0o002 != 0) && !sticky;
    if open || !is_ours(&found) {
        return Ok(Err(said(folder, &found)));
    }
    Ok(Ok(sticky))
}

fn is_ours(found: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&found.uid())
}

fn said(path: &Path, found: &Metadata) -> Exposed {
    Exposed { path: path.to_owned(), mode: found.mode() & 0o7777, owner: found.uid() }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// The names and `..` of a path, in their order.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    struct Disk(tempfile::TempDir);

    impl Disk {
        /// `a/b/file`, in folders that only their owner writes.
        fn new() -> Self {
            let disk = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(disk.at("a/b")).unwrap();
            fs::write(disk.at("a/b/file"), "").unwrap();
            for folder in ["a", "a/b"] {
                disk.mode(folder, 0o755);
            }
            disk
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(name)
        }

        fn mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
        }

        fn exposed(&self, name: &str) -> Option<PathBuf> {
            exposed(&self.at(name)).unwrap().map(|exposed| exposed.path)
        }
    }

    #[test]
    fn a_file_in_folders_of_its_owner_is_not_exposed() {
        let disk = Disk::new();
        assert_eq!(disk.exposed("a/b/file"), None);
        symlink("b/file", disk.at("a/link")).unwrap();
        assert_eq!(disk.exposed("a/link"), None);
    }

    #[test]
    fn a_folder_anywhere_on_the_way_that_others_may_write_is_named() {
        let disk = Disk::new();
        for folder in ["a", "a/b"] {
            disk.mode(folder, 0o757);
            assert_eq!(disk.exposed("a/b/file"), Some(disk.at(folder)));
            disk.mode(folder, 0o755);
        }
        // By way of a link, too.
        fs::create_dir(disk.at("open")).unwrap();
        disk.mode("open", 0o777);
        symlink(disk.at("a/b"), disk.at("open/b")).unwrap();
        symlink(disk.at("open/b/file"), disk.at("link")).unwrap();
        assert_eq!(disk.exposed("link"), Some(disk.at("open")));
    }

    #[test]
    fn in_a_sticky_folder_others_cannot_replace_what_is_ours() {
        let disk = Disk::new();
        disk.mode("a", 0o1777);
        assert_eq!(disk.exposed("a/b/file"), None);
        if rustix::process::geteuid().is_root() {
            chown(disk.at("a/b"), Some(65534), None).unwrap();
            assert_eq!(disk.exposed("a/b/file"), Some(disk.at("a/b")));
            fs::write(disk.at("a/theirs"), "").unwrap();
            chown(disk.at("a/theirs"), Some(65534), None).unwrap();
            assert_eq!(disk.exposed("a/theirs"), Some(disk.at("a/theirs")));
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_named() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let disk = Disk::new();
        chown(disk.at("a"), Some(65534), None).unwrap();
        assert_eq!(disk.exposed("a/b/file"), Some(disk.at("a")));
        chown(disk.at("a"), Some(0), Some(65534)).unwrap();
        disk.mode("a", 0o775);
        assert_eq!(disk.exposed("a/b/file"), Some(disk.at("a")));
    }
}
