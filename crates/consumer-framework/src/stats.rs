//! What a consumer has done so far, for metrics and tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Each counter is a field to count on, and a public method of the same name to read it.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// Counters of one consumer, from its start. They only rise, except for
        /// [`in_flight`](Stats::in_flight).
        #[derive(Debug, Default)]
        pub struct Stats {
            $(pub(crate) $name: Counter,)*
            in_flight: AtomicU64,
        }

        impl Stats { $(
            $(#[doc = $doc])+
            pub fn $name(&self) -> u64 {
                self.$name.get()
            }
        )* }
    };
}

counters! {
    /// Deliveries whose handler succeeded and whose effects are durable.
    handled,
    /// Deliveries of events that had been handled before: their handler did not run, or its effects
    /// were undone.
    duplicates,
    /// Deliveries of events that no handler takes.
    ignored,
    /// Attempts that failed and are made again.
    retries,
    /// Deliveries that a handler put off.
    deferrals,
    /// Events that went to the dead letters.
    dead_lettered,
    /// Handlers that panicked.
    panics,
    /// Handlers that took too long.
    timeouts,
    /// Verdicts that did not reach the bus at the first try.
    settle_errors,
}

impl Stats {
    /// Deliveries being handled now.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a delivery as in flight until the guard is dropped, also by a panic or an abort.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

pub(crate) struct InFlight(Arc<Stats>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
