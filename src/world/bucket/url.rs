//! `s3://BUCKET?profile=…&endpoint=…`: nix's own way to name a binary cache in a bucket.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;

/// A bucket and how it is reached, as written; see [`BucketUrl::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl {
    pub bucket: String,
    pub profile: Option<String>,
    pub region: Option<String>,
    /// `SCHEME://HOST[:PORT]`; AWS's own where there is none.
    pub endpoint: Option<String>,
    /// Whether the bucket is a part of the path, rather than of the host's name.
    pub path_style: bool,
}

/// What is wrong with which part of such a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {because}")]
pub struct BadBucketUrl {
    part: String,
    because: String,
}

/// What only matters where closures are read: nix writes it in the same URL.
const FOR_READERS: [&str; 2] = ["priority", "want-mass-query"];
const KNOWN: &str = "profile, region, endpoint, scheme, addressing-style and compression=zstd";

impl BucketUrl {
    /// Reads what nix's manual tells of the S3 binary cache store.
    ///
    /// # Errors
    /// The first part that means nothing here, or that nobody should write there.
    pub fn parse(url: &str) -> Result<Self, BadBucketUrl> {
        let rest = url.strip_prefix("s3://").ok_or_else(|| bad(url, "write s3://BUCKET"))?;
        let (bucket, query) = rest.split_once('?').unwrap_or((rest, ""));
        let bucket = bucket.strip_suffix('/').unwrap_or(bucket);
        check_bucket(bucket)?;
        let mut keys = pairs(query)?;
        let scheme = keys.remove("scheme");
        let style = keys.remove("addressing-style");
        let endpoint = match keys.remove("endpoint") {
            Some(endpoint) => Some(with_scheme(&endpoint, scheme.as_deref())?),
            None if matches!(scheme.as_deref(), None | Some("https")) => None,
            None => {
                return Err(bad(
                    "scheme",
                    "only an endpoint that is named may be other than https",
                ));
            }
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            profile: keys.remove("profile"),
            region: keys.remove("region"),
            path_style: path_style(style.as_deref(), bucket, endpoint.is_some())?,
            endpoint,
        })
    }
}

impl BucketUrl {
    /// Reads the same with a folder of the bucket behind its name, which is given too:
    /// `a/b/`, or nothing.
    ///
    /// # Errors
    /// As [`BucketUrl::parse`], or the folder is none.
    pub fn parse_folder(url: &str) -> Result<(Self, String), BadBucketUrl> {
        let (place, query) = url.split_once('?').map_or((url, None), |(p, q)| (p, Some(q)));
        let rest = place.strip_prefix("s3://");
        let rest = rest.ok_or_else(|| bad(url, "write s3://BUCKET/FOLDER or dir:///FOLDER"))?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let part = |part: &str| {
            !part.is_empty() && part.chars().all(known) && ![".", ".."].contains(&part)
        };
        if !folder.is_empty() && !folder.split('/').all(part) {
            return Err(bad(
                format_args!("{folder:?}"),
                "a folder of a bucket is named with letters, digits and `._-`",
            ));
        }
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let slash = if folder.is_empty() { "" } else { "/" };
        Ok((Self::parse(&format!("s3://{bucket}{query}"))?, format!("{folder}{slash}")))
    }
}

fn bad(part: impl fmt::Display, because: impl fmt::Display) -> BadBucketUrl {
    BadBucketUrl { part: part.to_string(), because: because.to_string() }
}

fn check_bucket(bucket: &str) -> Result<(), BadBucketUrl> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if bucket.contains('@') {
        return Err(bad("s3://…@", "keys belong in ~/.aws/credentials, not in a URL"));
    }
    if bucket.contains('/') {
        return Err(bad(bucket, "a cache is a whole bucket, not a folder of one"));
    }
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(known) {
        return Err(bad(format_args!("{bucket:?}"), "it is no bucket's name"));
    }
    Ok(())
}

/// The parameters, each once and each known.
fn pairs(query: &str) -> Result<BTreeMap<String, String>, BadBucketUrl> {
    let mut keys = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| bad(key, "its value is not UTF-8"))?
            .into_owned();
        match key {
            "profile" | "region" | "endpoint" | "scheme" | "addressing-style" => {
                check_value(key, &value)?;
            }
            "compression" if value == "zstd" => {}
            "compression" => return Err(bad(key, "closures are compressed with zstd")),
            "secret-key" => return Err(bad(key, "name the signing key with --key")),
            key if FOR_READERS.contains(&key) => {}
            key => return Err(bad(key, format_args!("it is not known here; known are {KNOWN}"))),
        }
        if keys.insert(key.to_owned(), value).is_some() {
            return Err(bad(key, "it is there twice"));
        }
    }
    Ok(keys)
}

