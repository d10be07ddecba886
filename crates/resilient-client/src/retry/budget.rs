//! How many retries an origin can be asked to bear: a share of the calls, so that retries cannot multiply an outage.

use std::sync::atomic::{AtomicU32, Ordering};

use tower::retry::budget::{Budget, TpsBudget};

use super::RetryPolicy;

/// tower's token bucket, plus what was withdrawn for a retry that was never sent.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tokens: TpsBudget,
    returned: AtomicU32,
}

impl RetryBudget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self {
            tokens: TpsBudget::new(
                policy.budget_window,
                policy.budget_per_second,
                policy.budget_share,
            ),
            returned: AtomicU32::new(0),
        }
    }

    /// A call was made.
    pub(crate) fn deposit(&self) {
        self.tokens.deposit();
    }

    /// Pays for one retry, when it is decided: retries that wait in backoff count already.
    pub(crate) fn withdraw(&self) -> bool {
        let take = |returned: u32| returned.checked_sub(1);
        self.returned
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
            || self.tokens.withdraw()
    }

    /// Takes back the price of a retry that was not sent, because the circuit opened while it waited.
    pub(crate) fn give_back(&self) {
        self.returned.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_share_of_the_calls_may_be_retried() {
        let budget = RetryBudget::new(&RetryPolicy::default().budget(0.2, 0));
        assert!(!budget.withdraw());
        for _ in 0..10 {
            budget.deposit();
        }
        assert!(budget.withdraw() && budget.withdraw());
        assert!(!budget.withdraw(), "two of ten");
        budget.give_back();
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }
}
