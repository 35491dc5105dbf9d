//! The first half of a round: where the branch stands, and whether this host obeys that.

use std::time::{Duration, Instant};

use super::{Agent, now};
use crate::events::Kind;
use crate::fault::Fault;
use crate::ledger::RefusedHead;
use crate::names::CommitId;
use crate::source::delivery::Delivery;
use crate::source::fetched::{Fetched, Known, Statements};
use crate::source::repo::Repository;
use crate::trust::{self, Anchor, Pins, Reason, Refusal, VerifiedCommit};
use crate::world::World;

/// How many packs the copy of the repository may gather.
const PACKS: usize = 200;
/// The least time between two whole fetches of a copy that seems damaged.
const RENEWALS: Duration = Duration::from_secs(300);

/// What following the branch came to.
pub(super) enum Followed {
    /// The newest commit this host obeys.
    Head(VerifiedCommit),
    /// Nothing was ever accepted.
    Nothing,
}

impl<W: World> Agent<W> {
    /// Fetches, verifies, and moves the anchor. A branch that cannot be seen or is
    /// not obeyed leaves the host with the commit it accepted last.
    ///
    /// # Errors
    /// The ledger or the repository cannot be used: nothing may be changed.
    pub(super) async fn follow(&mut self) -> Result<Followed, Fault> {
        let followed = self.look().await;
        // The copy of the repository is damaged: once more with a new one.
        if self.doubts_copy() { self.look().await } else { followed }
    }

    async fn look(&mut self) -> Result<Followed, Fault> {
        let anchor = self.ledger.anchor()?;
        if !self.ledger.refused_head().is_ok_and(|head| head.is_some()) {
            // `writ trust reset` forgot it: the branch is to be judged again.
            self.memory.refused = None;
        }
        let repository = self.renewed(self.repository()?, anchor.as_ref()).await?;
        match self.fetch(&repository, anchor.as_ref()).await {
            Ok(()) => {
                self.shared.update(|snapshot| {
                    snapshot.fetched = Some(now().to_string());
                    snapshot.source_fault = None;
                });
                self.events.tell(Kind::SourceFound, None, "the branch can be seen again");
            }
            Err(fault) => {
                self.events.tell(Kind::SourceLost, None, fault.to_string());
                if self.shared.snapshot().source_fault.as_ref() != Some(&fault) {
                    tracing::warn!("{fault}");
                }
                self.shared.update(|snapshot| snapshot.source_fault = Some(fault));
            }
        }
        self.watch_freshness()?;
        self.accepted(&repository)
    }

    /// What the config pins, and what this host will not forget.
    pub(super) fn pins(&self) -> Result<Pins, Fault> {
        Ok(Pins { revoked: self.ledger.revoked()?, ..self.config.pins() })
    }

    pub(super) fn repository(&self) -> Result<Repository, Fault> {
        let format = self.config.repository.object_format;
        Repository::open_or_create(&self.ledger.repository(), format)
    }

    /// Each fetch adds a pack. A copy that has gathered too many, or that turned out to
    /// be damaged, is fetched anew in one; where that fails, the old one does for
    /// another round.
    async fn renewed(
        &mut self,
        repository: Repository,
        anchor: Option<&Anchor>,
    ) -> Result<Repository, Fault> {
        let held = anchor.is_some_and(|anchor| repository.contains(&anchor.commit));
        let crowded = held && !repository.pack_count().is_ok_and(|packs| packs < PACKS);
        if !crowded && !self.doubts_copy() {
            return Ok(repository);
        }
        self.memory.renewed = Some(Instant::now());
        let Ok(fresh) = repository.beside() else { return Ok(repository) };
        let fetched = match self.source.fetch(&Known::default(), &self.ledger.incoming(0)).await {
            Ok(Fetched::Packs { packs, .. }) => Delivery::import(&fresh, &packs).is_ok(),
            Ok(Fetched::Unchanged { .. }) | Err(_) => false,
        };
        if !fetched || anchor.is_some_and(|anchor| !fresh.contains(&anchor.commit)) {
            tracing::debug!("the copy of the repository could not be fetched anew");
            return Ok(repository);
        }
        self.memory.copy_damaged = false;
        // What was refused for the damaged copy is judged again.
        self.memory.refused = None;
        repository.replace_by(fresh)
    }

    /// Whether the copy is to be fetched anew. Not every round: a server may be the one
    /// that is damaged.
    fn doubts_copy(&self) -> bool {
        let lately = self.memory.renewed.is_some_and(|at| at.elapsed() < RENEWALS);
        self.memory.copy_damaged && !lately
    }

    /// Remembers a refusal that may be due to a damaged copy.
    pub(super) fn doubt(&mut self, refusal: &Refusal) {
        self.memory.copy_damaged |= refusal.reason == Reason::MissingObject;
    }

