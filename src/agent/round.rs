//! A round: follow the branch, observe, plan, converge, and record the verdict.

use std::sync::Arc;

use super::drift::reasons;
use super::follow::{Followed, unfit};
use super::judging::{LedgerView, judge_snapshot};
use super::retention::Tidy;
use super::roads::Look;
use super::rollback::Trouble;
use super::telling::Shown;
use super::{Agent, Report, Wish, now};
use crate::condition::AgentState;
use crate::converge::{Journal, Outcome, converge_checked};
use crate::events::Kind;
use crate::fault::Fault;
use crate::ledger::{Generation, Ledger};
use crate::manifest::{Desired, Manifest};
use crate::names::CommitId;
use crate::next::{End, History, Next, after};
use crate::observe::observe;
use crate::plan::ailing::{ailing, unchanged};
use crate::plan::drift::drift;
use crate::plan::environment;
use crate::plan::programs::needed;
use crate::plan::record::Recorded;
use crate::plan::site;
use crate::plan::step::Step;
use crate::plan::unit::unit_files;
use crate::plan::{Plan, plan, rechecked, resumed, undigested, unsupported};
use crate::trust::{self, Refusal, VerifiedCommit};
use crate::verdict::Verdict;
use crate::world::World;

impl<W: World> Agent<W> {
    /// One round, from the branch to the verdict. It can be run again at any time,
    /// and where there is nothing to do it writes nothing. Each source has until its
    /// deadline to answer.
    pub async fn round(&mut self) -> Report {
        self.round_of(Look::ONCE).await
    }

    pub(super) async fn round_of(&mut self, look: Look) -> Report {
        let next = match self.follow_and_settle(look).await {
            Ok(next) => {
                self.memory.failures = match next {
                    Next::Again(_) => self.memory.failures + 1,
                    Next::Settled | Next::Later(_) | Next::RollBack | Next::WaitForCommit => 0,
                };
                next
            }
            Err(fault) => self.stumble(fault),
        };
        self.shared.update(|snapshot| {
            snapshot.step = None;
            snapshot.rounds += 1;
        });
        self.report(next)
    }

    async fn follow_and_settle(&mut self, look: Look) -> Result<Next, Fault> {
        match self.follow(look).await? {
            Followed::Nothing => Ok(Next::Again(crate::next::pause(self.memory.failures))),
            Followed::Head(commit) => {
                let turn = self.turn().await?;
                let next = self.settle(&commit).await?;
                self.tidy(&turn, &next).await;
                Ok(next)
            }
        }
    }

    /// A fault outside of any generation: nothing was changed, and the next round
    /// tries again.
    fn stumble(&mut self, fault: Fault) -> Next {
        if self.shared.snapshot().fault.as_ref() != Some(&fault) {
            tracing::error!("{fault}");
        }
        self.shared.update(|snapshot| snapshot.fault = Some(fault));
        self.memory.failures += 1;
        Next::Again(crate::next::pause(self.memory.failures))
    }

    /// Brings the host to a generation, or keeps it on the last good one where that
    /// one has been tried.
    pub(super) async fn settle_one(
        &mut self,
        generation: Generation,
        own: Wish,
    ) -> Result<Next, Fault> {
        let tried = generation.verdict.as_ref().is_some_and(Verdict::is_final);
        if let Some(Verdict::RollingBack { step, fault, .. }) = &generation.verdict {
            let trouble = Trouble { step: step.clone(), fault: fault.clone() };
            return self.go_on_back(&generation, trouble).await;
        }
        if !tried {
            let next = self.attempt(&generation, own.clone()).await?;
            return match self.ledger.generation(generation.number)? {
                // What runs, or was left half-way by another, is seen to in this round.
                refused @ Generation { verdict: Some(Verdict::Refused { .. }), .. } => {
                    self.keep(&refused, &own).await
                }
                _ => {
                    self.keep_meanwhile(&generation, &next).await?;
                    Ok(next)
                }
            };
        }
        self.tell_again(&generation);
        if let Some(Verdict::Confirmed { .. }) = generation.verdict {
            // The agent may have been killed between the verdict and the links.
            self.ledger.set_good(generation.number)?;
        }
        self.keep(&generation, &own).await
    }

    /// Keeps the host whole, on the newest generation or on the last good one.
    async fn keep(&mut self, newest: &Generation, own: &Wish) -> Result<Next, Fault> {
        let Some(wish) = self.good_wish(newest, own)? else {
            return Ok(Next::WaitForCommit);
        };
        let next = self.heal(&wish).await?;
        if next == Next::Settled {
            self.arrived(newest)?;
        }
        Ok(next)
    }

