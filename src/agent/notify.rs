//! Wakes the agent when a watched path changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::source::bundles::plugged::changes;

/// The least time between a round and one that a watched path asks for.
const CALM: Duration = Duration::from_millis(200);

/// Watches paths for as long as the result lives. A path that cannot be watched is
/// logged; the interval still covers it.
pub(super) fn watch(paths: &[PathBuf], moved: Arc<Notify>) -> Option<RecommendedWatcher> {
    if paths.is_empty() {
        return None;
    }
    let wake = move |event: Result<notify::Event, notify::Error>| match event {
        Ok(event) if changes(event.kind) => moved.notify_one(),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "watching for changes"),
    };
    let mut watcher = notify::recommended_watcher(wake)
        .inspect_err(|error| tracing::warn!(%error, "nothing can be watched; polling goes on"))
        .ok()?;
    for path in paths {
        if let Err(error) = watcher.watch(path, RecursiveMode::Recursive) {
            tracing::warn!(path = %path.display(), %error, "cannot be watched; polling goes on");
        }
    }
    Some(watcher)
}

/// Waits until something moved, and for as long as the machine is to have calm after
/// the last round: a path that never rests is no reason for round upon round.
pub(super) async fn moved(moved: &Notify) {
    let calm = sleep(CALM);
    moved.notified().await;
    calm.await;
    // What moved until now is seen by the round that begins now.
    let _ = moved.notified().now_or_never();
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_path_that_never_rests_is_followed_with_pauses() {
        let paths = Notify::new();
        let busy = async {
            loop {
                paths.notify_one();
                sleep(Duration::from_millis(1)).await;
            }
        };
        let rounds = async {
            let begun = Instant::now();
            for _ in 0..50 {
                moved(&paths).await;
            }
            begun.elapsed()
        };
        tokio::select! {
            () = busy => {}
            took = rounds => assert!(took >= 50 * CALM, "{took:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_in_the_calm_is_seen_at_once_and_once() {
        let paths = Notify::new();
        let change = async {
            sleep(Duration::from_secs(5)).await;
            paths.notify_one();
        };
        let begun = Instant::now();
        tokio::join!(moved(&paths), change);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert!(moved(&paths).now_or_never().is_none());
        assert!(tokio::time::timeout(Duration::from_secs(60), moved(&paths)).await.is_err());
    }
}
