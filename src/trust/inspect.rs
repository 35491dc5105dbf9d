//! What every host would refuse of a tree, whoever signs it (rules O2, O3, O5, P1, P3).
//!
//! A commit is judged with its history by [`super::verify`]. This judges what is about to
//! become one, by the same readers and in the same words; also the folders that hosts
//! look at only in the commit that changes them.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::breach::Breach;
use super::changes;
use super::edit::PolicyText;
use super::object::{Format, Reader};
use super::policy::{self, Policy};
use super::tree::{self, Entry, Mode};
use super::{Objects, Reason, Refusal, Unreadable, files};
use crate::names::CommitId;

/// The largest object that a host takes into its copy, in bytes (rule O5).
pub const LARGEST_OBJECT: u64 = 16 << 20;
/// Violations that are told of one tree.
const MOST: usize = 50;

/// What every host would say to a tree.
#[derive(Debug)]
pub struct Inspection {
    /// The files below `manifests/`, where they can be read.
    pub files: Option<BTreeMap<String, Vec<u8>>>,
    pub policy: PolicyState,
    /// What makes hosts refuse it.
    pub violations: Vec<Violation>,
}

/// The policy of a tree.
#[derive(Debug)]
pub enum PolicyState {
    /// There is no folder `.writ`: no host follows such a commit.
    Absent(Violation),
    /// Told among the violations.
    Refused,
    /// Hosts would take it.
    Valid(PolicyText),
}

/// A rule that a tree breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The rule by its short name in docs/trust.md: `O2`.
    pub rule: String,
    pub reason: Reason,
    /// What was found, with its path.
    pub because: String,
    pub remedy: String,
}

/// Inspects the root tree `tree`.
pub fn inspect(objects: &impl Objects, tree: &CommitId) -> Inspection {
    let reader = Reader::new(objects, Format::of(tree)).unbounded();
    let root = match reader.root(tree) {
        Ok(root) => root,
        Err(breach) => {
            let violations = vec![breach.into()];
            return Inspection { files: None, policy: PolicyState::Refused, violations };
        }
    };
    let mut violations = Vec::new();
    let policy = policy_in(&reader, &root, &mut violations);
    let files = files::manifests(&reader, tree).map_err(|breach| violations.push(breach.into()));
    outside(&reader, objects, root, &mut violations);
    Inspection { files: files.ok(), policy, violations }
}

fn policy_in<O: Objects>(
    reader: &Reader<'_, O>,
    root: &[Entry],
    violations: &mut Vec<Violation>,
) -> PolicyState {
    let folder = match policy::folder(root) {
        Ok(folder) => folder,
        Err(breach) if !root.iter().any(|entry| entry.name == policy::FOLDER) => {
            return PolicyState::Absent(breach.into());
        }
        Err(breach) => {
            violations.push(breach.into());
            return PolicyState::Refused;
        }
    };
    let entries = reader.tree(&folder.id).map_err(|breach| breach.at(policy::FOLDER));
    let text = entries.and_then(|entries| Policy::text(reader, &entries));
    match text.and_then(|text| Policy::of(&text, None).map(|_| text)) {
        Ok(text) => PolicyState::Valid(text),
        Err(breach) => {
            violations.push(breach.into());
            PolicyState::Refused
        }
    }
}

/// What lies beside the folders that hosts read: how it is named, and how large it is.
fn outside<O: Objects>(
    reader: &Reader<'_, O>,
    objects: &impl Objects,
    root: Vec<Entry>,
    violations: &mut Vec<Violation>,
) {
    let is_read = |entry: &Entry| tree::READ.contains(&entry.name.as_str());
    let root = root.into_iter().filter(|entry| !is_read(entry)).collect();
    let (mut open, mut seen) = (vec![(String::new(), root)], HashSet::new());
    while let Some((prefix, entries)) = open.pop() {
        let entries: Vec<Entry> = entries;
        for Entry { name, mode, id, .. } in entries {
            if violations.len() >= MOST {
                return;
            }
            let path = format!("{prefix}{name}");
            if let Err(breach) = changes::length(&path) {
                violations.push(breach.into());
            } else if mode == Mode::Folder && seen.insert(id.clone()) {
                match changes::unread(reader, &id, &format!("{path}/")) {
                    Ok(entries) => open.push((format!("{path}/"), entries)),
                    Err(breach) => violations.push(breach.into()),
                }
            } else if mode != Mode::Folder {
                let size = size(objects, &id).filter(|size| *size > LARGEST_OBJECT);
                violations.extend(size.map(|size| too_large(&path, size).into()));
            }
        }
    }
}

/// The size of a file; a submodule's commit is not in the repository.
fn size(objects: &impl Objects, id: &CommitId) -> Option<u64> {
    match objects.find(id, 0) {
        Err(Unreadable::TooLarge { size }) => Some(size),
        Ok(_) | Err(Unreadable::Damaged(_)) => None,
    }
}

fn too_large(path: &str, size: u64) -> Breach {
    Breach::new(
        "O5",
        Reason::TooLarge,
        format!("{path} has {size} bytes, and hosts take no object of more than {LARGEST_OBJECT}"),
        "take it out (git rm --cached), also out of the commits below that were not pushed yet (git rebase -i); closures carry large files",
    )
}

/// The refusal of a commit that brings in a file which no host takes: hosts cannot say
/// so themselves, as what they fetch is refused before it has paths.
pub fn oversized(commit: &CommitId, path: &str, size: u64) -> Refusal {
    too_large(path, size).of(commit)
}

/// The refusal of commits up to `head` that take more bytes at once than hosts fetch.
pub fn overweight(head: &CommitId, size: u64, limit: u64) -> Refusal {
    Breach::new(
        "O5",
        Reason::TooLarge,
        format!("its new commits take {size} bytes on the way to a host, and {limit} are taken at once"),
        "push them in smaller steps, each once hosts have followed; keep large files out of the deploy repository, closures carry them",
    )
    .of(head)
}

impl From<Breach> for Violation {
    fn from(breach: Breach) -> Self {
        let because = breach.because().to_owned();
        let Breach { rule, reason, remedy, .. } = breach;
        Self { rule: rule.to_owned(), reason, because, remedy }
    }
}
