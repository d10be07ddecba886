//! What was done to callers since the sandbox was started, so that a test can tell a fault from one that never happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

/// The counters; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    errors: AtomicU64,
    refused: AtomicU64,
    duplicated: AtomicU64,
    reordered: AtomicU64,
    rejected: AtomicU64,
}

/// How often each fault happened since the sandbox was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counted {
    /// Requests answered with 500.
    pub(crate) errors: u64,
    /// Requests answered with 503 during an outage.
    pub(crate) refused_during_outage: u64,
    /// Webhooks that are delivered twice.
    pub(crate) webhooks_duplicated: u64,
    /// Charges whose `charge.processing` arrives after the outcome.
    pub(crate) webhooks_reordered: u64,
    /// Charges taken that end rejected.
    pub(crate) charges_rejected: u64,
}

impl Counts {
    pub(crate) fn error(&self) {
        add(&self.0.errors, 1);
    }

    pub(crate) fn refused(&self) {
        add(&self.0.refused, 1);
    }

    pub(crate) fn duplicated(&self, webhooks: u64) {
        add(&self.0.duplicated, webhooks);
    }

    pub(crate) fn reordered(&self) {
        add(&self.0.reordered, 1);
    }

    pub(crate) fn rejected(&self) {
        add(&self.0.rejected, 1);
    }

    pub(crate) fn get(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            errors: read(&self.0.errors),
            refused_during_outage: read(&self.0.refused),
            webhooks_duplicated: read(&self.0.duplicated),
            webhooks_reordered: read(&self.0.reordered),
            charges_rejected: read(&self.0.rejected),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
