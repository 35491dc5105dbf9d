//! Has nix bring closures from binary caches, and from nowhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::BufReader;
use tokio::process::Command;
use tokio::time::timeout;

use super::caches::Caches;
use super::explain::explain;
use super::link::exists;
use super::narinfo::Missing;
use super::telling::{self, Progress};
use super::{NixConfig, STATE, overrun, scratch};
use crate::fault::Fault;
use crate::names::StorePath;

/// How many of nix's last lines go into a fault.
const EVIDENCE: usize = 10;

/// What is missing, and from where it is brought.
pub(super) struct Download<'a> {
    pub(super) config: &'a NixConfig,
    pub(super) caches: Caches,
    pub(super) missing: Missing,
}

impl Download<'_> {
    /// Realises `paths`, all in one process.
    pub(super) async fn realise(
        &self,
        paths: &[&StorePath],
        progress: &Progress,
    ) -> Result<(), Fault> {
        if self.missing.paths > 0 {
            self.caches.some_answer(&doing(paths))?;
        }
        let _ended = progress.begin(self.missing);
        self.bring(&["--realise", "--keep-going"], paths, progress).await?;
        // Somebody may have removed a path behind nix's back: its database still has it.
        let lost: Vec<&StorePath> =
            paths.iter().filter(|path| !exists(Path::new(path.as_str()))).copied().collect();
        if lost.is_empty() {
            return Ok(());
        }
        self.bring(&["--repair-path"], &lost, progress).await
    }

    async fn bring(
        &self,
        verb: &[&str],
        paths: &[&StorePath],
        progress: &Progress,
    ) -> Result<(), Fault> {
        let doing = doing(paths);
        let (home, mut renewed) = (&self.config.home, false);
        loop {
            let (status, told) = self.run(verb, paths, &doing, progress).await?;
            if status.success() {
                return Ok(());
            }
            if renewed || !scratch::is_blamed(home, &told) {
                let told = self.caches.plain(&told);
                return Err(explain(&doing, &told, &self.caches, home));
            }
            tracing::warn!("nix's scratch folder in {} is damaged: made anew", home.display());
            scratch::renew(home).map_err(|error| scratch_fault(&doing, home, &error))?;
            renewed = true;
        }
    }

    async fn run(
        &self,
        verb: &[&str],
        paths: &[&StorePath],
        doing: &str,
        progress: &Progress,
    ) -> Result<(ExitStatus, String), Fault> {
        self.caches.forget_fault();
        let mut nix = nix_store(self.config);
        nix.args(verb).args(["--log-format", "internal-json"]);
        self.name_caches(&mut nix);
        for (option, value) in self.options() {
            nix.args(["--option", option, &value]);
        }
        nix.args(paths.iter().map(|path| path.as_str()));
        follow(nix, self.config, doing, progress).await
    }

    /// Everybody sees a process's arguments, only its user what is in its environment.
    fn name_caches(&self, nix: &mut Command) {
        let caches = self.caches.numbered();
        if self.caches.are_secret() {
            nix.env("NIX_CONFIG", format!("substituters = {caches}"));
        } else {
            nix.args(["--option", "substituters", &caches]);
        }
    }

    fn options(&self) -> [(&'static str, String); 11] {
        // The gateway waits as long for the cache behind it, and asks again.
        let stalled = if self.caches.are_secret() { "120" } else { "30" };
        [
            ("trusted-public-keys", self.config.trusted_public_keys.join(" ").as_str()),
            ("require-sigs", "true"),
            ("substitute", "true"),
            // Nothing is ever built here, nor elsewhere for this host.
            ("max-jobs", "0"),
            ("builders", ""),
            ("fallback", "false"),
            // A cache that was mended counts at once.
            ("narinfo-cache-negative-ttl", "0"),
            ("narinfo-cache-positive-ttl", "0"),
            // They answered just now; the next round tries again.
            ("connect-timeout", "5"),
            ("stalled-download-timeout", stalled),
            ("download-attempts", "2"),
        ]
        .map(|(option, value)| (option, value.to_owned()))
    }
}

/// Runs it to its end, to the deadline or until it fills the disk; returns its last words.
async fn follow(
    mut nix: Command,
    config: &NixConfig,
    doing: &str,
    progress: &Progress,
) -> Result<(ExitStatus, String), Fault> {
    let begun = SystemTime::now();
    let program = PathBuf::from(nix.as_std().get_program());
    let failed = |e: io::Error| Fault::wait(doing, format!("{}: {e}", program.display()));
    nix.stdout(Stdio::null());
    let mut child = nix.spawn().map_err(|e| cannot_start(doing, &program, &e))?;
    let stderr = child.stderr.take();
    let ended = async {
        let told = match stderr {
            Some(stderr) => telling::listen(BufReader::new(stderr), progress).await?,
            None => String::new(),
        };
        Ok((child.wait().await?, told))
    };
    let over = tokio::select! {
        ended = timeout(config.deadline, ended) => return match ended {
            Ok(ended) => ended.map_err(failed),
            Err(_) => Err(late(doing, config.deadline)),
        },
        over = config.room.overrun() => over,
    };
    child.kill().await.map_err(failed)?;
    overrun::clear(config, begun).await;
    Err(Fault::wait(doing, over)
        .remedy("look at the caches of this host's config, and at what else fills that disk"))
}

