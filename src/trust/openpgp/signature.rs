//! Signature packets of version 4 (RFC 9580, section 5.2).

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::area::{self, Said};
use super::public::{Public, fingerprint};
use super::{Bad, armor, packet};
use crate::names::Fingerprint;
use crate::trust::wire::Wire;

/// The largest signature, in bytes without armor.
const LARGEST: usize = 16 << 10;

/// What a signature is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Binary,
    /// That a user id belongs to a key.
    UserId,
    Subkey,
    /// A subkey's, that it agrees to be bound.
    Back,
    DirectKey,
    RevokedKey,
    RevokedSubkey,
    RevokedUserId,
}

/// The hashes that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A signature packet that is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    pub(super) said: Said,
    /// Seconds since 1970.
    pub(super) created: i64,
    algorithm: u8,
    hash: Hash,
    /// What of the packet is hashed after what it signs.
    tail: Vec<u8>,
    /// The first bytes of the hash.
    left: [u8; 2],
    numbers: Vec<u8>,
}

/// A commit's signature, which says whose it is and is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::trust) struct Signature {
    /// The key or subkey that it names as its maker.
    pub(in crate::trust) maker: Fingerprint,
    /// Seconds since 1970.
    pub(in crate::trust) created: i64,
    packet: Packet,
}

impl Signature {
    /// Reads an armored signature over a commit.
    pub(in crate::trust) fn read(armored: &[u8]) -> Result<Self, Bad> {
        let bytes = armor::remove(armored, "SIGNATURE")?;
        if bytes.len() > LARGEST {
            return Err(Bad("it is larger than 16 KiB"));
        }
        let [only] = packet::split(&bytes, 1)?[..] else { return Err(Bad("it is empty")) };
        if only.tag != packet::SIGNATURE {
            return Err(Bad("it is not a signature packet"));
        }
        let packet = Packet::read(only.body)?;
        if packet.kind != Kind::Binary {
            return Err(Bad("it is not a signature over a binary document"));
        }
        if packet.said.lifetime.is_some_and(|seconds| seconds != 0) {
            return Err(Bad("it expires, and a history must not"));
        }
        let issuer = packet.said.issuer.ok_or(Bad("it does not say which key made it"))?;
        Ok(Self { maker: fingerprint(&issuer), created: packet.created, packet })
    }

    /// Checks it over a commit's payload.
    pub(super) fn verify(&self, key: &Public, payload: &[u8]) -> Result<(), Bad> {
        self.packet.verify(key, &[payload])
    }
}

impl Packet {
    pub(super) fn read(body: &[u8]) -> Result<Self, Bad> {
        let mut wire = Wire::new(body);
        if wire.u8()? != 4 {
            return Err(Bad("a signature has not version 4"));
        }
        let kind = Kind::read(wire.u8()?)?;
        let algorithm = wire.u8()?;
        let hash = Hash::read(wire.u8()?)?;
        let length = usize::from(wire.u16()?);
        let hashed = wire.take(length)?;
        let length = usize::from(wire.u16()?);
        let said = area::read(hashed, wire.take(length)?)?;
        let left = [wire.u8()?, wire.u8()?];
        let numbers = wire.rest()?.to_vec();
        let created =
            i64::from(said.created.ok_or(Bad("a signature does not say when it was made"))?);
        let tail = tail(&body[..6 + hashed.len()]);
        Ok(Self { kind, said, created, algorithm, hash, tail, left, numbers })
    }

    /// Checks it over the pieces of what it signs.
    pub(super) fn verify(&self, key: &Public, pieces: &[&[u8]]) -> Result<(), Bad> {
        let message = [&pieces.concat()[..], &self.tail].concat();
        let digest = self.hash.digest(&message);
        if !digest.starts_with(&self.left) {
            return Err(Bad("it does not match what it is said to sign"));
        }
        key.verify(self.algorithm, &self.numbers, self.hash, &message, &digest)
    }

    /// The first second at which it no longer counts.
    pub(super) fn until(&self) -> Option<i64> {
        lifetime(self.created, self.said.lifetime)
    }
}

/// When something ends that lasts for so long; zero means for ever.
pub(super) fn lifetime(from: i64, seconds: Option<u32>) -> Option<i64> {
    seconds.filter(|&seconds| seconds != 0).map(|seconds| from + i64::from(seconds))
}

/// RFC 9580, section 5.2.4.
fn tail(head: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).expect("an area has at most 65,535 bytes");
    [head, &[4, 0xff], &length.to_be_bytes()].concat()
}

impl Kind {
    fn read(byte: u8) -> Result<Self, Bad> {
        match byte {
            0x00 => Ok(Self::Binary),
            0x01 => Err(Bad("it is a signature over text; sign without --textmode")),
            0x10..=0x13 => Ok(Self::UserId),
            0x18 => Ok(Self::Subkey),
            0x19 => Ok(Self::Back),
            0x1f => Ok(Self::DirectKey),
            0x20 => Ok(Self::RevokedKey),
            0x28 => Ok(Self::RevokedSubkey),
            0x30 => Ok(Self::RevokedUserId),
            _ => Err(Bad("a signature is of an unknown type")),
        }
    }
}

impl Hash {
    fn read(byte: u8) -> Result<Self, Bad> {
        match byte {
            8 => Ok(Self::Sha256),
            9 => Ok(Self::Sha384),
            10 => Ok(Self::Sha512),
            2 => Err(Bad("a signature uses SHA-1")),
            _ => Err(Bad("a signature uses another hash than SHA-256, SHA-384 and SHA-512")),
        }
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}
