//! State that cannot be used, and how a person mends it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::fault::{Fault, causes};
use crate::world::owners::Exposed;

/// State that cannot be used; the agent changes nothing until a person has looked.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error("could not {doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the state file {path} is damaged ({why})")]
    Damaged { path: PathBuf, why: String },
    #[error("the state file {path} may be changed by others (mode {mode:o}, owner {owner})")]
    Writable { path: PathBuf, mode: u32, owner: u32 },
    #[error("the state could be replaced by others than root: {0}")]
    Exposed(Exposed),
    #[error("{path} is missing although generations are recorded beside it")]
    AnchorLost { path: PathBuf },
    #[error("the accepted commit was changed meanwhile, by root or by recovery keys")]
    AnchorMoved,
    #[error(
        "another agent{} works on this host: it holds {path}",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Claimed { path: PathBuf, holder: Option<u32> },
}

impl LedgerError {
    /// How a person mends it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                "ask as root, or as a member of the group `writ`".to_owned()
            }
            Self::Io { path, .. } => {
                format!("look at the disk and the permissions of {}", path.display())
            }
            Self::Damaged { path, .. } if path.ends_with("anchor.json") => ANCHOR_REMEDY.to_owned(),
            Self::Damaged { path, .. } if path.ends_with("head.json") => {
                format!("delete {}; it only tells people of a refused head", path.display())
            }
            Self::Damaged { path, .. } if path.ends_with("pause.json") => {
                "as root: writ pause, or writ resume".to_owned()
            }
            Self::Damaged { path, .. } => format!(
                "restore {} from a backup, or move its generation's folder away; the anchor keeps the host from going back",
                path.display()
            ),
            Self::Writable { path, .. } => {
                format!(
                    "find out who wrote to it, then: chown root {0}; chmod 0600 {0}",
                    path.display()
                )
            }
            Self::Exposed(_) => "find out who changed it, and give it back to root".to_owned(),
            Self::AnchorLost { .. } => ANCHOR_REMEDY.to_owned(),
            Self::AnchorMoved => "nothing is to be done: the branch is judged again".to_owned(),
            Self::Claimed { .. } => {
                "stop the other agent, or ask it: writ sync, writ status".to_owned()
            }
        }
    }
}

const ANCHOR_REMEDY: &str = "the host does not know any more which commit it accepted last, so it follows none; as root, with a commit you have checked: writ trust reset --to COMMIT";

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        let remedy = error.remedy();
        Self::wait("use the ledger", causes(&error)).remedy(remedy)
    }
}

pub(super) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> LedgerError {
    LedgerError::Io { doing, path: path.to_owned(), source }
}
