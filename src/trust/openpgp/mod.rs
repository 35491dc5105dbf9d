//! OpenPGP signatures and certificates, as much of RFC 9580 as judging a commit takes
//! (rule S4).
//!
//! Version 4 keys and signatures only. What is read is read to the last byte; nothing is
//! skipped, repaired or guessed: a certificate in which anything is unknown or any
//! signature does not verify is refused whole. There is no trust model, no keyring and
//! no network: a certificate counts because the policy pins its fingerprint.

mod area;
mod armor;
mod bound;
mod certificate;
mod packet;
mod public;
mod signature;

use super::wire::BadWire;

pub(super) use certificate::Certificate;
pub(super) use signature::Signature;

/// This build can read OpenPGP.
pub(super) const BUILT: bool = true;

/// Why something is not an OpenPGP signature or certificate that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(pub(super) &'static str);

impl From<BadWire> for Bad {
    fn from(BadWire(why): BadWire) -> Self {
        Self(why)
    }
}
