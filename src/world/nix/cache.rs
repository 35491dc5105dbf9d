//! The binary caches that a host's config may name.

use crate::report::without_passwords;

/// A cache or key in the host's config that nix must not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what:?} is not usable: {because}")]
pub struct BadCache {
    what: String,
    because: &'static str,
}

/// Settings of a cache's URL that do not touch trust.
const PARAMETERS: [&str; 2] = ["priority", "want-mass-query"];

/// What nix itself calls the way to a bucket; it is the agent that goes it.
const OF_BUCKETS: [&str; 5] = ["profile", "region", "endpoint", "scheme", "addressing-style"];

/// Whether nix may be given this cache: `https://`, `http://`, `file://` or `s3://`, and
/// but for what leads to a bucket no parameter but `priority` and `want-mass-query`. `trusted=true` above all would
/// have nix take unsigned closures from it (nix, `src/libstore/store-api.hh`).
///
/// # Errors
/// What is wrong with the URL.
pub fn check_substituter(url: &str) -> Result<(), BadCache> {
    let bad = |because| Err(BadCache { what: without_passwords(url), because });
    if url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        return bad("a cache's URL has no spaces, control characters or `#`");
    }
    let (location, query) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = location.split_once("://") else {
        return bad("write https://HOST, http://HOST, file:///DIRECTORY or s3://BUCKET");
    };
    let place_ok = match scheme {
        "https" | "http" => !rest.is_empty() && !rest.starts_with('/'),
        "file" => rest.starts_with('/'),
        "s3" => !rest.is_empty() && !rest.starts_with('/'),
        _ => return bad("only https://, http://, file:// and s3:// caches are used"),
    };
    if !place_ok {
        return bad("write https://HOST, http://HOST, file:///DIRECTORY or s3://BUCKET");
    }
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return bad(match scheme {
            "s3" => "keys belong in a file (nix.credentialsFile), not in a URL",
            _ => "passwords belong in nix's netrc file, not in a URL that processes show",
        });
    }
    let known = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if scheme == "s3" && OF_BUCKETS.contains(&name) {
            return true;
        }
        PARAMETERS.contains(&name) && value.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !query.is_empty() && !query.split('&').all(known) {
        return bad(match scheme {
            "s3" => {
                "no parameter may follow `?` but `priority`, `want-mass-query`, `profile`, `region`, `endpoint`, `scheme` and `addressing-style`; above all not `trusted` and `secret-key`"
            }
            _ => "no parameter but `priority` and `want-mass-query` may follow `?`",
        });
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
            "s3://acme-nix/hosts?region=eu-west-1&endpoint=https%3A%2F%2Fs3.example.org&priority=10",
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
            "s3://",
            "s3://ID:SECRET@bucket",
            "s3://bucket?trusted=1",
            "s3://bucket?secret-key=/root/key",
            "https://cache.example.com?profile=ci",
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
    fn a_password_in_a_url_is_not_repeated() {
        for url in ["https://bob:s3cr@t@cache.example.com", "s3://ID:s3cret@b/c"] {
            let why = check_substituter(url).unwrap_err().to_string();
            assert!(!why.contains("s3cr") && why.contains("…@"), "{why}");
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
