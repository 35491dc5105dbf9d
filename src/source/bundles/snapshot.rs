//! A branch as it stands, and what is stated about it, held still while bundles are made
//! of it: in a repository of its own, which borrows the objects.

mod git;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::index::{Digested, Noted};
use crate::fault::Fault;
use crate::names::{BranchName, CommitId};
use git::Git;

/// A branch at one moment.
#[derive(Debug)]
pub struct Snapshot {
    folder: TempDir,
    pub branch: BranchName,
    pub tip: CommitId,
    pub head: Option<Noted>,
    pub reset: Option<Noted>,
}

/// A bundle in a file.
#[derive(Debug)]
pub struct Made {
    pub file: Digested,
    pub path: PathBuf,
}

/// How two commits of a branch stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The other one is in the history of the tip.
    Onward,
    /// The tip is in the history of the other one.
    Back,
    /// Neither is in the other's.
    Forked,
    /// The other one is not in the repository.
    Unknown,
}

impl Snapshot {
    /// The branch of a repository, or another commit that is published as that branch.
    ///
    /// # Errors
    /// Git says why: there is no such repository, branch or commit; or the repository
    /// has only a part of its history.
    pub fn of(repo: &Path, branch: &BranchName, rev: Option<&str>) -> Result<Self, Fault> {
        let source = Git { folder: repo.to_owned(), doing: format!("read {}", repo.display()) };
        if source.text(&["rev-parse", "--is-shallow-repository"])? == "true" {
            return Err(source.refuse("it is a shallow clone: hosts need the whole history").remedy(
                "git fetch --unshallow; in CI, have the checkout fetch everything (fetch-depth: 0)",
            ));
        }
        let tip = source.tip(branch, rev)?;
        let folder = tempfile::Builder::new().prefix("writ-mirror-").tempdir();
        let folder = folder.map_err(|error| Fault::wait("make a temporary folder", error))?;
        crate::world::stop::goes_with_us(folder.path());
        let snapshot = Self {
            head: source.noted(&format!("refs/writ/head/{branch}"))?,
            reset: source.noted(&format!("refs/writ/reset/{branch}"))?,
            branch: branch.clone(),
            tip,
            folder,
        };
        snapshot.borrow(&source)?;
        Ok(snapshot)
    }

    /// Makes the repository of its own.
    fn borrow(&self, source: &Git) -> Result<(), Fault> {
        // Both are asked by programs of older git than have them in one.
        let objects = source.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        let format = source.text(&["rev-parse", "--show-object-format"])?;
        let git = self.git();
        let format = format!("--object-format={format}");
        git.text(&["init", "--quiet", "--bare", "--template=", &format, "."])?;
        let info = git.folder.join("objects/info");
        let alternates = format!("{objects}/objects\n");
        std::fs::create_dir_all(&info)
            .and_then(|()| std::fs::write(info.join("alternates"), alternates))
            .map_err(|error| Fault::wait(format!("write {}", info.display()), error))?;
        for (name, id) in self.refs() {
            git.text(&["update-ref", &name, id.as_str()])?;
        }
        Ok(())
    }

    fn git(&self) -> Git {
        let doing = format!("make a bundle of {}", self.branch);
        Git { folder: self.folder.path().to_owned(), doing }
    }

    fn refs(&self) -> Vec<(String, CommitId)> {
        let mut refs = vec![(format!("refs/heads/{}", self.branch), self.tip.clone())];
        for (kind, noted) in [("head", &self.head), ("reset", &self.reset)] {
            let named = noted
                .iter()
                .map(|noted| (format!("refs/writ/{kind}/{}", self.branch), noted.id.clone()));
            refs.extend(named);
        }
        refs
    }

    /// Whether a commit is known.
    pub fn has(&self, commit: &CommitId) -> Result<bool, Fault> {
        self.git().holds(&["cat-file", "-e", &format!("{commit}^{{commit}}")])
    }

    /// Where a file may be put that goes with the snapshot.
    pub fn room(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Learns of the commits in a bundle; whether they continue what is known. The
    /// repository that the branch is in does not get them.
    pub fn learn(&self, bundle: &Path) -> Result<bool, Fault> {
        self.git().holds(&["bundle", "unbundle", &bundle.display().to_string()])
    }

    /// How another commit stands to the tip.
    pub fn way_from(&self, other: &CommitId) -> Result<Way, Fault> {
        let git = self.git();
        if !self.has(other)? {
            return Ok(Way::Unknown);
        }
        let before = |one: &CommitId, next: &CommitId| {
            git.holds(&["merge-base", "--is-ancestor", one.as_str(), next.as_str()])
        };
        Ok(match (before(other, &self.tip)?, before(&self.tip, other)?) {
            (true, _) => Way::Onward,
            (false, true) => Way::Back,
            (false, false) => Way::Forked,
        })
    }

    /// The id of a commit by one of its names.
    pub fn commit(&self, rev: &str) -> Result<CommitId, Fault> {
        self.git().id(&format!("{rev}^{{commit}}"))
    }

    /// A bundle of all that leads to the tip, without what leads to `base`; checked by git.
    pub fn bundle(&self, base: Option<&CommitId>) -> Result<Made, Fault> {
        let mut wanted: Vec<String> = self.refs().into_iter().map(|(name, _)| name).collect();
        wanted.extend(base.map(|base| format!("^{base}")));
        self.make(base.map_or("whole", CommitId::as_str), &wanted)
    }

    /// A bundle of the statements alone; none where there are none.
    pub fn statements(&self) -> Result<Option<Made>, Fault> {
        let wanted: Vec<String> = self.refs().into_iter().skip(1).map(|(name, _)| name).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        self.make("statements", &wanted).map(Some)
    }

    fn make(&self, name: &str, wanted: &[String]) -> Result<Made, Fault> {
        let path = self.folder.path().join(format!("{name}.bundle"));
        let file = path.display().to_string();
        // The branch stands still here, so a bundle is made once.
        if !path.exists() {
            let half = format!("{file}.half");
            let mut args = vec!["bundle", "create", "--quiet", &half];
            args.extend(wanted.iter().map(String::as_str));
            self.git().text(&args)?;
            self.git().text(&["bundle", "verify", "--quiet", &half])?;
            std::fs::rename(&half, &path)
                .map_err(|error| Fault::wait(format!("write {}", path.display()), error))?;
        }
        let file = digested(&path);
        let file = file.map_err(|error| Fault::wait(format!("read {}", path.display()), error))?;
        Ok(Made { file, path })
    }
}

fn digested(path: &Path) -> std::io::Result<Digested> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
        size += length as u64;
    }
    Ok(Digested::of(hash, size))
}
