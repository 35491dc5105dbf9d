//! The `git` program in one repository, whatever the caller's environment names.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::Noted;
use crate::fault::Fault;
use crate::names::{BranchName, CommitId};

/// What git's hooks and callers set that would lead it to another repository.
const ELSEWHERE: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
];
/// Longer is no statement.
const STATEMENT: usize = 64 << 10;

/// Such a repository, and what is being done there.
pub(super) struct Git {
    pub(super) folder: PathBuf,
    pub(super) doing: String,
}

impl Git {
    pub(super) fn tip(&self, branch: &BranchName, rev: Option<&str>) -> Result<CommitId, Fault> {
        if let Some(rev) = rev {
            return self.id(&format!("{rev}^{{commit}}"));
        }
        // A checkout of CI has the branch under its remote's name only.
        let names = ["heads", "remotes/origin"].map(|folder| format!("refs/{folder}/{branch}"));
        for name in &names {
            if self.holds(&["rev-parse", "--quiet", "--verify", name])? {
                return self.id(&format!("{name}^{{commit}}"));
            }
        }
        let because = format!("it has no branch {branch}, nor one of that name of origin's");
        Err(self
            .refuse(because)
            .remedy("name another with --branch, or the repository with --repo"))
    }

    pub(super) fn id(&self, rev: &str) -> Result<CommitId, Fault> {
        let text = self.text(&["rev-parse", "--verify", "--end-of-options", rev])?;
        // Older git prints the option too.
        let id = text.lines().last().unwrap_or_default();
        id.parse().map_err(|error| self.refuse(error))
    }

    /// A statement, if there is one.
    pub(super) fn noted(&self, name: &str) -> Result<Option<Noted>, Fault> {
        if !self.holds(&["rev-parse", "--quiet", "--verify", name])? {
            return Ok(None);
        }
        let id = self.id(name)?;
        let text = self.text(&["cat-file", "-p", id.as_str()])?;
        let line = text.lines().take(16).find_map(|line| line.strip_prefix("sequence "));
        let sequence = line.filter(|_| text.len() <= STATEMENT).and_then(|n| n.parse().ok());
        let sequence = sequence.ok_or_else(|| {
            self.refuse(format!("{name} is no statement"))
                .remedy(format!("delete it: git update-ref -d {name}"))
        })?;
        Ok(Some(Noted { id, sequence }))
    }

    /// What it printed, without the last line end.
    pub(super) fn text(&self, args: &[&str]) -> Result<String, Fault> {
        let output = self.run(args)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(self.refuse(format!("git {} failed: {}", args[0], said.trim())));
        }
        let text = String::from_utf8(output.stdout);
        let text = text.map_err(|_| self.refuse(format!("git {} printed no text", args[0])))?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Whether it ended well.
    pub(super) fn holds(&self, args: &[&str]) -> Result<bool, Fault> {
        Ok(self.run(args)?.status.success())
    }

    fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Output, Fault> {
        let mut git = Command::new("git");
        for name in ELSEWHERE {
            git.env_remove(name);
        }
        // One thread makes the same pack of the same objects each time.
        git.arg("-C").arg(&self.folder).args(["-c", "pack.threads=1"]).args(args);
        git.env("LC_ALL", "C").stdin(Stdio::null());
        git.output().map_err(|error| {
            Fault::wait(&self.doing, format!("starting git: {error}")).remedy("install git")
        })
    }

    pub(super) fn refuse(&self, because: impl std::fmt::Display) -> Fault {
        Fault::refuse(&self.doing, because)
    }
}
