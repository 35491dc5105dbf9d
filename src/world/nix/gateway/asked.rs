//! What may be asked of the gateway.

use std::ops::Range;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::world::stock::Part;

/// Letters of nix's base 32.
const BASE32: &str = "0123456789abcdfghijklmnpqrsvwxyz";
/// Characters of a store path's hash.
const HASH: usize = 32;
/// No cache's names are longer.
const LONGEST: usize = 200;

/// A file of one of the stocks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) stock: usize,
    pub(super) name: String,
}

impl Asked {
    /// Reads `/WORD/NUMBER/NAME`; `None` where the word is another, or no cache has
    /// such a name.
    pub(super) fn read(path: &str, word: &str) -> Option<Self> {
        let (said, rest) = path.strip_prefix('/')?.split_once('/')?;
        verify_slices_are_equal(said.as_bytes(), word.as_bytes()).ok()?;
        let (stock, name) = rest.split_once('/')?;
        let plain = !stock.is_empty() && stock.bytes().all(|b| b.is_ascii_digit());
        (plain && is_of_a_cache(name))
            .then(|| Some(Self { stock: stock.parse().ok()?, name: name.to_owned() }))?
    }
}

/// `nix-cache-info`, `HASH.narinfo` or `nar/NAME`.
fn is_of_a_cache(name: &str) -> bool {
    if name == "nix-cache-info" {
        return true;
    }
    if let Some(hash) = name.strip_suffix(".narinfo") {
        return hash.len() == HASH && hash.chars().all(|c| BASE32.contains(c));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    name.len() <= LONGEST
        && name.strip_prefix("nar/").is_some_and(|nar| {
            nar.starts_with(|c: char| c.is_ascii_alphanumeric()) && nar.chars().all(known)
        })
}

/// One range of bytes. Whoever asks for anything else gets the whole file, as HTTP
/// allows (RFC 9110, 14.2).
pub(super) fn part(header: &str) -> Option<Part> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok())?
    };
    match (first, last) {
        ("", last) => Some(Part::Last(number(last).filter(|length| *length > 0)?)),
        (first, "") => Some(Part::From(number(first)?)),
        (first, last) => {
            let range: Range<u64> = number(first)?..number(last)?.checked_add(1)?;
            (!range.is_empty()).then_some(Part::Between(range))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "0123456789abcdef";

    fn name(path: &str) -> Option<String> {
        let asked = Asked::read(path, WORD)?;
        Some(format!("{} of {}", asked.name, asked.stock))
    }

    #[test]
    fn only_what_a_cache_has_can_be_asked_for() {
        let hash = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf";
        for good in [
            "nix-cache-info".to_owned(),
            format!("{hash}.narinfo"),
            "nar/0m70j2kfz1lhcf2x0mf92slnfaxnqrlbakq32bachi6bgqr9aj4w.nar.xz".to_owned(),
        ] {
            assert_eq!(name(&format!("/{WORD}/1/{good}")), Some(format!("{good} of 1")));
        }
        for bad in [
            "",
            "secret",
            "log/x.drv",
            "nix-cache-info?list-type=2",
            "./nix-cache-info",
            "nar/",
            "nar/..",
            "nar/.x",
            "nar/a/b",
            "nar/%2e%2e",
            "nar/a%2fb",
            "nar/a b",
            "nar/../secret",
            "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9r.narinfo",
            "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9re.narinfo",
            "../1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf.narinfo",
        ] {
            assert_eq!(name(&format!("/{WORD}/1/{bad}")), None, "{bad}");
        }
        assert_eq!(name(&format!("/{WORD}/1/nar/{}", "a".repeat(200))), None);
    }

    #[test]
    fn whoever_does_not_know_the_word_gets_nothing() {
        for bad in [
            "/nix-cache-info",
            "//1/nix-cache-info",
            "/0123456789abcde/1/nix-cache-info",
            "/0123456789abcdeg/1/nix-cache-info",
            "/0123456789abcdef//nix-cache-info",
            "/0123456789abcdef/-1/nix-cache-info",
            "/0123456789abcdef/+1/nix-cache-info",
            "/0123456789abcdef/99999999999999999999/nix-cache-info",
            "0123456789abcdef/1/nix-cache-info",
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_range_is_one_and_plain() {
        assert_eq!(part("bytes=0-0"), Some(Part::Between(0..1)));
        assert_eq!(part("bytes=7-"), Some(Part::From(7)));
        assert_eq!(part("bytes=-7"), Some(Part::Last(7)));
        for bad in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=-0",
            "bytes=2-1",
            "bytes=0-1,3-4",
            "bytes=+1-",
            "lines=1-2",
            "bytes=0-18446744073709551615",
        ] {
            assert_eq!(part(bad), None, "{bad}");
        }
    }
}
