//! Who may change this host.
//!
//! A [`VerifiedCommit`] is the only evidence of trust in the program. Its fields
//! are private, it is neither `Default` nor `Deserialize`, and [`verify`] and
//! [`recall`] are its only constructors, so its origin is found by searching for
//! those names.
//!
//! ```compile_fail,E0451
//! # fn forge(mut good: writ::trust::VerifiedCommit, id: writ::names::CommitId) {
//! let forged = writ::trust::VerifiedCommit { id, ..good };
//! # }
//! ```

mod advice;
mod approvals;
pub(crate) mod base64;
mod behind;
mod breach;
mod certificates;
mod changes;
mod commit;
pub mod detached;
pub mod edit;
mod edit_openpgp;
mod explain;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod glob;
mod host_key;
mod inspect;
mod judge;
mod key;
mod limits;
mod mainline;
mod merge;
mod object;
#[cfg(not(feature = "openpgp"))]
#[path = "no_openpgp.rs"]
mod openpgp;
#[cfg(feature = "openpgp")]
mod openpgp;
mod overview;
mod plans;
mod policy;
pub mod privileges;
mod range;
mod review;
mod rollback;
mod seal;
mod signature;
mod signers;
mod sshsig;
mod stages;
mod statement;
mod trailers;
mod tree;
mod twins;
#[cfg(test)]
mod vectors;
mod verify;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use explain::{
    Account, Claims, Content, Explained, Touched, channel, claims, content, explain, suppose,
};
pub use host_key::{HostKey, STATUS};
pub use inspect::{
    Inspection, LARGEST_OBJECT, PolicyState, Violation, inspect, oversized, overweight,
};
pub use overview::{Key, Overview, Person, Privileges, Protected};
pub use plans::{SignedPlan, named_plans, requires_plans, without_plans};
pub use review::{Brought, Merger, Missing, Proposal, Review, Reviewed, Right, review};
use signers::Signer;
pub use stages::Stage;
pub use statement::{HEAD, HeadStatement, RESET, Recovery, RecoveryKey, ResetStatement};

use crate::names::{CommitId, Fingerprint, Principal};
use trailers::Orders;

/// Where objects are read from. Nothing about what it returns is believed but
/// that the bytes hash to the id.
pub trait Objects {
    /// The object's kind and bytes; `None` where it does not exist.
    ///
    /// # Errors
    /// The object exists and cannot be used: larger than `limit` bytes (looked up
    /// before it is read), damaged, or not the bytes of its id.
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable>;
}

/// The kinds of git object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// An object that exists and cannot be used.
#[derive(Debug)]
pub enum Unreadable {
    /// Its size in bytes is over the limit; it was not read.
    TooLarge { size: u64 },
    /// It cannot be decoded, or its bytes are not those of its id.
    Damaged(String),
}

/// What the host's root-owned config pins; never read from git.
#[derive(Clone, Debug)]
pub struct Pins {
    /// `channel` of every policy must equal this: `<repository id>:<branch>`.
    pub channel: String,
    pub introduction: CommitId,
    /// The key that signed the introduction.
    pub introducer: Fingerprint,
    /// The new head must be this commit or a descendant.
    pub minimum: Option<CommitId>,
    /// Keys that this host has once seen revoked: the head's policy must revoke
    /// them too, even on a history that was rewritten (rule P3).
    pub revoked: BTreeSet<Fingerprint>,
}

/// The last accepted commit: its id, and the SHA-256 of its payload without the
/// signature, so that a re-signed twin of it continues the same history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Anchor {
    pub commit: CommitId,
    /// 64 lowercase hex digits.
    pub payload: String,
    /// The latest committer time of the commit and everything below it, in seconds
    /// since 1970 (rule K1).
    pub time: i64,
    /// The introduction down to which the history was verified; below another one
    /// the anchor still bars the way back, and vouches for nothing else.
    pub introduction: CommitId,
}

/// A commit that this host may act on, with the files of its `manifests/`.
#[derive(Clone, Debug)]
pub struct VerifiedCommit {
    inner: Arc<Verified>,
}

#[derive(Debug)]
struct Verified {
    anchor: Anchor,
    /// What the host had accepted when it was verified.
    since: Option<Anchor>,
    principal: Principal,
    key: Fingerprint,
    author: String,
    committed: i64,
    message: String,
    files: BTreeMap<String, Vec<u8>>,
    revoked: BTreeSet<Fingerprint>,
    closure_digests: bool,
    plans: bool,
    parent: Option<CommitId>,
    orders: Orders,
    /// What the mainline below it asks for, down to the anchor.
    below: stages::Below,
    /// Who may state where the head is, by key.
    heralds: Vec<(Vec<u8>, Signer)>,
}

