//! What an attempt's outcome means for the delivery.

use std::time::Duration;

use commerce_event_bus::{Delivery, SettleError};

use super::super::OnExhausted;
use super::Policy;
use crate::failure::{Action, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ack,
    /// Acknowledged: the event was handled before.
    Duplicate,
    Retry {
        after: Duration,
        reason: String,
    },
    Defer {
        after: Duration,
    },
    Reject {
        reason: String,
    },
    Stop {
        reason: String,
    },
}

impl Verdict {
    pub(super) fn on(failure: Option<Failure>, attempt: u32, policy: &Policy) -> Self {
        let Some(failure) = failure else {
            return Self::Ack;
        };
        match failure.action {
            Action::Duplicate => Self::Duplicate,
            Action::Defer { after } => Self::Defer { after },
            Action::Reject => Self::Reject {
                reason: failure.reason(),
            },
            Action::Retry { after } if !policy.backoff.is_last(attempt) => Self::Retry {
                after: policy.backoff.pause(attempt).max(after),
                reason: failure.reason(),
            },
            Action::Retry { .. } => match policy.on_exhausted {
                OnExhausted::Stop => Self::Stop {
                    reason: failure.reason(),
                },
                OnExhausted::DeadLetter => Self::Reject {
                    reason: format!("failed in all {attempt} attempts: {}", failure.reason()),
                },
            },
        }
    }

    /// Settles the delivery. A verdict to stop is not settled: the delivery goes back.
    pub(super) async fn apply(&self, delivery: Delivery) -> Result<(), SettleError> {
        match self {
            Self::Ack | Self::Duplicate => delivery.ack().await,
            Self::Retry { after, .. } | Self::Defer { after } => delivery.retry(*after).await,
            Self::Reject { reason } => delivery.reject(reason.as_str()).await,
            Self::Stop { .. } => Ok(()),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ack => "handled",
            Self::Duplicate => "duplicate",
            Self::Retry { .. } => "retry",
            Self::Defer { .. } => "deferred",
            Self::Reject { .. } => "dead letter",
            Self::Stop { .. } => "stop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Backoff;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(on_exhausted: OnExhausted) -> Policy {
        Policy {
            backoff: Backoff::fixed(SECOND).attempts(3),
            on_exhausted,
            ..Policy::default()
        }
    }

    fn verdict(failure: Failure, attempt: u32) -> Verdict {
        Verdict::on(Some(failure), attempt, &policy(OnExhausted::DeadLetter))
    }

    #[test]
    fn a_retry_waits_for_the_longer_of_the_backoff_and_the_failures_own_time() {
        let Verdict::Retry { after, .. } = verdict(Failure::retry("x"), 1) else {
            panic!("attempts are left");
        };
        assert!(after >= SECOND && after <= 2 * SECOND);
        let Verdict::Retry { after, .. } = verdict(Failure::retry("x").after(9 * SECOND), 2) else {
            panic!("attempts are left");
        };
        assert_eq!(after, 9 * SECOND);
    }

    #[test]
    fn the_last_attempt_decides_as_the_policy_says() {
        let dead = verdict(Failure::retry("x"), 3);
        assert_eq!(
            dead,
            Verdict::Reject {
                reason: "failed in all 3 attempts: x".to_owned()
            }
        );
        let stop = Verdict::on(Some(Failure::retry("x")), 4, &policy(OnExhausted::Stop));
        assert_eq!(
            stop,
            Verdict::Stop {
                reason: "x".to_owned()
            }
        );
    }

    #[test]
    fn a_rejection_does_not_wait_for_the_last_attempt_and_a_deferral_outlives_it() {
        assert_eq!(
            verdict(Failure::reject("x"), 1),
            Verdict::Reject {
                reason: "x".to_owned()
            }
        );
        assert_eq!(
            verdict(Failure::defer(SECOND), 99),
            Verdict::Defer { after: SECOND }
        );
        assert_eq!(
            Verdict::on(None, 99, &policy(OnExhausted::Stop)),
            Verdict::Ack
        );
    }
}
