//! A history told commit by commit: who signed what, and what let them.

use serde::Serialize;

use super::breach::Breach;
use super::changes::Change;
use super::edit::PolicyText;
use super::judge::Judge;
use super::mainline::{self, Permit};
use super::object::{Format, Reader};
use super::policy::{self, Cover, Policy};
use super::privileges::{self, Request};
use super::signature::Signature;
use super::{Objects, Pins, Refusal, advice, range};
use crate::names::{CommitId, Fingerprint, Principal};

/// What a commit claims about itself; nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The key that it names as its signer's.
    pub key: Fingerprint,
    /// The channel that its policy names.
    pub channel: String,
}

/// What somebody approves: a commit's content and where it stands.
#[derive(Clone, Debug)]
pub struct Content {
    /// The first parent.
    pub base: CommitId,
    pub tree: CommitId,
    /// The channel that the parent's policy names.
    pub channel: String,
    pub subject: String,
}

/// What a history comes to under its own policies, so far as it can be judged.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The mainline, the introduction first, up to the first refused commit.
    pub commits: Vec<Explained>,
    /// Where the last policy that could be judged is weaker than it looks.
    pub warnings: Vec<String>,
    /// What a draft of a policy would have refused, where one was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_refuse: Vec<Refusal>,
}

/// One commit of the mainline.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    pub commit: CommitId,
    pub principal: Principal,
    pub key: Fingerprint,
    /// The first line of the message, without control characters.
    pub subject: String,
    /// Empty for the introduction, which is taken whole.
    pub touched: Vec<Touched>,
}

/// One path that a commit changes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Touched {
    pub path: String,
    /// `add`, `change` or `delete`.
    pub change: &'static str,
    /// What lets the signer: `role admin`, `grant manifests/**`.
    pub by: String,
    /// Whose word counted, where the path is protected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Principal>,
    /// What the file asks of its hosts now and did not before (rule M1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<Request>,
}

/// What the commit `id` claims, for somebody who is about to pin it.
///
/// # Errors
/// It is no commit with a signature and a policy.
pub fn claims(objects: &impl Objects, id: &CommitId) -> Result<Claims, Refusal> {
    let reader = Reader::new(objects, Format::of(id));
    claimed(&reader, id).map_err(|breach| breach.of(id))
}

fn claimed<O: Objects>(reader: &Reader<'_, O>, id: &CommitId) -> Result<Claims, Breach> {
    let commit = reader.commit(id)?;
    let signature = Signature::of(&commit)?;
    let channel = channel_in(reader, &commit.tree)?;
    let key = match &signature {
        Signature::Ssh(_) => signature.maker(),
        Signature::OpenPgp(_) => primary(reader, &commit.tree, &channel, &signature)?,
    };
    Ok(Claims { key, channel })
}

/// The key that owns the subkey which made a signature, as the commit's own policy has it.
fn primary<O: Objects>(
    reader: &Reader<'_, O>,
    tree: &CommitId,
    channel: &str,
    signature: &Signature,
) -> Result<Fingerprint, Breach> {
    let root = reader.root(tree)?;
    let folder = policy::folder(&root)?;
    let policy = Policy::read(reader, &reader.tree(&folder.id)?, channel)?;
    let signer = policy.signers.of(signature);
    Ok(signer.map_or_else(|| signature.maker(), |signer| signer.fingerprint.clone()))
}

/// The channel that the policy of the commit `id` names; nothing of it is verified.
///
/// # Errors
/// It is no commit with a policy.
pub fn channel(objects: &impl Objects, id: &CommitId) -> Result<String, Refusal> {
    let reader = Reader::new(objects, Format::of(id));
    let read = || channel_in(&reader, &reader.commit(id)?.tree);
    read().map_err(|breach: Breach| breach.of(id))
}

fn channel_in<O: Objects>(reader: &Reader<'_, O>, tree: &CommitId) -> Result<String, Breach> {
    let root = reader.root(tree)?;
    let folder = policy::folder(&root)?;
    Policy::channel(reader, &reader.tree(&folder.id)?)
}

