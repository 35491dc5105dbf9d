//! Which closures were compared with the digest that was signed for them, on this host.
//!
//! One line each in a file beside the profiles: the path, a space, the digest. What
//! the file does not have is compared again, so that losing it costs a look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::link;
use crate::names::{ClosureDigest, StorePath};

pub(super) type Verified = BTreeMap<StorePath, ClosureDigest>;

/// The file in the folder of the profiles.
pub(super) struct Digests {
    dir: PathBuf,
}

impl Digests {
    pub(super) fn beside(profiles: &Path) -> Self {
        Self { dir: profiles.to_owned() }
    }

    pub(super) fn read(&self) -> io::Result<Verified> {
        let text = match fs::read_to_string(self.file()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Verified::new()),
            text => text?,
        };
        let line = |line: &str| {
            let (path, digest) = line.split_once(' ')?;
            Some((path.parse().ok()?, digest.parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// Forgets these paths: what they hold may be about to change.
    pub(super) fn forget(&self, paths: &[&StorePath]) -> io::Result<()> {
        self.change(|verified| verified.retain(|path, _| !paths.contains(&path)))
    }

    /// Remembers what was compared and found right.
    pub(super) fn add(&self, right: &[(&StorePath, &ClosureDigest)]) -> io::Result<()> {
        self.change(|verified| {
            verified
                .extend(right.iter().map(|(path, digest)| ((*path).clone(), (*digest).clone())));
        })
    }

    /// Forgets what nothing keeps alive: a path that comes again may hold something else.
    pub(super) fn keep(&self, rooted: &BTreeSet<StorePath>) -> io::Result<()> {
        self.change(|verified| verified.retain(|path, _| rooted.contains(path)))
    }

    fn change(&self, change: impl FnOnce(&mut Verified)) -> io::Result<()> {
        let before = self.read()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        let text: String =
            after.iter().map(|(path, digest)| format!("{path} {digest}\n")).collect();
        fs::create_dir_all(&self.dir)?;
        let fresh = self.dir.join(".digests.new");
        let mut file = File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, self.file())?;
        link::sync(&self.dir)
    }

    fn file(&self) -> PathBuf {
        self.dir.join(".digests")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compared_is_remembered_until_its_path_may_change() {
        let dir = tempfile::tempdir().unwrap();
        let digests = Digests::beside(&dir.path().join("writ"));
        let path: StorePath = format!("/nix/store/{}-web", "0".repeat(32)).parse().unwrap();
        let digest: ClosureDigest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let all = Verified::from([(path.clone(), digest.clone())]);
        assert_eq!(digests.read().unwrap(), Verified::new());
        for forget in [&(|| digests.forget(&[&path])) as &dyn Fn() -> io::Result<()>, &|| {
            digests.keep(&BTreeSet::new())
        }] {
            digests.add(&[(&path, &digest)]).unwrap();
            digests.keep(&BTreeSet::from([path.clone()])).unwrap();
            assert_eq!(digests.read().unwrap(), all);
            forget().unwrap();
            assert_eq!(digests.read().unwrap(), Verified::new());
        }
    }

    #[test]
    fn a_damaged_file_is_one_that_knows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".digests"), "what\n/nix/store/x sha256:y\n").unwrap();
        assert_eq!(Digests::beside(dir.path()).read().unwrap(), Verified::new());
    }
}