    /// The host runs what was confirmed last, where the newest generation failed and
    /// going back took more than one try, or was refused over a half-applied one.
    fn arrived(&self, newest: &Generation) -> Result<(), Fault> {
        let good = self.last_good_before(newest)?;
        match newest.verdict.clone() {
            Some(Verdict::Confirmed { .. }) => return Ok(()),
            Some(Verdict::Failed { step, fault, .. }) => {
                let to = good.as_ref().map(|good| good.record.commit.clone());
                let verdict = Verdict::RolledBack { at: now().to_string(), to, step, fault };
                self.ledger.verdict(newest.number, &verdict)?;
                self.tell_verdict(newest, &verdict);
            }
            Some(_) | None => {}
        }
        Ok(self.ledger.set_current(good.map(|good| good.number))?)
    }

    /// Tries a generation that has no verdict yet.
    async fn attempt(&mut self, generation: &Generation, wish: Wish) -> Result<Next, Fault> {
        let desired = match wish.desired {
            Ok(desired) => desired,
            Err(problems) => return self.refuse(generation, "manifest", "invalid", vec![problems]),
        };
        let lacking = unsupported(&desired);
        if !lacking.is_empty() {
            return self.refuse(generation, "manifest", "unsupported", lacking);
        }
        let bare = undigested(&desired);
        if wish.commit.requires_closure_digests() && !bare.is_empty() {
            return self.refuse(generation, "C1", "closure-digest", bare);
        }
        self.tell_closures(generation, &desired)?;
        let observed = match self.observe_as_signed(generation, &wish.commit, &desired).await? {
            Ok(observed) => observed,
            Err(reasons) => return self.wait(generation, reasons),
        };
        // What was begun earlier, by this generation or by one that it overtook, may
        // have its processes running and not have been watched to the end.
        let begun = matches!(generation.verdict, Some(Verdict::Applying { .. }))
            || !self.ledger.runs_last_good()?;
        let plan = if begun { resumed(&desired, &observed) } else { plan(&desired, &observed) };
        let spared = match begun {
            true => self.spared_before(generation, &unchanged(&desired, &observed))?,
            false => ailing(&desired, &observed),
        };
        let (mut plan, contested) =
            self.pass_contested(generation, &desired, plan.sparing(&spared))?;
        plan.waiting.extend(self.foreign(&desired, &observed).await?);
        if !plan.waiting.is_empty() {
            let reasons = plan.waiting.iter().map(ToString::to_string).collect();
            return self.wait(generation, reasons);
        }
        if let Some(opens) = self.closed(generation, &desired, &plan)? {
            let programs = needed(&desired, &plan.steps);
            return self.hold(generation, &plan, programs, opens).await;
        }
        let next = self.carry_out(generation, &desired, plan).await?;
        if next == Next::Settled {
            self.tell_contested(&desired, contested).await?;
        }
        Ok(next)
    }

    async fn carry_out(
        &mut self,
        generation: &Generation,
        desired: &Desired<VerifiedCommit>,
        plan: Plan<VerifiedCommit>,
    ) -> Result<Next, Fault> {
        if plan.steps.is_empty() {
            return self.confirm(generation, desired).await;
        }
        self.own_state(desired)?;
        self.ledger.plan(generation.number, &Recorded::new(&plan))?;
        let shown = self.shown(&plan, Some(generation.number));
        let ledger = self.ledger.clone();
        let mut journal = Begun { shown, ledger, generation, recorded: false };
        let spared = plan.spared.clone();
        let programs = needed(desired, &plan.steps);
        let outcome = match converge_checked(plan, programs, &*self.world, &mut journal).await {
            Outcome::Converged => self.still_up(desired, &spared).await?,
            stopped @ Outcome::Stopped { .. } => stopped,
        };
        match outcome {
            Outcome::Converged => self.confirm(generation, desired).await,
            Outcome::Stopped { at, because } => self.stopped(generation, &at, because).await,
        }
    }

    async fn confirm(
        &mut self,
        generation: &Generation,
        desired: &Desired<VerifiedCommit>,
    ) -> Result<Next, Fault> {
        let files = desired.services.values().flat_map(unit_files);
        let units = files.map(|file| (file.name, file.text)).collect();
        let environments = desired
            .services
            .values()
            .filter_map(|service| Some((service.name.clone(), environment::text(service)?)))
            .collect();
        self.ledger.keep_units(generation.number, &units, &environments)?;
        let verdict = Verdict::Confirmed { at: now().to_string() };
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        self.forget_drift();
        tracing::info!(
            generation = generation.number,
            commit = generation.record.commit.short(),
            "confirmed"
        );
        self.calm(Vec::new());
        Ok(Next::Settled)
    }

