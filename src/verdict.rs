//! The one word on a generation: recorded in the ledger, and read by everybody alike.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::names::CommitId;

/// How a generation ended on this host, or why it has not ended yet. Times are
/// RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// Its plan is on disk and being carried out.
    Applying { since: String },
    /// It runs, healthy.
    Confirmed { at: String },
    /// It did not work, and the host is on its way back to `to`.
    RollingBack { since: String, to: Option<CommitId>, step: String, fault: Fault },
    /// It did not work; the host is back on `to` (`None`: on nothing, since no
    /// generation had been confirmed before).
    RolledBack { at: String, to: Option<CommitId>, step: String, fault: Fault },
    /// It was never tried.
    Refused { at: String, rule: String, reason: String, because: Vec<String>, remedy: String },
    /// It is tried again until the world is ready for it.
    Waiting { since: String, reasons: Vec<String> },
    /// It did not work, and neither did going back.
    Failed { at: String, step: String, fault: Fault, rollback: Fault },
}

impl Verdict {
    /// The kind as one word, the same as in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Applying { .. } => "applying",
            Self::Confirmed { .. } => "confirmed",
            Self::RollingBack { .. } => "rolling-back",
            Self::RolledBack { .. } => "rolled-back",
            Self::Refused { .. } => "refused",
            Self::Waiting { .. } => "waiting",
            Self::Failed { .. } => "failed",
        }
    }

    /// Since when it stands, RFC 3339.
    pub fn when(&self) -> &str {
        match self {
            Self::Confirmed { at }
            | Self::RolledBack { at, .. }
            | Self::Refused { at, .. }
            | Self::Failed { at, .. } => at,
            Self::Applying { since }
            | Self::RollingBack { since, .. }
            | Self::Waiting { since, .. } => since,
        }
    }

    /// Whether the generation is over and done with, for good or ill, so that no
    /// later round may begin it again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Confirmed { .. }
            | Self::RolledBack { .. }
            | Self::Refused { .. }
            | Self::Failed { .. } => true,
            Self::Applying { .. } | Self::Waiting { .. } | Self::RollingBack { .. } => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applying { since } => write!(f, "applying since {since}"),
            Self::Confirmed { at } => write!(f, "confirmed at {at}"),
            Self::RollingBack { since, to, step, fault } => {
                match to {
                    Some(to) => write!(f, "rolling back to {} since {since}", to.short())?,
                    None => write!(f, "being taken back since {since}")?,
                }
                write!(f, "\n  step     {step}\n  reason   {fault}")?;
                details(f, fault)
            }
            Self::RolledBack { at, to, step, fault } => {
                match to {
                    Some(to) => write!(f, "rolled back to {} at {at}", to.short())?,
                    None => write!(f, "taken back at {at}; nothing had been confirmed before")?,
                }
                write!(f, "\n  step     {step}\n  reason   {fault}")?;
                details(f, fault)
            }
            Self::Refused { at, rule, reason, because, remedy } => {
                write!(f, "refused at {at}: rule {rule}, {reason}")?;
                for line in because.iter().flat_map(|text| text.lines()) {
                    write!(f, "\n  {line}")?;
                }
                write!(f, "\n  hint     {remedy}")
            }
            Self::Waiting { since, reasons } => {
                write!(f, "waiting since {since}")?;
                reasons.iter().try_for_each(|reason| write!(f, "\n  for      {reason}"))
            }
            Self::Failed { at, step, fault, rollback } => {
                write!(f, "failed at {at}\n  step     {step}\n  reason   {fault}")?;
                details(f, fault)?;
                write!(f, "\n  rollback {rollback}")?;
                details(f, rollback)
            }
        }
    }
}

fn details(f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
    for line in &fault.evidence {
        write!(f, "\n    {line}")?;
    }
    fault.remedy.iter().try_for_each(|remedy| write!(f, "\n  hint     {remedy}"))
}
