//! OpenPGP keys and signatures made by hand, for what no program would make.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use crate::gpg::BORN;
use crate::hand::encode;

/// Types of signatures.
pub(crate) const BINARY: u8 = 0x00;
pub(crate) const CERTIFICATION: u8 = 0x13;
pub(crate) const BINDING: u8 = 0x18;
pub(crate) const BACK: u8 = 0x19;
pub(crate) const DIRECT_KEY: u8 = 0x1f;
pub(crate) const REVOKED_KEY: u8 = 0x20;
pub(crate) const REVOKED_SUBKEY: u8 = 0x28;
pub(crate) const REVOKED_USER_ID: u8 = 0x30;

/// Key flags.
pub(crate) const CERTIFY_AND_SIGN: u8 = 0x03;
pub(crate) const CERTIFY: u8 = 0x01;
pub(crate) const SIGN: u8 = 0x02;
pub(crate) const ENCRYPT: u8 = 0x0c;

pub(crate) const USER_ID: &[u8] = b"zoe <zoe@example.com>";

/// An Ed25519 key.
pub(crate) struct Hand {
    pair: Ed25519KeyPair,
    /// 22, or 27 as RFC 9580 has it.
    algorithm: u8,
}

/// What a signature says of itself; [`Draft::new`] says when it was made and by whom.
pub(crate) struct Draft {
    pub(crate) kind: u8,
    /// 8: SHA-256, 10: SHA-512, 2: SHA-1.
    pub(crate) hash: u8,
    pub(crate) time: i64,
    /// Whether it names its maker.
    pub(crate) issuer: bool,
    pub(crate) hashed: Vec<u8>,
    pub(crate) unhashed: Vec<u8>,
}

impl Draft {
    pub(crate) fn new(kind: u8, time: i64) -> Self {
        Self { kind, hash: 8, time, issuer: true, hashed: Vec::new(), unhashed: Vec::new() }
    }

    pub(crate) fn with(mut self, kind: u8, value: &[u8]) -> Self {
        self.hashed.extend(part(kind, value));
        self
    }

    pub(crate) fn beside(mut self, kind: u8, value: &[u8]) -> Self {
        self.unhashed.extend(part(kind, value));
        self
    }

    pub(crate) fn flags(self, flags: u8) -> Self {
        self.with(27, &[flags])
    }
}

impl Hand {
    pub(crate) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { pair, algorithm: 22 }
    }

    pub(crate) fn modern(seed: u8) -> Self {
        Self { algorithm: 27, ..Self::new(seed) }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = vec![4];
        body.extend(u32::try_from(BORN).unwrap().to_be_bytes());
        body.push(self.algorithm);
        let key = self.pair.public_key().as_ref();
        if self.algorithm == 27 {
            body.extend(key);
        } else {
            body.extend([9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01]);
            body.extend(number(&[&[0x40], key].concat()));
        }
        body
    }

    /// The key as it enters what is signed.
    pub(crate) fn framed(&self) -> Vec<u8> {
        let body = self.body();
        [&[0x99][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
    }

    fn raw_fingerprint(&self) -> Vec<u8> {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.framed()).as_ref().to_vec()
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.raw_fingerprint().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The body of a signature packet.
    pub(crate) fn sign(&self, draft: Draft, over: &[&[u8]]) -> Vec<u8> {
        let mut hashed = part(2, &u32::try_from(draft.time).unwrap().to_be_bytes());
        if draft.issuer {
            hashed.extend(part(33, &[&[4], &self.raw_fingerprint()[..]].concat()));
        }
        hashed.extend(draft.hashed);
        let mut body = vec![4, draft.kind, self.algorithm, draft.hash];
        body.extend(area(&hashed));
        let tail = [&[4, 0xff][..], &u32::try_from(body.len()).unwrap().to_be_bytes()].concat();
        let message = [&over.concat()[..], &body, &tail].concat();
        let hash = match draft.hash {
            2 => digest(&SHA1_FOR_LEGACY_USE_ONLY, &message),
            8 => digest(&SHA256, &message),
            _ => digest(&SHA512, &message),
        };
        body.extend(area(&draft.unhashed));
        body.extend(&hash.as_ref()[..2]);
        let signed = self.pair.sign(hash.as_ref());
        let (r, s) = signed.as_ref().split_at(32);
        match self.algorithm {
            27 => body.extend(signed.as_ref()),
            _ => body.extend([number(r), number(s)].concat()),
        }
        body
    }

    /// The key packet and a user id.
    pub(crate) fn certificate(&self, flags: u8) -> Vec<u8> {
        self.certificate_by(Draft::new(CERTIFICATION, BORN).flags(flags))
    }

    pub(crate) fn certificate_by(&self, draft: Draft) -> Vec<u8> {
        let signature = self.sign(draft, &[&self.framed(), &framed_user_id()]);
        [packet(6, &self.body()), packet(13, USER_ID), packet(2, &signature)].concat()
    }

    /// A subkey packet and its binding.
    pub(crate) fn bind(&self, subkey: &Self, draft: Draft) -> Vec<u8> {
        let signature = self.sign(draft, &[&self.framed(), &subkey.framed()]);
        [packet(14, &subkey.body()), packet(2, &signature)].concat()
    }

    /// The back-signature of a subkey.
    pub(crate) fn agree(&self, primary: &Self) -> Vec<u8> {
        self.sign(Draft::new(BACK, BORN), &[&primary.framed(), &self.framed()])
    }

    /// An armored signature over `payload`.
    pub(crate) fn armor(&self, draft: Draft, payload: &[u8]) -> String {
        armor("SIGNATURE", &packet(2, &self.sign(draft, &[payload])))
    }
}

pub(crate) fn framed_user_id() -> Vec<u8> {
    framed_as_user_id(USER_ID)
}

pub(crate) fn framed_as_user_id(text: &[u8]) -> Vec<u8> {
    [&[0xb4][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

pub(crate) fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[0xc0 | tag, 255][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// Armor without a checksum.
pub(crate) fn armor(kind: &str, bytes: &[u8]) -> String {
    let text = encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let body = lines.join("\n");
    format!("-----BEGIN PGP {kind}-----\n\n{body}\n-----END PGP {kind}-----\n")
}

pub(crate) fn block(bytes: &[u8]) -> String {
    armor("PUBLIC KEY BLOCK", bytes)
}

fn part(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len() + 1).unwrap();
    assert!(length < 192);
    [&[length, kind][..], value].concat()
}

fn area(parts: &[u8]) -> Vec<u8> {
    [&u16::try_from(parts.len()).unwrap().to_be_bytes()[..], parts].concat()
}

fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let bytes = &bytes[zeros..];
    let bits = bytes.len() * 8 - bytes[0].leading_zeros() as usize;
    [&u16::try_from(bits).unwrap().to_be_bytes()[..], bytes].concat()
}
