//! What packs may cost whoever unpacks them (rule O5), found out before they are.
//!
//! 62 MB of zeros compressed well are 64 GB that would be inflated and hashed; so are a
//! few kilobytes of deltas. Each entry says its size before its bytes come, and each
//! delta begins with the size of what it makes.

use std::io::{self, BufRead, Read as _};

use gix::hash;
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::data::input::{BytesToEntriesIter, Entry, EntryDataMode, Mode};
use gix::zlib::Inflate;
use thiserror::Error;

use crate::fault::causes;
use crate::trust::LARGEST_OBJECT;

/// The largest object that is decoded, in bytes.
pub(super) const OBJECT: u64 = LARGEST_OBJECT;
/// Objects of all packs that are taken at once.
const OBJECTS: u64 = 2_000_000;
/// The bytes of these objects, unpacked. A history of 100,000 commits with a thousand
/// services has about half of that.
const UNPACKED: u64 = 8 << 30;

/// What is left of the budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackBudget {
    objects: u64,
    unpacked: u64,
}

/// Why packs are not unpacked.
#[derive(Debug, Error)]
pub(super) enum BudgetError {
    #[error("the packs have more than {OBJECTS} objects")]
    Objects,
    #[error("the packs hold an object of {0} bytes; {OBJECT} are taken")]
    Object(u64),
    #[error("the packs have more than {UNPACKED} bytes when they are unpacked")]
    Unpacked,
    /// No matter of size: the pack is damaged.
    #[error("{0}")]
    Damaged(String),
}

impl Default for PackBudget {
    fn default() -> Self {
        Self { objects: OBJECTS, unpacked: UNPACKED }
    }
}

impl PackBudget {
    /// Takes a pack's cost off the budget. It is read to its end, unless it costs too much.
    pub(super) fn spend(
        &mut self,
        pack: &mut dyn BufRead,
        format: hash::Kind,
    ) -> Result<(), BudgetError> {
        let mut header = [0; 12];
        pack.read_exact(&mut header).map_err(|error| BudgetError::Damaged(error.to_string()))?;
        let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let left = self.objects.checked_sub(u64::from(count));
        self.objects = left.ok_or(BudgetError::Objects)?;
        let whole = io::BufReader::new(header.chain(pack));
        let entries =
            BytesToEntriesIter::new_from_header(whole, Mode::AsIs, EntryDataMode::Keep, format);
        for entry in entries.map_err(damaged)? {
            let size = size(&entry.map_err(damaged)?)?;
            if size > OBJECT {
                return Err(BudgetError::Object(size));
            }
            self.unpacked = self.unpacked.checked_sub(size).ok_or(BudgetError::Unpacked)?;
        }
        Ok(())
    }
}

/// The bytes of an object, or of what a delta makes.
fn size(entry: &Entry) -> Result<u64, BudgetError> {
    match entry.header {
        Header::Commit | Header::Tree | Header::Blob | Header::Tag => Ok(entry.decompressed_size),
        Header::RefDelta { .. } | Header::OfsDelta { .. } => made(entry),
    }
}

/// A delta begins with two sizes, its base's and its own (gitformat-pack(5)).
fn made(delta: &Entry) -> Result<u64, BudgetError> {
    let mut begin = [0; 20];
    let compressed = delta.compressed.as_deref().unwrap_or_default();
    let (_, _, length) = Inflate::default().prefix(compressed, &mut begin).map_err(damaged)?;
    let mut bytes = begin[..length].iter();
    let _base = number(&mut bytes)?;
    Ok(number(&mut bytes)?.max(delta.decompressed_size))
}

/// Seven bits a byte, the lowest first; the last byte has its highest bit unset.
fn number<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Result<u64, BudgetError> {
    let short = || BudgetError::Damaged("a delta has no size".to_owned());
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next().ok_or_else(short)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(short())
}

