//! Looks up what a manifest takes for granted: accounts through NSS, files on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::names::{AbsolutePath, AccountName};
use crate::plan::environment::{ContentDigest, EnvFile};
use crate::plan::programs::{Flaw, Flawed};
use crate::world::{Facts, Foreign, Wanted, env_file, foreign, owners};

/// How long a look-up may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A larger file is not read, in bytes.
const MOST: u64 = 1 << 20;

/// This host's account databases and file system.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Files that were read, and what they were known by.
    known: Arc<Mutex<BTreeMap<AbsolutePath, (Stamp, ContentDigest)>>>,
}

impl Facts for HostFacts {
    /// A lookup may ask a directory service over the network, so it runs beside.
    async fn unknown_accounts(
        &self,
        users: &BTreeSet<AccountName>,
        groups: &BTreeSet<AccountName>,
    ) -> Result<BTreeSet<AccountName>, Fault> {
        let (users, groups) = (users.clone(), groups.clone());
        let lookup = spawn_blocking(move || {
            let strangers = users.into_iter().filter(|name| !is_user(name));
            strangers.chain(groups.into_iter().filter(|name| !is_group(name))).collect()
        });
        in_time(lookup, "look accounts up").await
    }

    async fn env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeMap<AbsolutePath, EnvFile>, Fault> {
        let (files, known) = (files.clone(), Arc::clone(&self.known));
        let lookup = spawn_blocking(move || {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|path, _| files.contains(path));
            let look = |path: AbsolutePath| {
                let found = known_or_read(&path, &mut known);
                (path, found.unwrap_or_else(EnvFile::Unusable))
            };
            files.into_iter().map(look).collect()
        });
        in_time(lookup, "look for files").await
    }

    async fn flawed_programs(&self, programs: &BTreeSet<AbsolutePath>) -> Result<Flawed, Fault> {
        let programs = programs.clone();
        let lookup = spawn_blocking(move || {
            let flawed = |path: AbsolutePath| flaw(&path).map(|flaw| (path, flaw));
            programs.into_iter().filter_map(flawed).collect()
        });
        in_time(lookup, "look for programs").await
    }

    async fn odd_env_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeMap<AbsolutePath, String>, Fault> {
        let files = files.clone();
        let lookup = spawn_blocking(move || {
            let told = |path: AbsolutePath| {
                // A pipe or a device would hang.
                let readable = fs::metadata(path.as_str()).is_ok_and(|found| found.is_file());
                let why = readable.then(|| env_file::complaint(Path::new(path.as_str())))??;
                Some((path, why))
            };
            files.into_iter().filter_map(told).collect()
        });
        in_time(lookup, "read environment files").await
    }

    async fn foreign(&self, wanted: &Wanted) -> Result<Foreign, Fault> {
        let wanted = wanted.clone();
        let lookup = spawn_blocking(move || Foreign {
            directories: foreign::directories(Path::new("/var/lib"), &wanted.directories),
            ports: foreign::ports(Path::new("/proc"), &wanted.ports),
        });
        in_time(lookup, "look for directories and ports of others").await
    }
}

/// Reads a file where it is not the one that was read before.
fn known_or_read(
    path: &AbsolutePath,
    known: &mut BTreeMap<AbsolutePath, (Stamp, ContentDigest)>,
) -> Result<EnvFile, String> {
    let at = Path::new(path.as_str());
    let absent = |_| "is not a readable file on this host; put it there".to_owned();
    // A pipe or a device would hang.
    let found = fs::metadata(at).map_err(absent)?;
    if !found.is_file() {
        return Err("is not a file; put one there".to_owned());
    }
    if let Some(exposed) = owners::exposed(at).map_err(absent)? {
        return Err(format!("could be replaced by others than root: {exposed}"));
    }
    if found.mode() & 0o002 != 0 {
        return Err(format!("may be changed by everybody: chmod o-w {path}"));
    }
    let stamp = Stamp::of(&found);
    if let Some((before, digest)) = known.get(path)
        && *before == stamp
    {
        return Ok(EnvFile::Usable(*digest));
    }
    let file = fs::File::open(at).map_err(absent)?;
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text).map_err(absent)?;
    if text.len() as u64 > MOST {
        return Err(format!("is larger than {} MiB", MOST >> 20));
    }
    let digest = ContentDigest(Sha256::digest(&text).into());
    // One that was changed just now may change again without a later time.
    match stamp.is_settled() {
        true => known.insert(path.clone(), (stamp, digest)),
        false => known.remove(path),
    };
    Ok(EnvFile::Usable(digest))
}

/// What a file is known by while its content stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether its times lie far enough back to tell it from a later content.
    fn is_settled(self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).is_ok_and(|now| self.changed.0 + 2 < now)
    }
}

/// A directory service or a network file system that hangs does not stop the agent.
async fn in_time<T>(lookup: JoinHandle<T>, doing: &str) -> Result<T, Fault> {
    match timeout(DEADLINE, lookup).await {
        Ok(found) => found.map_err(|error| Fault::wait(doing, error)),
        Err(_) => Err(Fault::wait(doing, format!("no answer within {DEADLINE:?}"))
            .remedy("see that the host's account services and mounts answer: getent passwd, df")),
    }
}

