//! One member of a subscription, as its pump, its feed and its settlers share it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::changes::Changes;
use super::desk::{Bounds, Desk};
use super::topology::Queues;
use crate::error::Error;
use crate::subscription::Subscription;

/// SQS counts in seconds; with fewer there would be no time for a heartbeat.
const SHORTEST_LEASE: u64 = 2;
/// The longest visibility timeout.
const LONGEST_LEASE: u64 = 12 * 60 * 60;

/// One member of a subscription.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) subscription: Subscription,
    pub(super) queues: Queues,
    pub(super) changes: Changes,
    /// In whole seconds.
    pub(super) lease: Duration,
    desk: Mutex<Desk>,
    failure: Mutex<Option<Error>>,
    /// A receiver waits for something.
    wanted: AtomicBool,
    /// For the receiver: something arrived, or an end.
    pub(super) arrived: Notify,
    /// For the pump: something is wanted, or there is room, or an end.
    pub(super) wake: Notify,
    /// For the heartbeat: what was received may have little of its lease left.
    pub(super) beat: Notify,
    settled: Notify,
}

impl Member {
    pub(super) fn new(subscription: Subscription, queues: Queues, changes: Changes) -> Self {
        let bounds = Bounds {
            messages: subscription.max_in_flight.max(1),
            bytes: subscription.max_bytes_in_flight,
        };
        let lease = subscription.lease.as_millis().div_ceil(1000);
        let lease = u64::try_from(lease).unwrap_or(LONGEST_LEASE);
        Self {
            lease: Duration::from_secs(lease.clamp(SHORTEST_LEASE, LONGEST_LEASE)),
            subscription,
            queues,
            changes,
            desk: Mutex::new(Desk::new(bounds)),
            failure: Mutex::default(),
            wanted: AtomicBool::new(false),
            arrived: Notify::new(),
            wake: Notify::new(),
            beat: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// For changes that must be on their way before the next look: nothing between them waits.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics between two changes that belong together.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the desk, releases what it gives back, and tells everybody who may wait for it.
    pub(super) fn release(&self, change: impl FnOnce(&mut Desk) -> Vec<String>) {
        {
            let mut desk = self.desk();
            // Asked for under the lock, so that no heartbeat of before comes after it.
            self.changes.make_visible(change(&mut desk));
        }
        self.tell();
    }

    pub(super) fn tell(&self) {
        self.arrived.notify_one();
        self.wake.notify_one();
        self.settled.notify_waiters();
    }

    /// Reports a failure to who receives next.
    pub(super) fn report(&self, failure: Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.arrived.notify_one();
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Says that a receiver waits, until the guard is dropped.
    pub(super) fn want(self: &Arc<Self>) -> Wanted {
        self.wanted.store(true, Ordering::Release);
        self.wake.notify_one();
        Wanted(Arc::clone(self))
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Ends the feed; what was not handed out goes back.
    pub(super) fn leave(&self) {
        self.release(Desk::close);
    }

    /// Waits until nothing is in its user's hands.
    pub(super) async fn drained(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Before looking, so that a settlement in between is not missed.
            settled.as_mut().enable();
            if self.desk().in_flight() == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// A receiver waits.
pub(super) struct Wanted(Arc<Member>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.wanted.store(false, Ordering::Release);
    }
}
