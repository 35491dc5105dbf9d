//! Which kits have been told how this host is.

use std::time::Duration;

use crate::names::HostName;
use crate::report::State;
use crate::source::receipt::{Kit, KitFolder, Left};

/// Kits, and what was left beside each.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    folders: Vec<(KitFolder, Option<(Kit, State)>)>,
}

impl Receipts {
    pub(super) fn of(folders: Vec<KitFolder>) -> Self {
        Self { folders: folders.into_iter().map(|folder| (folder, None)).collect() }
    }

    pub(super) fn are_wanted(&self) -> bool {
        !self.folders.is_empty()
    }

    /// Whether a kit lies there that was not told this.
    pub(super) async fn are_due(&self, state: &State) -> bool {
        !self.due(state).await.is_empty()
    }

    async fn due(&self, state: &State) -> Vec<(usize, Kit)> {
        let mut due = Vec::new();
        for (n, (folder, told)) in self.folders.iter().enumerate() {
            let Some(kit) = folder.kit().await else { continue };
            if told.as_ref().is_none_or(|(there, known)| *there != kit || known != state) {
                due.push((n, kit));
            }
        }
        due
    }

    /// Leaves the signed text of this state beside each kit that was not told it. What
    /// fails is said once, and is tried again when there is something else to tell.
    pub(super) async fn leave(
        &mut self,
        host: &HostName,
        state: &State,
        signed: &str,
        deadline: Duration,
    ) {
        for (n, kit) in self.due(state).await {
            let Some((folder, told)) = self.folders.get_mut(n) else { continue };
            let path = folder.path().display();
            match folder.leave(host, signed.as_bytes(), deadline).await {
                Ok(Left::Written) => tracing::info!("left a receipt beside the kit in {path}"),
                Ok(Left::ReadOnly) => {
                    tracing::info!("{path} may only be read: no receipt is left beside the kit");
                }
                Ok(Left::Away) => continue,
                Err(why) => tracing::warn!("could not leave a receipt in {path}: {why}"),
            }
            *told = Some((kit, state.clone()));
        }
    }
}
