//! The environments of services, in a folder in memory that only root opens.
//!
//! `<service>.env` is what systemd reads; `<service>.started` says which content the
//! service's `envFile` had when its process was started last.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::names::ServiceName;
use crate::plan::environment::{ContentDigest, Environment};

const TEXT: &str = "env";
const STARTED: &str = "started";

/// The folder, which is this program's alone.
#[derive(Clone, Debug)]
pub(super) struct Environments(PathBuf);

impl Environments {
    pub(super) fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// What every service has. A file that others could read or have written counts as
    /// none, so that it is written anew.
    pub(super) fn read_all(&self) -> Result<BTreeMap<ServiceName, Environment>, Fault> {
        let failed = |error: io::Error| Fault::wait(format!("read {}", self.0.display()), error);
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found: BTreeMap<ServiceName, Environment> = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Some((service, kind)) = parts(&path) else { continue };
            let text = private(&path).map_err(failed)?;
            let environment = found.entry(service).or_default();
            match kind {
                TEXT => environment.text = text,
                _ => environment.started_with = text.and_then(|hex| digest(hex.trim())),
            }
        }
        Ok(found)
    }

    /// Makes it so, or takes away what is not to be.
    pub(super) fn set(&self, service: &ServiceName, to: &Environment) -> Result<(), Fault> {
        let started = to.started_with.map(|digest| hex(&digest));
        self.put(service, TEXT, to.text.as_deref())
            .and_then(|()| self.put(service, STARTED, started.as_deref()))
            .map_err(|error| {
                let fault = Fault::wait(format!("write the environment of {service}"), &error);
                match error.kind() {
                    ErrorKind::StorageFull => fault.remedy("free space below /run"),
                    ErrorKind::PermissionDenied => fault.remedy("the agent has to run as root"),
                    _ => fault,
                }
            })
    }

    /// Writes the file of a service that has none, as at boot.
    pub(super) fn restore(&self, service: &ServiceName, text: &str) -> io::Result<()> {
        match self.path(service, TEXT).exists() {
            true => Ok(()),
            false => self.put(service, TEXT, Some(text)),
        }
    }

    fn path(&self, service: &ServiceName, kind: &str) -> PathBuf {
        self.0.join(format!("{service}.{kind}"))
    }

    /// Whoever opens the file finds the old text or the new one.
    fn put(&self, service: &ServiceName, kind: &str, text: Option<&str>) -> io::Result<()> {
        let path = self.path(service, kind);
        let Some(text) = text else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            };
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        fs::set_permissions(&self.0, Permissions::from_mode(0o700))?;
        let fresh = self.0.join(format!(".{service}.{kind}.new"));
        let _ = fs::remove_file(&fresh);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        written
    }
}

fn parts(path: &Path) -> Option<(ServiceName, &'static str)> {
    let service = path.file_stem()?.to_str()?.parse().ok()?;
    let kind = path.extension()?.to_str()?;
    [TEXT, STARTED].into_iter().find(|known| *known == kind).map(|kind| (service, kind))
}

/// The text of a plain file that nobody else reads or writes.
fn private(path: &Path) -> io::Result<Option<String>> {
    let found = fs::symlink_metadata(path)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_file() || found.mode() & 0o077 != 0 || found.uid() != own {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&fs::read(path)?).into_owned()))
}

fn hex(digest: &ContentDigest) -> String {
    digest.0.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest(hex: &str) -> Option<ContentDigest> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(ContentDigest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Environments) {
        let dir = tempfile::tempdir().unwrap();
        let environments = Environments::in_folder(dir.path().join("env"));
        (dir, environments)
    }

    fn web() -> ServiceName {
        "web".parse().unwrap()
    }

    fn all() -> Environment {
        Environment {
            text: Some("A=\"1\"\n".to_owned()),
            started_with: Some(ContentDigest([0xa5; 32])),
        }
    }

    #[test]
    fn an_environment_is_read_back_as_it_was_set_and_taken_away() {
        let (_dir, environments) = folder();
        assert!(environments.read_all().unwrap().is_empty());
        for to in [all(), Environment { started_with: None, ..all() }, all()] {
            environments.set(&web(), &to).unwrap();
            assert_eq!(environments.read_all().unwrap(), [(web(), to)].into());
        }
        environments.set(&web(), &Environment::default()).unwrap();
        environments.set(&web(), &Environment::default()).unwrap();
        assert!(environments.read_all().unwrap().is_empty());
    }

    #[test]
    fn only_root_reads_it_and_what_others_could_read_is_none() {
        let (_dir, environments) = folder();
        environments.set(&web(), &all()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&environments.0), 0o700);
        for kind in [TEXT, STARTED] {
            assert_eq!(mode(&environments.path(&web(), kind)), 0o600);
        }
        let text = environments.path(&web(), TEXT);
        fs::set_permissions(&text, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(environments.read_all().unwrap()[&web()].text, None);
        environments.set(&web(), &all()).unwrap();
        assert_eq!(mode(&text), 0o600);
    }

    #[test]
    fn a_link_is_replaced_and_not_written_through() {
        let (dir, environments) = folder();
        environments.set(&web(), &all()).unwrap();
        let (text, target) = (environments.path(&web(), TEXT), dir.path().join("target"));
        fs::write(&target, "").unwrap();
        fs::remove_file(&text).unwrap();
        std::os::unix::fs::symlink(&target, &text).unwrap();
        assert_eq!(environments.read_all().unwrap()[&web()].text, None);
        environments.set(&web(), &all()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "");
    }

    #[test]
    fn what_is_there_at_boot_stays() {
        let (_dir, environments) = folder();
        environments.restore(&web(), "A=\"1\"\n").unwrap();
        environments.restore(&web(), "A=\"2\"\n").unwrap();
        let text = environments.read_all().unwrap().remove(&web()).unwrap().text;
        assert_eq!(text.as_deref(), Some("A=\"1\"\n"));
    }
}
