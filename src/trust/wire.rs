//! Reads binary encodings to the last byte: that of SSH (RFC 4251, section 5), and the
//! bytes of which `openpgp` builds its own.

/// What is left to read.
pub(super) struct Wire<'a> {
    rest: &'a [u8],
}

/// Bytes that are not what the encoding asks for at this place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadWire(pub(super) &'static str);

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BadWire> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(BadWire("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, BadWire> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], BadWire> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| BadWire("a length is out of range"))?)
    }

    /// The magnitude of a positive number, in its one shortest encoding.
    pub(super) fn positive(&mut self) -> Result<&'a [u8], BadWire> {
        match self.string()? {
            [] => Err(BadWire("a number is zero")),
            [0, magnitude @ ..] => match magnitude {
                [first, ..] if first & 0x80 != 0 => Ok(magnitude),
                _ => Err(BadWire("a number has needless leading zeros")),
            },
            [first, ..] if first & 0x80 != 0 => Err(BadWire("a number is negative")),
            magnitude => Ok(magnitude),
        }
    }

    /// The exact string `expected`.
    pub(super) fn expect(
        &mut self,
        expected: &[u8],
        otherwise: &'static str,
    ) -> Result<(), BadWire> {
        if self.string()? == expected { Ok(()) } else { Err(BadWire(otherwise)) }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn finish(self) -> Result<(), BadWire> {
        if self.left() == 0 { Ok(()) } else { Err(BadWire("bytes follow its end")) }
    }
}

/// Appends a length-prefixed string.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("what is signed is far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(bytes: &[u8]) -> Result<Vec<u8>, BadWire> {
        let mut framed = Vec::new();
        put(&mut framed, bytes);
        Wire::new(&framed).positive().map(<[u8]>::to_vec)
    }

    #[test]
    fn a_number_has_exactly_one_encoding() {
        assert_eq!(positive(&[1]).unwrap(), [1]);
        assert_eq!(positive(&[0, 0x80]).unwrap(), [0x80]);
        for bad in [&[][..], &[0], &[0, 1], &[0, 0, 0x80], &[0x80]] {
            assert!(positive(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert!(Wire::new(&[0xff, 0xff, 0xff, 0xff, 1]).string().is_err());
        assert!(Wire::new(&[0, 0, 0]).u32().is_err());
    }
}
