//! What the threads of a desk meet at, by name: its test puts those of a model checker in their place.

#[cfg(any(feature = "kafka", test))]
use std::time::Duration;

pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use tokio::sync::Notify;

/// Blocks the thread while it `waits`, for so long at most. False when the time was over first.
#[cfg(any(feature = "kafka", test))]
pub(super) fn wait_while<'a, T>(
    told: &Condvar,
    guard: MutexGuard<'a, T>,
    within: Duration,
    waits: impl FnMut(&mut T) -> bool,
) -> (MutexGuard<'a, T>, bool) {
    let (guard, outcome) = told
        .wait_timeout_while(guard, within, waits)
        .unwrap_or_else(PoisonError::into_inner);
    (guard, !outcome.timed_out())
}
