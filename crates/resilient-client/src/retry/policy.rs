//! How often, how long, how much.

use std::time::Duration;

/// When failed requests are repeated. Safety is not a setting: see the crate's documentation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    pub(crate) attempts: u32,
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
    pub(crate) longest_retry_after: Duration,
    pub(crate) shortest_attempt: Duration,
    pub(crate) budget_window: Duration,
    pub(crate) budget_share: f32,
    pub(crate) budget_per_second: u32,
}

impl Default for RetryPolicy {
    /// Four attempts, 50 ms doubling up to 10 s, Retry-After up to a minute, a fifth of the calls plus ten per second.
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(10),
            longest_retry_after: Duration::from_mins(1),
            shortest_attempt: Duration::from_millis(20),
            budget_window: Duration::from_secs(10),
            budget_share: 0.2,
            budget_per_second: 10,
        }
    }
}

impl RetryPolicy {
    /// One attempt, whatever happens.
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// How many attempts one call gets in all, the first included; at least one.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The wait before the n-th retry is drawn from zero to `base · 2ⁿ⁻¹`, and never above `cap` (full jitter).
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap.max(base);
        self
    }

    /// A server that asks for a longer pause than this gets no retry; the error tells the pause.
    pub fn longest_retry_after(mut self, longest: Duration) -> Self {
        self.longest_retry_after = longest;
        self
    }

    /// An attempt that would have less time than this before the call's deadline is not started.
    pub fn shortest_attempt(mut self, shortest: Duration) -> Self {
        self.shortest_attempt = shortest;
        self
    }

    /// Retries may be `share` of the calls of the last ten seconds (0.2 is a fifth), plus `per_second`.
    /// The share is kept between 0 and 10.
    pub fn budget(mut self, share: f32, per_second: u32) -> Self {
        self.budget_share = if share.is_finite() {
            share.clamp(0.0, 10.0)
        } else {
            0.0
        };
        self.budget_per_second = per_second.min(1_000_000);
        self
    }

    /// The longest wait before the n-th retry, counted from one.
    pub(crate) fn ceiling(&self, retry: u32) -> Duration {
        let factor = 2u32
            .checked_pow(retry.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait before the n-th retry. What the server asked for is waited out and the jitter comes on top: never earlier.
    pub(crate) fn wait(&self, retry: u32, asked: Option<Duration>, random: f64) -> Duration {
        asked.unwrap_or_default() + self.ceiling(retry).mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let policy =
            RetryPolicy::default().backoff(Duration::from_millis(100), Duration::from_secs(1));
        let ceilings: Vec<u128> = (1..=6)
            .map(|retry| policy.ceiling(retry).as_millis())
            .collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(policy.ceiling(u32::MAX), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn never_earlier_than_asked_and_never_beyond_the_ceiling(
            retry in 1u32..50, asked in proptest::option::of(0u64..100_000), random in 0.0f64..1.0,
        ) {
            let policy = RetryPolicy::default();
            let asked = asked.map(Duration::from_millis);
            let wait = policy.wait(retry, asked, random);
            prop_assert!(wait >= asked.unwrap_or_default());
            prop_assert!(wait <= asked.unwrap_or_default() + policy.cap);
        }
    }
}
