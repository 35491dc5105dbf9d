//! What an operator's commands change in a checkout: the policy's files, and signed
//! statements beside the branch.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gix::refs::transaction::PreviousValue;

use super::checkout::{CheckoutError, root_of};
use crate::trust::edit::PolicyText;

const SIGNERS: &str = ".writ/allowed_signers";
const RULES: &str = ".writ/policy.toml";
const CERTIFICATES: &str = ".writ/openpgp";

/// Reads the policy of a working tree.
pub fn policy(root: &Path) -> Result<PolicyText, CheckoutError> {
    Ok(PolicyText {
        signers: read(&root.join(SIGNERS))?,
        rules: read(&root.join(RULES))?,
        certificates: certificates(&root.join(CERTIFICATES))?,
    })
}

/// The policy among the files of a tree; `None` where there is none, or not all of it.
pub fn policy_in(files: &BTreeMap<String, Vec<u8>>) -> Option<PolicyText> {
    let text = |path: &str| Some(String::from_utf8_lossy(files.get(path)?).into_owned());
    let folder = format!("{CERTIFICATES}/");
    let certificates = files.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix(&folder)?.to_owned();
        Some((name, String::from_utf8_lossy(bytes).into_owned()))
    });
    let certificates = certificates.collect();
    Some(PolicyText { signers: text(SIGNERS)?, rules: text(RULES)?, certificates })
}

/// Whether there is a policy in the working tree that `start` lies in.
pub fn has_policy(start: &Path) -> bool {
    root_of(start).join(RULES).exists()
}

/// Writes the files of a policy that differ.
pub fn write_policy(root: &Path, policy: &PolicyText) -> Result<(), CheckoutError> {
    for (name, text) in [(SIGNERS, &policy.signers), (RULES, &policy.rules)] {
        let path = root.join(name);
        if read(&path)? != *text {
            replace(&path, text)?;
        }
    }
    write_certificates(&root.join(CERTIFICATES), &policy.certificates)
}

/// The OpenPGP certificates in a folder; none where there is no folder.
fn certificates(folder: &Path) -> Result<BTreeMap<String, String>, CheckoutError> {
    let mut texts = BTreeMap::new();
    let unreadable = |source| CheckoutError::Unreadable { path: folder.to_owned(), source };
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(texts),
        files => files.map_err(unreadable)?,
    };
    for file in files {
        let path = file.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        texts.insert(name, read(&path)?);
    }
    Ok(texts)
}

fn write_certificates(
    folder: &Path,
    wanted: &BTreeMap<String, String>,
) -> Result<(), CheckoutError> {
    let before = certificates(folder)?;
    let failed = |error: std::io::Error| unusable(folder, &error.to_string());
    if !wanted.is_empty() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    for (name, text) in wanted.iter().filter(|(name, text)| before.get(*name) != Some(text)) {
        replace(&folder.join(name), text)?;
    }
    for name in before.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(folder.join(name)).map_err(failed)?;
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> Result<(), CheckoutError> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| unusable(path, &error.to_string()))
}

/// A public key from the command line: the key itself, or a file that holds it.
pub fn public_key(given: &str) -> Result<String, CheckoutError> {
    if given.contains(' ') {
        return Ok(given.to_owned());
    }
    read(Path::new(given)).map(|text| text.trim().to_owned())
}

/// Signs `text` with `ssh-keygen`, and so with whatever it can: a key file, an agent's
/// key named by its public half, a hardware key.
pub fn sign(key: &Path, namespace: &str, text: &str) -> Result<String, CheckoutError> {
    let failed = |why: &str| unusable(key, why);
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-q", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&format!("cannot start ssh-keygen: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that died early is told by its exit code, not by this pipe.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    let armor = String::from_utf8(output.stdout).ok().filter(|_| output.status.success());
    armor.ok_or_else(|| failed("ssh-keygen did not sign with it (see above)"))
}

/// What `name` points at, where it points at a file.
pub fn statement(root: &Path, name: &str) -> Result<Option<String>, CheckoutError> {
    let repository = discover(root)?;
    let Ok(mut reference) = repository.find_reference(name) else { return Ok(None) };
    let object = reference.peel_to_id().ok().and_then(|id| id.object().ok());
    let text = object.and_then(|object| String::from_utf8(object.data.clone()).ok());
    Ok(text)
}

/// Stores a file in the repository and has `name` point at it.
pub fn publish(root: &Path, name: &str, text: &str) -> Result<(), CheckoutError> {
    let repository = discover(root)?;
    let failed = |why: String| unusable(root, &format!("cannot store {name}: {why}"));
    let blob = repository.write_blob(text).map_err(|error| failed(error.to_string()))?;
    repository
        .reference(name, blob, PreviousValue::Any, "writ: a new statement")
        .map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn discover(root: &Path) -> Result<gix::Repository, CheckoutError> {
    gix::discover(root).map_err(|error| CheckoutError::NoRepository {
        path: root.to_owned(),
        why: error.to_string(),
    })
}

fn read(path: &Path) -> Result<String, CheckoutError> {
    fs::read_to_string(path)
        .map_err(|source| CheckoutError::Unreadable { path: path.to_owned(), source })
}

fn unusable(path: &Path, why: &str) -> CheckoutError {
    CheckoutError::Unusable { path: PathBuf::from(path), why: why.to_owned() }
}
