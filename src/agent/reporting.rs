//! Tells others how this host is, beside the rounds and never in their way.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::host_state::host_state;
use super::receipts::Receipts;
use super::{Shared, dice, now};
use crate::config::{Config, Report};
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::next::{jittered, pause};
use crate::report::{HostReport, State, joined};
use crate::source::host_key::KeyFile;
use crate::source::outbox::{Letter, Outbox};

/// Whoever reports: at once when something changed, and as a sign of life.
pub struct Reporter {
    config: Config,
    report: Report,
    key: KeyFile,
    /// None where only kits are told.
    outbox: Option<Outbox>,
    receipts: Receipts,
    ledger: Ledger,
    shared: Arc<Shared>,
    /// What was told last, and when.
    last: Option<(State, Instant)>,
    sequence: u64,
    failures: u32,
    /// Before this nothing is tried again.
    calm: Option<Instant>,
}

impl Reporter {
    /// `None` where the config asks for no reports, and no kit can come to this host.
    pub fn new(config: &Config, ledger: Ledger, shared: Arc<Shared>) -> Option<Self> {
        let receipts = Receipts::of(config.receipts());
        let outbox = config.report.as_ref().map(|report| config.outbox(report));
        if outbox.is_none() && !receipts.are_wanted() {
            return None;
        }
        let report = config.report.clone().unwrap_or_default();
        Some(Self {
            key: config.report_key(),
            outbox,
            receipts,
            config: config.clone(),
            report,
            ledger,
            shared,
            last: None,
            sequence: 0,
            failures: 0,
            calm: None,
        })
    }

    /// For ever.
    pub async fn run(mut self) {
        loop {
            let next = self.look().await;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.shared.changed.notified() => {}
            }
        }
    }

    /// Reports where there is something to tell; when to look again.
    pub async fn look(&mut self) -> Instant {
        let (snapshot, detail) = (self.shared.snapshot(), self.report.detail);
        let state = match host_state(&self.ledger, &snapshot, detail) {
            Ok(state) => state,
            Err(error) => {
                self.failed(Fault::wait("tell how this host is", error));
                return self.calm.unwrap_or_else(Instant::now);
            }
        };
        self.leave_receipts(&state).await;
        let due = match &self.last {
            Some((told, at)) if *told == state => *at + self.report.interval,
            Some(_) | None => Instant::now(),
        };
        let due = self.calm.map_or(due, |calm| calm.max(due));
        if due > Instant::now() {
            return due;
        }
        match self.tell(&state).await {
            Ok(()) => self.told(state),
            Err(fault) => self.failed(fault),
        }
        self.calm.unwrap_or_else(|| Instant::now() + self.report.interval)
    }

    async fn tell(&mut self, state: &State) -> Result<(), Fault> {
        let Some(outbox) = self.outbox.clone() else { return Ok(()) };
        let at = now();
        let signed = self.signed(state, at).await?;
        let bytes = signed.as_bytes();
        let letter = Letter { host: &self.config.host, bytes, at: at.as_second() };
        outbox.send(letter, self.config.poll.deadline).await
    }

    /// A report that this host will stand to.
    async fn signed(&mut self, state: &State, at: Timestamp) -> Result<String, Fault> {
        let text = self.written(state, at)?;
        let armor = self.key.sign(&text).await?;
        Ok(joined(&text, &armor))
    }

    async fn leave_receipts(&mut self, state: &State) {
        if !self.receipts.are_due(state).await {
            return;
        }
        let deadline = self.config.poll.deadline;
        match self.signed(state, now()).await {
            Ok(signed) => {
                self.receipts.leave(&self.config.host, state, &signed, deadline).await;
            }
            Err(fault) => tracing::warn!("no receipt is left beside the kit: {fault}"),
        }
    }

    fn written(&mut self, state: &State, at: Timestamp) -> Result<String, Fault> {
        let seen = self.shared.snapshot().fetched.and_then(|at| at.parse().ok());
        let report = HostReport {
            version: HostReport::version(),
            repository: self.config.repository.id.clone(),
            branch: self.config.repository.branch.clone(),
            host: self.config.host.clone(),
            at: at.into(),
            sequence: self.next(at),
            interval: self.report.interval.as_secs(),
            writ: env!("CARGO_PKG_VERSION").to_owned(),
            seen,
            state: state.clone(),
        };
        report.text().map_err(|error| Fault::wait("write the report", error))
    }

    /// Rises also where the ledger was lost, since clocks do, and where the clock was
    /// put back, since the ledger remembers. On a full disk, of which there is much to
    /// tell, this agent's memory has to do.
    fn next(&mut self, at: Timestamp) -> u64 {
        let known = self.ledger.reported().unwrap_or_default().max(self.sequence);
        self.sequence = (known + 1).max(u64::try_from(at.as_second()).unwrap_or_default());
        if let Err(error) = self.ledger.will_report(self.sequence) {
            tracing::debug!(%error, "the sequence of a report is not kept");
        }
        self.sequence
    }

    fn told(&mut self, state: State) {
        self.last = Some((state, Instant::now()));
        (self.failures, self.calm) = (0, None);
        if self.shared.snapshot().report_fault.is_some() {
            tracing::info!("reports arrive again");
            self.shared.update(|snapshot| snapshot.report_fault = None);
        }
    }

    fn failed(&mut self, fault: Fault) {
        let again = jittered(pause(self.failures), dice()).max(Duration::from_secs(1));
        self.calm = Some(Instant::now() + again);
        self.failures += 1;
        let known = self.shared.snapshot().report_fault;
        if known.is_none() {
            // The words may differ from time to time; that nobody is told is one thing.
            tracing::warn!("{fault}");
        }
        if known.as_ref() != Some(&fault) {
            self.shared.update(|snapshot| snapshot.report_fault = Some(fault));
        }
    }
}
