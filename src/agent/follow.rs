//! The first half of a round: where the branch stands, and whether this host obeys that.

use std::time::{Duration, Instant};

use super::roads::{Ask, Heard, Look, Question, Standing};
use super::{Agent, now};
use crate::events::Kind;
use crate::fault::Fault;
use crate::ledger::RefusedHead;
use crate::names::CommitId;
use crate::source::delivery::Delivery;
use crate::source::fetched::Known;
use crate::source::git::PACK_LIMIT;
use crate::source::pack_import::Delivered;
use crate::source::repo::Repository;
use crate::source::roads::Order;
use crate::trust::{self, Anchor, Pins, Reason, Refusal, VerifiedCommit};
use crate::world::World;

/// How many packs the copy of the repository may gather.
const PACKS: usize = 200;
/// And how many bytes of them: beside an accepted commit a server may send anything.
const LARGE: u64 = 4 * PACK_LIMIT;
/// The least time between two whole fetches for a new copy.
const RENEWALS: Duration = Duration::from_secs(300);

/// What following the branch came to.
pub(super) enum Followed {
    /// The newest commit this host obeys.
    Head(VerifiedCommit),
    /// Nothing was ever accepted.
    Nothing,
}

impl<W: World> Agent<W> {
    /// Asks the sources, verifies what they bring, and moves the anchor. A branch that
    /// cannot be seen or is not obeyed leaves the host with the commit it accepted last.
    ///
    /// # Errors
    /// The ledger or the repository cannot be used: nothing may be changed.
    pub(super) async fn follow(&mut self, look: Look) -> Result<Followed, Fault> {
        let followed = self.look(look).await;
        // The copy of the repository is damaged: once more with a new one.
        if self.doubts_copy() { self.look(look.on()).await } else { followed }
    }

    async fn look(&mut self, look: Look) -> Result<Followed, Fault> {
        self.judge_again_where_moved()?;
        let mut copy = self.repository()?;
        if !std::mem::replace(&mut self.memory.cleared, true) {
            self.ledger.sweep_incoming();
        }
        self.ask(look.ask, &copy)?;
        while let Some(heard) = self.roads.next(look).await {
            copy = self.hear(copy, heard)?;
        }
        self.sum_up()?;
        self.watch_freshness()?;
        self.accepted(&copy)
    }

    /// `writ trust reset` moved the anchor or forgot a refusal: what sources show means
    /// something else now.
    fn judge_again_where_moved(&mut self) -> Result<(), Fault> {
        let forgotten = self.memory.refused.is_some()
            && !self.ledger.refused_head().is_ok_and(|head| head.is_some());
        let anchor = self.ledger.anchor()?;
        if forgotten || anchor != self.memory.followed {
            self.memory.refused = None;
            self.roads.forget();
        }
        self.memory.followed = anchor;
        Ok(())
    }

    /// What the config pins, and what this host will not forget.
    pub(super) fn pins(&self) -> Result<Pins, Fault> {
        Ok(Pins { revoked: self.ledger.revoked()?, ..self.config.pins() })
    }

    pub(super) fn repository(&self) -> Result<Repository, Fault> {
        let format = self.config.repository.object_format;
        Repository::open_or_create(&self.ledger.repository(), format)
    }

    fn ask(&mut self, ask: Ask, copy: &Repository) -> Result<(), Fault> {
        let anchor = self.ledger.anchor()?;
        let mut due = self.roads.due(ask);
        if self.wants_renewal(copy, anchor.as_ref())
            && let Some(lane) = self.roads.for_the_whole()
        {
            self.memory.renewed = Some(Instant::now());
            due.retain(|other| *other != lane);
            let order = self.order(lane, Known::default(), None);
            self.roads.ask(Question { lane, order });
        }
        for lane in due {
            self.ask_one(lane, copy, anchor.as_ref());
        }
        Ok(())
    }

