//! Taking turns with `writ gc`, and retiring what is old once a generation is over.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Agent;
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::ledger::retention::Turn;
use crate::manifest::Desired;
use crate::next::Next;
use crate::plan::retention::Retention;
use crate::retire::retire;
use crate::trust::VerifiedCommit;
use crate::world::World;

/// How long another process may have the turn; `writ gc` needs it for moments.
const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Whether what is old has been retired since the last generation began.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Tidy {
    #[default]
    Unknown,
    Done,
    Failed(Fault),
}

impl<W: World> Agent<W> {
    /// Waits for the turn to change this host.
    pub(super) async fn turn(&self) -> Result<Turn, Fault> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(turn) = self.ledger.turn()? {
                return Ok(turn);
            }
            if Instant::now() >= deadline {
                let because = "another process is at work on it (`writ gc`, or a second agent)";
                return Err(Fault::wait("begin a round on this host", because));
            }
            sleep(PAUSE).await;
        }
    }

    /// Notes what a generation that is about to be tried is made of.
    pub(super) fn tell_closures(
        &mut self,
        generation: &Generation,
        desired: &Desired<VerifiedCommit>,
    ) -> Result<(), Fault> {
        self.memory.tidy = Tidy::Unknown;
        let services = desired.services.values();
        let closures = services.map(|s| (s.name.clone(), s.artifact.store_path.clone())).collect();
        Ok(self.ledger.keep_closures(generation.number, closures)?)
    }

    /// Retires what is old once a round has come to an end, unless that was done since
    /// the last generation began. A failure is warned of and nothing worse: later rounds
    /// try again.
    pub(super) async fn tidy(&mut self, turn: &Turn, next: &Next) {
        let busy = matches!(next, Next::Again(_) | Next::RollBack);
        if busy || self.memory.pause.is_some() || self.memory.tidy == Tidy::Done {
            return;
        }
        self.memory.tidy = match self.clear_away(turn).await {
            Ok(retention) => {
                if !retention.is_quiet() {
                    let (versions, old) = (retention.going().count(), retention.old().count());
                    tracing::info!("retired {versions} versions of services, {old} generations");
                }
                Tidy::Done
            }
            Err(fault) => {
                let failed = Tidy::Failed(fault.clone());
                if self.memory.tidy != failed {
                    tracing::warn!("{fault}; trying again later");
                }
                failed
            }
        };
    }

    async fn clear_away(&mut self, turn: &Turn) -> Result<Retention, Fault> {
        let limits = self.config.retention.limits();
        let retention = retire(turn, &self.ledger, self.world.store(), limits).await?;
        if !self.memory.swept {
            self.ledger.sweep()?;
            self.memory.swept = true;
        }
        Ok(retention)
    }
}
