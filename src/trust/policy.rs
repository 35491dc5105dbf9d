//! The policy of a commit: what its `.writ/` says, all of it or nothing (rules P1, P2, P4).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::breach::Breach;
use super::certificates::{self, CERTIFICATES};
use super::edit::PolicyText;
use super::glob::Glob;
use super::object::Reader;
use super::privileges::{May, Request};
use super::signers::{BadLine, Signers};
use super::tree::{Entry, Mode};
use super::{Objects, Reason};
use crate::names::{CommitId, Fingerprint, Principal};

pub(super) const FOLDER: &str = ".writ";
const SIGNERS: &str = "allowed_signers";
const RULES: &str = "policy.toml";

/// Who may sign, and what a signature is worth.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) signers: Signers,
    pub(super) protect: Vec<Protect>,
    /// Compromised keys, each with the last commit up to which it counts.
    pub(super) revoked: BTreeMap<Fingerprint, CommitId>,
    /// Every artifact of the manifest carries a digest (rule C1).
    pub(super) closure_digests: bool,
    /// A host begins nothing but the plan that the commit names.
    pub(super) plans: bool,
    /// That one person administers alone is meant; nothing but a warning depends on it.
    pub(super) one_administrator: bool,
    principals: BTreeMap<Principal, Rights>,
}

/// `[principals.<name>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rights {
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    grants: Vec<Glob>,
    /// The top-level manifest fields that may change; `None`: every field.
    only: Option<Vec<String>>,
    /// What of its hosts this person's files may ask for (rule M1).
    #[serde(default)]
    may: May,
    /// OpenPGP keys: the 40 digits of their primary fingerprints.
    #[serde(default)]
    openpgp: Vec<String>,
    /// Hardware keys must verify their user, not only feel a touch.
    #[serde(default)]
    pub(super) verify_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Role {
    Admin,
    Rollback,
    Merge,
}

/// What of a principal's rights lets a path be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Admin,
    /// The pattern that matched.
    Grant(String),
    /// The role, and the commit that is restored.
    Rollback(CommitId),
    /// The role merge, and whose rights let what it merges.
    Merged(Principal, Box<Cover>),
}

