//! New files in an operator's checkout: all of them or none, and none over another.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::checkout::CheckoutError;

/// Reads a file that the operator names.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, CheckoutError> {
    fs::read(path).map_err(|source| CheckoutError::Unreadable { path: path.to_owned(), source })
}

/// Puts files below `root`, by their paths from there, and takes another away.
///
/// # Errors
/// One of them is there already, or cannot be written or removed; then nothing has changed.
pub fn place(
    root: &Path,
    files: &BTreeMap<String, String>,
    remove: Option<&Path>,
) -> Result<(), CheckoutError> {
    let stage = Stage::open(root)?;
    let mut placed = Vec::new();
    let done = stage.fill(files).and_then(|staged| {
        for (fresh, path) in staged {
            let path = root.join(path);
            moved(&fresh, &path).map_err(|source| unwritable(&path, source))?;
            placed.push(path);
        }
        remove.map_or(Ok(()), |old| fs::remove_file(old).map_err(|source| unwritable(old, source)))
    });
    if done.is_err() {
        for path in placed {
            let _ = fs::remove_file(path);
        }
    }
    done
}

/// Never over a file that is there, nor one that just came.
fn moved(fresh: &Path, path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(renameat_with(CWD, fresh, CWD, path, RenameFlags::NOREPLACE)?)
}

/// A folder on the same file system, where files become whole; gone when dropped.
struct Stage(PathBuf);

impl Stage {
    fn open(root: &Path) -> Result<Self, CheckoutError> {
        // Not in `manifests/`: hosts would refuse what is left there.
        let git = root.join(".git");
        let folder = if git.is_dir() { &git } else { root };
        let stage = folder.join(format!(".writ-import-{}", std::process::id()));
        fs::create_dir(&stage).map_err(|source| unwritable(&stage, source))?;
        Ok(Self(stage))
    }

    fn fill<'f>(
        &self,
        files: &'f BTreeMap<String, String>,
    ) -> Result<Vec<(PathBuf, &'f str)>, CheckoutError> {
        let write = |(number, (path, text)): (usize, (&'f String, &String))| {
            let fresh = self.0.join(number.to_string());
            let written = || {
                let mut file = fs::File::create(&fresh)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()
            };
            written().map_err(|source| unwritable(&fresh, source))?;
            Ok((fresh, path.as_str()))
        };
        files.iter().enumerate().map(write).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unwritable(path: &Path, source: std::io::Error) -> CheckoutError {
    CheckoutError::Unwritable { path: path.to_owned(), source }
}
