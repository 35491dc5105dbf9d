//! Reads `.writ/allowed_signers`: OpenSSH's syntax, every line or none (rule P1).
//!
//! The syntax is that of ssh-keygen(1), "ALLOWED SIGNERS", less what would let a
//! line mean more than one person: patterns, certificates, local times.

use std::collections::{BTreeMap, HashMap};

use jiff::civil;
use jiff::tz::TimeZone;

use super::base64;
use super::key::{PublicKey, fingerprint};
use super::signature::{Key, NAMESPACE, Signature};
use crate::names::{Fingerprint, Principal};

/// The keys of one commit's policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Signers {
    /// SSH keys by their wire encoding.
    by_blob: HashMap<Vec<u8>, Signer>,
    /// OpenPGP keys by their own and their subkeys' fingerprints.
    by_member: BTreeMap<Fingerprint, Signer>,
}

/// One line, or one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) principal: Principal,
    pub(super) key: Key,
    /// With OpenPGP the primary key's.
    pub(super) fingerprint: Fingerprint,
    /// `None`: every namespace.
    namespaces: Option<Vec<String>>,
    /// Seconds since 1970, both ends included, as in OpenSSH.
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

/// A line that cannot be taken at its word; lines count from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) because: String,
}

/// Why a key may not sign at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "openpgp"),
    expect(dead_code, reason = "only certificates say more than when")
)]
pub(super) enum Unfit {
    NotYet,
    NoLonger,
    /// By a revocation in its certificate.
    Revoked,
    /// Its certificate does not let it sign at any time.
    NotForSigning(&'static str),
}

impl Signers {
    pub(super) fn read(text: &str) -> Result<Self, BadLine> {
        let mut by_blob: HashMap<Vec<u8>, Signer> = HashMap::new();
        for (number, line) in text.split('\n').enumerate() {
            let bad = |because: String| BadLine { line: number + 1, because };
            let start = line.trim_start_matches(BLANKS);
            if start.is_empty() || start.starts_with('#') {
                continue;
            }
            let (blob, signer) = read_line(start).map_err(bad)?;
            if let Some(earlier) = by_blob.get(&blob) {
                return Err(bad(format!("the key of {} appears a second time", earlier.principal)));
            }
            by_blob.insert(blob, signer);
        }
        Ok(Self { by_blob, by_member: BTreeMap::new() })
    }

    pub(super) fn find(&self, blob: &[u8]) -> Option<&Signer> {
        self.by_blob.get(blob)
    }

    /// Adds an OpenPGP key, of which no part is here yet.
    pub(super) fn add(&mut self, signer: Signer) -> Result<(), String> {
        let Key::OpenPgp(certificate) = &signer.key else { return Ok(()) };
        for member in certificate.keys() {
            if let Some(earlier) = self.by_member.insert(member.clone(), signer.clone()) {
                return Err(format!("{member} is also a key of {}", earlier.principal));
            }
        }
        Ok(())
    }

    /// Whose key a signature names as its maker.
    pub(super) fn of(&self, signature: &Signature) -> Option<&Signer> {
        match signature {
            Signature::Ssh(signature) => self.find(&signature.key),
            Signature::OpenPgp(signature) => self.by_member.get(&signature.maker),
        }
    }

    /// The lines with their keys' wire encoding.
    pub(super) fn with_keys(&self) -> impl Iterator<Item = (&Vec<u8>, &Signer)> {
        self.by_blob.iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Signer> {
        let primary =
            self.by_member.iter().filter(|(member, signer)| **member == signer.fingerprint);
        self.by_blob.values().chain(primary.map(|(_, signer)| signer))
    }
}

impl Signer {
    /// One who signs commits and nothing else, for as long as the key itself says.
    pub(super) fn for_git(principal: Principal, key: Key, fingerprint: Fingerprint) -> Self {
        let namespaces = Some(vec![NAMESPACE.to_owned()]);
        Self { principal, key, fingerprint, namespaces, valid_after: None, valid_before: None }
    }

    pub(super) fn may_sign(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|list| list.iter().any(|n| n == namespace))
    }

    /// What the key may sign; `None`: everything.
    pub(super) fn namespaces(&self) -> Option<&[String]> {
        self.namespaces.as_deref()
    }