fn cannot_start(doing: &str, program: &Path, error: &io::Error) -> Fault {
    Fault::wait(doing, format!("start {}: {error}", program.display()))
        .remedy("install nix, or put the folder with its programs on the agent's PATH")
}

fn late(doing: &str, deadline: Duration) -> Fault {
    let because = format!("nix did not end within {} s and was stopped", deadline.as_secs());
    Fault::wait(doing, because)
        .remedy("look at the network and at the caches of this host's config")
}

/// `nix-store` with an environment in which no user's settings count.
pub(super) fn nix_store(config: &NixConfig) -> Command {
    program(config, "nix-store")
}

/// The same of another of nix's programs.
pub(super) fn program(config: &NixConfig, name: &str) -> Command {
    let mut nix = Command::new(config.programs.join(name));
    nix.env_clear()
        .env("PATH", &config.programs)
        .env("HOME", &config.home)
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env("LANG", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(file) =
        ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"].into_iter().find_map(std::env::var_os)
    {
        nix.env("NIX_SSL_CERT_FILE", file);
    }
    if config.state != Path::new(STATE) {
        nix.env("NIX_STATE_DIR", &config.state);
    }
    nix
}

/// Runs it to its end or to the deadline, at which it is killed.
pub(super) async fn run(
    mut nix: Command,
    deadline: Duration,
    doing: &str,
) -> Result<Output, Fault> {
    let program = PathBuf::from(nix.as_std().get_program());
    let child = nix.spawn().map_err(|e| cannot_start(doing, &program, &e))?;
    match timeout(deadline, child.wait_with_output()).await {
        Ok(output) => output.map_err(|e| Fault::wait(doing, format!("{}: {e}", program.display()))),
        Err(_) => Err(late(doing, deadline)),
    }
}

/// What a fault says was being done.
pub(super) fn doing(paths: &[&StorePath]) -> String {
    match paths {
        [path] => format!("fetch {path}"),
        [path, rest @ ..] => format!("fetch {path} and {} more", rest.len()),
        [] => "fetch nothing".into(),
    }
}

/// What a scratch folder that cannot be made keeps a host from.
pub(super) fn scratch_fault(doing: &str, home: &Path, error: &io::Error) -> Fault {
    Fault::wait(
        doing,
        format!("nix's scratch folder in {} cannot be made: {error}", home.display()),
    )
    .remedy(scratch::REMEDY)
}

pub(super) fn last_lines(stderr: &str) -> Vec<String> {
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("--add-root"))
        .collect();
    lines[lines.len().saturating_sub(EVIDENCE)..].iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Stands for nix: as nix 2.26 says it where the file is damaged, and fine without it.
    const NIX: &str = "#!/bin/sh
file=$HOME/.cache/nix/binary-cache-v6.sqlite
[ ! -e $file ] || {
    echo \"warning: executing SQLite statement 'pragma synchronous = off': file is not a database (in '$file')\" >&2
    [ -e $HOME/../lasting ] || exit 1
}
[ -e $HOME/../lasting ] || exit 0
echo \"warning: cannot open SQLite database '$file': unable to open database file\" >&2
echo \"don't know how to build these paths:\" >&2
exit 1
";

    #[tokio::test]
    async fn a_damaged_scratch_folder_is_thrown_away_once() {
        let dir = tempfile::tempdir().unwrap();
        let [home, programs] = ["home", "bin"].map(|name| dir.path().join(name));
        fs::create_dir(&programs).unwrap();
        fs::write(programs.join("nix-store"), NIX).unwrap();
        fs::set_permissions(programs.join("nix-store"), fs::Permissions::from_mode(0o755)).unwrap();
        let config = NixConfig { home, programs, ..NixConfig::new(Vec::new(), Vec::new()) };
        let config = &config;
        let path = format!("/nix/store/{}-web", "1".repeat(32)).parse().unwrap();
        let fetch = async || {
            let caches = Caches::of(config).await;
            let download = Download { config, caches, missing: Missing::default() };
            download.realise(&[&path], &Progress::default()).await
        };
        let noted = scratch::folder(&config.home).join("nix/binary-cache-v6.sqlite");
        for damage in [&b"random"[..], b""] {
            fs::create_dir_all(noted.parent().unwrap()).unwrap();
            fs::write(&noted, damage).unwrap();
            fetch().await.unwrap();
            assert!(!noted.exists());
        }
        fs::create_dir_all(&noted).unwrap();
        fetch().await.unwrap();
        fs::write(dir.path().join("lasting"), "").unwrap();
        let fault = fetch().await.unwrap_err();
        assert!(fault.because.starts_with("nix cannot use its scratch folder"), "{fault}");
        assert!(fault.evidence[0].contains("unable to open database file"), "{fault:?}");
    }
}
