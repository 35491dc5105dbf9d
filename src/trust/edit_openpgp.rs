//! Changes of a policy's OpenPGP keys: the certificates' files and the lists that pin them.

use toml_edit::Array;

use super::certificates;
use super::edit::{Newcomer, PolicyText};
use super::signature::NAMESPACE;
use crate::names::Fingerprint;

impl PolicyText {
    /// Adds a certificate, or a newer state of one, and gives what pins it.
    pub(super) fn add_certificate(
        &mut self,
        newcomer: &Newcomer,
        text: &str,
    ) -> Result<String, String> {
        if newcomer.namespaces.iter().any(|namespace| namespace != NAMESPACE) {
            return Err("an OpenPGP key signs commits and nothing else".to_owned());
        }
        self.keep(text)
    }

    /// Takes a key out with its certificate. A subkey has none of its own, and its owner's
    /// stays.
    pub(super) fn remove_certificate(&mut self, key: &Fingerprint) -> Result<(), String> {
        let policy = self.policy()?;
        if policy.signers.iter().any(|signer| signer.fingerprint == *key) {
            return self.change_pins(key, |pins, place| drop(pins.remove(place)));
        }
        let own = policy.signers.iter().any(|signer| signer.has(key));
        if own { Ok(()) } else { Err(format!("no principal has the key {key}")) }
    }

    /// Puts another certificate in the place of one.
    pub(super) fn replace_certificate(
        &mut self,
        key: &Fingerprint,
        text: &str,
    ) -> Result<(), String> {
        let (new, _) = certificates::read(text)?;
        let digits = new.openpgp().unwrap_or_default();
        self.change_pins(key, |pins, place| drop(pins.replace(place, digits)))?;
        self.keep(text).map(drop)
    }

    fn keep(&mut self, text: &str) -> Result<String, String> {
        let (fingerprint, _) = certificates::read(text)?;
        let digits = fingerprint.openpgp().unwrap_or_default();
        let text = format!("{}\n", text.trim_end());
        self.certificates.insert(certificates::file(digits), text);
        Ok(digits.to_owned())
    }

    /// Changes the list that holds a key, at its place, and drops the key's file.
    fn change_pins(
        &mut self,
        key: &Fingerprint,
        change: impl FnOnce(&mut Array, usize),
    ) -> Result<(), String> {
        let digits = key.openpgp().unwrap_or_default();
        let mut rules = self.document()?;
        let people = rules.get_mut("principals").and_then(|people| people.as_table_like_mut());
        let found =
            people.into_iter().flat_map(|people| people.iter_mut()).find_map(|(_, person)| {
                let pins = person.as_table_like_mut()?.get_mut("openpgp")?.as_array_mut()?;
                let place = pins.iter().position(|pin| pin.as_str() == Some(digits))?;
                Some((pins, place))
            });
        let (pins, place) = found.ok_or_else(|| format!("no principal has the key {key}"))?;
        change(pins, place);
        self.rules = rules.to_string();
        self.certificates.remove(&certificates::file(digits));
        Ok(())
    }
}