    /// The first and the last second at which the key counts.
    pub(super) fn window(&self) -> (Option<i64>, Option<i64>) {
        match &self.key {
            Key::Ssh(_) => (self.valid_after, self.valid_before),
            Key::OpenPgp(certificate) => certificate.window(),
        }
    }

    /// Whether the line names this namespace and no other.
    pub(super) fn only_for(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_some_and(|list| list.iter().all(|n| n == namespace))
    }

    /// Whether `key` is the signer's, or a part of it.
    pub(super) fn has(&self, key: &Fingerprint) -> bool {
        match &self.key {
            Key::Ssh(_) => self.fingerprint == *key,
            Key::OpenPgp(certificate) => certificate.keys().any(|member| member == key),
        }
    }

    /// Whether what the key or subkey `maker` signed at `time` counts.
    pub(super) fn vouches_for(&self, maker: &Fingerprint, time: i64) -> Result<(), Unfit> {
        match &self.key {
            Key::Ssh(_) => self.valid_at(time),
            Key::OpenPgp(certificate) => certificate.may_sign(maker, time),
        }
    }

    /// The key or subkey that signs at `time`; its own where none may.
    pub(super) fn maker_at(&self, time: i64) -> Fingerprint {
        let maker = match &self.key {
            Key::Ssh(_) => None,
            Key::OpenPgp(certificate) => {
                certificate.keys().find(|key| certificate.may_sign(key, time).is_ok())
            }
        };
        maker.unwrap_or(&self.fingerprint).clone()
    }

    /// Whether `time` lies in the line's window.
    pub(super) fn valid_at(&self, time: i64) -> Result<(), Unfit> {
        if self.valid_after.is_some_and(|after| time < after) {
            Err(Unfit::NotYet)
        } else if self.valid_before.is_some_and(|before| time > before) {
            Err(Unfit::NoLonger)
        } else {
            Ok(())
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

fn read_line(line: &str) -> Result<(Vec<u8>, Signer), String> {
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("it contains a control character (a carriage return perhaps)".to_owned());
    }
    let (principal, rest) = word(line);
    let principal: Principal = principal
        .parse()
        .map_err(|error| format!("{error}; name exactly one person, without wildcards"))?;
    let (first, after_first) = token(rest)?;
    let (options, (kind, rest)) =
        if is_key_kind(first) { ("", (first, after_first)) } else { (first, word(after_first)) };
    let options = Options::read(options)?;
    let (blob, _comment) = word(rest);
    let blob = base64::decode(blob.as_bytes()).ok_or("its key is not valid base 64")?;
    let key = PublicKey::read(&blob).map_err(|error| format!("its key is refused: {}", error.0))?;
    if key.kind() != kind {
        return Err(format!("it says {kind:?} and its key is {:?}", key.kind()));
    }
    let fingerprint = fingerprint(&blob);
    let Options { namespaces, valid_after, valid_before } = options;
    let key = Key::Ssh(key);
    Ok((blob, Signer { principal, key, fingerprint, namespaces, valid_after, valid_before }))
}

/// What a key's kind looks like; anything else in its place is read as options.
fn is_key_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// Splits at the first blanks.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(BLANKS).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start_matches(BLANKS))
}

/// Splits at the first blanks that do not stand in quotes.
fn token(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    for (place, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => return Err("escapes in options are not accepted".to_owned()),
            _ if BLANKS.contains(&c) && !quoted => {
                return Ok((&text[..place], text[place..].trim_start_matches(BLANKS)));
            }
            _ => {}
        }
    }
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok((text, "")) }
}

#[derive(Default)]
struct Options {
    namespaces: Option<Vec<String>>,
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

impl Options {
    fn read(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value);
            (name, value, rest) = option(rest)?;
            let twice = match name {
                "namespaces" => options.namespaces.replace(namespaces(value)?).is_some(),
                "valid-after" => options.valid_after.replace(time(value)?).is_some(),
                "valid-before" => options.valid_before.replace(time(value)?).is_some(),
                _ => return Err(format!("the option {name:?} is not accepted")),
            };
            if twice {
                return Err(format!("the option {name:?} appears twice"));
            }
        }
        Ok(options)
    }
}

