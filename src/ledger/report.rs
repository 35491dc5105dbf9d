//! How many reports this host has made, so that none of them can pass for a newer one.

use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError};

const FILE: &str = "report.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reported {
    sequence: u64,
}

impl Ledger {
    /// The sequence of the last report; 0 where there was none.
    pub fn reported(&self) -> Result<u64, LedgerError> {
        let reported: Option<Reported> = self.read(&self.dir.join(FILE))?;
        Ok(reported.map_or(0, |reported| reported.sequence))
    }

    /// Remembers the sequence of a report that is about to be sent.
    pub fn will_report(&self, sequence: u64) -> Result<(), LedgerError> {
        self.write_plain(FILE, &Reported { sequence })
    }
}
