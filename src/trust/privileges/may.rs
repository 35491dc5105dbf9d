//! Which privileges a policy grants: `[principals.<name>.may]`.

use serde::Deserialize;

use super::super::glob::{Glob, name_matches};
use super::{Privilege, Request};

/// The privileges that somebody may put into a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::trust) enum May {
    /// The closed default, and no more.
    #[default]
    Nothing,
    Listed(Box<Listed>),
    /// `may = "everything"`: for those who own the hosts.
    Everything,
}

/// `None`: the key is not there, and the default of its kind counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::trust) struct Listed {
    hosts: Option<Vec<Pattern>>,
    /// Root is meant by its name alone.
    accounts: Option<Vec<Pattern>>,
    /// What is read, or reached.
    files: Option<Vec<PathPattern>>,
    /// What is written to, or owned.
    directories: Option<Vec<PathPattern>>,
    domains: Option<Vec<DomainPattern>>,
    ports: Option<Vec<PortRange>>,
    units: Option<Vec<Pattern>>,
    capabilities: Option<Vec<Pattern>>,
    hardening: Option<Vec<Pattern>>,
}

/// A name in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(String);

/// An absolute path; `*` and `**` as in `grants`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PathPattern {
    below_root: Glob,
    text: String,
}

/// A domain, `*.domain` for all that lies below it, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct DomainPattern(String);

/// `"8000"` or `"8000-8099"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PortRange {
    first: u16,
    last: u16,
}

