//! The binary caches that a host's config may name.

/// A cache or key in the host's config that nix must not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what:?} is not usable: {because}")]
pub struct BadCache {
    what: String,
    because: &'static str,
}

/// Settings of a cache's URL that do not touch trust.
const PARAMETERS: [&str; 2] = ["priority", "want-mass-query"];

/// Whether nix may be given this cache: `https://`, `http://` or `file://`, and no
/// parameter but `priority` and `want-mass-query`. `trusted=true` above all would
/// have nix take unsigned closures from it (nix, `src/libstore/store-api.hh`).
///
/// # Errors
/// What is wrong with the URL.
pub fn check_substituter(url: &str) -> Result<(), BadCache> {
    let bad = |because| Err(BadCache { what: url.to_owned(), because });
    if url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        return bad("a cache's URL has no spaces, control characters or `#`");
    }
    let (location, query) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = location.split_once("://") else {
        return bad("write https://HOST, http://HOST or file:///DIRECTORY");
    };
    let place_ok = match scheme {
        "https" | "http" => !rest.is_empty() && !rest.starts_with('/'),
        "file" => rest.starts_with('/'),
        _ => return bad("only https://, http:// and file:// caches are used"),
    };
    if !place_ok {
        return bad("write https://HOST, http://HOST or file:///DIRECTORY");
    }
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return bad("passwords belong in nix's netrc file, not in a URL that processes show");
    }
    let known = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        PARAMETERS.contains(&name) && value.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !query.is_empty() && !query.split('&').all(known) {
        return bad("no parameter but `priority` and `want-mass-query` may follow `?`");
    }
    Ok(())
}

/// Whether this is a public key of a binary cache: `NAME:` and 32 bytes in base64.
///
/// # Errors
/// What is wrong with the key.
pub fn check_public_key(key: &str) -> Result<(), BadCache> {
    let well_formed = key.split_once(':').is_some_and(|(name, base64)| {
        let digits = base64.strip_suffix('=').unwrap_or_default();
        !name.is_empty()
            && !key.chars().any(|c| c.is_whitespace() || c.is_control())
            && digits.len() == 43
            && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    });
    let because = "a cache's public key is NAME:BASE64, as nix-store --generate-binary-cache-key \
                   writes it";
    if well_formed { Ok(()) } else { Err(BadCache { what: key.to_owned(), because }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_cannot_vouch_for_itself() {
        for good in [
            "https://cache.example.com",
            "http://127.0.0.1:8080/cache",
            "file:///srv/cache",
            "https://cache.example.com?priority=30&want-mass-query=1",
        ] {
            assert_eq!(check_substituter(good), Ok(()));
        }
        for bad in [
            "https://cache.example.com?trusted=1",
            "https://cache.example.com?priority=30&trusted=true",
            "https://cache.example.com?%74rusted=1",
            "https://cache.example.com?priority=1?trusted=1",
            "file:///srv/cache?secret-key=/root/key",
            "https://a.example.com https://b.example.com",
            "https://user:secret@cache.example.com",
            "ssh://cache.example.com",
            "s3://bucket",
            "daemon",
            "/nix/store",
            "file://srv/cache",
            "https://",
            "",
        ] {
            assert!(check_substituter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_public_key_has_a_name_and_thirty_two_bytes() {
        assert_eq!(check_public_key("k1:j8puWMXyQU0Rff+8c1F6yXhQpPURHmV+kPaMzh0N0Yg="), Ok(()));
        for bad in ["", "k1", "k1:", ":j8puWMXyQU0Rff+8c1F6yXhQpPURHmV+kPaMzh0N0Yg=", "k1:AAAA="] {
            assert!(check_public_key(bad).is_err(), "{bad}");
        }
    }
}
