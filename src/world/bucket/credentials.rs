//! The keys to a bucket, from where AWS's own tools keep them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// An access key. Its secret is shown nowhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    /// Where it was found, in words for a person.
    pub(super) origin: String,
}

/// What is looked at to find them.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) environment: BTreeMap<String, String>,
    /// Files that are missing are empty.
    pub(super) read: fn(&Path) -> std::io::Result<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) credentials: Credentials,
    pub(super) region: Option<String>,
}

/// Why there are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCredentials {
    #[error("there are no AWS keys: no AWS_ACCESS_KEY_ID, and no profile `default` in {0}")]
    Nothing(String),
    #[error("there is no profile `{0}` in {1}")]
    NoProfile(String, String),
    #[error("profile `{0}` has no aws_access_key_id, but {1}")]
    Indirect(String, &'static str),
    #[error("profile `{0}` has no {1}")]
    Half(String, &'static str),
    #[error("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not")]
    HalfEnvironment,
    #[error("read {0}: {1}")]
    Unreadable(String, String),
}

/// Profiles that lead to keys, but by a program, a browser or another service.
const INDIRECT: [&str; 5] =
    ["credential_process", "sso_session", "sso_start_url", "role_arn", "web_identity_token_file"];

type Section = BTreeMap<String, String>;

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Self { environment, read: |path| std::fs::read_to_string(path) }
    }

    /// The file with the keys where one is named, or else where AWS's own tools look.
    pub(super) fn named(file: Option<&Path>) -> Self {
        file.map_or_else(Self::of_this_process, Self::of_file)
    }

    /// One file with keys, and nothing of this process.
    fn of_file(file: &Path) -> Self {
        let variables = [
            ("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self { environment, read: |path| std::fs::read_to_string(path) }
    }

    fn var(&self, name: &str) -> Option<&String> {
        self.environment.get(name).filter(|value| !value.is_empty())
    }

    fn file(&self, var: &str, usual: &str) -> PathBuf {
        match (self.var(var), self.var("HOME")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(home)) => Path::new(home).join(".aws").join(usual),
            (None, None) => Path::new("/root/.aws").join(usual),
        }
    }

    /// The profile that is named; or else the environment's keys; or else the
    /// environment's profile, or `default`.
    pub(super) fn find(&self, profile: Option<&str>) -> Result<Found, NoCredentials> {
        if profile.is_none()
            && let Some(credentials) = self.keys()?
        {
            return Ok(Found { credentials, region: self.region() });
        }
        let named = profile.or(self.var("AWS_PROFILE").map(String::as_str));
        self.profile(named)
    }

    fn keys(&self) -> Result<Option<Credentials>, NoCredentials> {
        let Some(id) = self.var("AWS_ACCESS_KEY_ID") else { return Ok(None) };
        let secret = self.var("AWS_SECRET_ACCESS_KEY").ok_or(NoCredentials::HalfEnvironment)?;
        Ok(Some(Credentials {
            id: id.clone(),
            secret: secret.clone(),
            token: self.var("AWS_SESSION_TOKEN").cloned(),
            origin: "AWS_ACCESS_KEY_ID of the environment".to_owned(),
        }))
    }

    fn region(&self) -> Option<String> {
        self.var("AWS_REGION").or_else(|| self.var("AWS_DEFAULT_REGION")).cloned()
    }

    fn profile(&self, named: Option<&str>) -> Result<Found, NoCredentials> {
        let name = named.unwrap_or("default");
        let keys = self.file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let config = self.file("AWS_CONFIG_FILE", "config");
        let in_keys = section(&self.text(&keys)?, name);
        let in_config = match section(&self.text(&config)?, &format!("profile {name}")) {
            None if name == "default" => section(&self.text(&config)?, name),
            section => section,
        };
        let files = format!("{} or {}", keys.display(), config.display());
        if in_keys.is_none() && in_config.is_none() {
            return Err(match named {
                Some(name) => NoCredentials::NoProfile(name.to_owned(), files),
                None => NoCredentials::Nothing(files),
            });
        }
        // As in AWS's tools, the file that is made for keys wins.
        let (mut all, own) = (in_config.unwrap_or_default(), in_keys.unwrap_or_default());
        let file = if own.contains_key("aws_access_key_id") { &keys } else { &config };
        all.extend(own);
        let credentials = of_profile(name, &all, file)?;
        Ok(Found { credentials, region: self.region().or_else(|| all.get("region").cloned()) })
    }

    fn text(&self, path: &Path) -> Result<String, NoCredentials> {
        match (self.read)(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(NoCredentials::Unreadable(path.display().to_string(), e.to_string())),
            Ok(text) => Ok(text),
        }
    }
}

fn of_profile(name: &str, all: &Section, file: &Path) -> Result<Credentials, NoCredentials> {
    let Some(id) = all.get("aws_access_key_id") else {
        let indirect = INDIRECT.into_iter().find(|key| all.contains_key(*key));
        return Err(match indirect {
            Some(key) => NoCredentials::Indirect(name.to_owned(), key),
            None => NoCredentials::Half(name.to_owned(), "aws_access_key_id"),
        });
    };
    let secret = all
        .get("aws_secret_access_key")
        .ok_or_else(|| NoCredentials::Half(name.to_owned(), "aws_secret_access_key"))?;
    Ok(Credentials {
        id: id.clone(),
        secret: secret.clone(),
        token: all.get("aws_session_token").cloned(),
        origin: format!("profile `{name}` of {}", file.display()),
    })
}

/// The keys of one section of such a file. Lines that are set in belong to a key of
/// several values, which none of ours is.
fn section(text: &str, name: &str) -> Option<Section> {
    let mut found: Option<Section> = None;
    let mut ours = false;
    for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '#', ';'])) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            ours = header.split_whitespace().eq(name.split_whitespace());
            if ours {
                found.get_or_insert_default();
            }
        } else if let (true, Some((key, value))) = (ours, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            if let Some(section) = found.as_mut().filter(|_| !value.is_empty()) {
                section.insert(key.trim().to_lowercase(), value.to_owned());
            }
        }
    }
    found
}

impl NoCredentials {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Indirect(..) => {
                "writ takes keys as they are; have AWS's own tool get them: eval \"$(aws configure export-credentials --profile NAME --format env)\", and leave profile= out"
            }
            Self::Nothing(_) => "name a profile in the URL (?profile=NAME), or set AWS_PROFILE",
            Self::NoProfile(..) | Self::Half(..) => "`aws configure --profile NAME` writes one",
            Self::HalfEnvironment => "set both, or neither",
            Self::Unreadable(..) => "see that you may read it",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
