//! What stands in for OpenPGP in a build without it: nothing can be read, so nothing can
//! be trusted.

use super::signers::Unfit;
use crate::names::Fingerprint;

/// This build cannot read OpenPGP.
pub(super) const BUILT: bool = false;

/// Why something cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(pub(super) &'static str);

/// There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Certificate {}

/// There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) maker: Fingerprint,
    pub(super) created: i64,
    never: Certificate,
}

const WITHOUT: Bad = Bad("this build of Writ is without OpenPGP (the cargo feature openpgp)");

impl Signature {
    pub(super) fn read(_: &[u8]) -> Result<Self, Bad> {
        Err(WITHOUT)
    }
}

impl Certificate {
    pub(super) fn read(_: &str) -> Result<Self, Bad> {
        Err(WITHOUT)
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        match *self {}
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Fingerprint> {
        std::iter::once(self.fingerprint())
    }

    pub(super) fn is_revoked(&self) -> bool {
        match *self {}
    }

    pub(super) fn window(&self) -> (Option<i64>, Option<i64>) {
        match *self {}
    }

    pub(super) fn may_sign(&self, _: &Fingerprint, _: i64) -> Result<(), Unfit> {
        match *self {}
    }

    pub(super) fn verify(&self, signature: &Signature, _: &[u8]) -> Result<(), Bad> {
        match signature.never {}
    }
}