impl<'de> Deserialize<'de> for May {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = May;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table of privileges, or \"everything\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<May, E> {
                match text {
                    "everything" => Ok(May::Everything),
                    _ => Err(E::custom(format!(
                        "{text:?} is not a table of privileges, and not \"everything\""
                    ))),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<May, A::Error> {
                let listed = Listed::deserialize(serde::de::value::MapAccessDeserializer::new(map));
                Ok(May::Listed(Box::new(listed?)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl May {
    /// Whether it covers what is asked for.
    pub(in crate::trust) fn covers(&self, request: &Request) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => is_default(&request.privilege),
            Self::Listed(listed) => {
                listed.names(request).unwrap_or_else(|| is_default(&request.privilege))
            }
        }
    }

    /// Whether it names what is asked for; nothing is named by its absence.
    pub(in crate::trust) fn names(&self, request: &Request) -> bool {
        match self {
            Self::Everything => !is_default(&request.privilege),
            Self::Nothing => false,
            Self::Listed(listed) => listed.names(request).unwrap_or(false),
        }
    }

    pub(in crate::trust) fn is_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }

    pub(in crate::trust) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Key by key, as the policy spells it; empty for [`May::Everything`] too.
    pub(in crate::trust) fn listed(&self) -> Vec<(&'static str, Vec<String>)> {
        match self {
            Self::Nothing | Self::Everything => Vec::new(),
            Self::Listed(listed) => listed.spelled(),
        }
    }
}

/// What takes no word of the policy: a domain and a port of one's own. That nobody else
/// on the host has them is a rule of the manifest, held against all files.
pub(super) fn is_default(privilege: &Privilege) -> bool {
    match privilege {
        Privilege::Domain(_) => true,
        Privilege::Port(port) => *port >= FIRST_FREE_PORT,
        Privilege::User(_)
        | Privilege::Group(_)
        | Privilege::Capability(_)
        | Privilege::Hardening(_)
        | Privilege::WritePath(_)
        | Privilege::EnvFile(_)
        | Privilege::StateDirectory(_)
        | Privilege::WorkingDirectory(_)
        | Privilege::Socket(_)
        | Privilege::Unit(_)
        | Privilege::Host(_)
        | Privilege::HostSetting(_)
        | Privilege::Unknown(_) => false,
    }
}

/// Below lie the ports of the host's own services.
const FIRST_FREE_PORT: u16 = 1024;

impl Listed {
    /// Whether a pattern of the privilege's kind matches; `None` without that key.
    fn names(&self, request: &Request) -> Option<bool> {
        let any = |patterns: &Option<Vec<Pattern>>, name: &str| {
            patterns.as_ref().map(|patterns| patterns.iter().any(|p| p.matches(name)))
        };
        let path = |patterns: &Option<Vec<PathPattern>>, path: &str| {
            patterns.as_ref().map(|patterns| patterns.iter().any(|p| p.matches(path)))
        };
        match &request.privilege {
            Privilege::User(name) | Privilege::Group(name) if name == "root" => self
                .accounts
                .as_ref()
                .map(|patterns| patterns.iter().any(|pattern| pattern.0 == "root")),
            Privilege::User(name) | Privilege::Group(name) => any(&self.accounts, name),
            Privilege::Capability(name) => any(&self.capabilities, name),
            Privilege::Hardening(setting) => {
                any(&self.hardening, setting.split(' ').next().unwrap_or_default())
            }
            Privilege::EnvFile(name)
            | Privilege::WorkingDirectory(name)
            | Privilege::Socket(name) => path(&self.files, name),
            Privilege::WritePath(name) | Privilege::StateDirectory(name) => {
                path(&self.directories, name)
            }
            Privilege::Unit(name) => any(&self.units, name),
            Privilege::Domain(name) => {
                self.domains.as_ref().map(|patterns| patterns.iter().any(|p| p.matches(name)))
            }
            Privilege::Port(port) => self
                .ports
                .as_ref()
                .map(|ranges| ranges.iter().any(|r| (r.first..=r.last).contains(port))),
            Privilege::Host(pattern) => any(&self.hosts, pattern),
            Privilege::HostSetting(_) => any(&self.hosts, &request.subject),
            Privilege::Unknown(_) => Some(false),
        }
    }

    fn spelled(&self) -> Vec<(&'static str, Vec<String>)> {
        fn texts<T>(list: &Option<Vec<T>>, text: impl Fn(&T) -> String) -> Option<Vec<String>> {
            list.as_ref().map(|list| list.iter().map(text).collect())
        }
        let name = |pattern: &Pattern| pattern.0.clone();
        [
            ("hosts", texts(&self.hosts, name)),
            ("accounts", texts(&self.accounts, name)),
            ("files", texts(&self.files, |path| path.text.clone())),
            ("directories", texts(&self.directories, |path| path.text.clone())),
            ("domains", texts(&self.domains, |domain| domain.0.clone())),
            ("ports", texts(&self.ports, PortRange::spelled)),
            ("units", texts(&self.units, name)),
            ("capabilities", texts(&self.capabilities, name)),
            ("hardening", texts(&self.hardening, name)),
        ]
        .into_iter()
        .filter_map(|(key, list)| Some((key, list?)))
        .collect()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sound = |c: char| c.is_ascii_alphanumeric() || "_-.:@\\*".contains(c);
        if text.is_empty() || !text.chars().all(sound) {
            return Err(format!("{text:?} is not a name, or one with the wildcard `*`"));
        }
        Ok(Self(text))
    }
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        name_matches(&self.0, name)
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(format!("{text:?} is not an absolute path"));
        };
        let below_root = Glob::try_from(below.to_owned())
            .map_err(|_| format!("{text:?} is not a path pattern: `*` stands for a part of a name, `/**` at the end for all below"))?;
        Ok(Self { below_root, text })
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        let plain = path.split('/').all(|name| name != ".." && name != ".");
        plain && path.strip_prefix('/').is_some_and(|below| self.below_root.matches(below))
    }
}

impl TryFrom<String> for DomainPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(&text);
        if text == "*" || name.parse::<crate::names::Domain>().is_ok() {
            return Ok(Self(text));
        }
        Err(format!("{text:?} is not a domain, \"*.domain\" or \"*\""))
    }
}

impl DomainPattern {
    fn matches(&self, name: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(above) => name.strip_suffix(above).is_some_and(|below| below.ends_with('.')),
            None => self.0 == "*" || self.0 == name,
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a port, or a range such as \"8000-8099\"");
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or_else(bad)
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (first, last) = (number(first)?, number(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(bad()) }
    }
}

impl PortRange {
    fn spelled(&self) -> String {
        if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        }
    }
}
