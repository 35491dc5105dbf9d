//! Has nix bring closures from binary caches, and from nowhere else.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::link::exists;
use super::{NixConfig, STATE};
use crate::fault::Fault;
use crate::names::StorePath;

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

/// Realises `paths`, all in one process.
pub(super) async fn realise(config: &NixConfig, paths: &[&StorePath]) -> Result<(), Fault> {
    bring(config, &["--realise", "--keep-going"], paths).await?;
    // Somebody may have removed a path behind nix's back: its database still has it.
    let lost: Vec<&StorePath> =
        paths.iter().filter(|path| !exists(Path::new(path.as_str()))).copied().collect();
    if lost.is_empty() {
        return Ok(());
    }
    bring(config, &["--repair-path"], &lost).await
}

async fn bring(config: &NixConfig, verb: &[&str], paths: &[&StorePath]) -> Result<(), Fault> {
    let doing = doing(paths);
    let (caches, missing) = usable(&config.substituters);
    let mut nix = nix_store(config);
    nix.args(verb);
    for (option, value) in [
        ("substituters", caches.join(" ").as_str()),
        ("trusted-public-keys", &config.trusted_public_keys.join(" ")),
        ("require-sigs", "true"),
        ("substitute", "true"),
        // Nothing is ever built here, nor elsewhere for this host.
        ("max-jobs", "0"),
        ("builders", ""),
        ("fallback", "false"),
        // A cache that was mended counts at once.
        ("narinfo-cache-negative-ttl", "0"),
        ("narinfo-cache-positive-ttl", "0"),
        // The next round tries again; nix need not for long.
        ("connect-timeout", "10"),
        ("stalled-download-timeout", "30"),
        ("download-attempts", "2"),
    ] {
        nix.args(["--option", option, value]);
    }
    nix.args(paths.iter().map(|path| path.as_str()));
    let output = run(nix, config.deadline, &doing).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(explain(&doing, &String::from_utf8_lossy(&output.stderr), &caches, &missing))
}

/// `nix-store` with an environment in which no user's settings count.
pub(super) fn nix_store(config: &NixConfig) -> Command {
    let mut nix = Command::new(config.programs.join("nix-store"));
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
    let child = nix.spawn().map_err(|e| {
        Fault::wait(doing, format!("start {}: {e}", program.display()))
            .remedy("install nix, or name its folder in this host's config")
    })?;
    match timeout(deadline, child.wait_with_output()).await {
        Ok(output) => output.map_err(|e| Fault::wait(doing, format!("{}: {e}", program.display()))),
        Err(_) => Err(Fault::wait(
            doing,
            format!("nix did not end within {} s and was stopped", deadline.as_secs()),
        )
        .remedy("look at the network and at the caches of this host's config")),
    }
}

/// The caches to ask, and the directories that are named and not there: nix would
/// make them, on the disk below an empty mount point.
fn usable(substituters: &[String]) -> (Vec<&str>, Vec<&str>) {
    substituters.iter().map(String::as_str).partition(|url| {
        let directory = url.strip_prefix("file://").map(|rest| rest.split('?').next());
        directory.flatten().is_none_or(|directory| Path::new(directory).is_dir())
    })
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
fn explain(doing: &str, stderr: &str, caches: &[&str], missing: &[&str]) -> Fault {
    let says = |words: &str| stderr.contains(words);
    let asked = match caches {
        [] => "no cache could be asked".to_owned(),
        _ => format!("asked: {}", caches.join(", ")),
    };
    let asked = match missing {
        [] => asked,
        _ => format!("{asked}; not there: {}", missing.join(", ")),
    };
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
    } else if says("does not exist in binary cache") {
        (
            format!("a cache has lost an archive that it announces ({asked})"),
            "push the closure to the cache again",
        )
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
