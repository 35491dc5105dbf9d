//! Reads SSH signatures (OpenSSH, PROTOCOL.sshsig), every byte of them (rule S1).

use sha2::{Digest, Sha256, Sha512};

use super::base64;
use super::wire::{self, BadWire, Wire};

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
const END: &[u8] = b"-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";

/// A signature that says whose it is and is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The signer's public key in wire encoding.
    pub(super) key: Vec<u8>,
    /// The encoded signature, for [`super::key::PublicKey::verify`].
    pub(super) bytes: Vec<u8>,
    hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

/// Text that is not an SSH signature for the namespace asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadArmor(pub(super) &'static str);

impl From<BadWire> for BadArmor {
    fn from(BadWire(why): BadWire) -> Self {
        Self(why)
    }
}

/// Reads an armored signature made for `namespace`.
pub(super) fn read(armor: &[u8], namespace: &str) -> Result<Signature, BadArmor> {
    read_blob(&dearmor(armor)?, namespace)
}

/// Reads a signature without its armor.
pub(super) fn read_blob(blob: &[u8], namespace: &str) -> Result<Signature, BadArmor> {
    let mut wire = Wire::new(blob);
    if wire.take(MAGIC.len())? != MAGIC {
        return Err(BadArmor("its magic is wrong"));
    }
    if wire.u32()? != 1 {
        return Err(BadArmor("its version is not 1"));
    }
    let key = wire.string()?.to_vec();
    wire.expect(namespace.as_bytes(), "it was made for another namespace")?;
    wire.expect(b"", "its reserved field is not empty")?;
    let hash = match wire.string()? {
        b"sha256" => Hash::Sha256,
        b"sha512" => Hash::Sha512,
        _ => return Err(BadArmor("its hash is neither sha256 nor sha512")),
    };
    let bytes = wire.string()?.to_vec();
    wire.finish()?;
    Ok(Signature { key, bytes, hash })
}

impl Signature {
    /// What the key has signed, for `payload` in `namespace`.
    pub(super) fn message(&self, namespace: &str, payload: &[u8]) -> Vec<u8> {
        let mut message = MAGIC.to_vec();
        wire::put(&mut message, namespace.as_bytes());
        wire::put(&mut message, b"");
        match self.hash {
            Hash::Sha256 => {
                wire::put(&mut message, b"sha256");
                wire::put(&mut message, &Sha256::digest(payload));
            }
            Hash::Sha512 => {
                wire::put(&mut message, b"sha512");
                wire::put(&mut message, &Sha512::digest(payload));
            }
        }
        message
    }
}

/// Takes the armor off: the two marking lines and base 64 between them in lines of
/// any width, none of them empty, nothing before, between or after.
fn dearmor(armor: &[u8]) -> Result<Vec<u8>, BadArmor> {
    let armor = armor.strip_suffix(b"\n").unwrap_or(armor);
    let mut lines = armor.split(|&b| b == b'\n');
    if lines.next() != Some(BEGIN) {
        return Err(BadArmor("it does not start with the line of an SSH signature"));
    }
    if lines.next_back() != Some(END) {
        return Err(BadArmor("it does not end with the line of an SSH signature"));
    }
    let mut text = Vec::new();
    for line in lines {
        if line.is_empty() {
            return Err(BadArmor("it has an empty line"));
        }
        text.extend_from_slice(line);
    }
    base64::decode(&text).ok_or(BadArmor("its base 64 is not canonical"))
}
