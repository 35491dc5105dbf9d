//! Signed statements about a branch that are no commits: where its head stands (rules
//! F1, F2), and that a host may follow a rewritten history (rule T4).
//!
//! A statement is text in lines `name value`, in a fixed order, followed by one or more
//! armored SSH signatures over the text up to the first of them:
//!
//! ```text
//! writ-head 1                     writ-reset 1
//! channel acme-infra:main         channel acme-infra:main
//! commit <id>                     from <id>
//! sequence 7                      to <id>
//! issued 2026-01-01T00:00:00Z     sequence 1
//! expires 2026-01-02T00:00:00Z    expires 2026-01-02T00:00:00Z
//! ```

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::key::{PublicKey, fingerprint};
use super::seal::moment;
use super::signers::Signer;
use super::{Anchor, VerifiedCommit, base64, sshsig};
use crate::names::{CommitId, Fingerprint, Principal};

/// What statements about the head are signed in, by keys that may do nothing else.
pub const HEAD: &str = "writ-head";
/// What statements about a rewritten history are signed in, by recovery keys.
pub const RESET: &str = "writ-reset";

/// Seconds that a statement may be issued ahead of this host's clock.
const AHEAD: i64 = 300;
/// Seconds that a statement about the head may be good for.
const LIFETIME: i64 = 7 * 86_400;
/// Signatures are work; no statement needs more of them.
const SIGNATURES: usize = 16;

/// Where the branch stands, says a key that watches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeadStatement {
    pub commit: CommitId,
    /// Rises with every statement.
    pub sequence: u64,
    /// Seconds since 1970.
    pub issued: i64,
    pub expires: i64,
    /// Whose key signed it, once that is verified; files of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Principal>,
}

/// That hosts which accepted `from` may follow a history through `to` instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetStatement {
    pub from: CommitId,
    pub to: CommitId,
    /// Rises with every statement.
    pub sequence: u64,
    /// Seconds since 1970.
    pub expires: i64,
}

/// The keys of the host's config that can together move its anchor.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    pub keys: Vec<RecoveryKey>,
    /// How many of them it takes.
    pub threshold: usize,
}

/// A public key as `ssh-keygen` writes it: `ssh-ed25519 AAAA… comment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryKey {
    blob: Vec<u8>,
    key: PublicKey,
}

impl HeadStatement {
    /// The text that is signed.
    pub fn text(&self, channel: &str) -> String {
        let Self { commit, sequence, issued, expires, by: _ } = self;
        let (issued, expires) = (moment(*issued), moment(*expires));
        format!(
            "{HEAD} 1\nchannel {channel}\ncommit {commit}\nsequence {sequence}\nissued {issued}\nexpires {expires}\n"
        )
    }

    fn read(text: &str, channel: &str) -> Result<Self, String> {
        let mut lines = Lines::begin(text, HEAD, channel)?;
        let statement = Self {
            commit: lines.value("commit")?,
            sequence: lines.value("sequence")?,
            issued: lines.time("issued")?,
            expires: lines.time("expires")?,
            by: None,
        };
        lines.end()?;
        Ok(statement)
    }
}

impl ResetStatement {
    /// The text that is signed.
    pub fn text(&self, channel: &str) -> String {
        let Self { from, to, sequence, expires } = self;
        let expires = moment(*expires);
        format!(
            "{RESET} 1\nchannel {channel}\nfrom {from}\nto {to}\nsequence {sequence}\nexpires {expires}\n"
        )
    }

    /// Reads a statement that enough recovery keys have signed, for a host whose
    /// anchor this is and that obeyed statements up to `last` before.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify(
        bytes: &[u8],
        channel: &str,
        recovery: &Recovery,
        anchor: &Anchor,
        last: u64,
        now: i64,
    ) -> Result<Self, String> {
        let (text, armors) = split(bytes)?;
        let mut lines = Lines::begin(text, RESET, channel)?;
        let statement = Self {
            from: lines.value("from")?,
            to: lines.value("to")?,
            sequence: lines.value("sequence")?,
            expires: lines.time("expires")?,
        };
        lines.end()?;
        recovery.signed(text, &armors)?;
        if statement.from != anchor.commit {
            return Err(format!("it leads from {}", statement.from.short()));
        }
        if statement.sequence <= last {
            return Err(format!("its sequence is {}, and {last} was obeyed", statement.sequence));
        }
        if now > statement.expires {
            return Err(format!("it expired at {}", moment(statement.expires)));
        }
        Ok(statement)
    }
}

impl Recovery {
    /// Whether enough of the keys have signed `text`. Anybody can add a signature of
    /// their own to a statement: those that do not count take nothing away from it.
    fn signed(&self, text: &str, armors: &[&[u8]]) -> Result<(), String> {
        let mut signed = BTreeSet::new();
        let mut ignored = None;
        for armor in armors {
            match self.signer(text, armor) {
                Ok(key) => drop(signed.insert(&key.blob)),
                Err(why) => drop(ignored.get_or_insert(why)),
            }
        }
        let needed = self.threshold.max(1);
        if signed.len() >= needed {
            return Ok(());
        }
        let why =
            ignored.map_or(String::new(), |why| format!("; a signature does not count: {why}"));
        Err(format!("{} of {needed} recovery keys have signed it{why}", signed.len()))
    }

    /// Which of the keys made a signature over `text`.
    fn signer(&self, text: &str, armor: &[u8]) -> Result<&RecoveryKey, &'static str> {
        let signature = sshsig::read(armor, RESET).map_err(|bad| bad.0)?;
        let message = signature.message(RESET, text.as_bytes());
        let known = self.keys.iter().find(|known| known.blob == signature.key);
        let known = known.ok_or("it is by a key that is no recovery key")?;
        known.key.verify(&signature.bytes, &message, false).map_err(|bad| bad.0)?;
        Ok(known)
    }
}

