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
    pub(super) fn are_due(&self, state: &State) -> bool {
        self.due(state).next().is_some()
    }

    fn due<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (usize, Kit)> + 'a {
        self.folders.iter().enumerate().filter_map(move |(n, (folder, told))| {
            let kit = folder.kit()?;
            let news = told.as_ref().is_none_or(|(there, known)| *there != kit || known != state);
            news.then_some((n, kit))
        })
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
        let due: Vec<(usize, Kit)> = self.due(state).collect();
        for (n, kit) in due {
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
