//! Doors for the fuzz targets in `fuzz/`; nothing else goes through them.
//!
//! Each takes a stranger's bytes and panics only where what was read breaks a promise
//! of its reader.

use super::edit::PolicyText;
use super::object::Format;
use super::policy::Policy;
use super::signers::Signers;
use super::{commit, sshsig, tree};

/// A commit that is taken apart loses no byte but its signature header.
pub fn commit(bytes: &[u8]) {
    for format in [Format::Sha1, Format::Sha256] {
        let Ok(whole) = commit::split(bytes, format) else { continue };
        let header = whole.signature.as_ref().map_or(0, |armor| {
            let folds = armor.iter().filter(|&&b| b == b'\n').count();
            format.signature_header().len() + " \n".len() + armor.len() + folds
        });
        assert_eq!(whole.payload.len() + header, bytes.len());
        let bare = commit::split(&whole.payload, format).expect("the payload is a commit");
        assert!(bare.signature.is_none());
        assert_eq!((bare.tree, bare.parents, bare.time), (whole.tree, whole.parents, whole.time));
        assert_eq!(bare.payload, whole.payload);
    }
}

/// A tree that is read has distinct names, none of which leads out of it.
pub fn tree(bytes: &[u8]) {
    for format in [Format::Sha1, Format::Sha256] {
        for entry in tree::read(bytes, format).unwrap_or_default() {
            assert!(!entry.name.contains('/') && ![".", "..", ".git"].contains(&&*entry.name));
        }
    }
}

/// A signature that is read says which key made it.
pub fn signature(armor: &[u8]) {
    if let Ok(signature) = sshsig::read(armor, "git") {
        assert!(armor.starts_with(b"-----BEGIN SSH SIGNATURE-----\n"));
        assert!(!signature.message("git", b"payload").is_empty());
    }
}

/// Whether a commit's OpenPGP signature by a key of `certificate` counts; what is read
/// says whose it is.
#[cfg(feature = "openpgp")]
pub fn openpgp(certificate: &str, armor: &[u8], payload: &[u8]) -> bool {
    let certificate = super::certificates::read(certificate);
    let signature = super::openpgp::Signature::read(armor);
    let (Ok((primary, certificate)), Ok(signature)) = (certificate, signature) else {
        return false;
    };
    assert_eq!(certificate.keys().next(), Some(&primary));
    certificate.may_sign(&signature.maker, signature.created).is_ok()
        && certificate.verify(&signature, payload).is_ok()
}

/// A line that is read can be read alone, and means the same.
pub fn signers(text: &str) {
    let Ok(all) = Signers::read(text) else { return };
    let alone = text.split('\n').map(|line| Signers::read(line).expect("a good line is good"));
    let count: usize = alone.map(|signers| signers.iter().count()).sum();
    assert_eq!(count, all.iter().count());
}

/// A policy is read or refused.
pub fn policy(signers: &str, rules: &str) {
    let (signers, rules) = (signers.to_owned(), rules.to_owned());
    let text = PolicyText { signers, rules, ..PolicyText::default() };
    if let Ok(policy) = Policy::of(&text, None) {
        assert!(policy.signers.iter().all(|s| !policy.revoked.contains_key(&s.fingerprint)));
        assert!(policy.threshold(".writ/policy.toml") >= 1);
    }
}
