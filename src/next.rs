//! What to do after a round, given how it ended.

use std::time::Duration;

use crate::fault::Retry;

/// The pause after the first failure; it doubles with each that follows.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(300);

/// What the agent does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything is as it should be.
    Settled,
    /// The world was not ready; the same generation is tried again.
    Again(Duration),
    /// There is nothing to do before this long from now, exactly.
    Later(Duration),
    /// The generation is at fault: back to the one that was confirmed last, or
    /// to nothing where none ever was.
    RollBack,
    /// The generation cannot be tried at all: a person has to commit something
    /// else, and what runs goes on running.
    WaitForCommit,
}

/// How a round went, seen from far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Converged,
    Stopped(Retry),
    /// Nothing was tried: the manifest is invalid or asks for what cannot be done.
    Refused,
}

/// What this host has been through with the generation at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Rounds that ended in waiting, one after the other.
    pub failures: u32,
    /// Whether the round already worked on the last good generation.
    pub on_last_good: bool,
}

/// Chooses the next move. A generation that cannot work is rolled back at once; a
/// busy world is given time; what was good before is tried again for ever, since
/// there is nothing better to go back to.
pub fn after(end: End, history: History) -> Next {
    match end {
        End::Converged => Next::Settled,
        End::Stopped(Retry::Soon) => Next::Again(pause(history.failures)),
        End::Stopped(Retry::NextCommit) if history.on_last_good => {
            Next::Again(pause(history.failures))
        }
        End::Stopped(Retry::NextCommit) => Next::RollBack,
        End::Refused => Next::WaitForCommit,
    }
}

/// The pause before the next try after `failures` earlier ones.
pub fn pause(failures: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_LONGEST)
}

/// Spreads a pause over 75 to 125 percent of its length, so that hosts which
/// began together do not stay together. `dice` is uniform in 0..=u16::MAX.
pub fn jittered(pause: Duration, dice: u16) -> Duration {
    pause.mul_f64(0.75 + 0.5 * f64::from(dice) / f64::from(u16::MAX))
}

/// How long the agent waits after a round, at most its own interval. `dice` gives
/// numbers that are uniform in 0..=u16::MAX.
pub fn until(next: &Next, interval: Duration, mut dice: impl FnMut() -> u16) -> Duration {
    let turn = jittered(interval, dice());
    match next {
        Next::Again(pause) if *pause < interval => widely(*pause, dice()).min(turn),
        // A moment that people chose: not spread.
        Next::Later(pause) => (*pause).min(turn),
        Next::Again(_) | Next::Settled | Next::RollBack | Next::WaitForCommit => turn,
    }
}

/// Spreads a pause after a failure over 50 to 150 percent: as pauses double, the latest
/// of those who failed together meet the earliest of the next try, and no waves are left.
fn widely(pause: Duration, dice: u16) -> Duration {
    pause.mul_f64(0.5 + f64::from(dice) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_the_interval_and_a_chosen_moment_is_not_spread() {
        let interval = Duration::from_secs(40);
        let waits = |next| [0, u16::MAX].map(|dice| until(&next, interval, || dice).as_secs());
        assert_eq!(waits(Next::Settled), [30, 50]);
        assert_eq!(waits(Next::Again(Duration::from_secs(4))), [2, 6]);
        assert_eq!(waits(Next::Again(PAUSE_LONGEST)), [30, 50]);
        assert_eq!(waits(Next::Later(Duration::from_secs(7))), [7, 7]);
    }

    #[test]
    fn pauses_double_up_to_a_ceiling() {
        let seconds: Vec<_> = [0, 1, 2, 40].map(|n| pause(n).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 300]);
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let pause = Duration::from_secs(100);
        assert_eq!(jittered(pause, 0).as_secs(), 75);
        assert_eq!(jittered(pause, u16::MAX).as_secs(), 125);
    }

    #[test]
    fn a_busy_world_is_given_time_and_never_rolled_back() {
        let end = End::Stopped(Retry::Soon);
        assert_eq!(
            after(end, History { failures: 3, ..History::default() }),
            Next::Again(pause(3))
        );
    }

    #[test]
    fn a_generation_at_fault_is_rolled_back_once() {
        let end = End::Stopped(Retry::NextCommit);
        assert_eq!(after(end, History::default()), Next::RollBack);
    }

    #[test]
    fn what_was_good_before_is_tried_again_rather_than_rolled_back() {
        let history = History { failures: 2, on_last_good: true };
        assert_eq!(after(End::Stopped(Retry::NextCommit), history), Next::Again(pause(2)));
    }
}
