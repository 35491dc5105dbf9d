//! A binary cache's secret key.

use std::fmt;
use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;

use super::super::announced::CacheKey;
use crate::fault::Fault;
use crate::plan::closure::PathInfo;
use crate::trust::base64;

/// A key that signs for a cache. Its secret is shown nowhere.
pub struct SecretKey {
    public: CacheKey,
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// A secret key as `nix key generate-secret` writes it: `NAME:` and, in base64, the
    /// seed and the public key (nix, `src/libstore/keys.cc`).
    ///
    /// # Errors
    /// The file cannot be read or is not such a key.
    pub fn read(file: &Path) -> Result<Self, Fault> {
        let doing = || format!("read the secret key {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| Fault::refuse(doing(), error))?;
        Self::parse(&text).ok_or_else(|| {
            Fault::refuse(doing(), "it is not a secret key of a binary cache")
                .remedy("`nix key generate-secret --key-name NAME` makes one")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, secret) = text.trim().split_once(':')?;
        let bytes = base64::decode(secret.as_bytes()).filter(|bytes| bytes.len() == 64)?;
        let (seed, public) = bytes.split_at(32);
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
        Some(Self { public: CacheKey::new(name, public), pair })
    }

    pub fn public(&self) -> &CacheKey {
        &self.public
    }

    /// `NAME:` and the signature, as a cache has it.
    pub(super) fn sign(&self, path: &PathInfo) -> String {
        let signature = self.pair.sign(path.fingerprint().as_bytes());
        // 64 bytes leave one over, which base64 fills with two.
        format!("{}:{}==", self.public.name(), base64::encode_unpadded(signature.as_ref()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed of 32 bytes of seven, and its public half.
    const SECRET: &str = "k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwfqSmxj4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLA==";

    #[test]
    fn what_it_signs_its_public_half_knows() {
        let key = SecretKey::parse(SECRET).unwrap();
        let path = "/nix/store/62m821rs1a2fjqkhimwqw94kqdz429q6-a".parse().unwrap();
        let info = PathInfo { path, nar_hash: [1; 32], nar_size: 488, references: [].into() };
        let signature = key.sign(&info);
        assert!(signature.starts_with("k1:") && signature.ends_with("=="));
        assert!(key.public().made(&signature, &info));
        assert!(!key.public().made(&signature, &PathInfo { nar_size: 489, ..info }));
        assert!(!format!("{key:?}").contains("BwcH"));
    }

    #[test]
    fn a_key_of_two_halves_that_do_not_fit_is_none() {
        for bad in ["", "k1", "k1:BwcH", &SECRET.replace("fqSm", "fqSn")] {
            assert!(SecretKey::parse(bad).is_none(), "{bad}");
        }
    }
}