/// Why a commit is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    pub commit: CommitId,
    /// The rule by its short name in docs/trust.md: `G3`.
    pub rule: String,
    pub reason: Reason,
    /// What exactly was found.
    pub because: String,
    /// How to mend it.
    pub remedy: String,
}

/// The stable, machine-readable reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Unsigned,
    BadSignature,
    UnknownKey,
    NotAuthorized,
    PathDenied,
    PrivilegeDenied,
    Threshold,
    Rollback,
    ForeignRoot,
    Malformed,
    MissingObject,
    TooLarge,
    PolicyMalformed,
    Channel,
    Clock,
    Expired,
    Revoked,
    Stale,
    Equivocation,
    Unsupported,
}

/// Decides whether this host may act on `head`, which was fetched from anywhere.
///
/// Every commit between `anchor` (or, on a first start, the pinned introduction) and
/// `head` is verified; what the anchor vouches for is not looked at again. `now` is
/// this host's clock in seconds since 1970.
///
/// # Errors
/// The first rule that a commit breaks, parents judged before their children.
pub fn verify(
    objects: &impl Objects,
    pins: &Pins,
    anchor: Option<&Anchor>,
    head: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    verify::verify(objects, pins, anchor, head, now)
}

/// Gives the evidence for an earlier commit of the accepted history back, for a
/// rollback: `id` must be on the mainline (first parents) of `anchor`. It is verified
/// again from the introduction on, without the budgets for new commits, and under the
/// revocations of the anchor's policy.
///
/// # Errors
/// The first rule that a commit breaks, parents judged before their children.
pub fn recall(
    objects: &impl Objects,
    pins: &Pins,
    anchor: &Anchor,
    id: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    verify::recall(objects, pins, anchor, id, now)
}

/// The one of `ids` that is met first on the way down the accepted mainline (first
/// parents), the anchor itself included; none where no such commit is near. It proves
/// nothing but that whoever shows such a commit is behind.
pub fn first_met<'i>(
    objects: &impl Objects,
    anchor: &Anchor,
    ids: &[&'i CommitId],
) -> Option<&'i CommitId> {
    behind::first_met(objects, anchor, ids)
}

impl Reason {
    /// The reason as programs read it: `path-denied`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad-signature",
            Self::UnknownKey => "unknown-key",
            Self::NotAuthorized => "not-authorized",
            Self::PathDenied => "path-denied",
            Self::PrivilegeDenied => "privilege-denied",
            Self::Threshold => "threshold",
            Self::Rollback => "rollback",
            Self::ForeignRoot => "foreign-root",
            Self::Malformed => "malformed",
            Self::MissingObject => "missing-object",
            Self::TooLarge => "too-large",
            Self::PolicyMalformed => "policy-malformed",
            Self::Channel => "channel",
            Self::Clock => "clock",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Stale => "stale",
            Self::Equivocation => "equivocation",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "file",
            Self::Tag => "tag",
        })
    }
}

impl VerifiedCommit {
    pub fn id(&self) -> &CommitId {
        &self.inner.anchor.commit
    }

    /// What the host remembers of this commit once it is accepted.
    pub fn anchor(&self) -> &Anchor {
        &self.inner.anchor
    }

    /// What the host had accepted when this commit was verified: what it was judged to
    /// follow from.
    pub fn since(&self) -> Option<&Anchor> {
        self.inner.since.as_ref()
    }

    /// Who signed it.
    pub fn principal(&self) -> &Principal {
        &self.inner.principal
    }

    pub fn key(&self) -> &Fingerprint {
        &self.inner.key
    }

    /// The author's line as written; it authorises nothing.
    pub fn author(&self) -> &str {
        &self.inner.author
    }

    /// Committer time in seconds since 1970.
    pub fn committed(&self) -> i64 {
        self.inner.committed
    }

    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The files below `manifests/`, by path from the repository's root.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.inner.files
    }

    /// The keys that its policy revokes, for the host to remember (rule P3).
    pub fn revoked(&self) -> &BTreeSet<Fingerprint> {
        &self.inner.revoked
    }

    /// Whether its policy wants a digest with every artifact (rule C1).
    pub fn requires_closure_digests(&self) -> bool {
        self.inner.closure_digests
    }
}

impl fmt::Display for VerifiedCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signed by {}", self.id().short(), self.principal())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "commit {} is refused by rule {}: {}",
            self.commit.short(),
            self.rule,
            self.because
        )
    }
}

impl std::error::Error for Refusal {}
