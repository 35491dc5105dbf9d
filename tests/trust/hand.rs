//! Signs by hand, for signatures that no program would make.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256, Sha512};

/// An Ed25519 key, plain or as if it lived in hardware.
pub(crate) struct Hand {
    pair: Ed25519KeyPair,
    hardware: bool,
}

/// What a signature says of itself; [`Draft::default`] is a good one.
pub(crate) struct Draft<'a> {
    pub(crate) version: u32,
    pub(crate) namespace: &'a str,
    pub(crate) reserved: &'a [u8],
    pub(crate) hash: &'a str,
    /// Flags of a hardware key.
    pub(crate) flags: u8,
    /// Overrides the name of the algorithm.
    pub(crate) algorithm: Option<&'a str>,
    /// After the end of the inner and the outer structure.
    pub(crate) inner_tail: &'a [u8],
    pub(crate) tail: &'a [u8],
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Self {
            version: 1,
            namespace: "git",
            reserved: b"",
            hash: "sha512",
            flags: 1,
            algorithm: None,
            inner_tail: b"",
            tail: b"",
        }
    }
}

const APPLICATION: &[u8] = b"ssh:";

impl Hand {
    pub(crate) fn new(seed: u8) -> Self {
        Self { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), hardware: false }
    }

    pub(crate) fn hardware(seed: u8) -> Self {
        Self { hardware: true, ..Self::new(seed) }
    }

    fn kind(&self) -> &'static str {
        if self.hardware { "sk-ssh-ed25519@openssh.com" } else { "ssh-ed25519" }
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, self.kind().as_bytes());
        put(&mut blob, self.pair.public_key().as_ref());
        if self.hardware {
            put(&mut blob, APPLICATION);
        }
        blob
    }

    /// The key as it stands in `allowed_signers`.
    pub(crate) fn public(&self) -> String {
        format!("{} {}", self.kind(), encode(&self.blob()))
    }

    /// The binary signature over `payload`.
    pub(crate) fn sign(&self, payload: &[u8], draft: &Draft<'_>) -> Vec<u8> {
        let mut message = b"SSHSIG".to_vec();
        put(&mut message, draft.namespace.as_bytes());
        put(&mut message, draft.reserved);
        put(&mut message, draft.hash.as_bytes());
        match draft.hash {
            "sha256" => put(&mut message, &Sha256::digest(payload)),
            _ => put(&mut message, &Sha512::digest(payload)),
        }
        let mut out = b"SSHSIG".to_vec();
        out.extend(draft.version.to_be_bytes());
        put(&mut out, &self.blob());
        put(&mut out, draft.namespace.as_bytes());
        put(&mut out, draft.reserved);
        put(&mut out, draft.hash.as_bytes());
        put(&mut out, &self.inner(&message, draft));
        out.extend(draft.tail);
        out
    }

    fn inner(&self, message: &[u8], draft: &Draft<'_>) -> Vec<u8> {
        let counter = [draft.flags, 0, 0, 0, 7];
        let mut inner = Vec::new();
        put(&mut inner, draft.algorithm.unwrap_or(self.kind()).as_bytes());
        if self.hardware {
            let mut signed = Sha256::digest(APPLICATION).to_vec();
            signed.extend(counter);
            signed.extend(Sha256::digest(message));
            put(&mut inner, self.pair.sign(&signed).as_ref());
            inner.extend(counter);
        } else {
            put(&mut inner, self.pair.sign(message).as_ref());
        }
        inner.extend(draft.inner_tail);
        inner
    }

    /// The armored signature over `payload`.
    pub(crate) fn armor(&self, payload: &[u8], draft: &Draft<'_>) -> String {
        wrap(&encode(&self.sign(payload, draft)), 70)
    }
}

/// Puts base 64 between the marking lines, in lines of `width`.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// Takes the base 64 out of an armored signature.
pub(crate) fn unwrap(armor: &[u8]) -> String {
    let text = str::from_utf8(armor).unwrap();
    text.lines().filter(|line| !line.starts_with('-')).collect()
}

pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Reads what [`encode`] and ssh-keygen write.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|&c| c != b'=').map(digit).collect();
    let groups = digits.chunks(4).flat_map(|group| {
        let word =
            group.iter().fold(0, |word, &d| word << 6 | u32::from(d)) << (6 * (4 - group.len()));
        word.to_be_bytes()[1..group.len()].to_vec()
    });
    groups.collect()
}
