//! The nouns: names that are valid once they exist.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares a string newtype whose only constructor checks its rule.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { what: $what, text: text.to_owned() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// The full name of an object in the commit graph: 40 (SHA-1) or 64
    /// (SHA-256) lowercase hexadecimal digits.
    CommitId, "full commit id (40 or 64 lowercase hex digits)",
    |s| matches!(s.len(), 40 | 64) && is_lower_hex(s)
);
name!(
    /// A machine, as the manifest and its own agent's config name it.
    HostName, "host name (lowercase letters, digits and `-`, at most 48 characters, a letter first)",
    is_plain_name
);
name!(
    /// A tag that groups hosts.
    Tag, "tag (lowercase letters, digits and `-`, at most 48 characters, a letter first)",
    is_plain_name
);
name!(
    /// A service or profile of the manifest.
    ServiceName, "service name (lowercase letters, digits and `-`, at most 48 characters, a letter first; `agent`, `boot` and the likes of `web-3-link` are taken)",
    |s| is_plain_name(s) && !RESERVED.contains(&s) && !is_link_name(s)
);
name!(
    /// A path directly below `/nix/store`: 32 characters of nix's base 32, a
    /// dash, and a name (nix, `src/libstore/path.cc`).
    StorePath, "store path (/nix/store/<32 characters of nix base 32>-<name>)",
    is_store_path
);
name!(
    /// A systemd unit with its type suffix.
    UnitName, "unit name", is_unit_name
);
name!(
    /// A DNS name that Caddy serves, lowercase, without a trailing dot. Never a name of
    /// the host itself, and never an address: what answers there is the host's.
    Domain, "domain name (lowercase; not `localhost`, and not an IP address)", is_domain
);
name!(
    /// A user or group of the host (useradd's portable rule).
    AccountName, "user or group name",
    |s| {
        (1..=31).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && s.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
    }
);
name!(
    /// The name of an environment variable.
    EnvName, "environment variable name ([A-Za-z_][A-Za-z0-9_]*)",
    |s| {
        s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && s.bytes().next().is_some_and(|b| !b.is_ascii_digit())
    }
);
name!(
    /// An absolute path with no `.`, `..`, empty component or control character.
    AbsolutePath, "absolute path without `.`, `..` or control characters", is_absolute_path
);
name!(
    /// The digest of a whole closure: `sha256:` and 64 lowercase hex digits.
    ClosureDigest, "closure digest (sha256:<64 lowercase hex digits>)",
    |s| s.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_lower_hex(hex))
);
name!(
    /// What a plan changes on its host, in one digest.
    PlanDigest, "plan digest (sha256:<64 lowercase hex digits>)",
    |s| s.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_lower_hex(hex))
);
name!(
    /// A key's fingerprint: an SSH key's as `ssh-keygen -l` prints it, or that of a
    /// version 4 OpenPGP key.
    Fingerprint, "key fingerprint (SHA256:<43 characters of base64>, or openpgp:<40 digits of uppercase hex>)",
    |s| s.strip_prefix("SHA256:").is_some_and(|b| {
        b.len() == 43 && b.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    }) || s.strip_prefix("openpgp:").is_some_and(is_openpgp)
);
name!(
    /// A branch, without `refs/heads/`.
    BranchName, "branch name", is_branch
);
name!(
    /// A principal of `.writ/policy.toml` and `.writ/allowed_signers`.
    Principal, "principal (letters, digits and `._@+-`)",
    |s| {
        (1..=128).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@+-".contains(&b))
            && !s.starts_with('-')
    }
);
name!(
    /// Text that reaches a unit, an environment or a route as exactly its
    /// characters: any UTF-8 without control characters.
    Literal, "value without control characters", |s| !s.chars().any(char::is_control)
);

/// Names whose units are the agent's own: `writ-agent.service`, `writ-boot.service`.
const RESERVED: [&str; 2] = ["agent", "boot"];

/// `<profile>-<n>-link` is what nix calls the versions of a profile.
fn is_link_name(text: &str) -> bool {
    text.strip_suffix("-link")
        .and_then(|stem| stem.rsplit_once('-'))
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_openpgp(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

fn is_plain_name(text: &str) -> bool {
    text.len() <= 48
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_store_path(text: &str) -> bool {
    const BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";
    let Some((hash, name)) = text.strip_prefix("/nix/store/").and_then(|n| n.split_at_checked(32))
    else {
        return false;
    };
    let Some(name) = name.strip_prefix('-') else { return false };
    hash.bytes().all(|b| BASE32.contains(&b))
        && (1..=211).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b))
}

fn is_unit_name(text: &str) -> bool {
    text.len() <= 255
        && text.rsplit_once('.').is_some_and(|(stem, suffix)| {
            !stem.is_empty()
                && ["service", "timer", "socket", "target", "slice", "mount", "path"]
                    .contains(&suffix)
        })
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
        && !is_of_this_host(text)
}

/// `localhost` and all below it (RFC 6761, section 6.3), and every spelling of an IPv4
/// address: none but addresses ends in a number (RFC 3696, section 2), and of their parts
/// each may be hexadecimal (inet_aton(3)).
fn is_of_this_host(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    last == "localhost" || number(last) || last.strip_prefix("0x").is_some_and(hex)
}

fn is_absolute_path(text: &str) -> bool {
    text == "/"
        || (text.len() <= 4096
            && !text.chars().any(char::is_control)
            && text
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|part| !["", ".", ".."].contains(&part))))
}

