//! Public keys of SSH and what they verify (rules S1 and S2).

use aws_lc_rs::signature::{
    self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest, Sha256};

use super::base64;
use super::wire::{BadWire, Wire};
use crate::names::Fingerprint;

/// A key of one of the kinds that may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Ed25519(Vec<u8>),
    /// A hardware key (OpenSSH, PROTOCOL.u2f).
    SkEd25519 {
        key: Vec<u8>,
        application: Vec<u8>,
    },
    Ecdsa {
        curve: Curve,
        point: Vec<u8>,
    },
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// Why a signature does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadSignature(pub(super) &'static str);

impl From<BadWire> for BadSignature {
    fn from(BadWire(why): BadWire) -> Self {
        Self(why)
    }
}

/// The flags of a hardware key's signature.
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// The fingerprint of a key's wire encoding, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> Fingerprint {
    let text = format!("SHA256:{}", base64::encode_unpadded(&Sha256::digest(blob)));
    text.parse().expect("a SHA-256 digest has 43 digits of base 64")
}

impl PublicKey {
    /// Reads a key's wire encoding (RFC 4253, section 6.6; RFC 5656; RFC 8709;
    /// OpenSSH, PROTOCOL.u2f).
    pub(super) fn read(blob: &[u8]) -> Result<Self, BadWire> {
        let mut wire = Wire::new(blob);
        let key = match wire.string()? {
            b"ssh-ed25519" => Self::Ed25519(ed25519(&mut wire)?),
            b"sk-ssh-ed25519@openssh.com" => {
                Self::SkEd25519 { key: ed25519(&mut wire)?, application: wire.string()?.to_vec() }
            }
            b"ecdsa-sha2-nistp256" => ecdsa(&mut wire, Curve::P256)?,
            b"ecdsa-sha2-nistp384" => ecdsa(&mut wire, Curve::P384)?,
            b"ecdsa-sha2-nistp521" => ecdsa(&mut wire, Curve::P521)?,
            b"ssh-rsa" => rsa(&mut wire)?,
            _ => return Err(BadWire("this kind of key is not accepted")),
        };
        wire.finish()?;
        Ok(key)
    }

    /// The name that stands before the key in text.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::SkEd25519 { .. } => "sk-ssh-ed25519@openssh.com",
            Self::Ecdsa { curve, .. } => curve.key_kind(),
            Self::Rsa { .. } => "ssh-rsa",
        }
    }

    /// Checks the encoded `signature` over `message`. With `user_verified` a
    /// hardware key must have asked for its PIN or a fingerprint.
    pub(super) fn verify(
        &self,
        signature: &[u8],
        message: &[u8],
        user_verified: bool,
    ) -> Result<(), BadSignature> {
        let mut wire = Wire::new(signature);
        let algorithm = wire.string()?;
        match self {
            Self::Rsa { modulus, exponent } => {
                let bytes = wire.string()?;
                wire.finish()?;
                verify_rsa(modulus, exponent, algorithm, bytes, message)
            }
            _ if algorithm != self.kind().as_bytes() => {
                Err(BadSignature("its algorithm does not belong to its key"))
            }
            Self::Ed25519(key) => {
                let bytes = wire.string()?;
                wire.finish()?;
                check(&signature::ED25519, key, message, bytes)
            }
            Self::SkEd25519 { key, application } => {
                let bytes = wire.string()?;
                let flags_and_counter = wire.take(5)?;
                wire.finish()?;
                user_was_there(flags_and_counter[0], user_verified)?;
                let signed = assertion(application, flags_and_counter, message);
                check(&signature::ED25519, key, &signed, bytes)
            }
            Self::Ecdsa { curve, point } => {
                let bytes = curve.fixed(wire.string()?)?;
                wire.finish()?;
                check(curve.algorithm(), point, message, &bytes)
            }
        }
    }
}

fn ed25519(wire: &mut Wire<'_>) -> Result<Vec<u8>, BadWire> {
    let key = wire.string()?;
    if key.len() == 32 { Ok(key.to_vec()) } else { Err(BadWire("an Ed25519 key has 32 bytes")) }
}

fn ecdsa(wire: &mut Wire<'_>, curve: Curve) -> Result<PublicKey, BadWire> {
    wire.expect(curve.name().as_bytes(), "the curve does not belong to the kind of key")?;
    let point = wire.string()?;
    // An uncompressed point: 4, then both coordinates (SEC 1, section 2.3.3).
    if point.first() != Some(&4) || point.len() != 1 + 2 * curve.field_length() {
        return Err(BadWire("the point is not an uncompressed one of its curve"));
    }
    Ok(PublicKey::Ecdsa { curve, point: point.to_vec() })
}

fn rsa(wire: &mut Wire<'_>) -> Result<PublicKey, BadWire> {
    let exponent = wire.positive()?;
    let modulus = wire.positive()?;
    let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
    if !(3072..=4096).contains(&bits) {
        return Err(BadWire("RSA keys of 3072 to 4096 bits are accepted"));
    }
    if exponent != [1, 0, 1] {
        return Err(BadWire("RSA keys with the exponent 65537 are accepted"));
    }
    Ok(PublicKey::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

fn verify_rsa(
    modulus: &[u8],
    exponent: &[u8],
    algorithm: &[u8],
    bytes: &[u8],
    message: &[u8],
) -> Result<(), BadSignature> {
    let parameters = match algorithm {
        b"rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        b"rsa-sha2-512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        b"ssh-rsa" => return Err(BadSignature("it uses SHA-1")),
        _ => return Err(BadSignature("its algorithm does not belong to its key")),
    };
    if bytes.len() != modulus.len() {
        return Err(BadSignature("its length is not that of its key"));
    }
    RsaPublicKeyComponents { n: modulus, e: exponent }
        .verify(parameters, message, bytes)
        .map_err(|_| MISMATCH)
}

const MISMATCH: BadSignature = BadSignature("it does not match the commit");

fn check(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    bytes: &[u8],
) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(algorithm, key).verify(message, bytes).map_err(|_| MISMATCH)
}

fn user_was_there(flags: u8, verified: bool) -> Result<(), BadSignature> {
    if flags & USER_PRESENT == 0 {
        Err(BadSignature("the hardware key did not ask for a touch"))
    } else if verified && flags & USER_VERIFIED == 0 {
        Err(BadSignature("the hardware key did not verify its user"))
    } else {
        Ok(())
    }
}

/// What a hardware key signs in place of the message (PROTOCOL.u2f).
fn assertion(application: &[u8], flags_and_counter: &[u8], message: &[u8]) -> Vec<u8> {
    let mut signed = Sha256::digest(application).to_vec();
    signed.extend_from_slice(flags_and_counter);
    signed.extend_from_slice(&Sha256::digest(message));
    signed
}

impl Curve {
    fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    fn key_kind(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
            Self::P521 => "ecdsa-sha2-nistp521",
        }
    }

    /// Bytes of a coordinate.
    pub(super) fn field_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        }
    }

    /// The pair of numbers (RFC 5656, section 3.1.2), each at the field's length.
    fn fixed(self, pair: &[u8]) -> Result<Vec<u8>, BadSignature> {
        let mut wire = Wire::new(pair);
        let mut out = Vec::new();
        for _ in 0..2 {
            let number = wire.positive()?;
            let missing = self.field_length().checked_sub(number.len());
            let missing = missing.ok_or(BadSignature("a number is longer than its curve"))?;
            out.extend(std::iter::repeat_n(0, missing));
            out.extend_from_slice(number);
        }
        wire.finish()?;
        Ok(out)
    }
}
