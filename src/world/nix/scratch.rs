//! Nix's scratch folder, in which nix notes what it knows of binary caches.
//!
//! One damaged page of that SQLite file makes nix pass over every cache that is not a
//! folder, with nothing but a warning. None of it is needed: it lies where a boot clears
//! it, and is thrown away as soon as nix complains of it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What a person can do where it cannot be used.
pub(super) const REMEDY: &str = "see that root can write there (df, df -i, mount)";

/// Makes nix's home with the scratch folder in it. Nix notes there which caches it asked,
/// and the address of a private one is secret. Anything else in the folder's place goes.
pub(super) fn make(home: &Path) -> io::Result<()> {
    let attempt = || {
        DirBuilder::new().recursive(true).mode(0o755).create(home)?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder(home))?;
        fs::set_permissions(folder(home), Permissions::from_mode(0o700))
    };
    if attempt().is_ok() {
        return Ok(());
    }
    if fs::symlink_metadata(home).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(home)?;
    }
    clear(home)?;
    attempt()
}

/// Throws away what nix noted.
pub(super) fn renew(home: &Path) -> io::Result<()> {
    clear(home)?;
    make(home)
}

/// Whether these words of nix are about the scratch folder.
pub(super) fn is_blamed(home: &Path, told: &str) -> bool {
    told.contains(&*folder(home).to_string_lossy())
}

/// Where nix has it without `XDG_CACHE_HOME`.
pub(super) fn folder(home: &Path) -> PathBuf {
    home.join(".cache")
}

fn clear(home: &Path) -> io::Result<()> {
    let folder = folder(home);
    let cleared = match fs::symlink_metadata(&folder) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&folder),
        Ok(_) => fs::remove_file(&folder),
        Err(error) => Err(error),
    };
    match cleared {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_made_private_whatever_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("run/nix");
        let mode = || fs::metadata(folder(&home)).unwrap().permissions().mode() & 0o777;
        make(&home).unwrap();
        assert_eq!(mode(), 0o700);
        fs::write(folder(&home).join("noted"), "x").unwrap();
        make(&home).unwrap();
        assert!(folder(&home).join("noted").exists(), "what is fine is kept");
        renew(&home).unwrap();
        assert_eq!(fs::read_dir(folder(&home)).unwrap().count(), 0);
        for place in [folder(&home), home.clone()] {
            fs::remove_dir_all(&place).unwrap();
            fs::write(&place, "in the way").unwrap();
            make(&home).unwrap();
            assert_eq!(mode(), 0o700, "{}", place.display());
        }
    }
}
