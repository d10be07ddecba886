//! When a circuit opens and how it closes again.

use std::time::Duration;

/// When to stop asking an origin that fails.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BreakerPolicy {
    pub(crate) enabled: bool,
    pub(crate) failure_share: f64,
    pub(crate) window: usize,
    pub(crate) minimum_calls: usize,
    pub(crate) open_for: Duration,
    pub(crate) probes: usize,
}

impl Default for BreakerPolicy {
    /// Opens for five seconds when half of the last hundred attempts failed, once there were twenty; three probes.
    fn default() -> Self {
        Self {
            enabled: true,
            failure_share: 0.5,
            window: 100,
            minimum_calls: 20,
            open_for: Duration::from_secs(5),
            probes: 3,
        }
    }
}

impl BreakerPolicy {
    /// Never opens.
    pub fn disabled() -> Self {
        Self {
            enabled: false,
            ..Self::default()
        }
    }

    /// The share of failures at which the circuit opens, above 0 and at most 1.
    pub fn failure_share(mut self, share: f64) -> Self {
        self.failure_share = if share.is_finite() {
            share.clamp(f64::EPSILON, 1.0)
        } else {
            1.0
        };
        self
    }

    /// How many of the latest attempts count, one to 65,536.
    pub fn window(mut self, attempts: usize) -> Self {
        self.window = attempts.clamp(1, 65_536);
        self.minimum_calls = self.minimum_calls.min(self.window);
        self
    }

    /// How many attempts there must have been before the share means anything; at most the window.
    pub fn minimum_calls(mut self, attempts: usize) -> Self {
        self.minimum_calls = attempts.clamp(1, self.window);
        self
    }

    /// How long nothing is sent.
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// How many probes decide whether the circuit closes; at least one.
    pub fn probes(mut self, probes: usize) -> Self {
        self.probes = probes.max(1);
        self
    }

    /// Whether this many failures among this many attempts are too many.
    #[expect(clippy::cast_precision_loss, reason = "at most 65,536 attempts")]
    pub(crate) fn is_too_many(&self, failures: usize, attempts: usize) -> bool {
        failures as f64 >= self.failure_share * attempts as f64
    }
}
