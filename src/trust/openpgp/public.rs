//! Public keys of OpenPGP and what they verify (RFC 9580, sections 5.5.2 and 9).

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::signature::{
    self as lc, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use super::Bad;
use super::signature::Hash;
use crate::names::Fingerprint;
use crate::trust::key::Curve;
use crate::trust::wire::Wire;

/// The key in a key packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Public {
    pub(super) fingerprint: Fingerprint,
    /// Seconds since 1970.
    pub(super) created: i64,
    algorithm: u8,
    material: Material,
    /// The packet as it enters what others sign.
    pub(super) framed: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Ed25519(Vec<u8>),
    Ecdsa {
        curve: Curve,
        point: Vec<u8>,
    },
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// For encryption, or of a kind that is not accepted: it signs nothing here.
    Unfit,
}

const RSA: u8 = 1;
const ECDSA: u8 = 19;
const EDDSA_LEGACY: u8 = 22;
const ED25519: u8 = 27;

const OID_ED25519: [u8; 9] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const OID_P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x23];

/// The fingerprint of a version 4 key as policies write it. SHA-1 names a key here and
/// signs nothing: another key of a pinned fingerprint would take a second preimage.
pub(super) fn fingerprint(raw: &[u8]) -> Fingerprint {
    let hex: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("openpgp:{hex}").parse().expect("a version 4 fingerprint has 40 digits")
}

impl Public {
    /// Reads the body of a key packet.
    pub(super) fn read(body: &[u8]) -> Result<Self, Bad> {
        let length = u16::try_from(body.len()).map_err(|_| Bad("a key is too long"))?;
        let framed = [&[0x99][..], &length.to_be_bytes(), body].concat();
        let mut wire = Wire::new(body);
        if wire.u8()? != 4 {
            return Err(Bad("a key has not version 4"));
        }
        let created = i64::from(wire.u32()?);
        let algorithm = wire.u8()?;
        let material = Material::read(algorithm, &mut wire)?;
        wire.finish()?;
        let print = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &framed);
        Ok(Self { fingerprint: fingerprint(print.as_ref()), created, algorithm, material, framed })
    }

    /// Whether it is of a kind that may sign.
    pub(super) fn can_sign(&self) -> bool {
        match self.material {
            Material::Ed25519(_) | Material::Ecdsa { .. } | Material::Rsa { .. } => true,
            Material::Unfit => false,
        }
    }

    /// Checks the numbers of a signature over `message`, whose hash is `digest`.
    pub(super) fn verify(
        &self,
        algorithm: u8,
        numbers: &[u8],
        hash: Hash,
        message: &[u8],
        digest: &[u8],
    ) -> Result<(), Bad> {
        if algorithm != self.algorithm {
            return Err(Bad("its algorithm does not belong to its key"));
        }
        let mut wire = Wire::new(numbers);
        match &self.material {
            Material::Ed25519(key) => {
                let bytes = match algorithm {
                    ED25519 => wire.take(64)?.to_vec(),
                    _ => [padded(wire.number()?, 32)?, padded(wire.number()?, 32)?].concat(),
                };
                wire.finish()?;
                check(&lc::ED25519, key, digest, &bytes)
            }
            Material::Ecdsa { curve, point } => {
                let pair = [positive(wire.number()?), positive(wire.number()?)].concat();
                wire.finish()?;
                check(ecdsa(*curve, hash)?, point, message, &tagged(0x30, &pair))
            }
            Material::Rsa { modulus, exponent } => {
                let bytes = padded(wire.number()?, modulus.len())?;
                wire.finish()?;
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(rsa(hash), message, &bytes)
                    .map_err(|_| MISMATCH)
            }
            Material::Unfit => Err(Bad("its key is of a kind that is not accepted")),
        }
    }
}