fn is_user(name: &AccountName) -> bool {
    uzers::get_user_by_name(name.as_str()).is_some()
}

fn is_group(name: &AccountName) -> bool {
    uzers::get_group_by_name(name.as_str()).is_some()
}

/// A link of a closure leads into another path of the store, as a rule.
fn flaw(path: &AbsolutePath) -> Option<Flaw> {
    match fs::metadata(path.as_str()) {
        Err(_) => Some(Flaw::Absent),
        Ok(found) if !found.is_file() => Some(Flaw::NotAFile),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Some(Flaw::NotExecutable),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts<const N: usize>(names: [&str; N]) -> BTreeSet<AccountName> {
        names.map(|name| name.parse().unwrap()).into()
    }

    #[tokio::test]
    async fn an_account_that_the_host_lacks_is_named() {
        let (users, groups) = (accounts(["root", "nosuchuser"]), accounts(["root", "nosuchgroup"]));
        let unknown = HostFacts::default().unknown_accounts(&users, &groups).await.unwrap();
        assert_eq!(unknown, accounts(["nosuchuser", "nosuchgroup"]));
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> AbsolutePath {
            folder.path().join(name).to_str().unwrap().parse().unwrap()
        };
        for (name, mode) in [("good", 0o555), ("text", 0o444)] {
            fs::write(path(name).as_str(), "#!/bin/sh\n").unwrap();
            fs::set_permissions(path(name).as_str(), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(path("folder").as_str()).unwrap();
        for (link, to) in [("linked", "good"), ("broken", "gone")] {
            std::os::unix::fs::symlink(to, path(link).as_str()).unwrap();
        }
        let asked = ["good", "text", "folder", "linked", "broken", "gone"].map(path).into();
        let flawed = HostFacts::default().flawed_programs(&asked).await.unwrap();
        let wanted = [
            (path("broken"), Flaw::Absent),
            (path("folder"), Flaw::NotAFile),
            (path("gone"), Flaw::Absent),
            (path("text"), Flaw::NotExecutable),
        ];
        assert_eq!(flawed, wanted.into());
    }

    /// A folder with the file `there`.
    fn disk() -> (tempfile::TempDir, impl Fn(&str) -> AbsolutePath) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let path = move |name: &str| root.join(name).to_str().unwrap().parse().unwrap();
        fs::write(folder.path().join("there"), "A=1").unwrap();
        (folder, path)
    }

    async fn look(facts: &HostFacts, path: &AbsolutePath) -> EnvFile {
        facts.env_files(&[path.clone()].into()).await.unwrap().remove(path).unwrap()
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_not_a_file_cannot_be_used() {
        let (folder, path) = disk();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let facts = HostFacts::default();
        assert!(matches!(look(&facts, &path("there")).await, EnvFile::Usable(_)));
        for (name, why) in [("folder", "is not a file"), ("gone", "is not a readable file")] {
            let found = look(&facts, &path(name)).await;
            assert!(matches!(&found, EnvFile::Unusable(told) if told.contains(why)), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_file_in_a_folder_that_others_may_write_cannot_be_used() {
        let (folder, path) = disk();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let found = look(&HostFacts::default(), &path("there")).await;
        let why = format!("{found:?}");
        assert!(why.contains("replaced by others") && why.contains("mode 777"), "{why}");
    }

    /// As agenix and sops-nix do: a link to a folder of the newest generation.
    #[tokio::test]
    async fn another_content_is_seen_however_it_came_and_the_same_is_the_same() {
        let (folder, path) = disk();
        let at = |name: &str| folder.path().join(name);
        for (generation, text) in [("1", "A=1"), ("2", "A=1"), ("3", "A=2")] {
            fs::create_dir(at(generation)).unwrap();
            fs::write(at(generation).join("web"), text).unwrap();
        }
        let switch = |to: &str| {
            std::os::unix::fs::symlink(to, at("new")).unwrap();
            fs::rename(at("new"), at("current")).unwrap();
        };
        let (facts, web) = (HostFacts::default(), path("current/web"));
        switch("1");
        let first = look(&facts, &web).await;
        assert!(matches!(first, EnvFile::Usable(_)), "{first:?}");
        switch("2");
        assert_eq!(look(&facts, &web).await, first, "the same content in a new place");
        switch("3");
        let third = look(&facts, &web).await;
        assert_ne!(third, first);
        // In its own place, with the size that it had.
        fs::write(at("3").join("web"), "A=3").unwrap();
        assert_ne!(look(&facts, &web).await, third);
    }

    #[tokio::test]
    async fn a_file_that_has_not_changed_is_not_read_again() {
        let (folder, path) = disk();
        let (facts, there) = (HostFacts::default(), path("there"));
        let first = look(&facts, &there).await;
        // As if it had been read long after its last change.
        let stamp = Stamp::of(&fs::metadata(folder.path().join("there")).unwrap());
        let other = ContentDigest([9; 32]);
        facts.known.lock().unwrap().insert(there.clone(), (stamp, other));
        assert_eq!(look(&facts, &there).await, EnvFile::Usable(other));
        let old = fs::File::options().write(true).open(folder.path().join("there")).unwrap();
        old.set_modified(UNIX_EPOCH).unwrap();
        assert_eq!(look(&facts, &there).await, first);
    }
}
