//! The key by which a host is known when it tells of itself. It may say nothing else:
//! no signer's line names it, and it signs in a namespace of its own.

use std::str::FromStr;

use super::statement::RecoveryKey;
use crate::names::Fingerprint;

/// What reports are signed in.
pub const STATUS: &str = "writ-status";

/// A host's public key, as `ssh-keygen` writes it: `ssh-ed25519 AAAA… comment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey(RecoveryKey);

impl HostKey {
    /// What `ssh-keygen -l` calls it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// Whether `armor` is this key's signature over `text`, as a report.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self, text: &[u8], armor: &[u8]) -> Result<(), &'static str> {
        self.0.signed(STATUS, text, armor)
    }
}

impl FromStr for HostKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}