fn check_value(key: &str, value: &str) -> Result<(), BadBucketUrl> {
    if value.is_empty() {
        return Err(bad(key, "it has no value"));
    }
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if value.contains(odd) {
        return Err(bad(key, "spaces and control characters are part of no such value"));
    }
    Ok(())
}

/// nix takes `HOST:PORT` with a scheme of its own, and also a whole URL.
fn with_scheme(endpoint: &str, scheme: Option<&str>) -> Result<String, BadBucketUrl> {
    let (own, host) = match endpoint.split_once("://") {
        Some((own, host)) => (Some(own), host.strip_suffix('/').unwrap_or(host)),
        None => (None, endpoint),
    };
    let scheme = match (own, scheme) {
        (Some(own), Some(scheme)) if own != scheme => {
            return Err(bad("scheme", format_args!("endpoint says {own}")));
        }
        (Some(scheme), _) | (None, Some(scheme)) => scheme,
        (None, None) => "https",
    };
    if !["http", "https"].contains(&scheme) {
        return Err(bad("scheme", "it is http or https"));
    }
    if host.contains('@') {
        return Err(bad("endpoint", "keys belong in ~/.aws/credentials, not in a URL"));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if host.is_empty() || !host.chars().all(known) {
        return Err(bad("endpoint", "write HOST or HOST:PORT"));
    }
    Ok(format!("{scheme}://{host}"))
}

/// As nix decides it: AWS itself wants the bucket in the host's name, where that is
/// possible; other servers mostly have no such names.
fn path_style(style: Option<&str>, bucket: &str, own_server: bool) -> Result<bool, BadBucketUrl> {
    match style {
        None | Some("auto") => Ok(own_server || bucket.contains('.')),
        Some("path") => Ok(true),
        Some("virtual") if bucket.contains('.') => {
            Err(bad("addressing-style", "no certificate fits a bucket with a dot in its name"))
        }
        Some("virtual") => Ok(false),
        Some(_) => Err(bad("addressing-style", "it is auto, path or virtual")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_takes_is_taken() {
        let url = "s3://acme-nix?profile=ci&endpoint=minio.example:9000&scheme=http&region=eu-west-1&priority=3";
        let parsed = BucketUrl {
            bucket: "acme-nix".to_owned(),
            profile: Some("ci".to_owned()),
            region: Some("eu-west-1".to_owned()),
            endpoint: Some("http://minio.example:9000".to_owned()),
            path_style: true,
        };
        assert_eq!(BucketUrl::parse(url), Ok(parsed));
        let whole = BucketUrl::parse("s3://acme-nix?endpoint=http%3A%2F%2F127.0.0.1:1/").unwrap();
        assert_eq!(whole.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        let aws = BucketUrl::parse("s3://acme-nix?compression=zstd").unwrap();
        assert_eq!((aws.endpoint, aws.path_style), (None, false));
        assert!(BucketUrl::parse("s3://acme.nix").unwrap().path_style);
    }

    #[test]
    fn each_mistake_is_told_with_its_key() {
        let told: Vec<String> = [
            "s3://",
            "s3://ID:SEC/RET@bucket",
            "s3://bucket/folder",
            "s3://Bucket",
            "s3://bucket?profil=ci",
            "s3://bucket?profile=",
            "s3://bucket?profile=a&profile=b",
            "s3://bucket?region=eu%20west",
            "s3://bucket?scheme=http",
            "s3://bucket?endpoint=h&scheme=ftp",
            "s3://bucket?endpoint=https://h&scheme=http",
            "s3://bucket?endpoint=h/path",
            "s3://bucket?endpoint=https://ID:SECRET@h",
            "s3://bucket?secret-key=/root/key",
            "s3://bucket?compression=xz",
            "s3://buck.et?addressing-style=virtual",
            "s3://bucket?addressing-style=cname",
        ]
        .iter()
        .map(|url| format!("{url}\n    {}", BucketUrl::parse(url).unwrap_err()))
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
