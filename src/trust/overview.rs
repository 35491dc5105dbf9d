//! A policy as people read it: who has which keys, what they may do, what is protected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::advice;
use super::policy::{Policy, Rights};
use super::privileges::May;
use super::seal::moment;
use super::signers::Signer;
use crate::names::{CommitId, Fingerprint, Principal};

/// What a policy says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub channel: String,
    pub require_closure_digest: bool,
    pub require_plan: bool,
    /// By name; also those who have keys and no rights, or rights and no key.
    pub people: Vec<Person>,
    pub protected: Vec<Protected>,
    /// Compromised keys, each with the last commit up to which it counts.
    pub revoked: BTreeMap<Fingerprint, CommitId>,
    /// Where it is weaker than it looks.
    pub warnings: Vec<String>,
}

/// Whom the policy names.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    pub name: Principal,
    pub roles: Vec<&'static str>,
    pub grants: Vec<String>,
    /// The only fields of a manifest that they may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// What of its hosts the files of this person may ask for.
    pub may: Privileges,
    pub verify_required: bool,
    pub keys: Vec<Key>,
}

/// A line of `allowed_signers`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub fingerprint: Fingerprint,
    pub kind: &'static str,
    /// `None`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// When it begins and ends to count, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_before: Option<String>,
}

/// The privileges that a policy names (rule M1).
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Privileges {
    /// `"everything"`.
    Everything(&'static str),
    /// By the keys of `may`; empty for the closed default.
    Listed(BTreeMap<&'static str, Vec<String>>),
}

/// Paths and privileges that take several people.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Protected {
    pub paths: Vec<String>,
    pub may: Privileges,
    pub threshold: u32,
}

impl Overview {
    pub(super) fn of(channel: &str, policy: &Policy) -> Self {
        let named = policy.people().map(|(name, _)| name);
        let names: BTreeSet<_> = policy.signers.iter().map(|s| &s.principal).chain(named).collect();
        Self {
            channel: channel.to_owned(),
            require_closure_digest: policy.closure_digests,
            require_plan: policy.plans,
            people: names.into_iter().map(|name| person(policy, name)).collect(),
            protected: policy
                .protect
                .iter()
                .map(|p| Protected {
                    paths: texts(&p.paths),
                    may: Privileges::from(&p.may),
                    threshold: p.threshold,
                })
                .collect(),
            revoked: policy.revoked.clone(),
            warnings: advice::on(policy),
        }
    }
}

fn person(policy: &Policy, name: &Principal) -> Person {
    let rights = policy.rights(name);
    let own = policy.signers.iter().filter(|signer| signer.principal == *name);
    let mut keys: Vec<Key> = own.map(key).collect();
    keys.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
    Person {
        name: name.clone(),
        roles: rights.into_iter().flat_map(Rights::roles).collect(),
        grants: rights.map(|rights| texts(rights.grants())).unwrap_or_default(),
        only: rights.and_then(Rights::only).map(<[String]>::to_vec),
        may: rights.map_or_else(|| Privileges::from(&May::Nothing), |r| r.may().into()),
        verify_required: rights.is_some_and(|rights| rights.verify_required),
        keys,
    }
}

fn key(signer: &Signer) -> Key {
    let (after, before) = signer.window();
    Key {
        fingerprint: signer.fingerprint.clone(),
        kind: signer.key.kind(),
        namespaces: signer.namespaces().map(<[String]>::to_vec),
        valid_after: after.map(moment),
        valid_before: before.map(moment),
    }
}

impl From<&May> for Privileges {
    fn from(may: &May) -> Self {
        match may {
            May::Everything => Self::Everything("everything"),
            May::Nothing | May::Listed(_) => Self::Listed(may.listed().into_iter().collect()),
        }
    }
}

impl Privileges {
    /// One line for each kind: `files /var/lib/secrets/web*.env`.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Everything(word) => vec![(*word).to_owned()],
            Self::Listed(kinds) => kinds
                .iter()
                .map(|(kind, names)| match names.is_empty() {
                    true => format!("no {kind}"),
                    false => format!("{kind} {}", names.join(", ")),
                })
                .collect(),
        }
    }
}

fn texts(globs: &[super::glob::Glob]) -> Vec<String> {
    globs.iter().map(|glob| glob.as_str().to_owned()).collect()
}
