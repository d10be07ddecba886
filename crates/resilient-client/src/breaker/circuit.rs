//! The state machine: closed → open → half open → closed or open.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use tokio::time::Instant;

use super::{policy::BreakerPolicy, window::Window};

/// The circuit to one origin.
#[derive(Debug)]
pub struct Circuit {
    policy: BreakerPolicy,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    window: Window,
    /// Counts the changes of phase: a verdict from an earlier phase is not a verdict on this one.
    epoch: u64,
    opened: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        running: usize,
        settled: usize,
        failed: usize,
    },
}

/// Leave to make one attempt. Dropped without a verdict (the caller gave up), it counts as neither, and a probe's place
/// is free again.
#[derive(Debug)]
#[must_use = "an attempt without a verdict teaches the breaker nothing"]
pub struct Permit<'a> {
    circuit: &'a Circuit,
    epoch: u64,
    settled: bool,
}

/// The circuit is open: nothing may be sent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the circuit is open until {}", self.until().format("%Y-%m-%dT%H:%M:%S%.3fZ"))]
pub struct Open {
    wait: Duration,
}

impl Open {
    fn until_instant(until: Instant, now: Instant) -> Self {
        Self {
            wait: until.saturating_duration_since(now),
        }
    }

    /// How long until a probe is let through.
    pub fn retry_after(&self) -> Duration {
        self.wait
    }

    /// The same by the wall clock, as of now.
    pub fn until(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::from_std(self.wait).unwrap_or(TimeDelta::MAX)
    }
}

/// What a verdict did to the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing changed.
    None,
    /// The circuit opened.
    Opened,
    /// The circuit closed after good probes.
    Closed,
}

impl Circuit {
    /// A closed circuit.
    pub fn new(policy: BreakerPolicy) -> Self {
        let state = State {
            phase: Phase::Closed,
            window: Window::new(policy.window),
            epoch: 0,
            opened: 0,
        };
        Self {
            policy,
            state: Mutex::new(state),
        }
    }

    /// Leave for one attempt.
    pub fn admit(&self) -> Result<Permit<'_>, Open> {
        self.admit_by(Instant::now)
    }

    /// The clock is read only when time matters: a closed circuit does not ask.
    pub(super) fn admit_by(&self, clock: impl FnOnce() -> Instant) -> Result<Permit<'_>, Open> {
        let mut state = self.lock();
        if let Phase::Open { until } = state.phase {
            let now = clock();
            if now < until {
                return Err(Open::until_instant(until, now));
            }
            state.enter(Phase::HalfOpen {
                running: 0,
                settled: 0,
                failed: 0,
            });
        }
        if let Phase::HalfOpen {
            running, settled, ..
        } = &mut state.phase
        {
            if *running + *settled >= self.policy.probes {
                // The probes that run now decide. When they will is not known, so ask again soon.
                return Err(Open {
                    wait: self.policy.open_for / 10,
                });
            }
            *running += 1;
        }
        Ok(Permit {
            circuit: self,
            epoch: state.epoch,
            settled: false,
        })
    }

    /// Whether an attempt that starts after `wait` would be refused, asked without taking a permit.
    pub(crate) fn refuses_after(&self, wait: Duration) -> Option<Open> {
        let now = Instant::now();
        match self.lock().phase {
            Phase::Open { until } if now + wait < until => Some(Open::until_instant(until, now)),
            _ => None,
        }
    }

    /// How often the circuit has opened.
    pub fn opened(&self) -> u64 {
        self.lock().opened
    }

    /// Whether the circuit is closed and has nothing to remember.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        matches!(state.phase, Phase::Closed) && state.window.failures() == 0
    }

    fn settle(&self, epoch: u64, failed: bool, clock: impl FnOnce() -> Instant) -> Change {
        let mut state = self.lock();
        if state.epoch != epoch || !self.policy.enabled {
            return Change::None;
        }
        let verdict = match &mut state.phase {
            Phase::Open { .. } => return Change::None,
            Phase::Closed => {
                state.window.push(failed);
                let (failures, calls) = (state.window.failures(), state.window.len());
                let open =
                    calls >= self.policy.minimum_calls && self.policy.is_too_many(failures, calls);
                open.then_some(Change::Opened)
            }
            Phase::HalfOpen {
                running,
                settled,
                failed: failures,
            } => {
                *running -= 1;
                *settled += 1;
                *failures += usize::from(failed);
                let (settled, failures, probes) = (*settled, *failures, self.policy.probes);
                // Open as soon as the remaining probes cannot save it, close only when all of them have answered.
                if failures > 0 && self.policy.is_too_many(failures, probes) {
                    Some(Change::Opened)
                } else {
                    (settled == probes).then_some(Change::Closed)
                }
            }
        };
        match verdict {
            Some(Change::Opened) => {
                state.opened += 1;
                state.enter(Phase::Open {
                    until: clock() + self.policy.open_for,
                });
                Change::Opened
            }
            Some(Change::Closed) => {
                state.enter(Phase::Closed);
                Change::Closed
            }
            _ => Change::None,
        }
    }

    fn cancel(&self, epoch: u64) {
        let mut state = self.lock();
        if state.epoch == epoch
            && let Phase::HalfOpen { running, .. } = &mut state.phase
        {
            *running -= 1;
        }
    }

    /// The lock is never held across a panic that could leave the state half changed, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
        self.window.clear();
    }
}

impl Permit<'_> {
    /// Reports how the attempt went.
    pub fn settle(self, failed: bool) -> Change {
        self.settle_by(failed, Instant::now)
    }

    pub(super) fn settle_by(mut self, failed: bool, clock: impl FnOnce() -> Instant) -> Change {
        self.settled = true;
        self.circuit.settle(self.epoch, failed, clock)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.circuit.cancel(self.epoch);
        }
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
