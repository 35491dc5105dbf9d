//! Packets, and the numbers in them (RFC 9580, sections 3.2 and 4.2).

use super::Bad;
use crate::trust::wire::{BadWire, Wire};

pub(super) const SIGNATURE: u8 = 2;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SECRET_SUBKEY: u8 = 7;
pub(super) const USER_ID: u8 = 13;
pub(super) const PUBLIC_SUBKEY: u8 = 14;

/// One packet: what it is, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// Cuts `bytes` into at most `most` packets.
pub(super) fn split(bytes: &[u8], most: usize) -> Result<Vec<Packet<'_>>, Bad> {
    let mut wire = Wire::new(bytes);
    let mut packets = Vec::new();
    while !wire.is_empty() {
        if packets.len() == most {
            return Err(Bad("it has too many packets"));
        }
        packets.push(next(&mut wire)?);
    }
    Ok(packets)
}

fn next<'a>(wire: &mut Wire<'a>) -> Result<Packet<'a>, Bad> {
    let first = wire.u8()?;
    if first & 0x80 == 0 {
        return Err(Bad("it holds something that is no packet"));
    }
    let (tag, length) = if first & 0x40 == 0 {
        let length = match first & 0x03 {
            0 => u32::from(wire.u8()?),
            1 => u32::from(wire.u16()?),
            2 => wire.u32()?,
            _ => return Err(Bad("a packet does not say how long it is")),
        };
        (first >> 2 & 0x0f, length)
    } else {
        (first & 0x3f, new_length(wire)?)
    };
    let length = usize::try_from(length).map_err(|_| Bad("a length is out of range"))?;
    Ok(Packet { tag, body: wire.take(length)? })
}

fn new_length(wire: &mut Wire<'_>) -> Result<u32, Bad> {
    match wire.u8()? {
        short @ 0..=191 => Ok(u32::from(short)),
        high @ 192..=223 => Ok(((u32::from(high) - 192) << 8) + u32::from(wire.u8()?) + 192),
        224..=254 => Err(Bad("a packet comes in parts")),
        255 => Ok(wire.u32()?),
    }
}

impl<'a> Wire<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.left() == 0
    }

    pub(super) fn u8(&mut self) -> Result<u8, BadWire> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, BadWire> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> Result<&'a [u8], BadWire> {
        self.take(self.left())
    }

    /// The magnitude of a number that says how many bits it has, neither fewer nor more.
    pub(super) fn number(&mut self) -> Result<&'a [u8], BadWire> {
        let bits = usize::from(self.u16()?);
        let bytes = self.take(bits.div_ceil(8))?;
        match bytes {
            [] => Err(BadWire("a number is zero")),
            [first, ..] if bytes.len() * 8 - first.leading_zeros() as usize == bits => Ok(bytes),
            _ => Err(BadWire("a number has another length than it says")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_is_in_one_of_six_ways() {
        let long = [7; 300];
        for head in [
            &[0x88, 3][..],
            &[0x89, 0, 3],
            &[0x8a, 0, 0, 0, 3],
            &[0xc2, 3],
            &[0xc2, 255, 0, 0, 0, 3],
        ] {
            let bytes = [head, &long[..3]].concat();
            assert_eq!(split(&bytes, 1), Ok(vec![Packet { tag: SIGNATURE, body: &long[..3] }]));
            assert!(split(&bytes[..bytes.len() - 1], 1).is_err());
            assert!(split(&bytes.repeat(2), 1).is_err(), "one too many");
        }
        let two = [&[0xc2, 192, 108][..], &long].concat();
        assert_eq!(split(&two, 1).unwrap()[0].body.len(), 300);
        for bad in [&[0x8b, 1, 1][..], &[0xc2, 224, 1], &[0x02, 1, 1], &[0x8a, 255, 255, 255, 255]]
        {
            assert!(split(bad, 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_has_exactly_its_bits() {
        assert_eq!(Wire::new(&[0, 9, 1, 2]).number(), Ok(&[1, 2][..]));
        for bad in [&[0, 0][..], &[0, 8, 0], &[0, 8, 1], &[0, 9, 2, 0], &[0, 9, 1]] {
            assert!(Wire::new(bad).number().is_err(), "{bad:?}");
        }
    }
}
