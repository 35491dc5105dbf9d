//! A pause that somebody asked for: a file beside the generations, so that it survives every restart.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError};
use crate::names::Literal;

const FILE: &str = "pause.json";

/// Who asked for a pause, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// RFC 3339 in UTC.
    pub since: String,
    pub by: Literal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Literal>,
}

impl Ledger {
    /// The pause that is in force.
    ///
    /// # Errors
    /// Nobody can tell whether there is one: nothing may be changed.
    pub fn paused(&self) -> Result<Option<Pause>, LedgerError> {
        self.read(&self.dir.join(FILE))
    }

    /// Has the agent change nothing from its next round on.
    pub fn pause(&self, pause: &Pause) -> Result<(), LedgerError> {
        self.write(FILE, 0o644, pause)
    }

    /// Ends a pause, where there is one.
    pub fn resume(&self) -> Result<(), LedgerError> {
        self.forget(FILE).map(|_| ())
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "paused since {} by {}", self.since, self.by)?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}
