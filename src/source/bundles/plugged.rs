//! Notices when a stick is plugged in, and when something changes on it.
//!
//! What is mounted over a folder is another folder, and a watch on the one below does not
//! see it. So the kernel is asked to tell of mounts, and all is watched anew after each.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// The mounts of this process; "priority" data is there after each change (proc(5)).
const MOUNTS: &str = "/proc/self/mountinfo";

/// Tells of changes in folders, and of folders that come and go, for as long as it is
/// waited for. What cannot be watched is seen when the next look is due.
pub async fn watch(folders: Vec<PathBuf>, moved: Arc<Notify>) -> Infallible {
    if folders.is_empty() {
        return std::future::pending().await;
    }
    let mut mounts = File::open(MOUNTS)
        .and_then(registered)
        .inspect_err(|error| tracing::warn!(%error, "mounts cannot be watched; polling goes on"))
        .ok();
    let mut told = false;
    loop {
        let here = identities(&folders).await;
        let came = Arc::new(Notify::new());
        let _watchers = watched(&folders, &moved, &came).await;
        if told {
            // What comes after this is seen by the new watches.
            moved.notify_one();
        }
        tokio::select! {
            () = came.notified() => {}
            () = async {
                // Most mounts are of other folders.
                while identities(&folders).await == here {
                    changed(&mut mounts).await;
                }
            } => {}
        }
        told = true;
    }
}

/// Which folders these are now.
async fn identities(folders: &[PathBuf]) -> Vec<Option<(u64, u64)>> {
    let identity = |folder: &PathBuf| {
        let metadata = folder.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    apart(folders, move |folders| folders.iter().map(identity).collect()).await
}

async fn watched(
    folders: &[PathBuf],
    moved: &Arc<Notify>,
    came: &Arc<Notify>,
) -> Vec<RecommendedWatcher> {
    let (moved, came) = (Arc::clone(moved), Arc::clone(came));
    let watch = move |folders: Vec<PathBuf>| {
        folders.iter().flat_map(|folder| watchers(folder, &moved, &came)).collect()
    };
    apart(folders, watch).await
}

/// A disk that does not answer keeps this waiting and nobody else.
async fn apart<T: Default + Send + 'static>(
    folders: &[PathBuf],
    work: impl FnOnce(Vec<PathBuf>) -> T + Send + 'static,
) -> T {
    let folders = folders.to_owned();
    tokio::task::spawn_blocking(move || work(folders)).await.unwrap_or_default()
}

#[expect(deprecated, reason = "its successor is unsafe, for files that somebody else may close")]
fn registered(mounts: File) -> std::io::Result<AsyncFd<File>> {
    AsyncFd::with_interest(mounts, Interest::PRIORITY)
}

/// Until something is mounted or unmounted.
async fn changed(mounts: &mut Option<AsyncFd<File>>) {
    let Some(file) = mounts else { return std::future::pending().await };
    match file.ready_mut(Interest::PRIORITY).await {
        Ok(mut ready) => ready.clear_ready(),
        Err(error) => {
            tracing::warn!(%error, "mounts cannot be watched any more; polling goes on");
            *mounts = None;
        }
    }
}

/// One for what happens in the folder, one for whether there is such a folder.
fn watchers(
    folder: &Path,
    moved: &Arc<Notify>,
    came: &Arc<Notify>,
) -> impl Iterator<Item = RecommendedWatcher> {
    let (own, moved) = (folder.to_owned(), Arc::clone(moved));
    let inside = watcher(folder, move |path| {
        // The lock and files that are half written mean nothing yet.
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".writ-")) {
            moved.notify_one();
        }
    });
    let came = Arc::clone(came);
    let beside = folder.parent().and_then(|parent| {
        watcher(parent, move |path| {
            if path == own {
                came.notify_one();
            }
        })
    });
    inside.into_iter().chain(beside)
}

/// Watches one folder and none below; `None` where that cannot be, as it is not there.
fn watcher(folder: &Path, seen: impl Fn(&Path) + Send + 'static) -> Option<RecommendedWatcher> {
    let tell = move |event: Result<notify::Event, notify::Error>| match event {
        Ok(event) if changes(event.kind) => event.paths.iter().for_each(|path| seen(path)),
        Ok(_) | Err(_) => {}
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// Reading is no change; the agent's own fetch reads what it watches.
pub fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
        EventKind::Access(_) | EventKind::Any | EventKind::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_folder_that_comes_changes_and_goes_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let stick = dir.path().join("stick");
        let moved = Arc::new(Notify::new());
        let watching = tokio::spawn(watch(vec![stick.clone()], Arc::clone(&moved)));
        let noticed = |what: &str, act: &dyn Fn()| {
            let (moved, what) = (Arc::clone(&moved), what.to_owned());
            act();
            async move {
                timeout(SOON, moved.notified()).await.unwrap_or_else(|_| panic!("{what}"));
            }
        };
        let (come, go) = (|| fs::create_dir(&stick).unwrap(), || fs::remove_dir(&stick).unwrap());
        first(&moved, come, go).await;
        noticed("it was filled", &|| fs::write(stick.join("index"), "one").unwrap()).await;
        noticed("it went", &|| fs::remove_dir_all(&stick).unwrap()).await;
        watching.abort();
    }

    /// Until the watch is there, nothing is seen of what happens; so it happens again.
    async fn first(moved: &Notify, act: impl Fn(), undo: impl Fn()) {
        let told = || timeout(Duration::from_millis(200), moved.notified());
        let again = async {
            act();
            while told().await.is_err() {
                // One after the other: what goes and comes at once may look as before.
                undo();
                let _ = told().await;
                act();
            }
        };
        timeout(SOON, again).await.expect("the first that happens is noticed");
        // It is told once more when all is watched anew.
        while told().await.is_ok() {}
    }

    /// As root; others may mount nothing.
    #[tokio::test]
    async fn a_mount_is_noticed_and_what_is_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().display().to_string();
        let run = |program: &str, args: &[&str]| {
            let mut command = std::process::Command::new(program);
            command.args(args).stderr(std::process::Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let moved = Arc::new(Notify::new());
        let watching = tokio::spawn(watch(vec![dir.path().to_owned()], Arc::clone(&moved)));
        let mount = || run("mount", &["-t", "tmpfs", "none", &place]);
        if mount() {
            assert!(run("umount", &[&place]));
            let (come, go) = (|| assert!(mount()), || assert!(run("umount", &[&place])));
            first(&moved, come, go).await;
            fs::write(dir.path().join("index"), "one").unwrap();
            let filled = timeout(SOON, moved.notified()).await;
            assert!(run("umount", &[&place]));
            let gone = timeout(SOON, moved.notified()).await;
            assert!(filled.is_ok() && gone.is_ok());
        }
        watching.abort();
    }

    #[tokio::test]
    async fn what_happens_beside_it_is_not_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let stick = dir.path().join("stick");
        fs::create_dir(&stick).unwrap();
        let moved = Arc::new(Notify::new());
        let watching = tokio::spawn(watch(vec![stick.clone()], Arc::clone(&moved)));
        tokio::task::yield_now().await;
        fs::write(dir.path().join("other"), "").unwrap();
        fs::write(stick.join(".writ-lock"), "").unwrap();
        fs::read_dir(&stick).unwrap().for_each(drop);
        assert!(timeout(Duration::from_millis(300), moved.notified()).await.is_err());
        watching.abort();
    }
}
