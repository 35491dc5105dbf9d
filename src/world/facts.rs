//! Looks up what a manifest takes for granted: accounts through NSS, files on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::names::{AbsolutePath, AccountName};
use crate::plan::programs::{Flaw, Flawed};
use crate::world::{Facts, Foreign, Wanted, env_file, foreign};

/// How long a look-up may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// This host's account databases and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFacts;

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

    async fn missing_files(
        &self,
        files: &BTreeSet<AbsolutePath>,
    ) -> Result<BTreeSet<AbsolutePath>, Fault> {
        let files = files.clone();
        let lookup = spawn_blocking(move || {
            files.into_iter().filter(|path| !is_readable_file(path)).collect()
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
                let readable = is_readable_file(&path);
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

/// Opening tells what permissions alone do not; a pipe or a device would hang.
fn is_readable_file(path: &AbsolutePath) -> bool {
    let is_file = fs::metadata(path.as_str()).is_ok_and(|meta| meta.is_file());
    is_file && fs::File::open(path.as_str()).is_ok()
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
        let unknown = HostFacts.unknown_accounts(&users, &groups).await.unwrap();
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
        let flawed = HostFacts.flawed_programs(&asked).await.unwrap();
        let wanted = [
            (path("broken"), Flaw::Absent),
            (path("folder"), Flaw::NotAFile),
            (path("gone"), Flaw::Absent),
            (path("text"), Flaw::NotExecutable),
        ];
        assert_eq!(flawed, wanted.into());
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_not_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> AbsolutePath {
            folder.path().join(name).to_str().unwrap().parse().unwrap()
        };
        fs::write(path("there").as_str(), "A=1").unwrap();
        fs::create_dir(path("folder").as_str()).unwrap();
        let asked = [path("there"), path("folder"), path("gone")].into();
        let missing = HostFacts.missing_files(&asked).await.unwrap();
        assert_eq!(missing, [path("folder"), path("gone")].into());
    }
}
