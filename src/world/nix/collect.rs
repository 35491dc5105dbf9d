//! Nix's own collector: deletes every store path that no root holds, whoever made it.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::{NixStore, fetch};
use crate::fault::Fault;

const DOING: &str = "collect garbage";

/// What the collector did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    pub paths: u64,
    /// Bytes, as exactly as nix tells them.
    pub freed: u64,
}

impl NixStore {
    /// Runs the collector to its end, however long that takes, its progress on this
    /// process's standard error. SIGINT and SIGTERM are handed on to it and waited for.
    ///
    /// # Errors
    /// Nix cannot be started, fails, or was interrupted; what it deleted until then is
    /// gone, and what roots hold never is.
    pub async fn collect(&self) -> Result<Collected, Fault> {
        let mut nix = fetch::nix_store(&self.config);
        nix.arg("--gc").stderr(Stdio::inherit());
        let (told, interrupted) = watched(nix)
            .await
            .map_err(|e| Fault::wait(DOING, format!("run nix-store: {e}")).remedy("install nix"))?;
        match told.as_deref().and_then(summary) {
            Some(collected) => Ok(collected),
            None if interrupted => Err(Fault::wait(DOING, "it was interrupted")
                .remedy("run it again; what was deleted was not needed")),
            None if told.is_some() => Err(Fault::wait(DOING, "nix did not tell what it deleted")),
            None => Err(Fault::wait(DOING, "nix failed").remedy("see what nix says")),
        }
    }
}

/// What nix printed, where it ended well, and whether it was interrupted.
async fn watched(mut nix: Command) -> std::io::Result<(Option<String>, bool)> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let child = nix.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut interrupted = false;
    let output = loop {
        tokio::select! {
            output = &mut output => break output?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        interrupted = true;
        // One that has ended meanwhile needs no signal.
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
    };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success().then_some(told), interrupted))
}

/// `12 store paths deleted, 3.50 MiB freed` (nix, `src/nix/nix-store/nix-store.cc` and
/// `src/libutil/util.cc`; a release or another in KiB or GiB).
fn summary(told: &str) -> Option<Collected> {
    told.lines().rev().find_map(|line| {
        let (paths, freed) = line.split_once(" store paths deleted, ")?;
        let (amount, unit) = freed.strip_suffix(" freed")?.split_once(' ')?;
        let power =
            ["bytes", "KiB", "MiB", "GiB", "TiB"].iter().position(|known| *known == unit)?;
        let bytes = amount.parse::<f64>().ok()? * 1024_f64.powi(i32::try_from(power).ok()?);
        Some(Collected { paths: paths.trim().parse().ok()?, freed: bytes as u64 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_what_was_deleted() {
        let told = |text: &str| summary(text).map(|c| (c.paths, c.freed));
        assert_eq!(told("12 store paths deleted, 3.50 MiB freed\n"), Some((12, 7 << 19)));
        assert_eq!(told("0 store paths deleted, 0.0 KiB freed\n"), Some((0, 0)));
        assert_eq!(told("x\n1 store paths deleted, 1.5 GiB freed"), Some((1, 3 << 29)));
        for bad in ["", "deleted", "1 store paths deleted, much freed"] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
