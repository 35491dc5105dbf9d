//! Has nix bring closures from binary caches, and from nowhere else.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::BufReader;
use tokio::process::Command;
use tokio::time::timeout;

use super::caches::Caches;
use super::link::exists;
use super::narinfo::Missing;
use super::telling::{self, Progress};
use super::{NixConfig, STATE, overrun};
use crate::fault::Fault;
use crate::names::StorePath;
use crate::world::certificate::{NOT_NOW, RENEW, is_not_now};

/// How many of nix's last lines go into a fault.
const EVIDENCE: usize = 10;

/// What nix says of an archive that is not the announced one.
const DAMAGED: [&str; 6] = [
    "hash mismatch",
    "corrupt",
    "compression not recognized",
    "archive",
    "unexpected end-of-file",
    "is incomplete",
];

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
        self.caches.forget_fault();
        let mut nix = nix_store(self.config);
        nix.args(verb).args(["--log-format", "internal-json"]);
        self.name_caches(&mut nix);
        for (option, value) in self.options() {
            nix.args(["--option", option, &value]);
        }
        nix.args(paths.iter().map(|path| path.as_str()));
        let (status, told) = follow(nix, self.config, &doing, progress).await?;
        if status.success() {
            return Ok(());
        }
        Err(explain(&doing, &self.caches.plain(&told), &self.caches))
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

/// Makes a home for nix. It writes down there which caches it asked, and the address of
/// a private one is nobody's business.
pub(super) fn make_home(home: &Path) -> io::Result<()> {
    let own = home.join(".cache");
    DirBuilder::new().recursive(true).mode(0o755).create(home)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
    fs::set_permissions(own, Permissions::from_mode(0o700))
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

/// What nix's words mean. Nothing here is a reason to roll back: the old
/// generation is untouched while a cache is mended.
fn explain(doing: &str, stderr: &str, caches: &Caches) -> Fault {
    let says = |words: &str| stderr.contains(words);
    let asked = caches.told();
    let (because, remedy) = if says("No space left on device") {
        (
            "the disk is full".to_owned(),
            "as root, `writ gc --collect` lets old closures go; or make the disk of /nix larger",
        )
    } else if says("not signed by any of the keys") || says("lacks a signature by a trusted key") {
        (
            format!("no key that this host trusts has signed it ({asked})"),
            "sign it in the cache, or add the cache's public key to this host's config",
        )
    } else if let Some(Fault { because, remedy, .. }) = caches.fault() {
        let fault = Fault::wait(doing, format!("a cache cannot be read: {because} ({asked})"));
        return Fault { remedy, ..fault }.evidence(last_lines(stderr));
    } else if says("does not exist in binary cache") {
        (
            format!("a cache has lost an archive that it announces ({asked})"),
            "push the closure to the cache again",
        )
    } else if is_not_now(stderr) {
        (format!("{NOT_NOW} ({asked})"), RENEW)
    } else if says("unable to download") || says("Could not connect") || says("Could not resolve") {
        (
            format!("a cache cannot be reached ({asked})"),
            "look at the network and at the caches of this host's config",
        )
    } else if DAMAGED.iter().any(|words| says(words)) {
        (
            format!("a cache sent something else than it announced ({asked})"),
            "push the closure to the cache again",
        )
    } else if says("don't know how to build") || says("no substituter that can build it") {
        (
            format!("no cache has all of it ({asked})"),
            "push the closure to one of the caches of this host's config",
        )
    } else {
        (format!("nix failed ({asked})"), "see what nix says")
    };
    Fault::wait(doing, because).remedy(remedy).evidence(last_lines(stderr))
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
    use super::*;

    /// As nix 2.34 says it where its libcurl is made with GnuTLS.
    const EXPIRED: &str = "warning: unable to download 'https://forge.acme.example/cache/nar/1.nar.xz': SSL peer certificate or SSH remote key was not OK (60) server verification failed: certificate has expired. (CAfile: /etc/ssl/certs/ca-certificates.crt CRLfile: none)\nerror: build of '/nix/store/1-x' failed";

    /// The archives may come from another server than the one that was asked before.
    #[tokio::test]
    async fn a_certificate_that_only_nix_sees_is_told_as_that_too() {
        let caches = Caches::of(&NixConfig::new(Vec::new(), Vec::new())).await;
        let fault = explain("fetch x", EXPIRED, &caches);
        assert!(fault.because.starts_with(NOT_NOW), "{fault}");
        assert_eq!(fault.remedy.as_deref(), Some(RENEW));
        assert!(fault.evidence[0].contains("certificate has expired"), "{fault:?}");
    }
}
