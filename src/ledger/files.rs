//! How the ledger's files are read and written: versioned JSON, beside, fsynced, renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::io;
use super::{Ledger, LedgerError};

const VERSION: u64 = 1;

impl Ledger {
    pub(super) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, LedgerError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io("read", path, source)),
        };
        let metadata = fs::metadata(path).map_err(|source| io("read", path, source))?;
        let own = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o022 != 0 || ![0, own].contains(&metadata.uid()) {
            let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
            return Err(LedgerError::Writable { path: path.to_owned(), mode, owner });
        }
        decode(&bytes).map(Some).map_err(|why| LedgerError::Damaged { path: path.to_owned(), why })
    }

    pub(super) fn write(
        &self,
        name: &str,
        mode: u32,
        value: &impl Serialize,
    ) -> Result<(), LedgerError> {
        let path = self.dir.join(name);
        let text = encode(value)
            .map_err(|why| LedgerError::Damaged { path: path.clone(), why: why.to_string() })?;
        self.replace(&path, mode, text.as_bytes())
    }

    pub(super) fn write_plain(
        &self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), LedgerError> {
        self.write(name, 0o644, value)
    }

    pub(super) fn point(&self, name: &str, number: u64) -> Result<(), LedgerError> {
        if let Ok(Some(known)) = self.pointed(name)
            && known == number
        {
            return Ok(());
        }
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!(".{name}.new"));
        let _ = fs::remove_file(&fresh);
        symlink(format!("generations/{number}"), &fresh)
            .inspect(|()| self.changed())
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| io("write", &path, source))?;
        self.changed();
        sync_dir(&self.dir)
    }

    pub(super) fn pointed(&self, name: &str) -> Result<Option<u64>, LedgerError> {
        let path = self.dir.join(name);
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(LedgerError::Damaged { path, why: "it is no link".to_owned() });
            }
            Err(source) => return Err(io("read", &path, source)),
        };
        let number = target.file_name().and_then(|name| name.to_str()?.parse().ok());
        number.map(Some).ok_or_else(|| LedgerError::Damaged {
            path,
            why: format!("it points at {}", target.display()),
        })
    }

    /// A file to lock, made where there is none. Nobody else may open it.
    pub(super) fn lock_file(&self, name: &str) -> Result<(PathBuf, File), LedgerError> {
        let path = self.dir.join(name);
        // To read a file is enough to lock it, also on a disk that has become read-only.
        let opened = File::open(&path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(false).mode(0o600).open(&path)
            }
            _ => Err(error),
        });
        match opened {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(io("open", &path, source)),
        }
    }

    pub(super) fn forget(&self, name: &str) -> Result<bool, LedgerError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => {
                self.changed();
                sync_dir(&self.dir).map(|()| true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(io("remove", &path, source)),
        }
    }

    /// Written beside, fsynced, renamed, and the directory fsynced too: after a power
    /// cut there is the old file or the new one.
    fn replace(&self, path: &Path, mode: u32, bytes: &[u8]) -> Result<(), LedgerError> {
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&fresh)
            .and_then(|mut file| {
                self.changed();
                file.write_all(bytes)?;
                self.changed();
                file.sync_all()
            })
            .and_then(|()| fs::rename(&fresh, path));
        written.map_err(|source| {
            let _ = fs::remove_file(&fresh);
            io("write", path, source)
        })?;
        self.changed();
        path.parent().map_or(Ok(()), sync_dir)
    }
}

/// What others wrote, fit for a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `{"version": 1, …the value's own fields}`, for a person to read.
pub(super) fn encode(value: &impl Serialize) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Versioned<T> {
        version: u64,
        #[serde(flatten)]
        value: T,
    }
    Ok(serde_json::to_string_pretty(&Versioned { version: VERSION, value })? + "\n")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match object.remove("version") {
        Some(version) if version == VERSION => {}
        Some(version) => {
            return Err(format!("its version is {version}, this program reads {VERSION}"));
        }
        None => return Err("it has no version".to_owned()),
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| io("sync", dir, source))
}
