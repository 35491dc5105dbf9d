//! Signatures that other projects published, read where they lie in their own tests.

use super::commit;
use super::key::PublicKey;
use super::object::Format;
use super::sshsig;

macro_rules! vector {
    ($file:literal) => {
        include_bytes!(concat!("../../tests/trust/vectors/", $file)).as_slice()
    };
}

/// The blob of a key as `ssh-keygen` writes it.
fn blob(line: &[u8]) -> Vec<u8> {
    let line = str::from_utf8(line).unwrap();
    super::base64::decode(line.split(' ').nth(1).unwrap().trim().as_bytes()).unwrap()
}

/// Whether a signature is that of the key in it over `payload`.
fn good(armor: &[u8], namespace: &str, payload: &[u8]) -> bool {
    let signature = sshsig::read(armor, namespace).unwrap();
    let key = PublicKey::read(&signature.key).unwrap();
    let message = signature.message(namespace, payload);
    key.verify(&signature.bytes, &message, false).is_ok()
}

/// fluxcd/pkg, `git/signature/testdata/ssh_signatures`: a commit for each kind of key.
#[test]
fn the_commits_of_flux_are_signed_by_their_keys() {
    let commits = [
        (vector!("flux_ed25519.commit"), vector!("flux_ed25519.pub")),
        (vector!("flux_rsa.commit"), vector!("flux_rsa.pub")),
        (vector!("flux_ecdsa_p256.commit"), vector!("flux_ecdsa_p256.pub")),
        (vector!("flux_ecdsa_p384.commit"), vector!("flux_ecdsa_p384.pub")),
        (vector!("flux_ecdsa_p521.commit"), vector!("flux_ecdsa_p521.pub")),
    ];
    for (bytes, key) in commits {
        let commit = commit::split(bytes, Format::Sha1).unwrap();
        let armor = commit.signature.unwrap();
        assert_eq!(sshsig::read(&armor, "git").unwrap().key, blob(key));
        assert!(good(&armor, "git", &commit.payload));
        // The cases of flux's TestSSHSignatureValidationCases.
        assert!(!good(&armor, "git", b""), "an empty payload");
        assert!(!good(&armor, "git", &[&commit.payload[..], b"\n"].concat()));
        assert!(sshsig::read(&armor, "file").is_err(), "another namespace");
        let text = str::from_utf8(&armor).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        let (body, last) = rest.trim_end().rsplit_once('\n').unwrap();
        let half = &body[..body.len() / 2];
        for broken in [
            String::new(),
            "this is no signature".to_owned(),
            format!("{first}\n{body}\n"),
            format!("{first}\n{last}\n"),
            format!("{first}\n{half}\n{last}\n"),
            format!("{first}\n!{}\n{last}\n", &body[1..]),
            format!("{text}\nmore\n"),
        ] {
            assert!(sshsig::read(broken.as_bytes(), "git").is_err(), "{broken}");
        }
    }
}

/// RustCrypto/SSH, `ssh-key/tests/examples/sshsig_*` and `ssh-key/tests/sshsig.rs`.
#[test]
fn the_signatures_of_rustcrypto_are_read_as_it_reads_them() {
    let signatures = [
        vector!("rustcrypto_ed25519.sig"),
        vector!("rustcrypto_ecdsa_p256.sig"),
        vector!("rustcrypto_ecdsa_p384.sig"),
        vector!("rustcrypto_rsa_3072.sig"),
        vector!("rustcrypto_sk_ed25519.sig"),
    ];
    for armor in signatures {
        assert!(good(armor, "example", b"testing"));
        assert!(!good(armor, "example", b"bogus!"));
        assert!(sshsig::read(armor, "bogus namespace").is_err());
    }
    let hardware = sshsig::read(vector!("rustcrypto_sk_ed25519.sig"), "example").unwrap();
    assert_eq!(hardware.key, blob(vector!("rustcrypto_sk_ed25519.pub")));
    let message = hardware.message("example", b"testing");
    let key = PublicKey::read(&hardware.key).unwrap();
    assert!(key.verify(&hardware.bytes, &message, true).is_err(), "touched, and no more");
    let dsa = sshsig::read(vector!("rustcrypto_dsa_1024.sig"), "example").unwrap();
    assert!(PublicKey::read(&dsa.key).is_err(), "a kind of key that nobody should use");
}