    fn ask_one(&mut self, lane: usize, copy: &Repository, anchor: Option<&Anchor>) {
        let held = anchor.filter(|anchor| copy.contains(&anchor.commit)).map(|a| &a.commit);
        let road = &self.roads.lanes[lane];
        // Bundles lead on from where their place stood, which need not be the newest.
        let passed = road.passed().filter(|tip| held.is_some() && copy.contains(tip));
        let known = Known {
            tips: held.into_iter().chain(road.known()).cloned().collect(),
            have: held.into_iter().chain(passed).cloned().collect(),
        };
        let order = self.order(lane, known, Some(copy));
        self.roads.ask(Question { lane, order });
    }

    fn order(&self, lane: usize, known: Known, copy: Option<&Repository>) -> Order {
        let (folder, format) = (self.ledger.incoming(lane), self.config.repository.object_format);
        Order { known, folder, base: copy.map(|copy| copy.path().to_owned()), format }
    }

    /// Each fetch adds a pack. A copy that has gathered too many, or that turned out to
    /// be damaged, is fetched anew in one; where that fails, the old one does for a
    /// while.
    fn wants_renewal(&self, copy: &Repository, anchor: Option<&Anchor>) -> bool {
        let held = anchor.is_some_and(|anchor| copy.contains(&anchor.commit));
        let fit = |packs: Vec<u64>| packs.len() < PACKS && packs.iter().sum::<u64>() < LARGE;
        let crowded = || held && !copy.pack_sizes().is_ok_and(fit);
        !self.renewed_lately() && (self.memory.copy_damaged || crowded())
    }

    /// Whether the copy is to be fetched anew. Not every round: a server may be the one
    /// that is damaged.
    fn doubts_copy(&self) -> bool {
        self.memory.copy_damaged && !self.renewed_lately()
    }

    fn renewed_lately(&self) -> bool {
        self.memory.renewed.is_some_and(|at| at.elapsed() < RENEWALS)
    }

    /// Remembers a refusal that may be due to a damaged copy.
    pub(super) fn doubt(&mut self, refusal: &Refusal) {
        self.memory.copy_damaged |= refusal.reason == Reason::MissingObject;
    }

    /// Looks at what a source brought; the copy of the repository from now on.
    fn hear(&mut self, copy: Repository, heard: Heard) -> Result<Repository, Fault> {
        let Heard { lane, whole, outcome } = heard;
        let (copy, outcome) = match (outcome, whole) {
            (Ok(delivered), true) => self.take_whole(copy, lane, delivered)?,
            (Ok(delivered), false) => {
                let outcome = self.take(&copy, lane, delivered);
                (copy, outcome)
            }
            (Err(fault), whole) => {
                // It may be the size that it did not like.
                self.roads.lanes[lane].again |= whole;
                (copy, Err(fault))
            }
        };
        self.tell_source(lane, &outcome);
        let interval = self.config.poll.interval;
        if self.roads.note(lane, &outcome, now().to_string(), interval) {
            let anchor = self.ledger.anchor()?;
            self.ask_one(lane, &copy, anchor.as_ref());
        }
        Ok(copy)
    }

    /// Puts a copy that was made of one whole fetch in the place of the old one.
    fn take_whole(
        &mut self,
        copy: Repository,
        lane: usize,
        delivered: Delivered,
    ) -> Result<(Repository, Result<(), Fault>), Fault> {
        let (tip, statements, packs) = match delivered {
            Delivered::Packs { tip, statements, packs } => (tip, statements, packs),
            Delivered::Unchanged { .. } => return Ok((copy, Ok(()))),
            Delivered::TooLarge { .. } | Delivered::Damaged(_) => {
                self.roads.lanes[lane].again = true;
                return Ok((copy, Ok(())));
            }
        };
        let anchor = self.ledger.anchor()?;
        let fresh = copy.beside().and_then(|fresh| {
            Delivery::take(&fresh, packs)?;
            Ok(fresh)
        });
        let pins = self.pins()?;
        let whole = |fresh: &Repository| anchor.as_ref().is_none_or(|a| is_whole(fresh, &pins, a));
        let Some(fresh) = fresh.ok().filter(whole) else {
            tracing::debug!("the copy of the repository could not be fetched anew");
            self.roads.lanes[lane].again = true;
            return Ok((copy, Ok(())));
        };
        self.memory.copy_damaged = false;
        // What was refused for the damaged copy is judged again.
        self.memory.refused = None;
        self.roads.forget();
        let copy = copy.replace_by(fresh)?;
        let outcome = self.weigh(&copy, lane, &tip, &statements).map(|_| ());
        Ok((copy, outcome))
    }

