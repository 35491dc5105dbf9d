//! What is asked of a source, and what it brings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::names::CommitId;

/// What the host has already.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Tips for which nothing needs to be sent: accepted, or refused before; and the
    /// statements that were read.
    pub tips: Vec<CommitId>,
    /// Commits whose whole history is here.
    pub have: Vec<CommitId>,
}

/// What a source brought; nothing of it is believed before it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The branch stands at a tip that is known, and so do the statements about it.
    Unchanged { tip: CommitId },
    /// What leads from what the host has to the tip and the statements: files in the
    /// folder that the source was given, to be imported in this order. A pack may be
    /// thin, on what the host has or on the packs before it.
    Packs { tip: CommitId, statements: Statements, packs: Vec<PathBuf> },
}

/// The objects that lie beside the branch, signed by others than its commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statements {
    /// `refs/writ/head/<branch>`: where the branch stands.
    pub head: Option<CommitId>,
    /// `refs/writ/reset/<branch>`: that a rewritten history may be followed.
    pub reset: Option<CommitId>,
}

impl Known {
    /// Whether nothing of a tip and the statements about it needs to be sent.
    pub fn covers(&self, tip: &CommitId, statements: &Statements) -> bool {
        std::iter::once(tip).chain(statements.ids()).all(|id| self.tips.contains(id))
    }
}

impl Statements {
    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &CommitId> {
        self.head.iter().chain(&self.reset)
    }
}
