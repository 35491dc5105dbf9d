//! A service that root has asked to be begun anew: stopped, started, and watched until it is healthy.

use super::Agent;
use crate::converge::{Outcome, converge};
use crate::events::Kind;
use crate::fault::Fault;
use crate::manifest::Desired;
use crate::manifest::service::{Service, Work};
use crate::names::ServiceName;
use crate::observe::observe;
use crate::plan::plan;
use crate::plan::step::{Step, UnitChange, Watch};
use crate::trust::VerifiedCommit;
use crate::world::World;

impl<W: World> Agent<W> {
    /// Restarts a service of the generation that runs. No round goes on meanwhile, so that
    /// what is stopped for a moment is not taken for drift; it is an event of its own.
    ///
    /// # Errors
    /// The host runs no such service, or is on its way to another generation; or the
    /// service is not healthy afterwards.
    pub(super) async fn restart(&mut self, name: &ServiceName) -> Result<(), Fault> {
        let doing = || format!("restart {name}");
        let good = self
            .ledger
            .last_good()?
            .filter(|_| self.ledger.runs_last_good().is_ok_and(|runs| runs));
        let Some(good) = good else {
            let because = "the host is on its way to a generation that is not confirmed yet";
            return Err(Fault::wait(doing(), because).remedy("wait for its verdict: writ status"));
        };
        let wish = self.recall(&self.ledger.generation(good)?.record.commit)?;
        let desired = wish.readable()?;
        let service = found(desired, name)
            .map_err(|(because, remedy)| Fault::refuse(doing(), because).remedy(remedy))?;
        let mut steps = plan(desired, &observe(&*self.world, desired).await?);
        steps.steps = vec![
            Step::Restart {
                units: vec![UnitChange { unit: name.unit(), files: Vec::new(), environment: None }],
            },
            Step::Watch { watches: vec![watch(service)] },
        ];
        tracing::info!("restarting {name}, as root has asked");
        self.events.tell(Kind::Restarted, Some(good), format!("{name}, as root has asked"));
        let mut journal = self.shown(&steps, None);
        let outcome = converge(steps, &*self.world, &mut journal).await;
        self.shared.update(|snapshot| snapshot.step = None);
        match outcome {
            Outcome::Converged => Ok(()),
            Outcome::Stopped { because, .. } => Err(because),
        }
    }
}

/// The service, if it has a process that goes on; else why not, and what to do.
fn found<'a>(
    desired: &'a Desired<VerifiedCommit>,
    name: &ServiceName,
) -> Result<&'a Service, (String, String)> {
    let Some(service) = desired.services.get(name) else {
        let known: Vec<&str> = desired.services.keys().map(ServiceName::as_str).collect();
        let because = format!("{} runs no service {name}", desired.host);
        return Err((because, format!("it runs: {}", known.join(", "))));
    };
    match service.work {
        Work::Daemon { .. } | Work::Oneshot { .. } => Ok(service),
        Work::Job { .. } => Err((
            "it is a job, which its timer starts".to_owned(),
            format!("to run it now: systemctl start {}", name.unit()),
        )),
        Work::Static { .. } => {
            Err(("it is files alone, without a process".to_owned(), "writ sync".to_owned()))
        }
    }
}

fn watch(service: &Service) -> Watch {
    Watch {
        service: service.name.clone(),
        unit: service.name.unit(),
        health: service.health.clone(),
        settle: true,
    }
}