    pub(super) async fn stopped(
        &mut self,
        generation: &Generation,
        at: &Step,
        because: Fault,
    ) -> Result<Next, Fault> {
        let history = History { failures: self.memory.failures, on_last_good: false };
        let next = after(End::Stopped(because.retry), history);
        match &next {
            Next::RollBack => {
                let trouble = Trouble { step: at.to_string(), fault: because };
                // It is the current one from its first change on.
                match self.ledger.runs_last_good()? {
                    true => self.let_go(generation, trouble),
                    false => self.roll_back(generation, trouble).await,
                }
            }
            Next::Again(_) | Next::Later(_) | Next::Settled | Next::WaitForCommit => {
                self.record_waiting(generation, vec![told(&because)])?;
                Ok(next)
            }
        }
    }

    /// Keeps a confirmed generation as it is: what was stopped is started, what
    /// was changed is put back. Where the host is still on its way to it, everything
    /// is looked at again.
    pub(super) async fn heal(&mut self, wish: &Wish) -> Result<Next, Fault> {
        let desired = wish.readable()?;
        let observed = observe(&*self.world, desired).await?;
        self.note_services(desired, &observed.units).await?;
        let plan = plan(desired, &observed).without_unfit(&observed.unfit);
        let mut waiting = reasons(&plan);
        waiting.extend(site::told(desired, &observed.unfit));
        let next = if waiting.is_empty() {
            Next::Settled
        } else {
            Next::Again(crate::next::pause(self.memory.failures))
        };
        self.found(drift(desired, &observed, &plan), &waiting);
        let arrived = self.ledger.runs_last_good()? && !self.ledger.is_going_back()?;
        let plan = if arrived {
            self.allowed(plan, desired, &observed)
        } else {
            rechecked(desired, &observed).without_unfit(&observed.unfit)
        };
        if plan.steps.is_empty() {
            self.calm(waiting);
            return Ok(next);
        }
        let journal = self.shown(&plan, None);
        let apart = self.converge_apart(plan, &ailing(desired, &observed), journal).await;
        match apart.outcome {
            Outcome::Converged => {
                self.memory.tidy = Tidy::Unknown;
                self.put_back(self.left(desired).await?, &waiting);
                self.calm(waiting);
                Ok(next)
            }
            Outcome::Stopped { because, .. } => {
                if !arrived && apart.only_looks_left {
                    self.stands_on_good(self.ledger.last_good()?)?;
                }
                let history = History { failures: self.memory.failures, on_last_good: true };
                let next = after(End::Stopped(because.retry), history);
                tracing::error!("{because}; trying again");
                self.shared.update(|snapshot| snapshot.fault = Some(because));
                Ok(next)
            }
        }
    }

    fn refuse(
        &mut self,
        generation: &Generation,
        rule: &str,
        reason: &str,
        because: Vec<String>,
    ) -> Result<Next, Fault> {
        tracing::error!(generation = generation.number, rule, reason, "{}", because.join("\n"));
        let verdict = Verdict::Refused {
            at: now().to_string(),
            rule: rule.to_owned(),
            reason: reason.to_owned(),
            because,
            remedy: "run `writ check` in the deploy repository, mend it, and commit; the host keeps what it runs".to_owned(),
        };
        self.ledger.verdict(generation.number, &verdict)?;
        self.tell_verdict(generation, &verdict);
        Ok(after(End::Refused, History::default()))
    }

    fn wait(&mut self, generation: &Generation, reasons: Vec<String>) -> Result<Next, Fault> {
        self.record_waiting(generation, reasons)?;
        Ok(Next::Again(crate::next::pause(self.memory.failures)))
    }

    /// A generation that was begun stays `applying`, so that it is watched to the
    /// end once the world is ready.
    pub(super) fn record_waiting(
        &self,
        generation: &Generation,
        reasons: Vec<String>,
    ) -> Result<(), Fault> {
        self.calm(reasons.clone());
        self.events.tell(Kind::Waiting, Some(generation.number), reasons.join("; "));
        let newest = self.ledger.generation(generation.number)?;
        let since = match newest.verdict {
            Some(Verdict::Applying { .. }) => return Ok(()),
            Some(Verdict::Waiting { reasons: known, .. }) if known == reasons => return Ok(()),
            Some(Verdict::Waiting { since, .. }) => since,
            _ => now().to_string(),
        };
        tracing::warn!(generation = generation.number, "waiting: {}", reasons.join("; "));
        self.ledger.verdict(generation.number, &Verdict::Waiting { since, reasons })?;
        Ok(())
    }

    pub(super) fn calm(&self, waiting: Vec<String>) {
        self.shared.update(|snapshot| {
            snapshot.fault = None;
            snapshot.waiting = waiting;
            snapshot.opens = None;
        });
    }

