//! What a signature says of itself: its subpackets (RFC 9580, section 5.2.3.7).

use super::Bad;
use crate::trust::wire::Wire;

/// The subpackets that decide something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Seconds since 1970.
    pub(super) created: Option<u32>,
    /// Seconds from its creation on that the signature is good for.
    pub(super) lifetime: Option<u32>,
    /// Seconds from its own creation on that the signed key is good for.
    pub(super) key_lifetime: Option<u32>,
    pub(super) flags: Option<u8>,
    pub(super) issuer: Option<[u8; 20]>,
    issuer_id: Option<[u8; 8]>,
    /// The signature of a subkey that agrees to its binding.
    pub(super) back: Option<Vec<u8>>,
}

const CREATED: u8 = 2;
const LIFETIME: u8 = 3;
const KEY_LIFETIME: u8 = 9;
const ISSUER_ID: u8 = 16;
const FLAGS: u8 = 27;
const BACK: u8 = 32;
const ISSUER: u8 = 33;

/// Subpackets that are understood and change nothing here: preferences, features, the
/// primary user id, a policy's address, the signer's user id, why something was revoked.
const WITHOUT_EFFECT: [u8; 11] = [11, 21, 22, 23, 24, 25, 26, 28, 29, 30, 34];

/// Reads the area that is signed and the one that is not. Whoever passes a signature on
/// can write into the latter, so it may only help to find keys.
pub(super) fn read(hashed: &[u8], unhashed: &[u8]) -> Result<Said, Bad> {
    let mut said = Said::default();
    for (kind, critical, value) in subpackets(hashed)? {
        let known = said.take(kind, value)?;
        if critical && !known && !WITHOUT_EFFECT.contains(&kind) {
            return Err(Bad("it has a critical part that this version does not know"));
        }
    }
    for (kind, _, value) in subpackets(unhashed)? {
        if ![ISSUER_ID, BACK, ISSUER].contains(&kind) {
            return Err(Bad("it says things that are not signed"));
        }
        said.take(kind, value)?;
    }
    match (said.issuer, said.issuer_id) {
        (Some(full), Some(id)) if !full.ends_with(&id) => Err(Bad("it names two issuers")),
        (Some(_) | None, Some(_) | None) => Ok(said),
    }
}

type Subpacket<'a> = (u8, bool, &'a [u8]);

fn subpackets(area: &[u8]) -> Result<Vec<Subpacket<'_>>, Bad> {
    let mut wire = Wire::new(area);
    let mut found = Vec::new();
    while !wire.is_empty() {
        let length = match wire.u8()? {
            short @ 0..=191 => u32::from(short),
            high @ 192..=254 => ((u32::from(high) - 192) << 8) + u32::from(wire.u8()?) + 192,
            255 => wire.u32()?,
        };
        let length = usize::try_from(length).map_err(|_| Bad("a length is out of range"))?;
        let (kind, value) = wire.take(length)?.split_first().ok_or(Bad("it has an empty part"))?;
        found.push((kind & 0x7f, kind & 0x80 != 0, value));
    }
    Ok(found)
}

impl Said {
    /// Takes a subpacket in, once; `false` where it decides nothing.
    fn take(&mut self, kind: u8, value: &[u8]) -> Result<bool, Bad> {
        let twice = match kind {
            CREATED => self.created.replace(seconds(value)?).is_some(),
            LIFETIME => self.lifetime.replace(seconds(value)?).is_some(),
            KEY_LIFETIME => self.key_lifetime.replace(seconds(value)?).is_some(),
            FLAGS => self.flags.replace(value.first().copied().unwrap_or_default()).is_some(),
            ISSUER_ID => {
                let before = self.issuer_id.replace(exactly(value)?);
                before.is_some_and(|before| Some(before) != self.issuer_id)
            }
            ISSUER => {
                let [4, print @ ..] = value else { return Err(Bad("its key has not version 4")) };
                let before = self.issuer.replace(exactly(print)?);
                before.is_some_and(|before| Some(before) != self.issuer)
            }
            BACK => self.back.replace(value.to_vec()).is_some(),
            _ => return Ok(false),
        };
        if twice { Err(Bad("it says something twice")) } else { Ok(true) }
    }
}

fn seconds(value: &[u8]) -> Result<u32, Bad> {
    exactly(value).map(u32::from_be_bytes)
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], Bad> {
    value.try_into().map_err(|_| Bad("one of its parts has a wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[u8::try_from(value.len()).unwrap() + 1, kind][..], value].concat()
    }

    #[test]
    fn what_is_critical_must_be_known() {
        let created = part(CREATED | 0x80, &[0, 0, 0, 9]);
        assert_eq!(read(&created, &[]).unwrap().created, Some(9));
        for fine in [part(20, b"note"), part(100, b"x"), part(25 | 0x80, &[1])] {
            assert!(read(&[created.clone(), fine].concat(), &[]).is_ok());
        }
        for bad in [part(20 | 0x80, b"note"), part(100 | 0x80, b"x"), part(35 | 0x80, &[4; 21])] {
            assert!(read(&[created.clone(), bad].concat(), &[]).is_err());
        }
    }

    #[test]
    fn nothing_is_said_twice_or_beside_the_signature() {
        let created = part(CREATED, &[0, 0, 0, 9]);
        let issuer = part(ISSUER, &[&[4][..], &[7; 20]].concat());
        assert!(read(&created, &part(ISSUER_ID, &[7; 8])).is_ok());
        assert!(read(&[&created[..], &issuer].concat(), &part(ISSUER_ID, &[7; 8])).is_ok());
        assert!(read(&[&created[..], &issuer].concat(), &part(ISSUER_ID, &[8; 8])).is_err());
        assert!(read(&created.repeat(2), &[]).is_err());
        assert!(read(&[], &created).is_err());
        assert!(read(&[0], &[]).is_err());
        assert!(read(&[5, CREATED, 0, 0, 0], &[]).is_err());
        assert!(read(&part(ISSUER, &[&[6][..], &[7; 32]].concat()), &[]).is_err());
    }
}
