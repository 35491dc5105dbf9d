//! The units of each generation, for the boot that finds neither network nor agent.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use super::error::io;
use super::files::sync_dir;
use super::{Ledger, LedgerError};
use crate::names::{ServiceName, UnitName};

/// What an environment's file is called after its service.
const ENVIRONMENT: &str = "env";

impl Ledger {
    /// Keeps the units of a generation with the environments of its services (those that did not change are links to the
    /// last good one's), so that the next boot can put them back
    /// without anybody's help. They are on disk when this returns.
    pub fn keep_units(
        &self,
        number: u64,
        units: &BTreeMap<UnitName, String>,
        environments: &BTreeMap<ServiceName, String>,
    ) -> Result<(), LedgerError> {
        let (folder, fresh) =
            (self.folder(number).join("units"), self.folder(number).join("units.new"));
        let failed = |source| io("write", &folder, source);
        match fs::remove_dir_all(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => fs::create_dir(&fresh).map_err(failed)?,
        }
        self.changed();
        let before = self.last_good()?.filter(|before| *before != number);
        let known = before.map(|before| self.units(before)).transpose()?.unwrap_or_default();
        for (unit, text) in units {
            let path = fresh.join(unit.as_str());
            let old = before.map(|before| self.folder(before).join("units").join(unit.as_str()));
            match old.filter(|_| known.get(unit) == Some(text)) {
                Some(old) => fs::hard_link(old, path).map_err(failed)?,
                None => fs::write(path, text).map_err(failed)?,
            }
            self.changed();
        }
        for (service, text) in environments {
            let path = fresh.join(format!("{service}.{ENVIRONMENT}"));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(failed)?;
            self.changed();
        }
        // One flush for all of them: a thousand by themselves would take seconds.
        File::open(&fresh).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).map_err(failed)?;
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => self.changed(),
        }
        fs::rename(&fresh, &folder).map_err(failed)?;
        self.changed();
        sync_dir(&self.folder(number))
    }

    /// The units that a generation was confirmed with.
    pub fn units(&self, number: u64) -> Result<BTreeMap<UnitName, String>, LedgerError> {
        self.texts(number, |file| file.parse().ok())
    }

    /// The environments that go with [`Ledger::units`].
    pub fn environments(&self, number: u64) -> Result<BTreeMap<ServiceName, String>, LedgerError> {
        self.texts(number, |file| file.strip_suffix(ENVIRONMENT)?.strip_suffix('.')?.parse().ok())
    }

    /// The files of a generation's units that have such a name.
    fn texts<Name: Ord>(
        &self,
        number: u64,
        name: impl Fn(&str) -> Option<Name>,
    ) -> Result<BTreeMap<Name, String>, LedgerError> {
        let folder = self.folder(number).join("units");
        let mut texts = BTreeMap::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(texts),
            Err(source) => return Err(io("read", &folder, source)),
        };
        for entry in entries {
            let path = entry.map_err(|source| io("read", &folder, source))?.path();
            let Some(name) = path.file_name().and_then(|file| name(file.to_str()?)) else {
                continue;
            };
            let text = fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
            texts.insert(name, text);
        }
        Ok(texts)
    }
}
