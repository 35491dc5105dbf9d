//! What nix's own config says, by nix's own word: it is read from several files, the
//! environment and the command line, and nix alone knows which one counts.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::fetch;
use crate::fault::Fault;

const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command"];
const NETRC: &str = "netrc-file";
/// What nix was asked by before 2.20.
const OLD: [&str; 2] = ["show-config", "--json"];

/// Where the passwords of caches are (nix.conf(5), `netrc-file`), whether there is
/// such a file or not. `nix` makes a command that starts nix.
///
/// # Errors
/// Nix cannot be started, or does not tell.
pub(super) async fn netrc_file(nix: impl Fn() -> Command) -> Result<PathBuf, Fault> {
    let doing = format!("ask nix for its {NETRC}");
    let failed = |why: String| {
        Fault::wait(&doing, why).remedy(format!("see that this works: nix config show {NETRC}"))
    };
    let asked = |args: &[&str]| {
        let mut nix = nix();
        nix.args(FEATURES).args(args).stdin(Stdio::null());
        nix.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        async move { nix.output().await }
    };
    let unstarted = |error: std::io::Error| failed(format!("nix cannot be started: {error}"));
    let told = asked(&["config", "show", NETRC]).await.map_err(unstarted)?;
    if told.status.success() {
        let path = String::from_utf8_lossy(&told.stdout).trim_end_matches('\n').to_owned();
        return Ok(path.into());
    }
    let old = asked(&OLD).await.map_err(unstarted)?;
    // All of nix's settings: some are secret, and only this one is looked at.
    let found = of_json(&old.stdout).filter(|_| old.status.success());
    found.ok_or_else(|| {
        let said = String::from_utf8_lossy(&told.stderr);
        failed(fetch::last_lines(&said).join("; "))
    })
}

fn of_json(settings: &[u8]) -> Option<PathBuf> {
    let settings: Value = serde_json::from_slice(settings).ok()?;
    Some(settings.get(NETRC)?.get("value")?.as_str()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for nix: a shell that says this.
    async fn told(script: &str) -> Result<PathBuf, Fault> {
        netrc_file(|| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "nix"]);
            shell
        })
        .await
    }

    #[tokio::test]
    async fn nix_tells_by_the_name_of_the_setting_or_among_all_of_them() {
        let new = "[ \"$*\" = '--extra-experimental-features nix-command config show netrc-file' ] && echo '/a b/netrc'";
        assert_eq!(told(new).await.unwrap().to_str(), Some("/a b/netrc"));
        let old = "[ $3 = show-config ] || { echo \"error: 'config' is not a recognised command\" >&2; exit 1; }\n\
                   echo '{\"access-tokens\":{\"value\":{\"h\":\"s3cret\"}},\"netrc-file\":{\"value\":\"/x/netrc\"}}'";
        assert_eq!(told(old).await.unwrap().to_str(), Some("/x/netrc"));
    }

    #[tokio::test]
    async fn a_nix_that_does_not_tell_is_told_without_its_settings() {
        let odd = "echo '{\"access-tokens\":{\"value\":{\"h\":\"s3cret\"}}}'; echo 'error: it broke' >&2; [ $3 = show-config ]";
        let fault = told(odd).await.unwrap_err();
        assert_eq!(fault.because, "error: it broke");
        assert!(!format!("{fault:?}").contains("s3cret"));
        let gone = netrc_file(|| Command::new("/nowhere/nix")).await.unwrap_err();
        assert!(gone.because.starts_with("nix cannot be started"), "{gone}");
    }
}
