//! Which commit each branch of others stood at when somebody reviewed it here, in `.git/writ/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checkout::CheckoutError;
use super::git_program::{Checkout, GitError};
use super::kept::Kept;
use crate::names::CommitId;

const VERSION: u64 = 1;

/// The file of one checkout.
#[derive(Clone, Debug)]
pub struct Looked(Kept);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    tips: BTreeMap<String, CommitId>,
}

impl Looked {
    /// # Errors
    /// The checkout is none of git's.
    pub fn of(checkout: &Checkout) -> Result<Self, GitError> {
        Kept::of(checkout, "reviewed.json").map(Self)
    }

    /// Where a branch stood when it was last looked at.
    ///
    /// # Errors
    /// The file cannot be read: nobody knows what was looked at.
    pub fn at(&self, name: &str) -> Result<Option<CommitId>, CheckoutError> {
        Ok(self.read()?.remove(name))
    }

    /// Keeps that it was looked at.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, name: &str, tip: &CommitId) -> Result<(), CheckoutError> {
        let mut tips = self.read()?;
        if tips.insert(name.to_owned(), tip.clone()).as_ref() == Some(tip) {
            return Ok(());
        }
        let written = Written { version: VERSION, tips };
        let text = serde_json::to_string_pretty(&written).unwrap_or_default() + "\n";
        self.0.write(&text)
    }

    fn read(&self) -> Result<BTreeMap<String, CommitId>, CheckoutError> {
        let Some(bytes) = self.0.read()? else { return Ok(BTreeMap::new()) };
        let written = serde_json::from_slice::<Written>(&bytes).map_err(|error| error.to_string());
        match written {
            Ok(Written { version: VERSION, tips }) => Ok(tips),
            Ok(Written { version, .. }) => Err(format!("its version is {version}")),
            Err(why) => Err(why),
        }
        .map_err(|why| {
            self.0.unusable(format!("{why}; remove it, and review again what you approve"))
        })
    }
}