    /// The wish that the host should be on once the newest generation has a verdict.
    fn good_wish(&mut self, newest: &Generation, own: &Wish) -> Result<Option<Wish>, Fault> {
        if let Some(Verdict::Confirmed { .. }) = newest.verdict {
            return Ok(Some(own.clone()));
        }
        match (self.last_good_before(newest)?, &newest.verdict) {
            (Some(good), _) => self.recall(&good.record.commit).map(Some),
            // Its remains are taken away until nothing is left.
            (None, Some(Verdict::Failed { .. })) => {
                let desired = Ok(self.nothing(own.commit.clone()));
                Ok(Some(Wish { commit: own.commit.clone(), desired }))
            }
            (None, _) => Ok(None),
        }
    }

    pub(super) fn last_good_before(
        &self,
        newest: &Generation,
    ) -> Result<Option<Generation>, Fault> {
        let number = self.ledger.last_good()?.filter(|number| *number != newest.number);
        Ok(number.map(|number| self.ledger.generation(number)).transpose()?)
    }

    /// An earlier commit as evidence: its id is in the ledger, its trust is not.
    pub(super) fn recall(&mut self, id: &CommitId) -> Result<Wish, Fault> {
        if let Some(good) = &self.memory.good
            && good.commit.id() == id
        {
            return Ok(good.clone());
        }
        let wish = self.judged(id)?.map_err(|refusal| unfit(id, &refusal))?;
        self.memory.good = Some(wish.clone());
        Ok(wish)
    }

    /// The same by what is accepted now, with the refusal as it is.
    pub(super) fn judged(&mut self, id: &CommitId) -> Result<Result<Wish, Refusal>, Fault> {
        let repository = self.repository()?;
        let anchor = self.ledger.anchor()?.ok_or_else(|| {
            Fault::wait("read the last accepted commit", "nothing was accepted yet")
        })?;
        let verdict = trust::recall(&repository, &self.pins()?, &anchor, id, now().as_second());
        if let Err(refusal) = &verdict {
            self.doubt(refusal);
        }
        Ok(verdict.map(|commit| self.wish(commit)))
    }

    /// Keeps the head in memory, so that a quiet round verifies and parses nothing.
    pub(super) fn remember_head(&mut self, commit: VerifiedCommit) -> Wish {
        if let Some(head) = &self.memory.head
            && head.commit.id() == commit.id()
        {
            return head.clone();
        }
        let wish = self.wish(commit);
        self.memory.head = Some(wish.clone());
        wish
    }

    pub(super) fn wish(&self, commit: VerifiedCommit) -> Wish {
        let desired = Manifest::of(commit.clone())
            .map(|manifest| Arc::new(manifest.desired(&self.config.host)))
            .map_err(|problems| problems.to_string());
        Wish { commit, desired }
    }

    fn report(&self, next: Next) -> Report {
        let snapshot = self.shared.snapshot();
        let newest = self.ledger.newest().ok().flatten();
        let verdict = newest.as_ref().and_then(|generation| generation.verdict.as_ref());
        let ledger = LedgerView { verdict, refused: self.memory.refused.as_ref() };
        Report {
            judgement: judge_snapshot(AgentState::Once, ledger, &snapshot),
            next,
            refused: self.memory.refused.clone(),
            paused: self.memory.pause.clone(),
            generation: newest.as_ref().map(|generation| generation.number),
            commit: newest.as_ref().map(|generation| generation.record.commit.clone()),
            verdict: newest.and_then(|generation| generation.verdict),
            waiting: snapshot.waiting,
            faults: snapshot
                .source_fault
                .into_iter()
                .chain(snapshot.stale)
                .chain(snapshot.fault)
                .collect(),
        }
    }
}

/// Records that a generation is begun before the first step that changes anything;
/// while its closures are being fetched the host still runs what it ran.
struct Begun<'a> {
    shown: Shown,
    ledger: Ledger,
    generation: &'a Generation,
    recorded: bool,
}

impl Journal for Begun<'_> {
    fn begins(&mut self, number: usize, step: &Step) -> Result<(), Fault> {
        if !self.recorded && !step.only_arrives() {
            if !matches!(self.generation.verdict, Some(Verdict::Applying { .. })) {
                let since = now().to_string();
                self.ledger.verdict(self.generation.number, &Verdict::Applying { since })?;
            }
            self.ledger.set_current(Some(self.generation.number))?;
            self.recorded = true;
        }
        self.shown.begins(number, step)
    }
}

fn told(fault: &Fault) -> String {
    match &fault.remedy {
        Some(remedy) => format!("{fault}; {remedy}"),
        None => fault.to_string(),
    }
}