/// The rules of `git check-ref-format --branch`.
fn is_branch(text: &str) -> bool {
    let part_ok =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    (1..=200).contains(&text.len())
        && text.split('/').all(part_ok)
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && !text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

impl Fingerprint {
    /// The digits of an OpenPGP key's; `None` for an SSH key's.
    pub fn openpgp(&self) -> Option<&str> {
        self.0.strip_prefix("openpgp:")
    }
}

impl CommitId {
    /// The first ten digits, for a person.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl StorePath {
    /// What follows the hash: the package's name and version.
    pub fn label(&self) -> &str {
        &self.0["/nix/store/".len() + 33..]
    }

    /// The package's name and its version: what follows the first dash that no letter
    /// follows (nix, `src/libstore/names.cc`, `DrvName`).
    pub fn package(&self) -> (&str, Option<&str>) {
        let label = self.label();
        let mut dashes = label.match_indices('-').map(|(at, _)| at);
        let version = dashes.find(|at| {
            label[at + 1..].bytes().next().is_some_and(|next| !next.is_ascii_alphabetic())
        });
        version.map_or((label, None), |at| (&label[..at], Some(&label[at + 1..])))
    }

    /// The 32 characters of nix base 32.
    pub fn hash(&self) -> &str {
        &self.0["/nix/store/".len()..][..32]
    }
}

impl ServiceName {
    /// The service's unit: always `writ-<name>.service`, so that no manifest can
    /// shadow a unit of the system.
    pub fn unit(&self) -> UnitName {
        UnitName(format!("writ-{}.service", self.0))
    }

    /// The timer of a service that is a scheduled job.
    pub fn timer(&self) -> UnitName {
        UnitName(format!("writ-{}.timer", self.0))
    }
}

impl UnitName {
    /// The service that this unit belongs to, where the unit is one of ours.
    pub fn service(&self) -> Option<ServiceName> {
        let stem = self.0.strip_prefix("writ-")?;
        let stem = stem.strip_suffix(".service").or_else(|| stem.strip_suffix(".timer"))?;
        stem.parse().ok()
    }
}

/// Text that is not a name of the kind it was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    what: &'static str,
    text: String,
}

impl BadName {
    /// What a valid name looks like.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a {}", self.text, self.what)
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_path_has_thirty_two_characters_of_nix_base_32() {
        let good = format!("/nix/store/{}-web-1.0", "0".repeat(32));
        assert!(good.parse::<StorePath>().is_ok());
        for bad in [
            "/nix/store/abc123-web",
            &format!("/nix/store/{}-web", "e".repeat(32)),
            &format!("/nix/store/{}-web/bin", "0".repeat(32)),
            &format!("/nix/store/{}", "0".repeat(32)),
            &format!("/nix/store/{}-..", "0".repeat(32)),
        ] {
            assert!(bad.parse::<StorePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_package_has_a_name_and_mostly_a_version() {
        for (label, name, version) in [
            ("web-1.2.3", "web", Some("1.2.3")),
            ("gtk+-3-dev-2", "gtk+", Some("3-dev-2")),
            ("my-web-app-2026-01-01", "my-web-app", Some("2026-01-01")),
            ("my-web-app", "my-web-app", None),
            ("odd-", "odd-", None),
        ] {
            let path: StorePath = format!("/nix/store/{}-{label}", "0".repeat(32)).parse().unwrap();
            assert_eq!(path.package(), (name, version));
        }
    }

    #[test]
    fn a_unit_of_ours_names_its_service() {
        let name: ServiceName = "web".parse().unwrap();
        assert_eq!(name.unit().service(), Some(name.clone()));
        assert_eq!(name.timer().service(), Some(name));
        assert_eq!("sshd.service".parse::<UnitName>().unwrap().service(), None);
    }

    #[test]
    fn names_refuse_what_could_mean_something_else() {
        assert!("Web".parse::<ServiceName>().is_err());
        assert!("-web".parse::<ServiceName>().is_err());
        assert!("agent".parse::<ServiceName>().is_err());
        assert!("web-3-link".parse::<ServiceName>().is_err());
        assert!("web-link".parse::<ServiceName>().is_ok());
        assert!("a..b".parse::<BranchName>().is_err());
        assert!("--upload-pack=x".parse::<BranchName>().is_err());
        assert!("/var/../etc".parse::<AbsolutePath>().is_err());
        assert!("line\nbreak".parse::<Literal>().is_err());
        assert!("{host}.example.com".parse::<Domain>().is_err());
    }

    #[test]
    fn no_domain_is_a_name_or_an_address_of_the_host_itself() {
        for bad in [
            "localhost",
            "db.localhost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "127.0.0.0x1",
            "1.2.3.4.5",
            "example.0",
        ] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
        for good in ["localhost.example.org", "163.com", "1.example.org", "0x.example", "x0x1"] {
            assert!(good.parse::<Domain>().is_ok(), "{good}");
        }
    }
}
