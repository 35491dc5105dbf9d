//! The digest that names a whole closure, byte for byte.
//!
//! It is `sha256:` and the lowercase hexadecimal SHA-256 of one line for each
//! store path of the closure, the path itself included:
//!
//! ```text
//! 1;<path>;sha256:<nar hash>;<nar size>;<references>\n
//! ```
//!
//! - `<path>` and each of `<references>` are full paths (`/nix/store/…`);
//! - `<nar hash>` is in nix's base 32 (52 characters), `<nar size>` is decimal;
//! - references are sorted and joined by `,`; a path that refers to itself is
//!   among its own references; there may be none, and the `;` before them stays;
//! - lines are sorted bytewise; each ends in one line feed, the last one too.
//!
//! Without the line feed, a line is what a binary cache signs (nix,
//! `src/libstore/path-info.cc`, `ValidPathInfo::fingerprint`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::names::{ClosureDigest, StorePath};

/// What nix's database says about one valid path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    pub path: StorePath,
    /// SHA-256 of the path's NAR.
    pub nar_hash: [u8; 32],
    /// Bytes of the NAR.
    pub nar_size: u64,
    pub references: BTreeSet<StorePath>,
}

/// The digest of exactly these paths.
pub fn closure_digest<'a>(paths: impl IntoIterator<Item = &'a PathInfo>) -> ClosureDigest {
    let lines: BTreeSet<String> = paths.into_iter().map(PathInfo::fingerprint).collect();
    let mut hasher = Sha256::new();
    for line in &lines {
        hasher.update(line);
        hasher.update("\n");
    }
    let hex = hasher.finalize().iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    });
    hex.parse().expect("it is sha256: and 64 lowercase hex digits")
}

/// Everything that `root` needs, itself included.
///
/// # Errors
/// The first path that is referred to and not in `paths`.
pub fn closure_of<'a>(
    root: &StorePath,
    paths: &'a BTreeMap<StorePath, PathInfo>,
) -> Result<Vec<&'a PathInfo>, StorePath> {
    let mut seen = BTreeSet::from([root]);
    let mut left = vec![root];
    let mut closure = Vec::new();
    while let Some(path) = left.pop() {
        let (_, info) = paths.get_key_value(path).ok_or_else(|| path.clone())?;
        closure.push(info);
        left.extend(info.references.iter().filter(|reference| !seen.contains(reference)));
        seen.extend(&info.references);
    }
    Ok(closure)
}

impl PathInfo {
    /// What a binary cache signs for this path.
    pub fn fingerprint(&self) -> String {
        let references: Vec<&str> = self.references.iter().map(StorePath::as_str).collect();
        format!(
            "1;{};sha256:{};{};{}",
            self.path,
            nix_base32(&self.nar_hash),
            self.nar_size,
            references.join(",")
        )
    }
}

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Nix's own base 32: the last five bits come first (nix,
/// `src/libutil/base-nix-32.cc`).
pub(crate) fn nix_base32(bytes: &[u8]) -> String {
    let digit = |n: usize| {
        let (byte, bit) = (n * 5 / 8, n * 5 % 8);
        let low = u16::from(bytes[byte]);
        let high = bytes.get(byte + 1).copied().map_or(0, u16::from);
        char::from(DIGITS[usize::from(((high << 8 | low) >> bit) & 0x1f)])
    };
    (0..(bytes.len() * 8).div_ceil(5)).rev().map(digit).collect()
}