/// `[[protect]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Protect {
    #[serde(default)]
    pub(super) paths: Vec<Glob>,
    /// Privileges that no one person brings in (rule M2).
    #[serde(default)]
    pub(super) may: May,
    /// Distinct principals that a change needs.
    pub(super) threshold: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rules {
    channel: String,
    #[serde(default)]
    principals: BTreeMap<Principal, Rights>,
    #[serde(default)]
    protect: Vec<Protect>,
    #[serde(default)]
    revoked: Vec<Revoked>,
    #[serde(default)]
    require_closure_digest: bool,
    #[serde(default)]
    require_plan: bool,
    #[serde(default)]
    one_administrator: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revoked {
    key: Fingerprint,
    good_until: CommitId,
}

impl Policy {
    /// Reads the policy in the folder `entries` of a repository whose channel is
    /// `channel`.
    pub(super) fn read<O: Objects>(
        reader: &Reader<'_, O>,
        entries: &[Entry],
        channel: &str,
    ) -> Result<Self, Breach> {
        Self::of(&Self::text(reader, entries)?, Some(channel))
    }

    /// The text of the files in the policy's folder, where it holds no other.
    pub(super) fn text<O: Objects>(
        reader: &Reader<'_, O>,
        entries: &[Entry],
    ) -> Result<PolicyText, Breach> {
        let known = [SIGNERS, RULES, CERTIFICATES];
        if let Some(other) = entries.iter().find(|e| !known.contains(&e.name.as_str())) {
            return Err(Breach::unsupported(
                "P1",
                format!("this version of Writ does not know the file {FOLDER}/{}", other.name),
            ));
        }
        Ok(PolicyText {
            signers: text(reader, entries, SIGNERS)?,
            rules: text(reader, entries, RULES)?,
            certificates: certificates::texts(reader, entries)?,
        })
    }

    /// Reads a policy from the text of its files; for any channel where none is given.
    pub(super) fn of(text: &PolicyText, channel: Option<&str>) -> Result<Self, Breach> {
        let PolicyText { signers, rules, certificates } = text;
        let mut signers = Signers::read(signers).map_err(|BadLine { line, because }| {
            malformed(SIGNERS, &format!("line {line}: {because}"))
        })?;
        let read: Rules =
            toml::from_str(rules).map_err(|error| malformed(RULES, &told(rules, &error)))?;
        let people = read.principals.iter().map(|(name, rights)| (name, &rights.openpgp[..]));
        certificates::pinned(&mut signers, people, certificates)?;
        let channel = channel.unwrap_or(&read.channel).to_owned();
        Self::check(signers, read, &channel)
    }

    fn check(signers: Signers, mut rules: Rules, channel: &str) -> Result<Self, Breach> {
        if rules.channel != channel {
            return Err(Breach::new(
                "P4",
                Reason::Channel,
                format!(
                    "the policy is for the channel {:?}, this host follows {channel:?}",
                    rules.channel
                ),
                "correct the repository id and branch in the host's config, or `channel` in .writ/policy.toml",
            ));
        }
        for (name, rights) in &rules.principals {
            rights.check().map_err(|why| malformed(RULES, &format!("principals.{name}: {why}")))?;
        }
        for protect in &rules.protect {
            protect.check().map_err(|why| malformed(RULES, &format!("protect: {why}")))?;
        }
        let revoked = revoked(std::mem::take(&mut rules.revoked), &signers)?;
        let Rules { protect, principals, require_closure_digest: closure_digests, .. } = rules;
        let (plans, one_administrator) = (rules.require_plan, rules.one_administrator);
        Ok(Self {
            signers,
            protect,
            revoked,
            closure_digests,
            plans,
            one_administrator,
            principals,
        })
    }

    /// The rights of a principal; `None` where the policy does not name it.
    pub(super) fn rights(&self, principal: &Principal) -> Option<&Rights> {
        self.principals.get(principal)
    }

    /// Everyone the policy names.
    pub(super) fn people(&self) -> impl Iterator<Item = (&Principal, &Rights)> {
        self.principals.iter()
    }

    /// The channel that the policy in the folder `entries` names, whoever it is for.
    pub(super) fn channel<O: Objects>(
        reader: &Reader<'_, O>,
        entries: &[Entry],
    ) -> Result<String, Breach> {
        let rules = text(reader, entries, RULES)?;
        let read: Rules =
            toml::from_str(&rules).map_err(|error| malformed(RULES, &told(&rules, &error)))?;
        Ok(read.channel)
    }

    /// How many distinct principals a change of `path` needs.
    pub(super) fn threshold(&self, path: &str) -> u32 {
        let matching = self.protect.iter().filter(|p| p.paths.iter().any(|g| g.matches(path)));
        matching.map(|p| p.threshold).max().unwrap_or(1)
    }

    /// How many distinct principals a change needs that brings in a privilege.
    pub(super) fn threshold_of(&self, request: &Request) -> u32 {
        let matching = self.protect.iter().filter(|protect| protect.may.names(request));
        matching.map(|p| p.threshold).max().unwrap_or(1)
    }

    /// Whether any privilege takes several people.
    pub(super) fn protects_privileges(&self) -> bool {
        self.protect.iter().any(|protect| !protect.may.is_nothing() && protect.threshold > 1)
    }
}

impl Rights {
    /// What lets `path` be written; `None` where nothing does. Only role admin
    /// reaches the policy itself, whatever is granted.
    pub(super) fn cover(&self, path: &str) -> Option<Cover> {
        if self.is_admin() {
            return Some(Cover::Admin);
        }
        let grant = self.grants.iter().find(|g| !is_policy(path) && g.matches(path))?;
        Some(Cover::Grant(grant.as_str().to_owned()))
    }

    pub(super) fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Rule G6.
    pub(super) fn may_roll_back(&self) -> bool {
        self.roles.contains(&Role::Rollback)
    }

    /// Whether what others may change counts where this principal merges it.
    pub(super) fn may_merge(&self) -> bool {
        self.roles.contains(&Role::Merge)
    }

    /// Whether the trailers of this principal's commits count: for whoever may write
    /// something without another's word. A merge key's messages are made of what
    /// anybody types into a forge.
    pub(super) fn may_order(&self) -> bool {
        self.is_admin() || self.may_roll_back() || !self.grants.is_empty()
    }

    pub(super) fn grants(&self) -> &[Glob] {
        &self.grants
    }

    /// The roles as the policy spells them.
    pub(super) fn roles(&self) -> impl Iterator<Item = &'static str> {
        self.roles.iter().map(|role| match role {
            Role::Admin => "admin",
            Role::Rollback => "rollback",
            Role::Merge => "merge",
        })
    }

    pub(super) fn may(&self) -> &May {
        &self.may
    }

    pub(super) fn only(&self) -> Option<&[String]> {
        self.only.as_deref()
    }

    fn check(&self) -> Result<(), String> {
        unique(&self.roles).map_err(|_| "a role appears twice")?;
        unique(&self.grants).map_err(|g| format!("the grant {:?} appears twice", g.as_str()))?;
        if self.verify_required && !self.openpgp.is_empty() {
            return Err("`verifyRequired` and `openpgp` contradict each other: an OpenPGP signature does not tell whether its user was there".to_owned());
        }
        let Some(only) = &self.only else { return Ok(()) };
        unique(only).map_err(|field| format!("the field {field:?} appears twice"))?;
        if self.roles.contains(&Role::Admin) {
            return Err("`only` and the role `admin` contradict each other".to_owned());
        }
        match only.iter().find(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_alphanumeric())) {
            Some(bad) => Err(format!("{bad:?} in `only` is not a field of a manifest")),
            None => Ok(()),
        }
    }
}

