//! A generation that may begin only with the plan its commit was signed with (policy `requirePlan`).

use super::{Agent, Wish};
use crate::fault::Fault;
use crate::ledger::Generation;
use crate::manifest::Desired;
use crate::names::{CommitId, PlanDigest};
use crate::observe::observe;
use crate::plan::assume::assumed;
use crate::plan::digest::{Outline, outline};
use crate::plan::observed::Observed;
use crate::plan::plan;
use crate::trust::VerifiedCommit;
use crate::verdict::Verdict;
use crate::world::World;

/// How many commits between the last good generation and a new one are looked at, one by
/// one: each is verified from the introduction on.
const CHAIN: usize = 20;

/// What was signed for a host that stands on its last good generation, worked out once.
#[derive(Clone)]
pub(super) struct Expected {
    head: CommitId,
    good: Option<CommitId>,
    /// What the head comes to there.
    outline: Outline,
    /// Whether that is signed: by the head, or step by step by each commit since.
    signed: bool,
}

impl<W: World> Agent<W> {
    /// The host as a new generation finds it, or why the generation has to wait.
    ///
    /// Drift alone is no reason: it is put back first. One that was begun is brought to
    /// its end, and a host that has other things to wait for waits for those.
    pub(super) async fn observe_as_signed(
        &mut self,
        generation: &Generation,
        commit: &VerifiedCommit,
        desired: &Desired<VerifiedCommit>,
    ) -> Result<Result<Observed, Vec<String>>, Fault> {
        let observed = observe(&*self.world, desired).await?;
        let begun = matches!(generation.verdict, Some(Verdict::Applying { .. }));
        if !commit.requires_plan() || begun || !plan(desired, &observed).waiting.is_empty() {
            return Ok(Ok(observed));
        }
        let half_way = !self.ledger.runs_last_good()?;
        if !half_way && self.may_begin(generation, commit, desired, &observed)?.is_ok() {
            return Ok(Ok(observed));
        }
        if let Err(fault) = self.keep_good(generation).await {
            tracing::warn!(generation = generation.number, "{fault}");
        }
        let observed = observe(&*self.world, desired).await?;
        let may = self.may_begin(generation, commit, desired, &observed)?;
        // Somebody may have meant to name it, and should know why it does not count.
        let ignored = commit.ignored_trailers();
        Ok(may.map(|()| observed).map_err(|why| std::iter::once(why).chain(ignored).collect()))
    }

    fn may_begin(
        &mut self,
        generation: &Generation,
        commit: &VerifiedCommit,
        desired: &Desired<VerifiedCommit>,
        observed: &Observed,
    ) -> Result<Result<(), String>, Fault> {
        let good = self.last_good_before(generation)?;
        // Half of a first generation that was overtaken, and nothing to go back to.
        let half_new = good.is_none() && self.ledger.current()?.is_some();
        let own = match half_new {
            true => outline(desired, &Observed::default()),
            false => outline(desired, observed),
        };
        let digest = own.digest();
        if own.is_empty() || self.named(commit).any(|plan| *plan == digest) {
            return Ok(Ok(()));
        }
        let expected = self.expected(good.as_ref(), commit, desired)?;
        if expected.signed && expected.outline.digest() == digest {
            return Ok(Ok(()));
        }
        Ok(Err(self.unlike(commit, &own, &expected)))
    }

    /// The plans of this host that a commit names. One that must pass is never overtaken,
    /// so that the newest commit may name its plan, too.
    fn named<'a>(&'a self, commit: &'a VerifiedCommit) -> impl Iterator<Item = &'a PlanDigest> {
        let newest = self.memory.head.iter().map(|head| &head.commit);
        let newest = newest.filter(|head| head.id() != commit.id());
        [commit].into_iter().chain(newest).flat_map(|commit| commit.plans_for(&self.config.host))
    }

