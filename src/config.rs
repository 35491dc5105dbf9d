//! The host's own config, `/etc/writ/agent.toml`: what is pinned here never comes from git.

mod kits;
mod limits;
mod report;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::names::{BranchName, CommitId, Fingerprint, HostName, UnitName};
use crate::report::without_passwords;
use crate::source::git_url::GitUrl;
use crate::source::repo::ObjectFormat;
use crate::source::secret::SecretFile;
use crate::trust::{Pins, Recovery, RecoveryKey};
use crate::world::bucket::BucketUrl;
use crate::world::nix::check_substituter;
use crate::world::owners::{self, Exposed};
pub use limits::{Retention, Store};
pub use report::{Report, To};
pub use sources::{At, SourceConfig};

/// Where the config lies unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/writ/agent.toml";

/// One host's config, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// This host's name in the manifest.
    pub host: HostName,
    pub repository: Repository,
    /// Where the branch is seen, beside `repository.url`.
    #[serde(default, rename = "source")]
    pub sources: Vec<SourceConfig>,
    #[serde(default)]
    pub poll: Poll,
    #[serde(default)]
    pub nix: Nix,
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub caddy: Caddy,
    /// What becomes of a change that somebody made by hand.
    #[serde(default)]
    pub drift: OnDrift,
    /// What this host tells without being asked.
    pub report: Option<Report>,
    /// The ledger and the repository's copy.
    #[serde(default = "default_state")]
    pub state_directory: PathBuf,
    /// Where the control socket is made.
    #[serde(default = "default_runtime")]
    pub runtime_directory: PathBuf,
}

/// Which history this host obeys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Repository {
    /// With the branch, the `channel` that every policy has to name.
    pub id: String,
    /// The only source, or the first; others are tables `[[source]]`.
    #[serde(default, deserialize_with = "sources::url")]
    pub url: Option<GitUrl>,
    pub branch: BranchName,
    #[serde(default)]
    pub object_format: ObjectFormat,
    pub introduction: CommitId,
    pub introducer: Fingerprint,
    pub minimum: Option<CommitId>,
    /// Whether a new commit is followed only once somebody has stated that the
    /// branch stands there.
    #[serde(default)]
    pub require_head: bool,
    /// How old the newest statement may grow before the host raises an alarm.
    #[serde(default, deserialize_with = "some_duration")]
    pub max_staleness: Option<Duration>,
    /// Public keys that can have this host follow a rewritten history.
    #[serde(default, deserialize_with = "recovery_keys")]
    pub recovery_keys: Vec<RecoveryKey>,
    /// How many of them it takes; all, where it is left out.
    pub recovery_threshold: Option<usize>,
}

/// When the branch is looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Poll {
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// The longest a fetch may take.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// Paths whose change is a reason to look at once.
    pub watch: Vec<PathBuf>,
}

/// Where closures come from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Nix {
    pub substituters: Vec<String>,
    pub trusted_public_keys: Vec<String>,
    /// The keys to caches that are buckets: a file as AWS's tools write it, or
    /// `credential:NAME` of systemd.
    pub credentials_file: Option<SecretFile>,
}

/// What becomes of a change that somebody made by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// It is reported and taken back.
    #[default]
    Heal,
    /// It is reported and stays until the next generation.
    Report,
}

/// How Caddy is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Caddy {
    /// `unix:///run/caddy/admin.sock`, or `http://localhost:2019`, where every process
    /// of the host can change routes.
    pub admin: String,
    /// Its unit: once that has been started or reloaded, the agent looks whether its
    /// routes are there.
    pub unit: UnitName,
}

/// Why a config cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("could not read the config {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "the config {path} may be changed by others than its owner (mode {mode:o}, owner {owner}); whoever can write it owns the host: chown root {path}; chmod 0644 {path}"
    )]
    Writable { path: PathBuf, mode: u32, owner: u32 },
    #[error("the config {path} could be replaced by others than root: {exposed}")]
    Exposed { path: PathBuf, exposed: Exposed },
    #[error("the config {path} is not valid: {why}")]
    Invalid { path: PathBuf, why: String },
    #[error("{named} cannot be a source: {why}")]
    NoSource { named: String, why: String },
}

