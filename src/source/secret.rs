//! Files of the host that hold what nobody else may read: keys, tokens, passwords.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// The longest that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Where systemd puts the credentials of the agent's unit, for whoever is not run by it.
const OF_THE_AGENT: &str = "/run/credentials/writ-agent.service";
const PREFIX: &str = "credential:";

/// Such a file as the config names it: a path, or `credential:NAME` for one that systemd
/// gives the agent (`LoadCredential=`).
///
/// ```
/// # use writ::source::secret::SecretFile;
/// assert!("/etc/writ/forge-token".parse::<SecretFile>().is_ok());
/// assert!("credential:forge-token".parse::<SecretFile>().is_ok());
/// assert!("forge-token".parse::<SecretFile>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretFile {
    At(PathBuf),
    Credential(String),
}

impl SecretFile {
    /// Where it lies now.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::At(path) => path.clone(),
            Self::Credential(name) => {
                let given = std::env::var_os("CREDENTIALS_DIRECTORY");
                given.map_or_else(|| PathBuf::from(OF_THE_AGENT), PathBuf::from).join(name)
            }
        }
    }

    /// Its path, once it is sure that others cannot read it.
    ///
    /// # Errors
    /// It is not there, belongs to somebody else, or is open to others; in words for a
    /// person.
    pub fn kept(&self) -> Result<PathBuf, String> {
        // What systemd gives may belong to a group of the unit's own.
        let others = match self {
            Self::At(_) => 0o077,
            Self::Credential(_) => 0o027,
        };
        self.guarded(others, "read", "0600")
    }

    /// Its path, once it is sure that others cannot change it: certificates and host
    /// keys are no secret, but say whom to believe.
    ///
    /// # Errors
    /// As [`SecretFile::kept`].
    pub fn pinned(&self) -> Result<PathBuf, String> {
        self.guarded(0o022, "change", "0644")
    }

    fn guarded(&self, others: u32, may: &str, better: &str) -> Result<PathBuf, String> {
        let path = self.path();
        let metadata = fs::metadata(&path).map_err(|error| self.unreadable(&path, &error))?;
        let own = rustix::process::geteuid().as_raw();
        let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
        if !metadata.is_file() || mode & others != 0 || ![0, own].contains(&owner) {
            return Err(format!(
                "{0} has to be a file of root's that nobody else can {may} (mode {mode:o}, owner {owner}): chown root {0}; chmod {better} {0}",
                path.display()
            ));
        }
        Ok(path)
    }

    /// Its text, once it is sure that others cannot read it.
    ///
    /// # Errors
    /// As [`SecretFile::kept`], or it is too long or no text.
    pub fn read(&self) -> Result<String, String> {
        self.text(&self.kept()?)
    }

    /// Its text, once it is sure that others cannot change it.
    ///
    /// # Errors
    /// As [`SecretFile::pinned`], or it is too long or no text.
    pub fn read_pinned(&self) -> Result<String, String> {
        self.text(&self.pinned()?)
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| self.unreadable(path, &error))?;
        let read = file.take(LONGEST + 1).read_to_string(&mut text);
        match read.map_err(|error| self.unreadable(path, &error))? {
            length if length as u64 > LONGEST => {
                Err(format!("{} is longer than {LONGEST} bytes", path.display()))
            }
            _ => Ok(text),
        }
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> String {
        match self {
            Self::At(_) => format!("cannot read {}: {error}", path.display()),
            Self::Credential(name) => format!(
                "systemd gives the agent no credential `{name}` ({}: {error}): LoadCredential={name}:/path in a drop-in of writ-agent.service",
                path.display()
            ),
        }
    }
}

impl FromStr for SecretFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:=".contains(c);
        if !text.chars().all(plain) {
            // ssh takes such names apart.
            return Err(format!("{text:?} holds more than letters, digits and /._-+@,:="));
        }
        match text.strip_prefix(PREFIX) {
            Some(name) if name.is_empty() || name.starts_with('.') || name.contains('/') => {
                Err(format!("{text:?} names no credential; write credential:NAME"))
            }
            Some(name) => Ok(Self::Credential(name.to_owned())),
            None if text.starts_with('/') => Ok(Self::At(text.into())),
            None => Err(format!("{text:?} is neither a path from / on nor credential:NAME")),
        }
    }
}

impl TryFrom<String> for SecretFile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_name_is_a_path_or_a_credential() {
        for bad in
            ["", "token", "credential:", "credential:a/b", "credential:..", "/a b", "/a'b", "~/x"]
        {
            assert!(bad.parse::<SecretFile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let secret = SecretFile::At(file.path().to_owned());
        for mode in [0o600, 0o400] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(secret.read().unwrap(), "s3cret\n", "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(secret.read().unwrap_err().contains("chmod 0600"), "{mode:o}");
            assert_eq!(secret.read_pinned().is_ok(), mode & 0o022 == 0, "{mode:o}");
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(secret.read().unwrap_err().contains("longer than"));
    }
}
