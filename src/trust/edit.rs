//! Changes of a policy's two files that keep their comments and their order.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, value};

use super::advice;
use super::overview::Overview;
use super::policy::Policy;
use super::signers::Signers;
use crate::names::{CommitId, Fingerprint, Principal};

/// `.writ/allowed_signers`, `.writ/policy.toml`, and the files in `.writ/openpgp/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyText {
    pub signers: String,
    pub rules: String,
    /// Armored OpenPGP certificates by the names of their files.
    pub certificates: BTreeMap<String, String>,
}

/// Somebody, or one more key of somebody, who is to sign.
#[derive(Clone, Debug)]
pub struct Newcomer {
    pub principal: Principal,
    pub key: NewKey,
    pub namespaces: Vec<String>,
    pub roles: Vec<String>,
    pub grants: Vec<String>,
    /// What of its hosts the files of this person may ask for: `everything`, or
    /// `<kind>=<pattern>` each.
    pub may: Vec<String>,
}

/// A key that is to sign.
#[derive(Clone, Debug)]
pub enum NewKey {
    /// As `ssh-keygen` writes it.
    Ssh(String),
    /// An armored certificate.
    OpenPgp(String),
}

impl PolicyText {
    /// Whether hosts would take this policy, and warnings about it.
    ///
    /// # Errors
    /// It is not valid, or nobody could change it any more.
    pub fn check(&self) -> Result<Vec<String>, String> {
        let policy = self.policy()?;
        match advice::locked_out(&policy) {
            Some(why) => Err(why),
            None => Ok(advice::on(&policy)),
        }
    }

    /// What this policy says, for a person to read.
    ///
    /// # Errors
    /// It is not valid.
    pub fn overview(&self) -> Result<Overview, String> {
        let rules = self.document()?;
        let channel = rules.get("channel").and_then(Item::as_str).unwrap_or_default();
        Ok(Overview::of(channel, &self.policy()?))
    }

    /// The keys of a person.
    ///
    /// # Errors
    /// The policy is not valid.
    pub fn keys_of(&self, principal: &Principal) -> Result<Vec<Fingerprint>, String> {
        let policy = self.policy()?;
        let own = policy.signers.iter().filter(|signer| signer.principal == *principal);
        Ok(own.map(|signer| signer.fingerprint.clone()).collect())
    }

    /// Adds a key, and what its person may do.
    ///
    /// # Errors
    /// The rules are not TOML, or the key cannot be read.
    pub fn add(&mut self, newcomer: &Newcomer) -> Result<(), String> {
        let pins = match &newcomer.key {
            NewKey::Ssh(key) => {
                self.add_line(newcomer, only_line(key)?);
                Vec::new()
            }
            NewKey::OpenPgp(text) => vec![self.add_certificate(newcomer, text)?],
        };
        // One who signs statements only has no rights and needs none.
        if !newcomer.namespaces.iter().any(|namespace| namespace == super::signature::NAMESPACE) {
            return Ok(());
        }
        let mut rules = self.document()?;
        let principals = rules.entry("principals").or_insert_with(implicit);
        let principals = principals.as_table_mut().ok_or("`principals` is not a table")?;
        let name = newcomer.principal.as_str();
        let person = principals.entry(name).or_insert_with(|| Item::Table(Table::new()));
        let person = person.as_table_like_mut().ok_or("a principal is not a table")?;
        let Newcomer { roles, grants, .. } = newcomer;
        for (field, wanted) in [("roles", roles), ("grants", grants), ("openpgp", &pins)] {
            if wanted.is_empty() {
                continue;
            }
            let list = person.entry(field).or_insert_with(|| value(Array::new()));
            let list = list.as_array_mut().ok_or("roles, grants and openpgp are lists")?;
            for text in wanted {
                if !list.iter().any(|known| known.as_str() == Some(text)) {
                    list.push(text.as_str());
                }
            }
        }
        may(person, &newcomer.may)?;
        self.rules = rules.to_string();
        Ok(())
    }

    fn add_line(&mut self, newcomer: &Newcomer, key: &str) {
        let namespaces = newcomer.namespaces.join(",");
        if !self.signers.is_empty() && !self.signers.ends_with('\n') {
            self.signers.push('\n');
        }
        let name = &newcomer.principal;
        self.signers.push_str(&format!("{name} namespaces=\"{namespaces}\" {key}\n"));
    }