impl Config {
    /// Reads and checks a config.
    ///
    /// # Errors
    /// The file cannot be read, lies in a folder that others may write, belongs to somebody else than root or the reader,
    /// is writable for others, or is not valid (with line and column).
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        let own = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o022 != 0 || ![0, own].contains(&metadata.uid()) {
            let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
            return Err(ConfigError::Writable { path: path.to_owned(), mode, owner });
        }
        if let Some(exposed) = owners::exposed(path).map_err(unreadable)? {
            return Err(ConfigError::Exposed { path: path.to_owned(), exposed });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|why| ConfigError::Invalid { path: path.to_owned(), why })
    }

    /// Checks the text of a config.
    ///
    /// # Errors
    /// It is not valid; with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Where it is told, the line is shown.
        let told = |error: toml::de::Error| without_passwords(&error.to_string());
        let config: Self = toml::from_str(text).map_err(told)?;
        let digits = match config.repository.object_format {
            ObjectFormat::Sha1 => 40,
            ObjectFormat::Sha256 => 64,
        };
        let pinned = [Some(&config.repository.introduction), config.repository.minimum.as_ref()];
        for id in pinned.into_iter().flatten() {
            if id.as_str().len() != digits {
                return Err(format!(
                    "commit id {id} does not have the {digits} digits of repository.objectFormat"
                ));
            }
        }
        let Repository { recovery_keys: keys, recovery_threshold, .. } = &config.repository;
        if recovery_threshold.is_some_and(|k| !(1..=keys.len()).contains(&k)) {
            return Err(
                "repository.recoveryThreshold is not between 1 and the number of recoveryKeys"
                    .to_owned(),
            );
        }
        config.nix.check()?;
        config.check_sources()?;
        if config.report.as_ref().is_some_and(|report| report.needs_url())
            && config.git_url().is_none()
        {
            return Err(
                "report.to = \"git\" needs report.url where no source is a git server".to_owned()
            );
        }
        config
            .caddy
            .admin
            .parse::<crate::world::caddy::Admin>()
            .map_err(|why| format!("caddy.admin: {why}"))?;
        Ok(config)
    }

    /// Who can have this host follow a rewritten history; `None` where nobody can.
    pub fn recovery(&self) -> Option<Recovery> {
        let Repository { recovery_keys, recovery_threshold, .. } = &self.repository;
        let threshold = recovery_threshold.unwrap_or(recovery_keys.len());
        let keys = recovery_keys.clone();
        (!keys.is_empty()).then_some(Recovery { keys, threshold })
    }

    /// What trust pins of this config; what the ledger remembers comes on top.
    pub fn pins(&self) -> Pins {
        let repository = &self.repository;
        Pins {
            channel: format!("{}:{}", repository.id, repository.branch),
            introduction: repository.introduction.clone(),
            introducer: repository.introducer.clone(),
            minimum: repository.minimum.clone(),
            revoked: BTreeSet::new(),
        }
    }
}

impl Nix {
    fn check(&self) -> Result<(), String> {
        for url in &self.substituters {
            check_substituter(url).map_err(|why| format!("nix.substituters: {why}"))?;
            if url.starts_with("s3://") {
                BucketUrl::parse_folder(url)
                    .map_err(|why| format!("nix.substituters: {url}: {why}"))?;
            }
        }
        Ok(())
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            watch: Vec::new(),
        }
    }
}

impl Default for Caddy {
    fn default() -> Self {
        Self { admin: "unix:///run/caddy/admin.sock".to_owned(), unit: default_unit() }
    }
}

fn default_unit() -> UnitName {
    "caddy.service".parse().expect("it is the name of a unit")
}

fn default_state() -> PathBuf {
    "/var/lib/writ".into()
}

fn default_runtime() -> PathBuf {
    "/run/writ".into()
}