    fn take(&mut self, copy: &Repository, lane: usize, delivered: Delivered) -> Result<(), Fault> {
        let anchor = self.ledger.anchor()?;
        let held = anchor.as_ref().filter(|anchor| copy.contains(&anchor.commit));
        let (tip, statements, packs) = match delivered {
            Delivered::Unchanged { tip } => {
                let accepted = held.is_some_and(|anchor| anchor.commit == tip);
                let costly = self.roads.lanes[lane].too_large(&tip).filter(|_| !accepted);
                return match costly {
                    Some(fault) => Err(fault.clone()),
                    None => {
                        self.shows_again(copy, anchor.as_ref(), lane, &tip);
                        Ok(())
                    }
                };
            }
            Delivered::TooLarge { tip, statements, fault } => {
                self.roads.lanes[lane].is_too_large(tip, statements, fault.clone());
                return Err(fault);
            }
            Delivered::Damaged(fault) => {
                self.memory.copy_damaged = true;
                return Err(fault);
            }
            Delivered::Packs { tip, statements, packs } => (tip, statements, packs),
        };
        let news = held.is_none_or(|anchor| anchor.commit != tip);
        if !news && self.roads.has_read(&statements) {
            // Another source was faster.
            self.roads.lanes[lane].shows(&tip, &statements, Standing::Current);
            return Ok(());
        }
        let imported = Delivery::take(copy, packs)?;
        let standing = match self.weigh(copy, lane, &tip, &statements) {
            Ok(standing) => standing,
            Err(fault) => {
                // A ledger on a full disk: what was not accepted is not to fill it further.
                if self.ledger.anchor().is_ok_and(|now| now == anchor) {
                    imported.discard()?;
                }
                return Err(fault);
            }
        };
        // Recovery keys may have moved the anchor below a tip that is refused.
        let moved = self.ledger.anchor()? != anchor;
        if moved {
            self.roads.hurry();
        }
        // Statements alone are read and not kept, nor is the accepted commit under another
        // signature: anybody could send many.
        match !moved && (standing != Standing::Current || held.is_some()) {
            true => imported.discard(),
            false => Ok(()),
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

    /// The branch is obeyed where a source shows the accepted commit, whatever others
    /// show; where none does, the first one that is refused is the one to tell.
    fn sum_up(&mut self) -> Result<(), Fault> {
        self.show_sources();
        if self.roads.lanes.iter().any(super::roads::Lane::is_good) {
            return self.obey_again();
        }
        let refusal = self.roads.lanes.iter().find_map(|lane| lane.refusal()).cloned();
        refusal.map_or(Ok(()), |refusal| self.disobey(refusal))
    }

    fn disobey(&mut self, refusal: Refusal) -> Result<(), Fault> {
        if self.memory.refused.as_ref() != Some(&refusal) {
            tracing::error!(rule = refusal.rule, reason = ?refusal.reason, "{refusal}; {}", refusal.remedy);
        }
        if !self.roads.several() {
            self.events.tell(Kind::Refused, None, refusal.to_string());
        }
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

/// Whether a copy has the history of the accepted commit: a source may send that commit
/// and nothing below it.
fn is_whole(fresh: &Repository, pins: &Pins, anchor: &Anchor) -> bool {
    let recalled = || trust::recall(fresh, pins, anchor, &anchor.commit, now().as_second());
    fresh.contains(&anchor.commit)
        && !recalled().is_err_and(|refusal| refusal.reason == Reason::MissingObject)
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
