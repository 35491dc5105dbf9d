//! Routes that somebody else has in Caddy: they hold up the generation that brings them, and no other.

use super::Agent;
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::names::ServiceName;
use crate::plan::{Plan, Waiting};
use crate::trust::VerifiedCommit;
use crate::world::World;

/// Whether a plan leaves routes out that others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contested {
    None,
    Some,
}

impl<W: World> Agent<W> {
    /// A plan that does not wait for contested routes of services whose routes are as
    /// the last good generation had them: these were contested since, by nobody's commit.
    pub(super) fn pass_contested(
        &mut self,
        generation: &Generation,
        desired: &Desired<VerifiedCommit>,
        mut plan: Plan<VerifiedCommit>,
    ) -> Result<(Plan<VerifiedCommit>, Contested), Fault> {
        if !plan.waiting.iter().any(is_contested) {
            return Ok((plan, Contested::None));
        }
        let Some(good) = self.last_good_before(generation)? else {
            return Ok((plan, Contested::Some));
        };
        let good = self.recall(&good.record.commit)?;
        let before = good.readable()?;
        let same = |service: &ServiceName| {
            let routes =
                [before, desired].map(|all| all.services.get(service).map(|one| &one.http));
            routes[0] == routes[1]
        };
        plan.waiting.retain(
            |waiting| !matches!(waiting, Waiting::ForeignRoute { service, .. } if same(service)),
        );
        Ok((plan, Contested::Some))
    }

    /// Tells of the routes that a generation was confirmed without.
    pub(super) async fn tell_contested(
        &self,
        desired: &Desired<VerifiedCommit>,
        contested: Contested,
    ) -> Result<(), Fault> {
        match contested {
            Contested::None => Ok(()),
            Contested::Some => {
                self.found(self.left(desired).await?, &[]);
                Ok(())
            }
        }
    }
}

fn is_contested(waiting: &Waiting) -> bool {
    matches!(waiting, Waiting::ForeignRoute { .. })
}