    /// What people can have looked at: the way from the last good generation's commit.
    fn expected(
        &mut self,
        good: Option<&Generation>,
        commit: &VerifiedCommit,
        desired: &Desired<VerifiedCommit>,
    ) -> Result<Expected, Fault> {
        let good = good.map(|good| good.record.commit.clone());
        if let Some(known) = &self.memory.expected
            && known.head == *commit.id()
            && known.good == good
        {
            return Ok(known.clone());
        }
        let (outline, signed) = match &good {
            None => (outline(desired, &Observed::default()), false),
            Some(good) => {
                let wish = self.recall(good)?;
                let outline = outline(desired, &assumed(wish.readable()?));
                let of_head =
                    commit.plans_for(&self.config.host).any(|plan| *plan == outline.digest());
                (outline, of_head || self.signed_step_by_step(wish, commit)?)
            }
        };
        let expected = Expected { head: commit.id().clone(), good, outline, signed };
        self.memory.expected = Some(expected.clone());
        Ok(expected)
    }

    /// Whether each commit since `good` was signed with its plan from the one below it.
    /// Commits whose manifest hosts refuse do nothing, and nobody runs them.
    fn signed_step_by_step(&mut self, good: Wish, head: &VerifiedCommit) -> Result<bool, Fault> {
        let mut line = vec![head.clone()];
        while let Some(below) = line.last().and_then(VerifiedCommit::parent).cloned() {
            if below == *good.commit.id() {
                return Ok(self.each_as_signed(good, line));
            }
            if line.len() == CHAIN {
                break;
            }
            match self.judged(&below)? {
                Ok(wish) => line.push(wish.commit),
                Err(_) => break,
            }
        }
        Ok(false)
    }

    /// `line` begins with the newest.
    fn each_as_signed(&self, good: Wish, line: Vec<VerifiedCommit>) -> bool {
        let mut before = good.desired;
        for commit in line.into_iter().rev() {
            let Wish { commit, desired } = self.wish(commit);
            let (Ok(new), Ok(old)) = (&desired, &before) else { continue };
            let step = outline(&**new, &assumed(&**old));
            let digest = step.digest();
            if !step.is_empty() && !commit.plans_for(&self.config.host).any(|p| *p == digest) {
                return false;
            }
            before = desired;
        }
        true
    }

    /// Why a generation does not begin, and what would let it.
    fn unlike(&self, commit: &VerifiedCommit, own: &Outline, expected: &Expected) -> String {
        let host = &self.config.host;
        let from = expected.good.as_ref().map_or("none", CommitId::as_str);
        let overtaken =
            self.memory.head.as_ref().is_some_and(|head| head.commit.id() != commit.id());
        let again = match overtaken || commit.must_pass() {
            // A new commit has a plan of its own.
            true => format!(
                "name the plan with a new commit on top: git commit --allow-empty -S -m \"look at it\" --trailer \"Writ-Plan: {host} {}\"",
                own.digest()
            ),
            false => format!(
                "sign the plan with a new commit on top: writ plan --sign --against {from} --host {host}"
            ),
        };
        let signed: Vec<&PlanDigest> = commit.plans_for(host).collect();
        let short = commit.id().short();
        let here = format!("the plan of this host is {}", own.digest());
        let because = match signed.first() {
            _ if expected.signed => format!(
                "{here}, and signed was {}; {}; put this host back as the last good generation had it (writ status tells drift), or {again}",
                expected.outline.digest(),
                differing(own, &expected.outline),
            ),
            Some(signed) => format!(
                "{here}, and commit {short} names {signed}; {}; {again}",
                differing(own, &expected.outline),
            ),
            None => format!(
                "{here}, and commit {short} names none for it; its first step: {}; {again}",
                own.first().unwrap_or("none"),
            ),
        };
        format!("the policy requires a signed plan: {because}")
    }
}

/// The first step in which a host's plan is not the one from its last good generation.
fn differing(own: &Outline, expected: &Outline) -> String {
    match own.differs(expected) {
        Some((here, there)) => {
            format!("the first step that differs is here `{here}`, and was to be `{there}`")
        }
        None => format!(
            "this host stands as its last good generation has it, so another way was signed; its first step: {}",
            own.first().unwrap_or("none")
        ),
    }
}