impl Protect {
    fn check(&self) -> Result<(), String> {
        unique(&self.paths).map_err(|g| format!("the path {:?} appears twice", g.as_str()))?;
        if self.paths.is_empty() && self.may.is_nothing() {
            return Err("it names neither `paths` nor privileges (`may`)".to_owned());
        }
        if self.threshold == 0 { Err("`threshold` is 0".to_owned()) } else { Ok(()) }
    }
}

/// The policy folder among the entries of a root tree.
pub(super) fn folder(root: &[Entry]) -> Result<&Entry, Breach> {
    let folder = root.iter().find(|e| e.name == FOLDER && e.mode == Mode::Folder);
    folder.ok_or_else(|| Breach::policy(FOLDER, "there is no such folder"))
}

/// Whether `path` is the policy folder or lies in it.
pub(super) fn is_policy(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn malformed(file: &str, because: &str) -> Breach {
    Breach::policy(&format!("{FOLDER}/{file}"), because)
}

fn text<O: Objects>(
    reader: &Reader<'_, O>,
    entries: &[Entry],
    name: &str,
) -> Result<String, Breach> {
    let entry = entries.iter().find(|e| e.name == name);
    let entry = entry.ok_or_else(|| malformed(name, "it does not exist"))?;
    if entry.mode == Mode::Folder {
        return Err(malformed(name, "it is a folder"));
    }
    let bytes = reader.file(&entry.id).map_err(|breach| oversized(breach, name))?;
    utf8(name, bytes)
}

pub(super) fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, Breach> {
    String::from_utf8(bytes).map_err(|_| malformed(name, "it is not UTF-8"))
}

/// A TOML error in one line.
fn told(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).map_or(0, |before| before.matches('\n').count()) + 1;
    format!("line {line}: {}", error.message())
}

fn oversized(breach: Breach, name: &str) -> Breach {
    if breach.reason == Reason::TooLarge {
        malformed(name, "it is larger than 1 MiB")
    } else {
        breach
    }
}

fn revoked(
    list: Vec<Revoked>,
    signers: &Signers,
) -> Result<BTreeMap<Fingerprint, CommitId>, Breach> {
    let mut revoked = BTreeMap::new();
    for Revoked { key, good_until } in list {
        if let Some(signer) = signers.iter().find(|s| s.fingerprint == key) {
            return Err(Breach::new(
                "P3",
                Reason::Revoked,
                format!("the key {key} of {} is allowed and revoked", signer.principal),
                format!("take it out of {FOLDER}/; a revoked key never comes back"),
            ));
        }
        if revoked.insert(key.clone(), good_until).is_some() {
            return Err(malformed(RULES, &format!("the key {key} is revoked twice")));
        }
    }
    Ok(revoked)
}

fn unique<T: Ord>(items: &[T]) -> Result<(), &T> {
    let mut seen = BTreeSet::new();
    match items.iter().find(|item| !seen.insert(*item)) {
        Some(twice) => Err(twice),
        None => Ok(()),
    }
}
