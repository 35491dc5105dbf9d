//! Looks through the files of a static site: no link of them may lead out of the closure.
//!
//! Caddy runs as a user of its own and serves whatever a link leads to, its own keys
//! included. The store does not change, so what was found once stays true of a path
//! until it is fetched again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::NixStore;
use crate::fault::Fault;
use crate::names::StorePath;
use crate::plan::site::{Site, Unfit};
use crate::world::waits::Wait;

const STORE: &str = "/nix/store";
/// How long one site may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// More files than this are not looked through.
const MOST: usize = 1_000_000;
/// More links in a row are a loop (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What was found of sites; `None`: they may be served.
pub(super) type Found = BTreeMap<Site, Option<String>>;

/// Where links may lead.
struct Bounds<'a> {
    /// `/nix/store`
    store: &'a Path,
    /// The names of the closure's paths in it.
    members: &'a BTreeSet<String>,
}

/// Where a path ends.
enum End {
    At(PathBuf),
    /// At nothing: nobody can read it.
    Nowhere,
    /// Out of bounds, at this path.
    Outside(PathBuf),
}

impl NixStore {
    /// Looks through sites that were not looked through before.
    pub(super) async fn look_through(&self, sites: &BTreeSet<Site>) -> Result<Unfit, Fault> {
        let mut unfit = Unfit::new();
        for site in sites {
            let known = self.sites().get(site).cloned();
            let found = match known {
                Some(found) => found,
                None => self.look_through_one(site).await?,
            };
            self.sites().insert(site.clone(), found.clone());
            unfit.extend(found.map(|why| (site.clone(), why)));
        }
        Ok(unfit)
    }

    async fn look_through_one(&self, site: &Site) -> Result<Option<String>, Fault> {
        let own = BTreeSet::from([name_of(&site.store_path).to_owned()]);
        if walk(site, own).await?.is_none() {
            return Ok(None);
        }
        // Only nix knows what else is in the closure.
        let doing = format!("look through {}", site.folder());
        let closure =
            self.query(&["--query", "--requisites"], &[site.store_path.as_str()], &doing).await?;
        let members = closure.lines().filter_map(|line| line.strip_prefix("/nix/store/"));
        walk(site, members.map(str::to_owned).collect()).await
    }
}

fn name_of(path: &StorePath) -> &str {
    path.as_str().trim_start_matches("/nix/store/")
}

/// Runs beside the runtime; a disk that hangs keeps a thread, and only so many.
async fn walk(site: &Site, members: BTreeSet<String>) -> Result<Option<String>, Fault> {
    let doing = format!("look through {}", site.folder());
    let wait = Wait::at(Path::new(STORE)).map_err(|error| Fault::wait(&doing, error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let (folder, stopped) = (PathBuf::from(site.folder()), Arc::clone(&stop));
    let walking = spawn_blocking(move || {
        let _wait = wait;
        let bounds = Bounds { store: Path::new(STORE), members: &members };
        bounds.unfit(&folder, &stopped)
    });
    let found = timeout(DEADLINE, walking).await;
    stop.store(true, Ordering::Relaxed);
    match found {
        Ok(Ok(found)) => found.map_err(|error| Fault::wait(doing, error)),
        Ok(Err(panicked)) => Err(Fault::wait(doing, panicked)),
        Err(_) => Err(Fault::wait(doing, format!("it took longer than {DEADLINE:?}"))
            .remedy("see that the store's disk answers: df /nix/store")),
    }
}

impl Bounds<'_> {
    /// Why the files below `root` may not be served; `None` where they may.
    fn unfit(&self, root: &Path, stop: &AtomicBool) -> io::Result<Option<String>> {
        let root = match self.resolve(root)? {
            End::At(root) if fs::metadata(&root)?.is_dir() => root,
            End::At(_) => return Ok(Some(format!("{} is not a folder", root.display()))),
            End::Nowhere => return Ok(Some(format!("there is no {}", root.display()))),
            End::Outside(at) => return Ok(Some(leads_out(root, &at))),
        };
        let mut seen = BTreeSet::from([root.clone()]);
        let mut left = vec![root];
        let mut files = 0_usize;
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                files += 1;
                if files > MOST {
                    return Ok(Some(format!("it has more than {MOST} files")));
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(ErrorKind::TimedOut.into());
                }
                let kind = entry.file_type()?;
                let path = entry.path();
                if kind.is_dir() {
                    left.extend(seen.insert(path.clone()).then_some(path));
                } else if kind.is_symlink() {
                    match self.resolve(&path)? {
                        End::Outside(at) => return Ok(Some(leads_out(&path, &at))),
                        End::At(at) if fs::metadata(&at)?.is_dir() => {
                            left.extend(seen.insert(at.clone()).then_some(at));
                        }
                        End::At(_) | End::Nowhere => {}
                    }
                }
            }
        }
        Ok(None)
    }

    /// Goes along a path link by link, as the kernel does, and never out of bounds:
    /// what lies outside can change after it was looked at.
    fn resolve(&self, path: &Path) -> io::Result<End> {
        let mut left: VecDeque<PathBuf> = parts(path).collect();
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = left.pop_front() {
            if part.as_os_str() == ".." {
                at.pop();
                continue;
            }
            at.push(part);
            if self.store.starts_with(&at) {
                continue;
            }
            if !self.holds(&at) {
                at.extend(left);
                return Ok(End::Outside(at));
            }
            let kind = match fs::symlink_metadata(&at) {
                Ok(found) => found.file_type(),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    return Ok(End::Nowhere);
                }
                Err(error) => return Err(error),
            };
            if kind.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Ok(End::Nowhere);
                }
                let target = fs::read_link(&at)?;
                at.pop();
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                parts(&target).rev().for_each(|part| left.push_front(part));
            }
        }
        Ok(if self.holds(&at) { End::At(at) } else { End::Outside(at) })
    }

    /// Whether a path lies in a path of the closure.
    fn holds(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(self.store) else { return false };
        let first = below.components().next();
        let first = first.and_then(|part| part.as_os_str().to_str());
        first.is_some_and(|name| self.members.contains(name))
    }
}

/// The names and `..` of a path, in their order.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn leads_out(link: &Path, to: &Path) -> String {
    format!(
        "{} leads to {}, out of its closure; Caddy would serve what is there",
        link.display(),
        to.display()
    )
}

#[cfg(test)]
#[path = "site/tests.rs"]
mod tests;