/// Splits `name="value"` off, and the comma behind it where more follows.
fn option(text: &str) -> Result<(&str, &str, &str), String> {
    let name_end = text.find(['=', ',']).unwrap_or(text.len());
    let name = &text[..name_end];
    let Some(value) = text[name_end..].strip_prefix("=\"") else {
        return Err(format!("the option {name:?} is not accepted, or its value has no quotes"));
    };
    let (value, rest) = value.split_once('"').ok_or("a quote is not closed")?;
    match rest.strip_prefix(',') {
        Some("") => Err("the options end with a comma".to_owned()),
        Some(more) => Ok((name, value, more)),
        None if rest.is_empty() => Ok((name, value, "")),
        None => Err(format!("something follows the value of the option {name:?}")),
    }
}

fn namespaces(value: &str) -> Result<Vec<String>, String> {
    let valid = |n: &str| {
        !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b))
    };
    match value.split(',').find(|n| !valid(n)) {
        Some(bad) => Err(format!("{bad:?} is not a namespace; wildcards are not accepted")),
        None => Ok(value.split(',').map(str::to_owned).collect()),
    }
}

/// `YYYYMMDD[HHMM[SS]]Z`. OpenSSH reads a time without `Z` in the local zone, which
/// differs from host to host.
fn time(value: &str) -> Result<i64, String> {
    let bad = || format!("{value:?} is not a time of the form YYYYMMDD[HHMM[SS]]Z (UTC)");
    let digits = value.strip_suffix('Z').ok_or_else(bad)?;
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let padded = format!("{digits:0<14}");
    let part = |from: usize, to: usize| padded[from..to].parse::<i8>().map_err(|_| bad());
    let year = padded[..4].parse::<i16>().map_err(|_| bad())?;
    civil::DateTime::new(
        year,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    )
    .and_then(|moment| moment.to_zoned(TimeZone::UTC))
    .map(|moment| moment.timestamp().as_second())
    .map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The Ed25519 key whose bytes are all `byte`, as text and in wire encoding.
    fn key(byte: u8) -> (String, Vec<u8>) {
        let mut blob = Vec::new();
        crate::trust::wire::put(&mut blob, b"ssh-ed25519");
        crate::trust::wire::put(&mut blob, &[byte; 32]);
        // 51 bytes: no padding.
        (format!("ssh-ed25519 {}", base64::encode_unpadded(&blob)), blob)
    }

    #[test]
    fn a_line_is_found_by_its_key() {
        let ((alice, blob), (bob, other)) = (key(1), key(2));
        let text = format!("# team\n\nalice {alice} laptop\nbob namespaces=\"file\" {bob}");
        let signers = Signers::read(&text).unwrap();
        let found = signers.find(&blob).unwrap();
        assert_eq!((found.principal.as_str(), found.may_sign("git")), ("alice", true));
        let found = signers.find(&other).unwrap();
        assert_eq!((found.may_sign("git"), found.may_sign("file")), (false, true));
        assert!(signers.find(&key(3).1).is_none());
    }

    #[test]
    fn a_bad_line_is_named_and_takes_the_good_ones_with_it() {
        let text = format!("alice {}\n\nbob what\n", key(1).0);
        assert_eq!(Signers::read(&text).unwrap_err().line, 3);
    }

    #[test]
    fn times_are_utc_and_windows_include_their_ends() {
        assert_eq!(time("19700102Z"), Ok(86_400));
        assert_eq!(time("197001020304Z"), Ok(86_400 + 3 * 3600 + 4 * 60));
        assert_eq!(time("19700102030405Z"), Ok(86_400 + 3 * 3600 + 4 * 60 + 5));
        for bad in ["", "Z", "1970Z", "19700102", "19700132Z", "19700102250000Z", "1970010é2Z"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        let window = "valid-after=\"19700102Z\",valid-before=\"19700103Z\"";
        let signers = Signers::read(&format!("alice {window} {}", key(1).0)).unwrap();
        let signer = signers.find(&key(1).1).unwrap();
        assert_eq!(signer.valid_at(86_399), Err(Unfit::NotYet));
        assert_eq!(signer.valid_at(86_400), Ok(()));
        assert_eq!(signer.valid_at(2 * 86_400), Ok(()));
        assert_eq!(signer.valid_at(2 * 86_400 + 1), Err(Unfit::NoLonger));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([ -~]{0,12}[ \t\"=,\n]){0,8}") {
            drop(Signers::read(&text));
        }
    }
}