    async fn fetch(
        &mut self,
        repository: &Repository,
        anchor: Option<&Anchor>,
    ) -> Result<(), Fault> {
        let held = anchor.filter(|anchor| repository.contains(&anchor.commit));
        let refused = self.memory.refused.iter().filter(|refusal| settled(refusal.reason));
        let known = Known {
            tips: held
                .map(|anchor| &anchor.commit)
                .into_iter()
                .chain(refused.map(|r| &r.commit))
                .chain(&self.memory.statements)
                .cloned()
                .collect(),
            have: held.map(|anchor| anchor.commit.clone()).into_iter().collect(),
        };
        match self.source.fetch(&known, &self.ledger.incoming(0)).await? {
            Fetched::Unchanged { tip } => {
                if anchor.is_some_and(|anchor| anchor.commit == tip) {
                    self.obey_again()?;
                }
                Ok(())
            }
            Fetched::Packs { tip, statements, packs } => {
                // Statements alone are read and not kept: anybody could send many.
                let news = held.is_none_or(|anchor| anchor.commit != tip);
                let imported = Delivery::import(repository, &packs)
                    .inspect_err(|_| self.memory.copy_damaged = true)?;
                let refusal = self.judge(repository, anchor, &tip, &statements)?;
                if refusal.as_ref().is_none_or(|refusal| settled(refusal.reason)) {
                    self.memory.statements = statements.ids().cloned().collect();
                }
                // Recovery keys may have moved the anchor below a tip that is refused.
                let moved = self.ledger.anchor()?.as_ref() != anchor;
                if !moved && (refusal.is_some() || !news) {
                    imported.discard()?;
                }
                refusal.map_or(Ok(()), |refusal| self.disobey(refusal))
            }
        }
    }

    /// Verifies a new head and moves the anchor to it, or says why not.
    fn judge(
        &mut self,
        repository: &Repository,
        anchor: Option<&Anchor>,
        tip: &CommitId,
        statements: &Statements,
    ) -> Result<Option<Refusal>, Fault> {
        let at = now();
        let pins = self.pins()?;
        let mut expected = anchor.cloned();
        let mut verdict = trust::verify(repository, &pins, anchor, tip, at.as_second());
        if let (Err(refusal), Some(anchor)) = (&verdict, anchor)
            && refusal.reason == Reason::Rollback
            && let Some(moved) = self.recovered(repository, anchor, statements)?
        {
            verdict = trust::verify(repository, &pins, Some(&moved), tip, at.as_second());
            expected = Some(moved);
        }
        let verdict = match verdict {
            Ok(commit) => self.fresh(repository, commit, statements)?,
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok(commit) => {
                if self.ledger.anchor()? != expected {
                    // `writ trust reset`, while this commit was being verified.
                    let because = "the accepted commit was changed meanwhile";
                    return Err(Fault::wait(format!("accept {commit}"), because));
                }
                let number = self.ledger.accept(&commit, &at.to_string())?;
                tracing::info!(generation = number, "accepted {commit}");
                let ignored = commit.ignored_trailers();
                ignored.iter().for_each(|why| tracing::warn!("{why}"));
                let told = [vec![commit.to_string()], ignored].concat().join("; ");
                self.events.tell(Kind::Accepted, Some(number), told);
                self.obey_again()?;
                // It may revoke what this one was signed with.
                self.memory.stage = None;
                self.remember_head(commit);
                Ok(None)
            }
            Err(refusal) => {
                self.doubt(&refusal);
                Ok(Some(refusal))
            }
        }
    }

    fn obey_again(&mut self) -> Result<(), Fault> {
        let known = self.memory.refused.take().is_some();
        if self.ledger.forget_head()? || known {
            tracing::info!("the branch is good again");
            self.events.tell(Kind::Obeyed, None, "the branch is good again");
        }
        Ok(())
    }

    fn disobey(&mut self, refusal: Refusal) -> Result<(), Fault> {
        if self.memory.refused.as_ref() != Some(&refusal) {
            tracing::error!(rule = refusal.rule, reason = ?refusal.reason, "{refusal}; {}", refusal.remedy);
        }
        self.events.tell(Kind::Refused, None, refusal.to_string());
        let refused = RefusedHead { at: now().to_string(), refusal };
        self.ledger.refuse_head(&refused)?;
        self.memory.refused = Some(refused.refusal);
        Ok(())
    }

    /// The commit that the anchor names, verified in this run of the agent.
    fn accepted(&mut self, repository: &Repository) -> Result<Followed, Fault> {
        let Some(anchor) = self.ledger.anchor()? else { return Ok(Followed::Nothing) };
        let at = now();
        if let Some(head) = &self.memory.head
            && *head.commit.anchor() == anchor
        {
            // Its generation may have been taken away by hand.
            self.ledger.accept(&head.commit, &at.to_string())?;
            return Ok(Followed::Head(head.commit.clone()));
        }
        let commit =
            trust::verify(repository, &self.pins()?, Some(&anchor), &anchor.commit, at.as_second())
                .map_err(|refusal| {
                    self.doubt(&refusal);
                    Fault::wait("verify the commit that was accepted last", &refusal)
                        .remedy(refusal.remedy)
                })?;
        self.ledger.accept(&commit, &at.to_string())?;
        self.remember_head(commit.clone());
        Ok(Followed::Head(commit))
    }
}

/// An accepted commit that does not count any more.
pub(super) fn unfit(id: &CommitId, refusal: &Refusal) -> Fault {
    let doing = format!("verify commit {} again", id.short());
    // A history that was given up does not come back by waiting.
    let fault = match settled(refusal.reason) {
        true => Fault::refuse(doing, refusal),
        false => Fault::wait(doing, refusal),
    };
    fault.remedy(refusal.remedy.clone())
}

/// Whether a refusal stands until the branch moves. One for the clock may be
/// over by the next look, and one for a statement when there is another.
pub(super) fn settled(reason: Reason) -> bool {
    !matches!(reason, Reason::Clock | Reason::Stale | Reason::Equivocation | Reason::MissingObject)
}
