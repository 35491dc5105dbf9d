//! The kinds of signature and the kinds of key, side by side.

use super::Reason;
use super::breach::Breach;
use super::commit::Commit;
use super::key::{self, BadSignature, PublicKey};
use super::openpgp::{self, Certificate};
use super::signers::Signer;
use super::sshsig;
use crate::names::Fingerprint;

/// The namespace in which git signs with SSH keys (git, `gpg-interface.c`).
pub(super) const NAMESPACE: &str = "git";
/// Seconds between the time in an OpenPGP signature and the committer's.
const SKEW: i64 = 600;
const OPENPGP: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// A commit's signature, not checked yet.
#[derive(Clone, Debug)]
pub(super) enum Signature {
    Ssh(sshsig::Signature),
    OpenPgp(openpgp::Signature),
}

/// What a signer signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Ssh(PublicKey),
    OpenPgp(Box<Certificate>),
}

impl Signature {
    /// Reads the signature of a commit.
    pub(super) fn of(commit: &Commit) -> Result<Self, Breach> {
        let armor = commit.signature.as_deref().ok_or_else(unsigned)?;
        if !armor.starts_with(OPENPGP) {
            let read = sshsig::read(armor, NAMESPACE).map_err(|bad| bad_signature(bad.0))?;
            return Ok(Self::Ssh(read));
        }
        if !openpgp::BUILT {
            return Err(without_openpgp("S4", "it has an OpenPGP signature"));
        }
        let read = openpgp::Signature::read(armor).map_err(|bad| bad_openpgp(bad.0))?;
        let skew = read.created.saturating_sub(commit.time);
        if skew.saturating_abs() > SKEW {
            return Err(bad_openpgp("it was made more than ten minutes from the committer's time"));
        }
        Ok(Self::OpenPgp(read))
    }

    /// The key that it names as its maker: with OpenPGP this may be a subkey.
    pub(super) fn maker(&self) -> Fingerprint {
        match self {
            Self::Ssh(signature) => key::fingerprint(&signature.key),
            Self::OpenPgp(signature) => signature.maker.clone(),
        }
    }

    /// When it was made, if it tells.
    pub(super) fn made(&self) -> Option<i64> {
        match self {
            Self::Ssh(_) => None,
            Self::OpenPgp(signature) => Some(signature.created),
        }
    }

    /// Checks it over the payload of a commit. With `user_verified` a hardware key must
    /// have asked for its PIN or a fingerprint.
    pub(super) fn verify(
        &self,
        signer: &Signer,
        payload: &[u8],
        user_verified: bool,
    ) -> Result<(), Breach> {
        match (self, &signer.key) {
            (Self::Ssh(signature), Key::Ssh(key)) => {
                let message = signature.message(NAMESPACE, payload);
                key.verify(&signature.bytes, &message, user_verified)
                    .map_err(|bad| bad_signature(bad.0))
            }
            (Self::OpenPgp(signature), Key::OpenPgp(certificate)) => {
                certificate.verify(signature, payload).map_err(|bad| bad_openpgp(bad.0))
            }
            (Self::Ssh(_), Key::OpenPgp(_)) | (Self::OpenPgp(_), Key::Ssh(_)) => {
                Err(bad_signature("it is of another kind than its key"))
            }
        }
    }
}

impl Key {
    /// What it is, in a word or two.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Ssh(key) => key.kind(),
            Self::OpenPgp(certificate) if certificate.is_revoked() => "openpgp, revoked",
            Self::OpenPgp(_) => "openpgp",
        }
    }

    /// The key for what only SSH keys sign: statements and approvals.
    pub(super) fn ssh(&self) -> Result<&PublicKey, BadSignature> {
        match self {
            Self::Ssh(key) => Ok(key),
            Self::OpenPgp(_) => Err(BadSignature("its key is an OpenPGP key")),
        }
    }
}

fn unsigned() -> Breach {
    Breach::new(
        "O1",
        Reason::Unsigned,
        "it is not signed",
        "sign it: git commit --amend --no-edit -S (with gpg.format=ssh), or git rebase --exec for several",
    )
}

fn bad_signature(because: &str) -> Breach {
    Breach::new(
        "S1",
        Reason::BadSignature,
        format!("its signature does not count: {because}"),
        "sign the commit again with gpg.format=ssh and a key of .writ/allowed_signers",
    )
}

fn bad_openpgp(because: &str) -> Breach {
    Breach::new(
        "S4",
        Reason::BadSignature,
        format!("its OpenPGP signature does not count: {because}"),
        "sign the commit again with gpg.format=openpgp, a key that the policy pins, and SHA-256 or longer (digest-algo in gpg.conf)",
    )
}

/// What a build without OpenPGP says to it.
pub(super) fn without_openpgp(rule: &'static str, what: &str) -> Breach {
    Breach::unsupported(
        rule,
        format!("{what}, and this build of Writ is without it (the cargo feature openpgp)"),
    )
}