fn damaged(error: gix::Error) -> BudgetError {
    BudgetError::Damaged(causes(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use gix::zlib::Compression;
    use gix::zlib::stream::deflate;

    use super::*;

    const BLOB: u8 = 3;
    const OFS_DELTA: u8 = 6;

    /// An entry of a pack: its kind, the size that it says it has, and its bytes.
    struct Written<'a>(u8, u64, &'a [u8]);

    fn pack(count: u32, entries: &[Written<'_>]) -> Vec<u8> {
        let mut pack = [b"PACK", &2_u32.to_be_bytes()[..], &count.to_be_bytes()].concat();
        for Written(kind, size, bytes) in entries {
            let mut rest = size >> 4;
            let first = (kind << 4) | (size & 0xf) as u8;
            pack.push(if rest > 0 { first | 0x80 } else { first });
            while rest > 0 {
                let byte = (rest & 0x7f) as u8;
                rest >>= 7;
                pack.push(if rest > 0 { byte | 0x80 } else { byte });
            }
            if *kind == OFS_DELTA {
                pack.push(12);
            }
            let mut deflate = deflate::Write::new(Vec::new(), Compression::BEST_SPEED);
            deflate.write_all(bytes).unwrap();
            deflate.flush().unwrap();
            pack.extend(deflate.into_inner());
        }
        pack.extend([0; 20]);
        pack
    }

    fn spend(budget: &mut PackBudget, pack: &[u8]) -> Result<(), BudgetError> {
        budget.spend(&mut &pack[..], hash::Kind::Sha1)
    }

    fn blobs(count: usize) -> Vec<u8> {
        let written = (0..count).map(|_| Written(BLOB, 100, &[0; 100])).collect::<Vec<_>>();
        pack(u32::try_from(count).unwrap(), &written)
    }

    #[test]
    fn packs_are_taken_until_all_of_them_are_too_large_together() {
        let mut budget = PackBudget { objects: 100, unpacked: 1_000 };
        spend(&mut budget, &blobs(6)).unwrap();
        spend(&mut budget, &blobs(4)).unwrap();
        let over = spend(&mut budget, &blobs(1));
        assert!(matches!(over, Err(BudgetError::Unpacked)), "{over:?}");
    }

    #[test]
    fn objects_are_counted_before_any_of_them_is_read() {
        let mut budget = PackBudget { objects: 10, unpacked: 1_000 };
        let over = spend(&mut budget, &pack(11, &[]));
        assert!(matches!(over, Err(BudgetError::Objects)), "{over:?}");
        spend(&mut budget, &blobs(6)).unwrap();
        assert!(matches!(spend(&mut budget, &blobs(6)), Err(BudgetError::Objects)));
    }

    #[test]
    fn an_object_is_no_larger_than_what_is_decoded() {
        let size = OBJECT + 1;
        let zeros = vec![0; usize::try_from(size).unwrap()];
        let over = spend(&mut PackBudget::default(), &pack(1, &[Written(BLOB, size, &zeros)]));
        assert!(matches!(over, Err(BudgetError::Object(found)) if found == size), "{over:?}");
    }

    #[test]
    fn a_delta_costs_what_it_makes() {
        // From 100 bytes, 10,000 (0xce 0x4e), copied a hundred times.
        let delta = [&[100, 0x90, 0x4e][..], &[0x90, 100].repeat(100)].concat();
        let size = delta.len() as u64;
        let written = [Written(BLOB, 100, &[0; 100]), Written(OFS_DELTA, size, &delta)];
        let (one, two) = (pack(1, &written[..1]), pack(2, &written));
        let mut budget = PackBudget { objects: 10, unpacked: 5_000 };
        spend(&mut budget, &one).unwrap();
        let over = spend(&mut budget, &two);
        assert!(matches!(over, Err(BudgetError::Unpacked)), "{over:?}");
    }

    #[test]
    fn a_pack_that_ends_early_is_told_as_damaged() {
        let whole = blobs(2);
        for length in [4, 20, 40] {
            let damaged = spend(&mut PackBudget::default(), &whole[..length]);
            assert!(matches!(damaged, Err(BudgetError::Damaged(_))), "{length}: {damaged:?}");
        }
    }
}
