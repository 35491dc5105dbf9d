//! The operator's signing key: what git signs with, an agent's, or a file's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::git_program::{Checkout, GitError};
use crate::names::Fingerprint;
use crate::trust::edit;

/// Why there is no key to sign with.
#[derive(Debug, Error)]
pub enum KeyError {
    #[error(
        "{given} is not an SSH public key that can sign: {why}; `ssh-keygen -t ed25519` makes one"
    )]
    Unfit { given: String, why: String },
    #[error("could not read the public key {path}; name yours with --key")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the SSH agent holds several keys; name yours with --key 'ssh-ed25519 AAAA…':\n  {}", keys.join("\n  "))]
    Several { keys: Vec<String> },
    #[error(
        "no key to sign with: git's user.signingkey names no SSH key, no SSH agent holds one, and {folder} has none; `ssh-keygen -t ed25519` makes one, or name one with --key"
    )]
    None { folder: PathBuf },
    #[error(transparent)]
    Git(#[from] GitError),
}

/// A key that git can sign with.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// Kind and base64, as `allowed_signers` has them.
    public: String,
    fingerprint: Fingerprint,
    for_git: String,
}

impl SigningKey {
    pub fn public(&self) -> &str {
        &self.public
    }

    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The value of git's `user.signingkey`.
    pub fn for_git(&self) -> &str {
        &self.for_git
    }

    /// A file with the public half, as `ssh-keygen` wants to be told which key it is.
    ///
    /// # Errors
    /// There is none yet, and it cannot be written.
    pub fn file(&self, checkout: &Checkout) -> Result<PathBuf, KeyError> {
        let Some(literal) = self.for_git.strip_prefix("key::") else {
            return Ok(PathBuf::from(&self.for_git));
        };
        let place = checkout.run(&["rev-parse", "--git-path", "writ-signing-key.pub"])?;
        checkout.replace(&place, &format!("{literal}\n")).map_err(|error| KeyError::Unfit {
            given: literal.to_owned(),
            why: error.to_string(),
        })?;
        Ok(checkout.root().join(place))
    }

    /// A key from its text, and how git is told to use it.
    fn of(text: &str, for_git: String) -> Result<Self, KeyError> {
        let mut words = text.split_whitespace();
        let public = match (words.next(), words.next()) {
            (Some(kind), Some(blob)) => format!("{kind} {blob}"),
            _ => String::new(),
        };
        let fingerprint = edit::fingerprint_of(&public)
            .map_err(|why| KeyError::Unfit { given: for_git.clone(), why })?;
        Ok(Self { public, fingerprint, for_git })
    }

    /// A key in a file; the private half stands for the public one beside it.
    fn in_file(path: &Path) -> Result<Self, KeyError> {
        let public = match path.extension() {
            Some(end) if end == "pub" => path.to_owned(),
            _ => with_pub(path),
        };
        let text = std::fs::read_to_string(&public)
            .map_err(|source| KeyError::Unreadable { path: public.clone(), source })?;
        let absolute = std::path::absolute(&public).unwrap_or(public);
        Self::of(&text, absolute.display().to_string())
    }

    fn given(text: &str, home: Option<&Path>) -> Result<Self, KeyError> {
        let literal = text.strip_prefix("key::").unwrap_or(text);
        if literal.contains(' ') {
            return Self::of(literal, format!("key::{literal}"));
        }
        match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Self::in_file(&home.join(rest)),
            _ => Self::in_file(Path::new(text)),
        }
    }
}

/// Finds the key: named, git's own, the only one of an agent, the usual file.
pub fn find(checkout: &Checkout, named: Option<&str>) -> Result<SigningKey, KeyError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if let Some(named) = named {
        return SigningKey::given(named, home.as_deref());
    }
    let format = checkout.ask(&["config", "gpg.format"])?;
    if let Some(own) = checkout.ask(&["config", "user.signingkey"])?
        && (format.as_deref() == Some("ssh") || names_ssh(&own))
    {
        return SigningKey::given(&own, home.as_deref());
    }
    match &agent_keys()[..] {
        [] => usual_file(home.as_deref()),
        [key] => SigningKey::of(key, format!("key::{key}")),
        keys => Err(KeyError::Several { keys: keys.to_vec() }),
    }
}

/// Whether it is an SSH key also for somebody who has not told git so: an OpenPGP key is
/// named by an id or by a mail address.
pub fn names_ssh(key: &str) -> bool {
    ["key::", "ssh-", "sk-", "ecdsa-", "/", "~/"].iter().any(|start| key.starts_with(start))
}

fn agent_keys() -> Vec<String> {
    let Ok(output) = Command::new("ssh-add").arg("-L").stderr(Stdio::null()).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let keys = text.lines().filter(|line| output.status.success() && line.contains(' '));
    keys.map(str::to_owned).collect()
}

fn usual_file(home: Option<&Path>) -> Result<SigningKey, KeyError> {
    let usual = ["id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa"];
    let folder = home.unwrap_or(Path::new("/root")).join(".ssh");
    let there = usual.iter().map(|name| with_pub(&folder.join(name))).find(|path| path.exists());
    match there {
        Some(path) => SigningKey::in_file(&path),
        None => Err(KeyError::None { folder }),
    }
}

fn with_pub(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