    /// Takes a compromised key out, for good: its commits count up to `good_until`.
    ///
    /// # Errors
    /// Nobody has the key, or a file cannot be read.
    pub fn revoke(&mut self, key: &Fingerprint, good_until: &CommitId) -> Result<(), String> {
        match key.openpgp() {
            None => self.signers = self.with_line_of(key, |_| None)?,
            Some(_) => self.remove_certificate(key)?,
        }
        let mut rules = self.document()?;
        let list = rules
            .entry("revoked")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
            .as_array_of_tables_mut()
            .ok_or("`revoked` is not written as [[revoked]]")?;
        let mut entry = Table::new();
        entry.insert("key", value(key.as_str()));
        entry.insert("goodUntil", value(good_until.as_str()));
        list.push(entry);
        self.rules = rules.to_string();
        Ok(())
    }

    /// Takes somebody out who leaves, with every key; what they signed stays good.
    ///
    /// # Errors
    /// The policy does not name them, or a file cannot be read.
    pub fn remove(&mut self, principal: &Principal) -> Result<(), String> {
        let keys = self.keys_of(principal)?;
        for key in &keys {
            match key.openpgp() {
                None => self.signers = self.with_line_of(key, |_| None)?,
                Some(_) => self.remove_certificate(key)?,
            }
        }
        let mut rules = self.document()?;
        let people = rules.get_mut("principals").and_then(Item::as_table_like_mut);
        let named = people.and_then(|people| people.remove(principal.as_str())).is_some();
        if keys.is_empty() && !named {
            return Err(format!("the policy does not name {principal}"));
        }
        self.rules = rules.to_string();
        Ok(())
    }

    /// Puts a new key in the place of one that retires; what it signed stays good.
    ///
    /// # Errors
    /// Nobody has the key, or a file cannot be read.
    pub fn rotate(&mut self, key: &Fingerprint, new: &str) -> Result<(), String> {
        if key.openpgp().is_some() {
            return self.replace_certificate(key, new);
        }
        let new = only_line(new)?;
        self.signers = self.with_line_of(key, |line| {
            let kinds = ["ssh-", "ecdsa-", "sk-"];
            let start = kinds.iter().filter_map(|kind| line.find(&format!(" {kind}"))).min()?;
            Some(format!("{} {new}", &line[..start]))
        })?;
        Ok(())
    }

    /// The signers with the line of `key` changed, or without it.
    fn with_line_of(
        &self,
        key: &Fingerprint,
        change: impl Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let mut found = false;
        let mut text = String::new();
        for line in self.signers.lines() {
            let own = Signers::read(line).is_ok_and(|s| s.iter().any(|s| s.fingerprint == *key));
            found |= own;
            let line = if own { change(line) } else { Some(line.to_owned()) };
            text.extend(line.map(|line| line + "\n"));
        }
        if found { Ok(text) } else { Err(format!("no line of allowed_signers has the key {key}")) }
    }

    pub(super) fn policy(&self) -> Result<Policy, String> {
        Policy::of(self, None).map_err(|breach| breach.because().to_owned())
    }

    pub(super) fn document(&self) -> Result<DocumentMut, String> {
        DocumentMut::from_str(&self.rules).map_err(|error| error.to_string())
    }
}

/// The fingerprint of a public key, as `ssh-keygen -l` tells it.
///
/// # Errors
/// It is no key that hosts take signatures by.
pub fn fingerprint_of(public: &str) -> Result<Fingerprint, String> {
    let signers = Signers::read(&format!("somebody {public}\n")).map_err(|bad| bad.because)?;
    let only = signers.iter().next().map(|signer| signer.fingerprint.clone());
    only.ok_or_else(|| "there is no key".to_owned())
}

/// A public key as it was handed over. A second line of it would be one of
/// `allowed_signers`: anybody's key, under any name.
fn only_line(key: &str) -> Result<&str, String> {
    match key.trim() {
        key if key.contains(['\n', '\r']) => {
            Err("the public key has more than one line; each line of a file is a key".to_owned())
        }
        key => Ok(key),
    }
}

