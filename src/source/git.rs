//! A branch on a git server, fetched by a child process with one deadline over everything.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::timeout;

use super::access::Access;
use super::child;
use super::delivery;
use super::fetch::{ALIAS, Answer, MEMORY, NO_BRANCH, Request};
use super::fetched::{Fetched, Known};
use super::git_url::{GitScheme, GitUrl};
use super::words::{DISK, NO_LOGIN, is_full};
use crate::fault::Fault;
use crate::names::{BranchName, CommitId};
use crate::report::without_passwords;
use crate::world::certificate::{NOT_NOW, RENEW};

/// The largest pack that is taken, in bytes (rule O5).
pub const PACK_LIMIT: u64 = 256 * 1024 * 1024;

const OWNERSHIP: &str =
    "have git trust the repository's owner: git config --system --add safe.directory PATH";
/// For a folder of this machine.
const FOLDER: &str =
    "see that the folder in the agent's config is a git repository, and that root may read it";

/// What servers and programs say, and how it is mended.
const HINTS: [(&str, &str); 8] = [
    (
        NO_BRANCH,
        "push the branch (an empty repository has none), or name another one: `branch` in the agent's config",
    ),
    (
        ALIAS,
        "make it a branch of its own on the server, or name the other branch in the agent's config and in the policy's channel",
    ),
    ("dubious ownership", OWNERSHIP),
    (
        "Host key verification failed",
        "see that the file of knownHosts holds the server's key: ssh-keyscan shows one, the server's owner knows whether it is right",
    ),
    (
        "Permission denied (",
        "see that the server lets the public half of keyFile read the repository",
    ),
    (
        NO_LOGIN,
        "name a file with a token (tokenFile) in this source's config, or see that the token is still good",
    ),
    (NOT_NOW, RENEW),
    ("chmod ", "see the files that this source's config names"),
];

/// One branch of one repository.
#[derive(Clone, Debug)]
pub struct GitSource {
    pub url: GitUrl,
    pub access: Access,
    pub branch: BranchName,
    /// The longest a fetch may take.
    pub deadline: Duration,
    /// This program, which is its own child: `/proc/self/exe` but in tests.
    pub program: PathBuf,
}

impl GitSource {
    /// Folders of this machine that change with the branch, where it is fetched from a
    /// repository on it: a push writes the branch's file anew.
    pub fn watched(&self) -> Vec<PathBuf> {
        let Some(path) = self.url.as_str().strip_prefix("file://").map(PathBuf::from) else {
            return Vec::new();
        };
        let inner = path.join(".git");
        let git = if inner.is_dir() { inner } else { path };
        let branch = git.join("refs/heads").join(self.branch.as_str());
        // Where all branches are in one table (git's reftable), it is that which changes.
        branch.parent().map(Path::to_owned).into_iter().chain([git.join("reftable")]).collect()
    }

    /// As [`super::roads::Source::fetch`].
    ///
    /// # Errors
    /// The server cannot be reached, has no such branch, or took longer than the
    /// deadline; all of them pass, or are mended on the server.
    pub async fn fetch(&self, known: &Known, folder: &Path) -> Result<Fetched, Fault> {
        let pack = folder.join("branch.pack");
        let request = Request {
            known: known.tips.clone(),
            have: known.have.clone(),
            pack: pack.clone(),
            pack_limit: PACK_LIMIT,
            ..self.request()?
        };
        match self.ask_in_time(&request).await {
            Ok(Answer::Unchanged { tip }) => Ok(Fetched::Unchanged { tip }),
            Ok(Answer::Pack { tip, statements }) => {
                Ok(Fetched::Packs { tip, statements, packs: vec![pack] })
            }
            Ok(Answer::Failed { because }) => Err(self.fault(because)),
            Err(fault) => {
                // Half a pack serves nobody, least of all on a full disk.
                delivery::refuse(&[pack]);
                Err(fault)
            }
        }
    }