/// What [`nix_base32`] wrote of 32 bytes.
pub(crate) fn from_nix_base32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    for (n, letter) in text.bytes().rev().enumerate() {
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        let (byte, bit) = (n * 5 / 8, n * 5 % 8);
        let wide = u16::try_from(digit).ok()? << bit;
        *bytes.get_mut(byte)? |= (wide & 0xff) as u8;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= (wide >> 8) as u8,
            None if wide >> 8 != 0 => return None,
            None => {}
        }
    }
    (text.len() == 52).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const A: &str = "/nix/store/62m821rs1a2fjqkhimwqw94kqdz429q6-a";
    const B: &str = "/nix/store/k68rz0f0j2jxv1p2b00q32k4k5fjgmsw-b";
    const C: &str = "/nix/store/93l5jx684sh4sx9b020ic85qciglmhka-c";

    /// Built by nix 2.26: NAR hash, NAR size, references, and the signature that
    /// nix made for a binary cache with the key [`KEY`].
    const BUILT: [(&str, &str, u64, &[&str], &str); 3] = [
        (
            A,
            "36821294fbbcca8bc1abf18f4c71bad1bb2f15c38e2e903bf9088c8360fd46d9",
            488,
            &[],
            "aa01f4cb64801b69773c8a8f20f0d90f624ed77f8ee7de2a1d50d33f823c19c7a066eb199dbebcd1693ee1fa2f226f0d6bbe2c5c7e5547b94bbf5ffc2da4f502",
        ),
        (
            B,
            "2e342d21a4ad82be4861373beb76629e1a17f786f179dc52d3469f908c7e8ec5",
            536,
            &[A],
            "3d0a40555891f6604dc9d841687df8bd27348c5013057985353c2992bac21baebc490b79e33d7d0c10fe0f08563b5688616443feb23ea0b9095790ec5a15ff0c",
        ),
        (
            C,
            "ada8861bd9e76522575472e63412ac9108b216a1d716da42cf858b371536e99e",
            584,
            &[A, B],
            "f1c1c47b8bffa49e171407fb4ebadc97cfcd1de88e0e77b82fd9d345130bfa9a8ca19551ec45fbb3742da99d61d2fbf4f11f9cae0d6fe75512493c10c5b5a20d",
        ),
    ];
    const KEY: &str = "8fca6e58c5f2414d117dffbc73517ac97850a4f5111e657e90f68cce1d0dd188";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    fn built() -> BTreeMap<StorePath, PathInfo> {
        let info = |(path, hash, nar_size, references, _): &(&str, &str, u64, &[&str], &str)| {
            let path: StorePath = path.parse().unwrap();
            let info = PathInfo {
                path: path.clone(),
                nar_hash: bytes(hash).try_into().unwrap(),
                nar_size: *nar_size,
                references: references.iter().map(|path| path.parse().unwrap()).collect(),
            };
            (path, info)
        };
        BUILT.iter().map(info).collect()
    }

    #[test]
    fn a_hash_in_nix_s_base_32_reads_as_it_was() {
        for (_, hash, ..) in BUILT {
            let hash: [u8; 32] = bytes(hash).try_into().unwrap();
            assert_eq!(from_nix_base32(&nix_base32(&hash)), Some(hash));
        }
        let last = nix_base32(&[255; 32]);
        assert_eq!(from_nix_base32(&last), Some([255; 32]));
        for bad in ["", "e", &last[1..], &format!("z{}", &last[1..]), &"0".repeat(53)] {
            assert_eq!(from_nix_base32(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_is_what_nix_signs() {
        let key = UnparsedPublicKey::new(&ED25519, bytes(KEY));
        let built = built();
        for (path, _, _, _, signature) in BUILT {
            let fingerprint = built[&path.parse().unwrap()].fingerprint();
            assert!(key.verify(fingerprint.as_bytes(), &bytes(signature)).is_ok(), "{fingerprint}");
        }
    }

    /// The digest was made by another program from nix's own narinfo files.
    #[test]
    fn the_digest_covers_every_line_in_order() {
        let built = built();
        let whole = closure_of(&C.parse().unwrap(), &built).unwrap();
        assert_eq!(
            closure_digest(whole).as_str(),
            "sha256:02c8dd2ea5713e2775add3cf8d8f29e06e40e2748c0c51f05fc617f451335911"
        );
    }

    #[test]
    fn a_closure_is_what_its_root_needs_and_no_more() {
        let mut built = built();
        let paths = |root: &str, built: &BTreeMap<_, _>| {
            closure_of(&root.parse().unwrap(), built).map(|closure| closure.len())
        };
        assert_eq!(paths(A, &built), Ok(1));
        assert_eq!(paths(C, &built), Ok(3));
        built.remove(&A.parse().unwrap());
        assert_eq!(paths(C, &built), Err(A.parse().unwrap()));
    }
}
