//! A download that takes more of the disk than was announced is stopped, and what it left
//! half written goes: nix compares an archive with its announcement when it has it whole.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use super::NixConfig;
use super::fetch::{nix_store, run};
use super::room::{Room, STORE};
use crate::names::StorePath;
use crate::plan::step::human_bytes;

/// How long nix may write unseen.
const LOOK: Duration = Duration::from_millis(100);
/// For nix to delete one path.
const DELETE: Duration = Duration::from_secs(60);

impl Room {
    /// Ends when there is less room than the reserve, and says so.
    pub(super) async fn overrun(&self) -> String {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(reserve) = self.is_short() {
                let reserve = human_bytes(reserve);
                return format!(
                    "what arrives takes more of the disk than was announced: it was stopped when less than {reserve} were free on {STORE}"
                );
            }
        }
    }
}

/// Deletes what nix began to write since then and did not end. Nix itself says what is
/// whole, and keeps what another nix is about to write. What stays nonetheless is taken
/// by the collector.
pub(super) async fn clear(config: &NixConfig, since: SystemTime) {
    for path in begun(since) {
        let ask = |verb: &str| {
            let mut nix = nix_store(config);
            nix.args([verb, path.as_str()]);
            run(nix, DELETE, "clear what was half written")
        };
        if ask("--check-validity").await.is_ok_and(|ran| !ran.status.success()) {
            drop(ask("--delete").await);
        }
    }
}

/// Paths of the store that were changed since then. A file that locks one is called
/// like it.
fn begun(since: SystemTime) -> Vec<StorePath> {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let entries = fs::read_dir(STORE).into_iter().flatten().flatten();
    let new = entries.filter(|entry| {
        entry.metadata().is_ok_and(|about| u64::try_from(about.ctime()).unwrap_or(0) >= since)
    });
    let names = new.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| !name.ends_with(".lock"))
        .filter_map(|name| format!("{STORE}/{name}").parse().ok())
        .collect()
}
