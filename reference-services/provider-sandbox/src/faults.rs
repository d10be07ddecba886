//! Faults on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commerce_host::Problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use utoipa::ToSchema;

/// What goes wrong, and how often. Rates are shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Faults {
    /// Every answer waits so long.
    pub latency_ms: u64,
    /// Requests answered with 500: half of them before anything happened, half after the charge was stored.
    pub error_rate: f64,
    /// From now on, for so long, every request is answered with 503.
    pub outage_ms: u64,
    /// Webhooks delivered twice.
    pub duplicate_rate: f64,
    /// Charges whose `charge.processing` arrives after the outcome.
    pub reorder_rate: f64,
    /// Charges rejected; which ones follows from the seed and the reference, so that a repetition rejects the same.
    pub reject_rate: f64,
}

impl Faults {
    /// The rates that are none, by their fields.
    pub(crate) fn wrong_rates(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("error_rate", self.error_rate),
            ("duplicate_rate", self.duplicate_rate),
            ("reorder_rate", self.reorder_rate),
            ("reject_rate", self.reject_rate),
        ]
        .into_iter()
        .filter(|(_, rate)| !(0.0..=1.0).contains(rate))
    }

    /// What is wrong with these faults, as the answer to who wanted them.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let mut problem = None;
        for (field, rate) in self.wrong_rates() {
            let found = problem
                .take()
                .unwrap_or_else(|| Problem::unprocessable("a rate is a share from 0 to 1"));
            problem = Some(found.at(format!("/{field}"), format!("{rate} is not from 0 to 1")));
        }
        problem.map_or(Ok(()), Err)
    }
}

/// Decides, request by request, what goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Injector(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    seed: u64,
    drawn: u64,
    faults: Faults,
    outage_until: Option<Instant>,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Served,
    /// Unavailable for so long.
    Out(Duration),
    FailsBefore,
    FailsAfter,
}

impl Injector {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let injector = Self(Arc::new(Mutex::new(State {
            seed,
            drawn: 0,
            faults: Faults::default(),
            outage_until: None,
        })));
        injector.set(faults);
        injector
    }

    pub(crate) fn set(&self, faults: Faults) {
        let mut state = self.state();
        state.outage_until = (faults.outage_ms > 0)
            .then(|| Instant::now() + Duration::from_millis(faults.outage_ms));
        state.faults = faults;
    }

    /// The faults, with what is left of an outage.
    pub(crate) fn get(&self) -> Faults {
        let state = self.state();
        let left = state.outage_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        });
        Faults {
            outage_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            ..state.faults.clone()
        }
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.state().faults.latency_ms)
    }

    pub(crate) fn fate(&self) -> Fate {
        let mut state = self.state();
        if let Some(until) = state.outage_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Fate::Out(left);
            }
            state.outage_until = None;
        }
        let rate = state.faults.error_rate;
        let drawn = state.draw();
        if drawn < rate / 2.0 {
            Fate::FailsBefore
        } else if drawn < rate {
            Fate::FailsAfter
        } else {
            Fate::Served
        }
    }

    pub(crate) fn duplicates(&self) -> bool {
        let mut state = self.state();
        state.draw() < state.faults.duplicate_rate
    }

    pub(crate) fn reorders(&self) -> bool {
        let mut state = self.state();
        state.draw() < state.faults.reorder_rate
    }

    /// A number below 1 that follows from the seed alone: how long the charge takes to settle.
    pub(crate) fn pace(&self) -> f64 {
        self.state().draw()
    }

    pub(crate) fn rejects(&self, reference: &str) -> bool {
        let state = self.state();
        share(&[&state.seed.to_be_bytes(), b"reject", reference.as_bytes()])
            < state.faults.reject_rate
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        share(&[&self.seed.to_be_bytes(), b"draw", &self.drawn.to_be_bytes()])
    }
}

/// A number from 0 up to 1, the same for the same parts.
fn share(parts: &[&[u8]]) -> f64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest = hash.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rejects_the_same_share_of_references() {
        let injector = || {
            Injector::new(
                7,
                Faults {
                    reject_rate: 0.05,
                    ..Faults::default()
                },
            )
        };
        let rejected = |injector: &Injector| {
            (0..4_000)
                .filter(|n| injector.rejects(&format!("order {n}")))
                .collect::<Vec<_>>()
        };
        let first = rejected(&injector());
        assert_eq!(first, rejected(&injector()));
        assert!((120..=280).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn half_of_the_errors_come_too_late() {
        let injector = Injector::new(
            7,
            Faults {
                error_rate: 0.5,
                ..Faults::default()
            },
        );
        let fates: Vec<_> = (0..4_000).map(|_| injector.fate()).collect();
        for fate in [Fate::FailsBefore, Fate::FailsAfter] {
            let count = fates.iter().filter(|seen| **seen == fate).count();
            assert!((800..=1_200).contains(&count), "{fate:?} {count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_ends() {
        let injector = Injector::new(
            7,
            Faults {
                outage_ms: 5_000,
                ..Faults::default()
            },
        );
        assert_eq!(injector.fate(), Fate::Out(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(injector.fate(), Fate::Served);
        assert_eq!(injector.get().outage_ms, 0);
    }

    #[test]
    fn a_rate_is_a_share() {
        assert!(
            Faults {
                error_rate: 1.0,
                ..Faults::default()
            }
            .check()
            .is_ok()
        );
        assert!(
            Faults {
                error_rate: 1.1,
                ..Faults::default()
            }
            .check()
            .is_err()
        );
        assert!(
            Faults {
                reject_rate: f64::NAN,
                ..Faults::default()
            }
            .check()
            .is_err()
        );
    }
}
