//! What a host tells of itself to those who may not ask it: a small signed text that
//! anybody can carry and nobody can change.
//!
//! ```text
//! { "version": 1, "repository": "acme-infra", …, "verdict": { "kind": "confirmed", … } }
//! -----BEGIN SSH SIGNATURE-----
//! …
//! ```

pub mod fleet;
pub mod moment;
mod signed;
mod state;
pub mod table;
pub mod waiting;

use serde::{Deserialize, Serialize};

use crate::names::{BranchName, HostName};
use moment::Moment;
pub use signed::{Flaw, LIMIT, joined, verify};
pub use state::{Kind, State, Told, plain, short, without_passwords};

const VERSION: u64 = 1;

/// A host's report. What newer versions of the program add is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostReport {
    pub version: u64,
    /// The repository's id, as the host's config pins it.
    pub repository: String,
    pub branch: BranchName,
    pub host: HostName,
    /// When it was written, by the host's clock.
    pub at: Moment,
    /// Rises with every report of a host.
    pub sequence: u64,
    /// Seconds after which there is another one, even if nothing changed.
    pub interval: u64,
    /// The version of the program.
    pub writ: String,
    /// When the host last saw the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Moment>,
    #[serde(flatten)]
    pub state: State,
}

impl HostReport {
    /// The first part of every report.
    pub fn version() -> u64 {
        VERSION
    }

    /// The text that is signed.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads the text; nothing says that the host wrote it.
    ///
    /// # Errors
    /// It is of another version, or no report.
    pub fn read(text: &str) -> Result<Self, Flaw> {
        /// Another version may mean other things by the same words.
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let unreadable = |error: serde_json::Error| Flaw::Unreadable(error.to_string());
        let Versioned { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version != VERSION {
            return Err(Flaw::Version(version));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// What policies call the branch that the host follows.
    pub fn channel(&self) -> String {
        format!("{}:{}", self.repository, self.branch)
    }
}

/// A door for the fuzz target: what is read reads the same once it is written again.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let _ = signed::split(bytes);
    let Ok(report) =
        str::from_utf8(bytes).map_err(drop).and_then(|t| HostReport::read(t).map_err(drop))
    else {
        return;
    };
    let text = report.text().expect("what was read can be written");
    assert_eq!(HostReport::read(&text).expect("what was written can be read"), report);
}