impl VerifiedCommit {
    /// Whether the policy lists a key that may speak of the head.
    pub fn has_heralds(&self) -> bool {
        !self.inner.heralds.is_empty()
    }

    /// Reads a statement about the head, signed by a key that this commit's policy
    /// lists for `writ-head` and nothing else. It may be expired.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn head_statement(
        &self,
        bytes: &[u8],
        channel: &str,
        now: i64,
    ) -> Result<HeadStatement, String> {
        let (text, armors) = split(bytes)?;
        let statement = HeadStatement::read(text, channel)?;
        let [armor] = armors[..] else { return Err("it has more than one signature".to_owned()) };
        let signature = sshsig::read(armor, HEAD).map_err(|bad| bad.0)?;
        let heralds = &self.inner.heralds;
        let herald = heralds.iter().find(|(blob, _)| *blob == signature.key);
        let (_, herald) = herald.ok_or(
            "the policy lists its key not at all, or not with namespaces=\"writ-head\" alone",
        )?;
        herald.valid_at(now).map_err(|_| "its key is outside of its window")?;
        let message = signature.message(HEAD, text.as_bytes());
        let key = herald.key.ssh().map_err(|bad| bad.0)?;
        key.verify(&signature.bytes, &message, false).map_err(|bad| bad.0)?;
        if statement.issued - now > AHEAD {
            return Err("it is issued ahead of this host's clock".to_owned());
        }
        let lifetime = statement.expires - statement.issued;
        if !(0..=LIFETIME).contains(&lifetime) {
            return Err("it is meant to be good for more than seven days".to_owned());
        }
        Ok(HeadStatement { by: Some(herald.principal.clone()), ..statement })
    }
}

/// The keys that may speak of the head: for that and nothing else.
pub(super) fn heralds<'a>(
    signers: impl Iterator<Item = (&'a Vec<u8>, &'a Signer)>,
) -> Vec<(Vec<u8>, Signer)> {
    let only = |(_, signer): &(&Vec<u8>, &Signer)| signer.only_for(HEAD);
    signers.filter(only).map(|(blob, signer)| (blob.clone(), signer.clone())).collect()
}

impl RecoveryKey {
    /// What `ssh-keygen -l` calls it.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.blob)
    }

    /// Whether `armor` is this key's signature over `text` in a namespace.
    pub(super) fn signed(
        &self,
        namespace: &str,
        text: &[u8],
        armor: &[u8],
    ) -> Result<(), &'static str> {
        let signature = sshsig::read(armor, namespace).map_err(|bad| bad.0)?;
        if signature.key != self.blob {
            return Err("it is signed by another key");
        }
        let message = signature.message(namespace, text);
        let good = self.key.verify(&signature.bytes, &message, false);
        good.map_err(|_| "the signature is not one over this text")
    }
}

impl FromStr for RecoveryKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let blob = words.next().and_then(|word| base64::decode(word.as_bytes()));
        let blob = blob.ok_or("it is not a public key: `ssh-ed25519 AAAA…`")?;
        let key = PublicKey::read(&blob).map_err(|bad| bad.0)?;
        if key.kind() != kind {
            return Err(format!("it says {kind:?} and is {:?}", key.kind()));
        }
        Ok(Self { blob, key })
    }
}

/// Text and signatures.
fn split(bytes: &[u8]) -> Result<(&str, Vec<&[u8]>), String> {
    const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
    let whole = str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let mut places: Vec<usize> = whole.match_indices(BEGIN).map(|(place, _)| place).collect();
    let Some(&first) = places.first() else { return Err("it is not signed".to_owned()) };
    if places.len() > SIGNATURES {
        return Err(format!("it has more than {SIGNATURES} signatures"));
    }
    places.push(whole.len());
    let armors = places.windows(2).map(|ends| &whole.as_bytes()[ends[0]..ends[1]]).collect();
    Ok((&whole[..first], armors))
}

/// The lines of a statement, in their one order.
struct Lines<'a> {
    rest: std::str::Split<'a, char>,
}

impl<'a> Lines<'a> {
    fn begin(text: &'a str, kind: &str, channel: &str) -> Result<Self, String> {
        let text = text.strip_suffix('\n').ok_or("it does not end in a line feed")?;
        let mut lines = Self { rest: text.split('\n') };
        if lines.line(kind)? != "1" {
            return Err("its version is not 1".to_owned());
        }
        let found = lines.line("channel")?;
        if found != channel {
            return Err(format!("it is for the channel {found:?}"));
        }
        Ok(lines)
    }

    fn line(&mut self, name: &str) -> Result<&'a str, String> {
        let line = self.rest.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.ok_or_else(|| format!("its line `{name}` is not in its place"))
    }

    fn value<T: FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.line(name)?.parse().map_err(|_| format!("its `{name}` cannot be read"))
    }

    fn time(&mut self, name: &str) -> Result<i64, String> {
        let text = self.line(name)?;
        let time = jiff::Timestamp::from_str(text).ok().map(jiff::Timestamp::as_second);
        // One spelling only, so that nobody reads another time than this host.
        time.filter(|&seconds| moment(seconds) == text)
            .ok_or_else(|| format!("its `{name}` is not a time like 2026-01-01T00:00:00Z"))
    }

    fn end(mut self) -> Result<(), String> {
        match self.rest.next() {
            None => Ok(()),
            Some(_) => Err("something follows its last line".to_owned()),
        }
    }
}
