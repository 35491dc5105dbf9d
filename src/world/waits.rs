//! How many threads wait for a disk: one that is gone, or a server's that hangs, may keep
//! them for ever, and there are only so many.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// More than are ever busy with a disk that answers.
const MOST: usize = 8;

static WAITS: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

/// Something that is asked of a disk; it goes with the thread that waits for the answer.
pub(super) struct Wait(PathBuf);

impl Wait {
    /// # Errors
    /// Too many have waited in vain for what lies in this folder.
    pub(super) fn at(folder: &Path) -> io::Result<Self> {
        let mut waits = waits();
        let count = waits.entry(folder.to_owned()).or_default();
        if *count == MOST {
            return Err(io::Error::other("the disk has not answered yet"));
        }
        *count += 1;
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = waits();
        match waits.get_mut(&self.0) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(waits.remove(&self.0)),
        }
    }
}

/// Reads or writes below a folder on a thread of its own, which may wait for ever; whoever
/// asks does not.
///
/// # Errors
/// It takes longer, or too many have waited in vain for the same folder.
pub async fn in_time<T: Send + 'static>(
    folder: &Path,
    within: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let wait = Wait::at(folder)?;
    let working = spawn_blocking(move || {
        let _wait = wait;
        work()
    });
    match timeout(within, working).await {
        Ok(done) => done.map_err(io::Error::other),
        Err(_) => {
            let why = format!("the disk has not answered within {within:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        }
    }
}

fn waits() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_a_disk_that_hangs_is_told_so() {
        let folder = Path::new("/media/hangs");
        let (answers, hangs) = std::sync::mpsc::channel::<()>();
        let asked = in_time(folder, Duration::from_millis(10), move || hangs.recv()).await;
        assert!(asked.is_err_and(|why| why.to_string().contains("not answered within 10ms")));
        drop(answers);
        assert_eq!(in_time(folder, Duration::from_secs(60), || 7).await.unwrap(), 7);
    }

    #[test]
    fn a_disk_that_answers_nothing_is_asked_only_so_often() {
        let [gone, other] = ["/media/gone", "/media/other"].map(Path::new);
        let mut held: Vec<Wait> = (0..MOST).map(|_| Wait::at(gone).unwrap()).collect();
        assert!(Wait::at(gone).is_err_and(|why| why.to_string().contains("not answered yet")));
        assert!(Wait::at(other).is_ok());
        held.pop();
        assert!(Wait::at(gone).is_ok());
        drop(held);
        assert!(!waits().contains_key(gone));
    }
}
