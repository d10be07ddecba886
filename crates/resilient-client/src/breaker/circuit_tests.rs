//! The circuit against a naive model that keeps every outcome and recounts it each time.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Change, Circuit, Permit};
use crate::breaker::BreakerPolicy;

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    /// Settles the n-th running attempt (modulo their number).
    Settle {
        which: usize,
        failed: bool,
    },
    Cancel {
        which: usize,
    },
    Wait {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, failed)| Step::Settle { which, failed }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        2 => (0u64..800).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// The specification, written for the eye: lists instead of counters, no epochs (an attempt remembers its phase's list).
struct Model {
    window: usize,
    minimum: usize,
    probes: usize,
    open_for: Duration,
    phase: usize,
    until: Option<Instant>,
    half_open: bool,
    outcomes: VecDeque<bool>,
    running: usize,
}

impl Model {
    fn change(&mut self, until: Option<Instant>, half_open: bool) {
        self.phase += 1;
        (self.until, self.half_open, self.running) = (until, half_open, 0);
        self.outcomes.clear();
    }

    fn admit(&mut self, now: Instant) -> Option<usize> {
        match self.until {
            Some(until) if now < until => return None,
            Some(_) => self.change(None, true),
            None => {}
        }
        if self.half_open {
            if self.running + self.outcomes.len() >= self.probes {
                return None;
            }
            self.running += 1;
        }
        Some(self.phase)
    }

    fn settle(&mut self, phase: usize, failed: bool, now: Instant) -> Change {
        if phase != self.phase {
            return Change::None;
        }
        self.outcomes.push_back(failed);
        let failures =
            |outcomes: &VecDeque<bool>| outcomes.iter().filter(|failed| **failed).count();
        if self.half_open {
            self.running -= 1;
            let failures = failures(&self.outcomes);
            if failures > 0 && failures * 2 >= self.probes {
                self.change(Some(now + self.open_for), false);
                return Change::Opened;
            }
            if self.outcomes.len() == self.probes {
                self.change(None, false);
                return Change::Closed;
            }
            return Change::None;
        }
        if self.outcomes.len() > self.window {
            self.outcomes.pop_front();
        }
        if self.outcomes.len() >= self.minimum
            && failures(&self.outcomes) * 2 >= self.outcomes.len()
        {
            self.change(Some(now + self.open_for), false);
            return Change::Opened;
        }
        Change::None
    }

    fn cancel(&mut self, phase: usize) {
        if phase == self.phase && self.half_open {
            self.running -= 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn behaves_like_the_model(
        window in 1usize..8, minimum in 1usize..8, probes in 1usize..5, steps in proptest::collection::vec(step(), 0..200),
    ) {
        let open_for = Duration::from_millis(500);
        let minimum = minimum.min(window);
        let policy = BreakerPolicy::default().window(window).minimum_calls(minimum).probes(probes).open_for(open_for);
        let circuit = Circuit::new(policy);
        let mut model = Model {
            window, minimum, probes, open_for,
            phase: 0, until: None, half_open: false, outcomes: VecDeque::new(), running: 0,
        };
        let mut now = Instant::now();
        let mut running: Vec<(Permit<'_>, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit => match (circuit.admit_by(|| now), model.admit(now)) {
                    (Ok(permit), Some(phase)) => running.push((permit, phase)),
                    (Err(_), None) => {}
                    (real, expected) => prop_assert!(false, "{real:?}, the model says {expected:?}"),
                },
                Step::Settle { which, failed } if !running.is_empty() => {
                    let (permit, phase) = running.remove(which % running.len());
                    prop_assert_eq!(permit.settle_by(failed, || now), model.settle(phase, failed, now));
                }
                Step::Cancel { which } if !running.is_empty() => {
                    let (permit, phase) = running.remove(which % running.len());
                    drop(permit);
                    model.cancel(phase);
                }
                Step::Wait { millis } => now += Duration::from_millis(millis),
                Step::Settle { .. } | Step::Cancel { .. } => {}
            }
        }
    }
}

/// The defect that ruled out another breaker: its window filled up and never slid.
#[test]
fn old_successes_do_not_hide_new_failures() {
    let circuit = Circuit::new(BreakerPolicy::default());
    for _ in 0..100_000 {
        assert_eq!(circuit.admit().unwrap().settle(false), Change::None);
    }
    let failures = (1..=100).find(|_| circuit.admit().unwrap().settle(true) == Change::Opened);
    assert_eq!(failures, Some(50), "half of a window of a hundred");
}

#[tokio::test(start_paused = true)]
async fn opens_says_until_when_and_closes_after_good_probes() {
    let policy = BreakerPolicy::default()
        .minimum_calls(2)
        .open_for(Duration::from_secs(5))
        .probes(2);
    let circuit = Circuit::new(policy);
    for expected in [Change::None, Change::Opened] {
        assert_eq!(circuit.admit().unwrap().settle(true), expected);
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(
        circuit.admit().unwrap_err().retry_after(),
        Duration::from_secs(3)
    );
    tokio::time::advance(Duration::from_secs(3)).await;
    let (first, second) = (circuit.admit().unwrap(), circuit.admit().unwrap());
    assert!(circuit.admit().is_err(), "two probes, not three");
    drop(second);
    let second = circuit
        .admit()
        .expect("a cancelled probe's place is free again");
    assert_eq!(
        (first.settle(false), second.settle(false)),
        (Change::None, Change::Closed)
    );
    assert_eq!(circuit.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn late_failures_of_the_closed_time_do_not_fail_the_probes() {
    let policy = BreakerPolicy::default()
        .minimum_calls(1)
        .window(1)
        .probes(1);
    let circuit = Circuit::new(policy);
    let late = circuit.admit().unwrap();
    assert_eq!(circuit.admit().unwrap().settle(true), Change::Opened);
    tokio::time::advance(Duration::from_secs(5)).await;
    let probe = circuit.admit().unwrap();
    assert_eq!(late.settle(true), Change::None);
    assert_eq!(probe.settle(false), Change::Closed);
}
