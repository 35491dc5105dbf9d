//! The `git` program in an operator's checkout: it has their config, keys, hooks and agents.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use thiserror::Error;

use super::checkout::CheckoutError;
use super::patience::DEADLINE;
use crate::world::stop::{self, Undoing};

/// A checkout that `git` is run in.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
    /// Whether git itself started this program, and says by its environment where it is.
    by_git: bool,
}

/// What leads git to another repository than the one it is run in (git(1), "The Git
/// Repository"). A hook or an alias of another repository may have set it.
pub(super) const ELSEWHERE: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
];

/// Why a git command did not do what it was asked.
#[derive(Debug, Error)]
pub enum GitError {
    #[error("could not start git")]
    Start { source: std::io::Error },
    #[error("`git {command}` failed: {said}")]
    Failed { command: String, said: String },
    #[error("`git {command}` printed something that is not UTF-8")]
    Text { command: String },
    #[error("`git {command}` was not done after {}: the server may be away; git config {DEADLINE} gives it longer", patience.as_secs())]
    Slow { command: String, patience: Duration },
}

const CLEAN: [&str; 4] = ["reset", "--quiet", "--hard", "HEAD"];

impl Checkout {
    /// The checkout whose working tree begins at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), by_git: false }
    }

    /// The repository that git has started this program in, as a hook: with the index
    /// and the objects that git's environment names.
    pub fn of_hook() -> Self {
        Self { root: PathBuf::from("."), by_git: true }
    }

    /// A folder that may become a checkout, made where there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(root: &Path) -> Result<Self, CheckoutError> {
        fs::create_dir_all(root).map_err(|source| unwritable(root, source))?;
        Ok(Self::at(root))
    }

    /// Writes a file that is not there yet, whole or not at all; says whether it did.
    /// `path` begins at the root, or is absolute.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, path: &str, content: &str, mode: u32) -> Result<bool, CheckoutError> {
        let path = self.root.join(path);
        if path.symlink_metadata().is_ok() {
            return Ok(false);
        }
        let written = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            // A file that was half written would be taken for one that is there.
            let fresh = path.with_extension("writ-new");
            fs::write(&fresh, content)?;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
            fs::rename(&fresh, &path)
        };
        written().map_err(|source| unwritable(&path, source))?;
        Ok(true)
    }

    /// Writes a file, whole or not at all, in the place of what may be there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&self, path: &str, content: &str) -> Result<(), CheckoutError> {
        let path = self.root.join(path);
        // Not beside it: a file left in `manifests/` is one that hosts would refuse.
        let git = self.root.join(".git");
        let folder = if git.is_dir() { &git } else { &self.root };
        let fresh = folder.join(format!(".writ-new-{}", std::process::id()));
        fs::write(&fresh, content)
            .and_then(|()| match path.metadata() {
                Ok(old) => fs::set_permissions(&fresh, old.permissions()),
                Err(_) => Ok(()),
            })
            .and_then(|()| fs::File::open(&fresh)?.sync_all())
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| {
                let _ = fs::remove_file(&fresh);
                unwritable(&path, source)
            })
    }

    /// Where the working tree begins.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a git command and gives what it printed, without the last line end.
    ///
    /// # Errors
    /// Git cannot be started or fails; then with its own words.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, GitError> {
        let output = self
            .command(args)
            .stdin(Stdio::inherit())
            .output()
            .map_err(|source| GitError::Start { source })?;
        printed(told(args), output)
    }

    /// The same of what need not be text, as it was printed.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn bytes<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Vec<u8>, GitError> {
        let output = self.command(args).output().map_err(|source| GitError::Start { source })?;
        stop::rest_if_leaving();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(GitError::Failed { command: told(args), said });
        }
        Ok(output.stdout)
    }

    /// Runs a git command that reads `input`, and gives what it printed as [`Self::run`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn feed<A: AsRef<OsStr>>(&self, args: &[A], input: &str) -> Result<String, GitError> {
        let start = |source| GitError::Start { source };
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A git that died early is told by its exit code, not by this pipe.
            let _ = stdin.write_all(input.as_bytes());
        }
        printed(told(args), child.wait_with_output().map_err(start)?)
    }

    /// What a git command printed; `None` where it failed, as `git config` does for a
    /// key that nobody set.
    pub fn ask<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Option<String>, GitError> {
        match self.run(args) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a git command whose exit code 1 is an answer too: whether it was 0, and what
    /// was printed.
    ///
    /// # Errors
    /// Git cannot be started, or fails otherwise.
    pub fn answer<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<(bool, String), GitError> {
        let output = self.command(args).output().map_err(|source| GitError::Start { source })?;
        match output.status.code() {
            Some(1) => {
                let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
                Ok((false, said))
            }
            _ => Ok((true, printed(told(args), output)?)),
        }
    }

    /// Brings a checkout that was clean back to HEAD, should this program be stopped
    /// while the result lives.
    pub fn clean_if_stopped(&self) -> Undoing {
        stop::undone_by(self.command(&CLEAN))
    }

    /// Brings a checkout that was clean back to HEAD.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn clean(&self) -> Result<(), GitError> {
        self.run(&CLEAN).map(drop)
    }

    pub(super) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new("git");
        for name in ELSEWHERE.iter().filter(|_| !self.by_git) {
            command.env_remove(name);
        }
        // History is what hosts see, whatever somebody has put in the place of an object.
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        command.arg("-C").arg(&self.root);
        // What is read below must not depend on how somebody likes it to look.
        command.args(["-c", "log.showSignature=false", "-c", "core.quotePath=false"]);
        command.args(args);
        command
    }
}

pub(super) fn printed(command: String, output: Output) -> Result<String, GitError> {
    stop::rest_if_leaving();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(GitError::Failed { command, said });
    }
    let text = String::from_utf8(output.stdout).map_err(|_| GitError::Text { command })?;
    Ok(text.trim_end_matches('\n').to_owned())
}

pub(super) fn told<A: AsRef<OsStr>>(args: &[A]) -> String {
    args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn unwritable(path: &Path, source: std::io::Error) -> CheckoutError {
    CheckoutError::Unwritable { path: path.to_owned(), source }
}
