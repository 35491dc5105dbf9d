//! Wakes the agent when a watched path changes.

use std::path::PathBuf;
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

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

/// Reading is no change; the agent's own fetch reads what it watches.
fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
        EventKind::Access(_) | EventKind::Any | EventKind::Other => false,
    }
}