/// What approving the commit `id` means; nothing of it is verified.
///
/// # Errors
/// It is no commit on top of one with a policy.
pub fn content(objects: &impl Objects, id: &CommitId) -> Result<Content, Refusal> {
    let reader = Reader::new(objects, Format::of(id));
    let read = || {
        let commit = reader.commit(id)?;
        let rootless = || Breach::malformed("G2", "it has no parent");
        let base = commit.parents.first().ok_or_else(rootless)?.clone();
        let channel = channel_in(&reader, &reader.commit(&base)?.tree)?;
        Ok(Content { base, tree: commit.tree, channel, subject: subject(&commit.message) })
    };
    read().map_err(|breach: Breach| breach.of(id))
}

/// Tells the history of `head` from the introduction on. Whether it is accepted is
/// for [`super::verify`] to say.
pub fn explain(objects: &impl Objects, pins: &Pins, head: &CommitId, now: i64) -> Account {
    let reader = Reader::new(objects, Format::of(&pins.introduction));
    let Ok(range) = range::load(&reader, pins, None, head) else { return Account::default() };
    let mut judge = Judge::new(reader, pins, range, now);
    // What follows a refused commit has no signers here, and is not told.
    drop(judge.signatures());
    let mut account = Account::default();
    for id in judge.mainline() {
        let Some(seal) = judge.seals.get(&id).cloned() else { break };
        let (Ok(permits), Ok(commit)) =
            (mainline::check(&mut judge, &id), judge.reader.commit(&id))
        else {
            break;
        };
        account.commits.push(Explained {
            commit: id,
            principal: seal.principal,
            key: seal.key,
            subject: subject(&commit.message),
            touched: permits.into_iter().map(|permit| touched(&judge.reader, permit)).collect(),
        });
    }
    if let Some(last) = account.commits.last()
        && let Ok(policy) = judge.policy(&last.commit)
    {
        account.warnings = advice::on(&policy);
    }
    account
}

/// What the mainline of `head` would have been refused for, had `draft` been its policy
/// all along: one refusal for each commit. For somebody who is about to make a policy
/// stricter and wants to know whose work that would have stopped.
///
/// # Errors
/// The draft is not valid, or the history cannot be judged at all.
pub fn suppose(
    objects: &impl Objects,
    pins: &Pins,
    head: &CommitId,
    draft: &PolicyText,
    now: i64,
) -> Result<Vec<Refusal>, Refusal> {
    let policy = Policy::of(draft, Some(&pins.channel)).map_err(|breach| breach.of(head))?;
    let reader = Reader::new(objects, Format::of(&pins.introduction));
    let range = range::load(&reader, pins, None, head)?;
    let mut judge = Judge::new(reader, pins, range, now);
    judge.signatures()?;
    judge.suppose(policy);
    let judged = judge.mainline().into_iter().map(|id| match mainline::check(&mut judge, &id) {
        Ok(_) => None,
        Err(breach) => Some(breach.of(&id)),
    });
    Ok(judged.flatten().collect())
}

fn touched<O: Objects>(reader: &Reader<'_, O>, permit: Permit) -> Touched {
    let Permit { change, cover, people, .. } = permit;
    // A file that cannot be read was refused before.
    let gained = privileges::gained(reader, &change).unwrap_or_default().into_iter().collect();
    Touched { change: word(&change), path: change.path, by: told(&cover), people, gained }
}

pub(super) fn told(cover: &Cover) -> String {
    match cover {
        Cover::Admin => "role admin".to_owned(),
        Cover::Grant(pattern) => format!("grant {pattern}"),
        Cover::Rollback(past) => format!("role rollback, as it was in {}", past.short()),
        Cover::Merged(whose, cover) => format!("role merge, with {whose}'s {}", told(cover)),
    }
}

pub(super) fn word(change: &Change) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "add",
        (Some(_), None) => "delete",
        (Some(_), Some(_)) => "change",
    }
}

pub(super) fn subject(message: &str) -> String {
    message.lines().next().unwrap_or_default().replace(char::is_control, " ")
}
