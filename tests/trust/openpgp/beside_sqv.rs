//! Changed bytes: whatever counts here, counts for sqv.

use proptest::collection::vec;
use proptest::prelude::*;
use writ::trust::fuzzing;

use super::made_by_gpg::without_checksum;
use super::{TIME, binding, gpg, gpg_scene, subkey, zoe, zoes};
use crate::gpg::sqv;
use crate::hand_pgp::{self, BINARY, CERTIFY_AND_SIGN, Draft, block, packet};

/// Every single-bit error in every byte of a signature and of a certificate: what still
/// counts here counts for sqv.
#[test]
fn no_changed_bit_is_accepted_that_sqv_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zoes(&[zoe().bind(&subkey(), binding())]);
    let signature = packet(2, &subkey().sign(Draft::new(BINARY, TIME), &[b"payload"]));
    let certificate = block(&bytes);
    let armor = hand_pgp::armor("SIGNATURE", &signature);
    assert!(fuzzing::openpgp(&certificate, armor.as_bytes(), b"payload"));
    assert!(!fuzzing::openpgp(&certificate, armor.as_bytes(), b"another"));
    let mut accepted = 0;
    let mut agree = |certificate: &str, armor: &str| {
        if fuzzing::openpgp(certificate, armor.as_bytes(), b"payload") {
            accepted += 1;
            let found = sqv(folder.path(), certificate, armor.as_bytes(), b"payload");
            assert!(found, "{certificate}{armor}");
        }
    };
    for changed in flips(&signature) {
        agree(&certificate, &hand_pgp::armor("SIGNATURE", &changed));
    }
    for changed in flips(&bytes) {
        agree(&block(&changed), &armor);
    }
    // Whether a hint that nobody signs is critical: it is understood.
    assert_eq!(accepted, 1);
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

/// The same in what gpg makes, letter by letter.
#[test]
fn no_changed_letter_of_an_rsa_or_ecdsa_signature_counts() {
    let (scene, _agents) = gpg_scene();
    for person in ["rob", "nia", "sam"] {
        let certificate = gpg(&scene).export(person);
        let armor = gpg(&scene).sign(TIME, &["-u", &format!("={person}")], b"payload");
        let armor = without_checksum(String::from_utf8(armor).unwrap());
        assert!(fuzzing::openpgp(&certificate, armor.as_bytes(), b"payload"), "{person}");
        let (start, end) = (armor.find("\n\n").unwrap() + 2, armor.find("\n-----END").unwrap());
        for place in start..end {
            let mut changed = armor.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert!(!fuzzing::openpgp(&certificate, &changed, b"payload"), "{person} {place}");
        }
    }
}

proptest! {
    /// Strangers' bytes are read or refused, whatever they are.
    #[test]
    fn any_bytes_are_read_or_refused(
        start in 0_usize..400,
        length in 0_usize..8,
        bytes in vec(any::<u8>(), 0..12),
        in_certificate: bool,
    ) {
        let mut certificate = zoes(&[zoe().bind(&subkey(), binding())]);
        let mut signature = packet(2, &subkey().sign(Draft::new(BINARY, TIME), &[b"payload"]));
        let target = if in_certificate { &mut certificate } else { &mut signature };
        let start = start % target.len();
        let end = (start + length).min(target.len());
        let before = target.clone();
        target.splice(start..end, bytes);
        let same = *target == before;
        let armor = hand_pgp::armor("SIGNATURE", &signature);
        let counts = fuzzing::openpgp(&block(&certificate), armor.as_bytes(), b"payload");
        prop_assert!(!same || counts);
    }
}

/// Cut short anywhere, nothing counts and nothing panics.
#[test]
fn nothing_that_is_cut_short_counts() {
    let bytes = zoe().certificate(CERTIFY_AND_SIGN);
    let signature = packet(2, &zoe().sign(Draft::new(BINARY, TIME), &[b"payload"]));
    let armor = |bytes: &[u8]| hand_pgp::armor("SIGNATURE", bytes);
    assert!(fuzzing::openpgp(&block(&bytes), armor(&signature).as_bytes(), b"payload"));
    for end in 1..signature.len() {
        let short = armor(&signature[..end]);
        assert!(!fuzzing::openpgp(&block(&bytes), short.as_bytes(), b"payload"), "{end}");
    }
    for end in 1..bytes.len() {
        let short = block(&bytes[..end]);
        assert!(!fuzzing::openpgp(&short, armor(&signature).as_bytes(), b"payload"), "{end}");
    }
}
