//! A paused host: the branch is followed and verified, and nothing on the host is changed.

use super::Agent;
use crate::events::Kind;
use crate::fault::Fault;

impl<W> Agent<W> {
    /// Whether somebody wants this host left as it is: no generation is begun or
    /// continued, and no drift is healed.
    ///
    /// # Errors
    /// It cannot be told; the host is then left as it is as well.
    pub(super) fn is_paused(&mut self) -> Result<bool, Fault> {
        let pause = self.ledger.paused()?;
        match &pause {
            Some(pause) => {
                self.events.tell(Kind::Paused, None, pause.to_string());
                self.shared.update(|snapshot| {
                    snapshot.fault = None;
                    snapshot.waiting = Vec::new();
                });
            }
            None => self.events.tell(Kind::Resumed, None, "the agent changes this host again"),
        }
        if pause != self.memory.pause {
            match &pause {
                Some(pause) => tracing::warn!("{pause}"),
                None => tracing::info!("the pause is over"),
            }
        }
        self.memory.pause = pause;
        Ok(self.memory.pause.is_some())
    }
}