/// `30s`, `5m`, `2h`, `500ms`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let signed: jiff::SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    let duration = Duration::try_from(signed).map_err(serde::de::Error::custom)?;
    if duration.is_zero() {
        return Err(serde::de::Error::custom("a duration has to be longer than nothing"));
    }
    Ok(duration)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn recovery_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RecoveryKey>, D::Error> {
    let mut keys: Vec<RecoveryKey> = Vec::new();
    for text in Vec::<String>::deserialize(deserializer)? {
        let bad = |why: &str| serde::de::Error::custom(format!("{text:?} in recoveryKeys: {why}"));
        let key: RecoveryKey = text.parse().map_err(|why: String| bad(&why))?;
        if keys.contains(&key) {
            return Err(bad("it is there twice"));
        }
        keys.push(key);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(extra: &str) -> String {
        format!(
            "host = \"biz\"\n{extra}\n[repository]\nid = \"acme\"\nurl = \"file:///srv/git/deploy.git\"\nbranch = \"main\"\nintroduction = \"{}\"\nintroducer = \"SHA256:{}\"\n",
            "a".repeat(40),
            "b".repeat(43)
        )
    }

    #[test]
    fn a_small_config_is_enough() {
        let config = Config::parse(&sample("")).unwrap();
        assert_eq!(config.pins().channel, "acme:main");
        assert_eq!(config.poll.interval, Duration::from_secs(30));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let why = Config::parse(&sample("hosts = 3")).unwrap_err();
        assert!(why.contains("line 2") && why.contains("hosts"), "{why}");
    }

    #[test]
    fn a_road_that_runs_programs_is_refused() {
        let text = sample("").replace("file:///srv/git/deploy.git", "ext::sh -c id");
        assert!(Config::parse(&text).unwrap_err().contains("repository.url"));
    }

    #[test]
    fn reports_go_where_it_is_known_how() {
        let read = |text: &str| Config::parse(&format!("{}[report]\n{text}", sample("")));
        assert!(read("to = \"git\"\nurl = \"ssh://git@forge/deploy.git\"").is_ok());
        assert!(read("to = \"dir:///srv/status\"").is_ok());
        let bucket = read("to = \"s3://acme/hosts\"\ncredentialsFile = \"credential:s3\"");
        assert_eq!(bucket.err(), None);
        for (text, why) in [
            ("to = \"s3://bucket?profil=a\"", "report.to: profil: it is not known here"),
            ("to = \"dir://srv\"", "report.to is \"git\", \"dir:///path\""),
            ("to = \"git\"\ncredentialsFile = \"/k\"", "credentialsFile belongs to"),
            ("to = \"dir:///srv\"\nurl = \"file:///srv\"", "url belongs to"),
            ("to = \"git\"\nurl = \"ext::sh -c id\"", "report.url"),
            ("to = \"git\"\ninterval = \"0s\"", "longer than nothing"),
            ("interval = \"1m\"", "missing field"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_bucket_may_be_a_cache_and_its_keys_are_elsewhere() {
        let read = |text: &str| Config::parse(&format!("{}[nix]\n{text}", sample("")));
        let good = "substituters = [\"s3://acme/x?endpoint=http://127.0.0.1:9&region=eu-west-1\"]\ncredentialsFile = \"credential:cache\"";
        let config = read(good).unwrap();
        assert_eq!(config.nix.credentials_file, Some(SecretFile::Credential("cache".to_owned())));
        for (text, why) in [
            ("substituters = [\"s3://acme?trusted=true\"]", "trusted"),
            ("substituters = [\"s3://acme?secret-key=/root/key\"]", "secret-key"),
            ("substituters = [\"s3://AKIA:SECRET@acme\"]", "not in a URL"),
            ("substituters = [\"s3://acme?endpoint=ftp://h\"]", "http or https"),
            ("credentialsFile = \"keys\"", "credentialsFile"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_config_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), sample("")).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(Config::load(file.path()), Err(ConfigError::Writable { .. })));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Config::load(file.path()).is_ok());
    }

    #[test]
    fn a_config_in_a_folder_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        fs::write(&path, sample("")).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o757)).unwrap();
        let told = Config::load(&path).unwrap_err().to_string();
        assert!(
            told.contains("could be replaced by others") && told.contains("mode 757"),
            "{told}"
        );
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Config::load(&path).is_ok());
    }
}