/// Puts privileges into a principal's table, beside those that it has.
fn may(person: &mut dyn TableLike, wanted: &[String]) -> Result<(), String> {
    for text in wanted {
        let Some((kind, pattern)) = text.split_once('=') else {
            if text == "everything" {
                person.insert("may", value("everything"));
                continue;
            }
            return Err(format!("{text:?} is not \"everything\", and not <kind>=<pattern>"));
        };
        let table = person.entry("may").or_insert_with(|| Item::Table(Table::new()));
        if table.as_str() == Some("everything") {
            continue;
        }
        let table = table.as_table_like_mut().ok_or("`may` is not a table")?;
        let list = table.entry(kind).or_insert_with(|| value(Array::new()));
        let list = list.as_array_mut().ok_or_else(|| format!("`may.{kind}` is not a list"))?;
        if !list.iter().any(|known| known.as_str() == Some(pattern)) {
            list.push(pattern);
        }
    }
    Ok(())
}

fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC",
    ];

    #[test]
    fn whoever_leaves_takes_keys_and_rights_along_and_nothing_else() {
        let mut policy = PolicyText {
            signers: format!(
                "# us\nalice namespaces=\"git\" {}\nbob namespaces=\"git\" {}\n",
                KEYS[0], KEYS[1]
            ),
            rules: "channel = \"x:main\"\n# first\n[principals.alice]\nroles = [\"admin\"]\n\n[principals.bob]\ngrants = [\"web\"]\n".to_owned(),
            ..PolicyText::default()
        };
        let whole = policy.clone();
        policy.remove(&"bob".parse().unwrap()).unwrap();
        assert_eq!(policy.signers, format!("# us\nalice namespaces=\"git\" {}\n", KEYS[0]));
        assert_eq!(
            policy.rules,
            "channel = \"x:main\"\n# first\n[principals.alice]\nroles = [\"admin\"]\n"
        );
        let again = policy.remove(&"bob".parse().unwrap()).unwrap_err();
        assert!(again.contains("does not name bob"), "{again}");
        // The last administrator cannot leave.
        let mut policy = whole;
        policy.remove(&"alice".parse().unwrap()).unwrap();
        assert!(policy.check().unwrap_err().contains("nobody could change it any more"));
    }

    #[test]
    fn a_person_alone_says_so_and_is_not_warned_any_more() {
        let alone = |more: &str, admins: usize| {
            let mut policy = PolicyText {
                rules: format!("channel = \"x:main\"\n{more}"),
                ..PolicyText::default()
            };
            for (name, key) in ["alice", "dave"].into_iter().zip(KEYS).take(admins) {
                policy.signers += &format!("{name} namespaces=\"git\" {key}\n");
                policy.rules += &format!("[principals.{name}]\nroles = [\"admin\"]\n");
            }
            policy.check().unwrap()
        };
        let warned = alone("", 1);
        assert!(warned[0].contains("oneAdministrator = true"), "{warned:?}");
        assert_eq!(alone("oneAdministrator = true\n", 1), Vec::<String>::new());
        let stale = alone("oneAdministrator = true\n", 2);
        assert!(stale[0].contains("there are 2: take it out"), "{stale:?}");
    }

    /// Whoever hands a public key over does not write further lines with it.
    #[test]
    fn a_public_key_is_one_line() {
        let bob = |key: &str| Newcomer {
            principal: "bob".parse().unwrap(),
            key: NewKey::Ssh(key.to_owned()),
            namespaces: vec!["git".to_owned()],
            roles: Vec::new(),
            grants: vec!["web".to_owned()],
            may: Vec::new(),
        };
        let smuggled = format!("{} bob@laptop\nalice {}\n", KEYS[0], KEYS[1]);
        let mut policy =
            PolicyText { rules: "channel = \"x:main\"\n".to_owned(), ..PolicyText::default() };
        assert!(policy.add(&bob(&smuggled)).unwrap_err().contains("more than one line"));
        policy.add(&bob(&format!("{} bob@laptop\n", KEYS[0]))).unwrap();
        let keys = policy.keys_of(&"bob".parse().unwrap()).unwrap();
        assert!(policy.rotate(&keys[0], &smuggled).unwrap_err().contains("more than one line"));
        policy.rotate(&keys[0], KEYS[1]).unwrap();
        assert_eq!(policy.signers, format!("bob namespaces=\"git\" {}\n", KEYS[1]));
    }
}
