//! Git over the network: it may ask for a passphrase, and it does not take for ever.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::git_program::{Checkout, GitError, printed, told};
use crate::names::CommitId;
use crate::world::stop;

/// What git's config calls it.
pub(super) const DEADLINE: &str = "writ.deadline";
/// Time for a server to answer, and for a person to touch a key or find a passphrase.
const USUAL: Duration = Duration::from_secs(300);

impl Checkout {
    /// Runs a git command that talks with a server, as [`Self::run`].
    ///
    /// # Errors
    /// As [`Self::run`], and that it took too long; then it has been ended.
    pub fn run_far<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, GitError> {
        let patience = self.patience()?;
        let mut command = self.command(args);
        command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |source| GitError::Start { source };
        let child = command.spawn().map_err(start)?;
        let id = child.id();
        let (done, over) = mpsc::channel::<std::io::Result<Output>>();
        // What git has started may keep its pipes open for longer than we wait.
        std::thread::spawn(move || done.send(child.wait_with_output()));
        match over.recv_timeout(patience) {
            Ok(output) => printed(told(args), output.map_err(start)?),
            Err(_) => {
                stop::end_with_children(id);
                Err(GitError::Slow { command: told(args), patience })
            }
        }
    }

    /// Fetches one ref of a remote; the commit that it stands at there.
    ///
    /// # Errors
    /// As [`Self::run_far`], or it leads to no commit.
    pub fn fetch(&self, remote: &str, reference: &str) -> Result<CommitId, GitError> {
        // Not FETCH_HEAD, which an editor that fetches by itself may write in between.
        let own = format!("refs/writ/fetched/{}", std::process::id());
        let refspec = format!("+{reference}:{own}");
        let command = format!("fetch {remote} {reference}");
        let fetch = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", remote, &refspec];
        self.run_far(&fetch).map_err(|error| match error {
            GitError::Failed { said, .. } => GitError::Failed { command: command.clone(), said },
            GitError::Slow { patience, .. } => {
                GitError::Slow { command: command.clone(), patience }
            }
            error @ (GitError::Start { .. } | GitError::Text { .. }) => error,
        })?;
        let found = self.run(&["rev-parse", "--verify", &format!("{own}^{{commit}}")]);
        self.run(&["update-ref", "-d", &own])?;
        found?.parse().map_err(|_| GitError::Text { command })
    }

    fn patience(&self) -> Result<Duration, GitError> {
        let Some(text) = self.ask(&["config", DEADLINE])? else { return Ok(USUAL) };
        let read =
            text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
        read.ok_or_else(|| GitError::Failed {
            command: format!("config {DEADLINE}"),
            said: format!("{text:?} is no duration, such as 90s or 5m"),
        })
    }
}