impl Material {
    fn read(algorithm: u8, wire: &mut Wire<'_>) -> Result<Self, Bad> {
        match algorithm {
            RSA => {
                let (modulus, exponent) = (wire.number()?, wire.number()?);
                let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
                let fits = (3072..=4096).contains(&bits) && exponent == [1, 0, 1];
                let key = Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() };
                Ok(if fits { key } else { Self::Unfit })
            }
            ED25519 => Ok(Self::Ed25519(wire.take(32)?.to_vec())),
            EDDSA_LEGACY => Self::on_curve(wire, |oid, point| match point {
                [0x40, key @ ..] if oid == OID_ED25519 && key.len() == 32 => {
                    Some(Self::Ed25519(key.to_vec()))
                }
                _ => None,
            }),
            ECDSA => Self::on_curve(wire, |oid, point| {
                let curve = curve(oid)?;
                let whole =
                    point.first() == Some(&4) && point.len() == 1 + 2 * curve.field_length();
                whole.then(|| Self::Ecdsa { curve, point: point.to_vec() })
            }),
            _ => {
                wire.rest()?;
                Ok(Self::Unfit)
            }
        }
    }

    /// Reads a curve's name and a point on it.
    fn on_curve(
        wire: &mut Wire<'_>,
        key: impl Fn(&[u8], &[u8]) -> Option<Self>,
    ) -> Result<Self, Bad> {
        let length = usize::from(wire.u8()?);
        let oid = wire.take(length)?;
        let point = wire.number()?;
        Ok(key(oid, point).unwrap_or(Self::Unfit))
    }
}

const MISMATCH: Bad = Bad("it does not match what it is said to sign");

fn check(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    bytes: &[u8],
) -> Result<(), Bad> {
    UnparsedPublicKey::new(algorithm, key).verify(message, bytes).map_err(|_| MISMATCH)
}

fn curve(oid: &[u8]) -> Option<Curve> {
    let known = [(&OID_P256[..], Curve::P256), (&OID_P384, Curve::P384), (&OID_P521, Curve::P521)];
    known.into_iter().find(|(known, _)| *known == oid).map(|(_, curve)| curve)
}

/// A hash shorter than the curve would weaken the key.
fn ecdsa(curve: Curve, hash: Hash) -> Result<&'static dyn VerificationAlgorithm, Bad> {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => Ok(&lc::ECDSA_P256_SHA256_ASN1),
        (Curve::P256, Hash::Sha384) => Ok(&lc::ECDSA_P256_SHA384_ASN1),
        (Curve::P256, Hash::Sha512) => Ok(&lc::ECDSA_P256_SHA512_ASN1),
        (Curve::P384, Hash::Sha384) => Ok(&lc::ECDSA_P384_SHA384_ASN1),
        (Curve::P384, Hash::Sha512) => Ok(&lc::ECDSA_P384_SHA512_ASN1),
        (Curve::P521, Hash::Sha512) => Ok(&lc::ECDSA_P521_SHA512_ASN1),
        (Curve::P384, Hash::Sha256) | (Curve::P521, Hash::Sha256 | Hash::Sha384) => {
            Err(Bad("its hash is shorter than its key"))
        }
    }
}

fn rsa(hash: Hash) -> &'static lc::RsaParameters {
    match hash {
        Hash::Sha256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &lc::RSA_PKCS1_2048_8192_SHA512,
    }
}

/// A number at a fixed length.
fn padded(number: &[u8], length: usize) -> Result<Vec<u8>, Bad> {
    let missing = length.checked_sub(number.len()).ok_or(Bad("a number is too long"))?;
    Ok([&vec![0; missing][..], number].concat())
}

/// A positive number in DER, as the library reads ECDSA signatures (SEC 1, section C.8).
fn positive(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] =
        if number.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tagged(0x02, &[sign, number].concat())
}

/// A value in DER; those here are far below 65,536 bytes, and longer ones match no key.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        short @ 0..=127 => out.push(short.to_le_bytes()[0]),
        long @ 128..=255 => out.extend([0x81, long.to_le_bytes()[0]]),
        long => out.extend([0x82, long.to_le_bytes()[1], long.to_le_bytes()[0]]),
    }
    out.extend_from_slice(value);
    out
}
