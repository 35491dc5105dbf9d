//! Which caches did not answer, and until when they are left alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::rand::GetRandomFlags;

use crate::fault::Fault;
use crate::world::download::Away;

/// The first pause; each one after it is twice as long.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

/// What is known of caches from earlier questions, for as long as this process runs.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Absence>>);

/// Since when a cache does not answer.
#[derive(Clone, Debug)]
pub(super) struct Absence {
    since: Timestamp,
    until: Instant,
    times: u32,
    fault: Fault,
}

impl Absence {
    pub(super) fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }

    fn told(&self, cache: &str) -> Away {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = jiff::SignedDuration::try_from(left).unwrap_or_default();
        let until = Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX);
        Away {
            cache: cache.to_owned(),
            since: whole(self.since).to_string(),
            until: whole(until).to_string(),
            because: self.fault.because.clone(),
            remedy: self.fault.remedy.clone(),
        }
    }
}

impl Memory {
    pub(super) fn knows(&self, cache: &str) -> Option<Absence> {
        self.absences().get(cache).cloned()
    }

    /// What came of asking: a fault, or nothing where the cache answered.
    pub(super) fn learn<'a>(&self, told: impl Iterator<Item = (&'a str, Option<&'a Fault>)>) {
        let mut absences = self.absences();
        for (cache, fault) in told {
            match (fault, absences.get_mut(cache)) {
                (None, None) => {}
                (None, Some(_)) => {
                    absences.remove(cache);
                    tracing::info!("the cache {cache} answers again");
                }
                (Some(fault), Some(absence)) => absence.again(fault),
                (Some(fault), None) => {
                    tracing::warn!("the cache {cache} is left out for a while: {}", fault.because);
                    absences.insert(cache.to_owned(), Absence::first(fault));
                }
            }
        }
    }

    pub(super) fn away(&self) -> Vec<Away> {
        self.absences().iter().map(|(cache, absence)| absence.told(cache)).collect()
    }

    #[cfg(test)]
    pub(super) fn let_time_pass(&self) {
        self.absences().values_mut().for_each(|absence| absence.until = Instant::now());
    }

    fn absences(&self) -> MutexGuard<'_, BTreeMap<String, Absence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Absence {
    fn first(fault: &Fault) -> Self {
        let until = Instant::now() + spread(FIRST, dice());
        Self { since: Timestamp::now(), until, times: 1, fault: fault.clone() }
    }

    /// Asked in vain once more; before its time is over that changes nothing.
    fn again(&mut self, fault: &Fault) {
        if self.is_over() {
            self.until = Instant::now() + spread(pause(self.times), dice());
            self.times = self.times.saturating_add(1);
        }
        self.fault = fault.clone();
    }
}

/// After so many vain questions.
fn pause(times: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(times.min(10))).min(LONGEST)
}

/// A quarter more or less, so that hosts do not come back all at once.
fn spread(pause: Duration, dice: u16) -> Duration {
    let part = 0.75 + f64::from(dice) / f64::from(u16::MAX) / 2.0;
    pause.mul_f64(part)
}

fn dice() -> u16 {
    let mut bytes = [0; 2];
    match rustix::rand::getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(_) | Err(_) => u16::from_ne_bytes(bytes),
    }
}

/// To the second: nobody reads nanoseconds.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_left_alone_for_longer_and_longer() {
        let pauses: Vec<u64> = (0..7).map(|times| pause(times).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(pause(u32::MAX), LONGEST);
        assert_eq!(spread(FIRST, 0).as_millis(), 22_500);
        assert_eq!(spread(FIRST, u16::MAX).as_millis(), 37_500);
    }

    #[test]
    fn a_cache_that_answers_is_forgotten() {
        let memory = Memory::default();
        let fault = Fault::wait("ask", "no answer").remedy("see");
        memory.learn([("a", Some(&fault)), ("b", None)].into_iter());
        memory.learn([("a", Some(&fault))].into_iter());
        let [away] = &memory.away()[..] else { panic!("one is away") };
        assert_eq!((away.cache.as_str(), away.because.as_str()), ("a", "no answer"));
        assert!(away.since <= away.until && away.remedy.as_deref() == Some("see"));
        assert!(memory.knows("a").is_some_and(|a| !a.is_over() && a.times == 1));
        memory.learn([("a", None)].into_iter());
        assert_eq!(memory.away(), []);
    }
}
