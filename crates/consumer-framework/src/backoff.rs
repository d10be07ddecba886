//! How long to wait before the next attempt, and how many there are.

use std::time::Duration;

use uuid::Uuid;

/// The pauses between attempts, and the number of attempts.
///
/// A pause is never shorter than planned: chance only makes it longer, up to twice as long, so that
/// what failed together does not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Pauses of `first`, then twice as long each time, planned for at most `longest`; eight attempts.
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            attempts: 8,
        }
    }

    /// Pauses that are planned for the same time; eight attempts.
    pub const fn fixed(pause: Duration) -> Self {
        Self::exponential(pause, pause)
    }

    /// How many times something is tried in all; zero counts as one.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Whether `attempt` (from 1) was the last one.
    pub(crate) fn is_last(&self, attempt: u32) -> bool {
        attempt >= self.attempts
    }

    /// The pause after `attempt` (from 1) has failed.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        self.pause_with(attempt, chance())
    }

    fn pause_with(&self, attempt: u32, chance: f64) -> Duration {
        let planned = self.planned(attempt);
        planned.saturating_add(planned.mul_f64(chance))
    }

    fn planned(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

impl Default for Backoff {
    /// From 200 ms to 30 s; eight attempts.
    fn default() -> Self {
        Self::exponential(Duration::from_millis(200), Duration::from_secs(30))
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // The first six bytes of a version 4 UUID are random throughout.
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_planned_nor_longer_than_twice_that(
            first in 0_u64..100_000, longest in 0_u64..10_000_000, attempt in 0_u32..=u32::MAX,
        ) {
            let backoff = Backoff::exponential(Duration::from_millis(first), Duration::from_millis(longest));
            let planned = backoff.planned(attempt);
            prop_assert!(planned <= Duration::from_millis(longest));
            prop_assert!(planned >= Duration::from_millis(first.min(longest)));
            let pause = backoff.pause(attempt);
            prop_assert!(planned <= pause && pause <= planned * 2);
        }

        #[test]
        fn a_planned_pause_never_shrinks(attempt in 1_u32..1_000) {
            let backoff = Backoff::default();
            prop_assert!(backoff.planned(attempt) <= backoff.planned(attempt + 1));
            prop_assert!(backoff.pause_with(attempt, 0.2) <= backoff.pause_with(attempt, 0.9));
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(5));
        let planned: Vec<_> = (1..=5).map(|n| backoff.planned(n).as_secs()).collect();
        assert_eq!(planned, [1, 2, 4, 5, 5]);
        assert_eq!(
            Backoff::fixed(Duration::from_secs(3)).planned(9).as_secs(),
            3
        );
        assert!(!backoff.attempts(3).is_last(2) && backoff.attempts(3).is_last(3));
        assert!(backoff.attempts(0).is_last(1));
    }
}
