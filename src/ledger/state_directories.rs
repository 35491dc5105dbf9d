//! Which service a directory below /var/lib was made for, so that no other is given it.
//!
//! systemd gives a `StateDirectory=` to the user of whoever starts last: what a service
//! once owned has to be known before another one starts, and outlives the service.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::error::io;
use super::{Ledger, LedgerError};
use crate::names::{Literal, ServiceName};

const FOLDER: &str = "state-directories";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Owner {
    /// The path below /var/lib.
    directory: Literal,
    service: ServiceName,
}

impl Ledger {
    /// The service that a directory was made for, or was given to by root.
    ///
    /// # Errors
    /// The record cannot be read, or is damaged.
    pub fn owner_of_state(&self, directory: &Literal) -> Result<Option<ServiceName>, LedgerError> {
        let path = self.dir.join(name_of(directory));
        let owner: Option<Owner> = self.read(&path)?;
        Ok(owner.map(|owner| owner.service))
    }

    /// Records whose these directories are from now on. What is known stays as it is.
    ///
    /// # Errors
    /// A record cannot be read or written.
    pub fn own_state(
        &self,
        directories: &BTreeMap<Literal, ServiceName>,
    ) -> Result<(), LedgerError> {
        for (directory, service) in directories {
            if self.owner_of_state(directory)?.as_ref() == Some(service) {
                continue;
            }
            let folder = self.dir.join(FOLDER);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(io("create", &folder, error));
                }
                Ok(()) | Err(_) => {}
            }
            let owner = Owner { directory: directory.clone(), service: service.clone() };
            self.write(&name_of(directory), 0o600, &owner)?;
        }
        Ok(())
    }
}

/// No directory's name holds a colon.
fn name_of(directory: &Literal) -> String {
    format!("{FOLDER}/{}.json", directory.as_str().replace('/', ":"))
}
