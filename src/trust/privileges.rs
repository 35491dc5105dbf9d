//! What a file of `manifests/` asks of its hosts beyond the closed default, and who may
//! let it (rules M1 and M2).
//!
//! ```text
//! file before ──read──▶ Requests ┐
//!                                ├─ gained ──▶ each granted by the signer's `may`, or M1
//! file after  ──read──▶ Requests ┘
//! ```
//!
//! The reader works on the file as written and not on the manifest's own reading of it: a
//! history must be judged alike by every version of Writ, whatever a later one
//! thinks of a value. What it does not know it takes for a privilege, so a key that only
//! a newer version understands cannot bring in today what nobody judged.

mod may;
mod read;
mod sort;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Objects;
use super::breach::Breach;
use super::changes::{Change, Content};
use super::object::Reader;
pub(super) use may::May;

/// Something of a host that a file asks for beyond the closed default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "value")]
pub enum Privilege {
    /// An account of the host, root among them, as its user.
    User(String),
    /// An account of the host as its group.
    Group(String),
    /// A capability of capabilities(7).
    Capability(String),
    /// A hardening setting that is looser than the closed default: `privateDevices = false`.
    Hardening(String),
    /// A file or directory of the host that is written to.
    WritePath(String),
    /// An environment file that is not the service's own.
    EnvFile(String),
    /// A directory below `/var/lib` that is not named after the service.
    StateDirectory(String),
    /// A working directory outside of the closure and of its own state.
    WorkingDirectory(String),
    /// A socket of the host that requests or health checks go to.
    Socket(String),
    /// A unit of the host that it waits for, or starts.
    Unit(String),
    /// A DNS name, with every path below it.
    Domain(String),
    /// A loopback port that requests or health checks go to.
    Port(u16),
    /// An entry of `hosts`: a name, `tag:<tag>` or `*`.
    Host(String),
    /// A setting in a host's own file: `tags web`.
    HostSetting(String),
    /// What this version cannot judge: a key it does not know, a file it cannot read.
    Unknown(String),
}

/// A privilege, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Request {
    /// The service, profile or host.
    pub subject: String,
    #[serde(flatten)]
    pub privilege: Privilege,
}

/// Everything that the file `path` asks for, by the text it has.
pub fn requests(path: &str, text: &[u8]) -> BTreeSet<Request> {
    read::requests(path, text)
}

/// Whether a file below `manifests/` is for people and for git, and asks for nothing.
pub fn is_note(path: &str) -> bool {
    read::is_note(path)
}

/// What a change asks for that was not asked for before. Of a host's own settings also
/// what it takes away: without its windows a host is open at any time.
pub(super) fn gained<O: Objects>(
    reader: &Reader<'_, O>,
    change: &Change,
) -> Result<BTreeSet<Request>, Breach> {
    if !read::is_manifest(&change.path) {
        return Ok(BTreeSet::new());
    }
    let asked = |content: &Option<Content>| -> Result<BTreeSet<Request>, Breach> {
        let Some(content) = content else { return Ok(BTreeSet::new()) };
        let bytes = reader.file(&content.id).map_err(|breach| breach.at(&change.path))?;
        Ok(requests(&change.path, &bytes))
    };
    Ok(difference(&asked(&change.before)?, &asked(&change.after)?))
}

/// What `after` asks for beyond `before`.
fn difference(before: &BTreeSet<Request>, after: &BTreeSet<Request>) -> BTreeSet<Request> {
    let lost = before.difference(after);
    let lost = lost.filter(|request| matches!(request.privilege, Privilege::HostSetting(_)));
    after.difference(before).chain(lost).cloned().collect()
}

impl Privilege {
    /// Whether every service asks for something of the kind: where it runs, and its own
    /// domain and port.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Self::Host(_)) || may::is_default(self)
    }

    /// The key of `[principals.<name>.may]` that grants it; none of [`Privilege::Unknown`],
    /// which only `may = "everything"` covers.
    pub fn grant(&self) -> Option<&'static str> {
        Some(match self {
            Self::User(_) | Self::Group(_) => "accounts",
            Self::Capability(_) => "capabilities",
            Self::Hardening(_) => "hardening",
            Self::EnvFile(_) | Self::WorkingDirectory(_) | Self::Socket(_) => "files",
            Self::WritePath(_) | Self::StateDirectory(_) => "directories",
            Self::Unit(_) => "units",
            Self::Domain(_) => "domains",
            Self::Port(_) => "ports",
            Self::Host(_) | Self::HostSetting(_) => "hosts",
            Self::Unknown(_) => return None,
        })
    }
}

impl fmt::Display for Privilege {
    /// What follows the name of who asks: `runs as root`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "runs as {name}"),
            Self::Group(name) => write!(f, "runs with the group {name}"),
            Self::Capability(name) => write!(f, "has {name}"),
            Self::Hardening(setting) => write!(f, "is hardened less: {setting}"),
            Self::WritePath(path) => write!(f, "writes below {path}"),
            Self::EnvFile(path) => write!(f, "reads {path}"),
            Self::StateDirectory(path) => write!(f, "owns {path}"),
            Self::WorkingDirectory(path) => write!(f, "works in {path}"),
            Self::Socket(path) => write!(f, "is reached at {path}"),
            Self::Unit(name) => write!(f, "depends on the unit {name}"),
            Self::Domain(name) => write!(f, "serves {name}"),
            Self::Port(port) => write!(f, "is reached at port {port}"),
            Self::Host(pattern) => match pattern.strip_prefix("tag:") {
                Some(tag) => write!(f, "runs on hosts with the tag {tag}"),
                None if pattern == "*" => write!(f, "runs on every host"),
                None => write!(f, "runs on {pattern}"),
            },
            Self::HostSetting(setting) => write!(f, "has {setting}"),
            Self::Unknown(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.privilege)
    }
}
