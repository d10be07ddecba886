//! Settling: all of it happens at once, under the lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Shared;
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};

/// Settles the deliveries of one subscription.
pub(super) struct MemorySettler {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: TopicName,
    pub(super) name: SubscriptionName,
}

impl MemorySettler {
    fn apply(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let mut state = self.shared.state();
        let group = state.group("settle", &self.topic, &self.name)?;
        if !group.holds(receipt) {
            let problem = "the delivery was settled before";
            return Err(Error::new(ErrorKind::LeaseLost, "settle", problem));
        }
        let mut done = false;
        match settlement {
            Settlement::Ack => {
                group.finish(receipt);
                done = true;
            }
            Settlement::Retry { after } => group.postpone(receipt, later(after)),
            Settlement::Reject { reason } => group.bury(receipt, reason),
        }
        group.changed.notify_waiters();
        if done {
            state.done(&self.topic, receipt.id);
        }
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
        drop(state);
        self.shared.settled.notify_waiters();
        Ok(())
    }
}

/// When a retry is due. A delay beyond what the clock can count is as good as for ever: thirty years.
fn later(after: Duration) -> Option<Instant> {
    if after.is_zero() {
        return None;
    }
    let now = Instant::now();
    now.checked_add(after)
        .or_else(|| now.checked_add(Duration::from_hours(30 * 365 * 24)))
}

#[async_trait]
impl Settler for MemorySettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        self.apply(receipt, settlement)
    }

    fn release(&self, receipt: Receipt) {
        // A receipt that no longer holds has nothing to give back.
        let _ = self.apply(
            receipt,
            Settlement::Retry {
                after: Duration::ZERO,
            },
        );
    }
}
