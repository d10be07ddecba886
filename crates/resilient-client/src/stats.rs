//! What a client has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the client was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests sent, retries included.
    pub attempts: u64,
    /// Requests sent again after a failure.
    pub retries: u64,
    /// Retries not made because the budget was spent.
    pub budget_exhausted: u64,
    /// How often a circuit opened.
    pub breaker_opens: u64,
    /// Attempts that an open circuit refused.
    pub breaker_rejections: u64,
    /// Requests repeated with fresh credentials after a 401.
    pub reauthorizations: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) attempts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) budget_exhausted: AtomicU64,
    pub(crate) breaker_opens: AtomicU64,
    pub(crate) breaker_rejections: AtomicU64,
    pub(crate) reauthorizations: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            attempts: read(&self.attempts),
            retries: read(&self.retries),
            budget_exhausted: read(&self.budget_exhausted),
            breaker_opens: read(&self.breaker_opens),
            breaker_rejections: read(&self.breaker_rejections),
            reauthorizations: read(&self.reauthorizations),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
