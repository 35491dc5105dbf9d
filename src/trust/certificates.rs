//! The OpenPGP certificates of a policy: `.writ/openpgp/<FINGERPRINT>.asc`, each pinned by
//! the person whose it is (rules P1 and S4).

use std::collections::BTreeMap;

use super::breach::Breach;
use super::object::Reader;
use super::openpgp::{self, Certificate};
use super::policy::{FOLDER, malformed, utf8};
use super::signature::{Key, without_openpgp};
use super::signers::{Signer, Signers};
use super::tree::{Entry, Mode};
use super::{Objects, Reason};
use crate::names::{Fingerprint, Principal};

/// The folder in `.writ/`.
pub(super) const CERTIFICATES: &str = "openpgp";
/// Their number, and the bytes of one: every signature in them is work.
const MOST: usize = 64;
const LARGEST: usize = 64 << 10;

/// The armored certificates by the names of their files.
pub(super) type Texts = BTreeMap<String, String>;

/// The file of a certificate, by the digits of its fingerprint.
pub(super) fn file(digits: &str) -> String {
    format!("{digits}.asc")
}

/// Where it lies in a repository.
pub(super) fn in_tree(digits: &str) -> String {
    format!("{FOLDER}/{}", path(&file(digits)))
}

/// Reads the folder among the entries of a policy; nothing where there is none.
pub(super) fn texts<O: Objects>(
    reader: &Reader<'_, O>,
    entries: &[Entry],
) -> Result<Texts, Breach> {
    let Some(folder) = entries.iter().find(|entry| entry.name == CERTIFICATES) else {
        return Ok(Texts::new());
    };
    if !openpgp::BUILT {
        return Err(without_openpgp("P1", &format!("{FOLDER}/{CERTIFICATES} holds OpenPGP keys")));
    }
    if folder.mode != Mode::Folder {
        return Err(malformed(CERTIFICATES, "it is a file, not a folder"));
    }
    let here = || format!("{FOLDER}/{CERTIFICATES}");
    let files = reader.tree(&folder.id).map_err(|breach| breach.at(&here()))?;
    if files.len() > MOST {
        return Err(malformed(CERTIFICATES, &format!("there are more than {MOST} certificates")));
    }
    let mut texts = Texts::new();
    for entry in files {
        let name = path(&entry.name);
        if entry.mode == Mode::Folder {
            return Err(malformed(&name, "it is a folder"));
        }
        let text = utf8(&name, reader.file(&entry.id).map_err(|breach| breach.at(&name))?)?;
        texts.insert(entry.name, text);
    }
    Ok(texts)
}

/// Adds the keys that people pin, each with its certificate; none is left over.
pub(super) fn pinned<'a>(
    signers: &mut Signers,
    people: impl Iterator<Item = (&'a Principal, &'a [String])>,
    texts: &Texts,
) -> Result<(), Breach> {
    let mut left: Vec<&String> = texts.keys().collect();
    for (principal, pins) in people {
        for digits in pins {
            if !openpgp::BUILT {
                let what = format!("principals.{principal} has an OpenPGP key");
                return Err(without_openpgp("P1", &what));
            }
            let name = file(digits);
            let text = texts.get(&name).ok_or_else(|| {
                malformed(
                    &path(&name),
                    &format!("{principal} has this key, and there is no such file"),
                )
            })?;
            left.retain(|other| **other != name);
            let (fingerprint, certificate) = read(text).map_err(|why| unusable(&name, &why))?;
            let wrong = |why: String| malformed(&path(&name), &why);
            if fingerprint.openpgp() != Some(digits) {
                return Err(wrong(format!("it holds the key {fingerprint}")));
            }
            let key = Key::OpenPgp(Box::new(certificate));
            let signer = Signer::for_git(principal.clone(), key, fingerprint);
            signers.add(signer).map_err(wrong)?;
        }
    }
    match left.first() {
        Some(name) => Err(malformed(&path(name), "no principal has this key in `openpgp`")),
        None => Ok(()),
    }
}

/// The certificate in an armored text, and its primary key's fingerprint.
pub(super) fn read(text: &str) -> Result<(Fingerprint, Certificate), String> {
    if text.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let certificate = Certificate::read(text).map_err(|bad| bad.0.to_owned())?;
    Ok((certificate.fingerprint().clone(), certificate))
}

fn path(name: &str) -> String {
    format!("{CERTIFICATES}/{name}")
}

/// A certificate that cannot be taken whole.
fn unusable(name: &str, why: &str) -> Breach {
    Breach::new(
        "P1",
        Reason::PolicyMalformed,
        format!("{FOLDER}/{}: {why}", path(name)),
        "write the file with gpg --armor --export-options export-minimal,no-export-attributes --export, and replace the commit; signatures in it that use SHA-1 are made anew by gpg --cert-digest-algo SHA256 --quick-set-expire",
    )
}
