//! Reads `nix-store --dump-db`: what nix's database says about paths.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::StorePath;
use crate::plan::closure::PathInfo;

/// Each path is a line, followed by lines with the hexadecimal SHA-256 of its NAR,
/// the NAR's size, the deriver (may be empty), the number of references and each
/// reference (nix, `src/libstore/store-api.cc`, `makeValidityRegistration`).
///
/// # Errors
/// The number of the line, from 1, that is not as described; 0 where lines are missing.
pub(super) fn parse(text: &str) -> Result<BTreeMap<StorePath, PathInfo>, usize> {
    let mut lines = text.lines().enumerate().peekable();
    let mut paths = BTreeMap::new();
    while lines.peek().is_some() {
        let info = path_info(&mut lines)?;
        paths.insert(info.path.clone(), info);
    }
    Ok(paths)
}

fn path_info<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<PathInfo, usize> {
    let path = next(lines, |line| line.parse().ok())?;
    let nar_hash = next(lines, sha256)?;
    let nar_size = next(lines, |line| line.parse().ok())?;
    next(lines, |_deriver| Some(()))?;
    let count: usize = next(lines, |line| line.parse().ok())?;
    let references = (0..count)
        .map(|_| next(lines, |line| line.parse().ok()))
        .collect::<Result<BTreeSet<StorePath>, usize>>()?;
    Ok(PathInfo { path, nar_hash, nar_size, references })
}

fn next<'a, T>(
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    parse: impl Fn(&'a str) -> Option<T>,
) -> Result<T, usize> {
    let (n, line) = lines.next().ok_or(0usize)?;
    parse(line).ok_or(n + 1)
}

fn sha256(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "/nix/store/62m821rs1a2fjqkhimwqw94kqdz429q6-a";
    const B: &str = "/nix/store/k68rz0f0j2jxv1p2b00q32k4k5fjgmsw-b";
    const HASH: &str = "ada8861bd9e76522575472e63412ac9108b216a1d716da42cf858b371536e99e";

    #[test]
    fn every_path_is_read_with_its_references() {
        let paths =
            parse(&format!("{A}\n{HASH}\n488\n\n0\n{B}\n{HASH}\n536\nx.drv\n2\n{A}\n{B}\n"));
        let paths = paths.unwrap();
        assert_eq!(paths.len(), 2);
        let b = &paths[&B.parse().unwrap()];
        assert_eq!(b.nar_size, 536);
        assert_eq!(b.nar_hash[..2], [0xad, 0xa8]);
        assert_eq!(b.references, [A, B].map(|path| path.parse().unwrap()).into());
    }

    #[test]
    fn what_is_cut_short_or_not_a_registration_is_refused() {
        assert_eq!(parse(&format!("{A}\n{HASH}\n488\n\n1\n")), Err(0));
        assert_eq!(parse(&format!("{A}\nsha1\n488\n\n0\n")), Err(2));
        assert_eq!(parse("error: no\n"), Err(1));
    }
}