    /// Where the branch stands, by the same road, without taking anything.
    ///
    /// # Errors
    /// As [`GitSource::fetch`].
    pub async fn look(&self) -> Result<CommitId, Fault> {
        let request = Request { look: true, ..self.request()? };
        match self.ask_in_time(&request).await? {
            Answer::Unchanged { tip } | Answer::Pack { tip, .. } => Ok(tip),
            Answer::Failed { because } => Err(self.fault(because)),
        }
    }

    fn request(&self) -> Result<Request, Fault> {
        let keys = self.access.keys(&self.url).map_err(|why| self.fault(why))?;
        Ok(Request {
            url: self.url.to_string(),
            keys,
            branch: self.branch.clone(),
            known: Vec::new(),
            have: Vec::new(),
            pack: PathBuf::new(),
            look: false,
            pack_limit: 0,
        })
    }

    async fn ask_in_time(&self, request: &Request) -> Result<Answer, Fault> {
        match timeout(self.deadline, self.ask(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.fault(format!("no answer within {:?}", self.deadline))),
        }
    }

    /// Dropping the future kills the child and what it started.
    async fn ask(&self, request: &Request) -> Result<Answer, Fault> {
        let body = serde_json::to_vec(request).map_err(|error| self.fault(error.to_string()))?;
        let asked = child::ask(&self.program, "fetch-branch", &body).await;
        let (printed, complaint, status) = asked.map_err(|error| self.fault(error.to_string()))?;
        match serde_json::from_slice(&printed) {
            Ok(Answer::Failed { because }) => {
                Err(self.fault([because.as_str(), &complaint].join(" ").trim().to_owned()))
            }
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.fault(ended(status, &complaint))),
        }
    }

    fn fault(&self, because: String) -> Fault {
        let hint = match HINTS.iter().find(|(words, _)| because.contains(words)) {
            _ if is_full(&because) => DISK,
            Some((_, hint)) => hint,
            None if self.url.scheme() == GitScheme::File => FOLDER,
            None => "see that the URL in the agent's config is right and the server can be reached",
        };
        // More people may read a host's log and status than its config.
        let doing = format!("fetch {} of {}", self.branch, without_passwords(self.url.as_str()));
        Fault::wait(doing, without_passwords(&because)).remedy(hint)
    }
}

/// Why a child left without an answer; the first words are those of Rust's allocator.
fn ended(status: ExitStatus, said: &str) -> String {
    if said.contains("memory allocation of") {
        return format!("the server sends more than {} MiB before it sends a pack", MEMORY >> 20);
    }
    format!("the fetch ended with {status}: {said}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn source(url: &str) -> GitSource {
        GitSource {
            url: url.parse().unwrap(),
            access: Access::Open,
            branch: "main".parse().unwrap(),
            deadline: Duration::from_secs(20),
            program: PathBuf::new(),
        }
    }

    #[test]
    fn a_hint_is_about_what_went_wrong() {
        let hint = |url: &str, because: &str| {
            let fault = source(url).fault(because.to_owned());
            fault.remedy.unwrap()
        };
        let [folder, server] = ["file:///srv/git", "https://git.example.org/a.git"];
        let full = "write the pack: No space left on device (os error 28)";
        for url in [folder, server] {
            assert!(hint(url, full).contains("df -i"));
            assert!(hint(url, "the repository has no branch `main`").contains("name another one"));
        }
        assert!(hint(folder, "fatal: detected dubious ownership").contains("safe.directory"));
        assert!(!hint(folder, "not a git repository").contains("safe.directory"));
    }

    /// An SSH server's words come through the client's standard error.
    #[tokio::test]
    async fn a_server_that_talks_without_end_fills_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let script =
            "#!/bin/sh\nyes line | head -c 9000000 >&2\necho '{\"failed\":{\"because\":\"no\"}}'\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let source = GitSource { program, ..source("file:///srv/git") };
        let told = source.look().await.unwrap_err().because;
        assert!(told.len() < 4096, "{} bytes", told.len());
    }
}
