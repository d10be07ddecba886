//! What one subscriber holds: deliveries fetched ahead, and those in its user's hands.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backend::{Incoming, Receipt};
use crate::error::Error;

/// Which subscription, in the file's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) topic: i64,
    pub(super) subscription: i64,
    pub(super) ordered: bool,
}

/// What one subscriber holds.
pub(super) struct Desk {
    pub(super) place: Place,
    pub(super) lease: Duration,
    limit: usize,
    state: Mutex<State>,
    /// Something was put here, or it was closed.
    pub(super) arrived: Notify,
    /// There may be something to claim, or room for it, or it was closed.
    pub(super) wake: Notify,
}

#[derive(Default)]
struct State {
    ahead: VecDeque<Incoming>,
    held: HashMap<u64, Held>,
    error: Option<Error>,
    closed: bool,
}

struct Held {
    fence: u64,
    /// In the user's hands, no longer only fetched ahead.
    received: bool,
}

/// What the desk has for its subscriber now.
pub(super) enum Next {
    Delivery(Box<Incoming>),
    Error(Error),
    Closed,
    Nothing,
}

impl Desk {
    pub(super) fn new(place: Place, lease: Duration, limit: usize) -> Self {
        Self {
            place,
            lease,
            limit,
            state: Mutex::default(),
            arrived: Notify::new(),
            wake: Notify::new(),
        }
    }

    /// How many more it takes; none once it is closed.
    pub(super) fn room(&self) -> Option<usize> {
        let state = self.state();
        (!state.closed).then(|| self.limit.saturating_sub(state.held.len()))
    }

    /// Puts deliveries on the desk. A closed desk gives them back.
    #[must_use = "what a closed desk gives back must be released"]
    pub(super) fn put(&self, deliveries: Vec<Incoming>) -> Vec<Receipt> {
        let mut state = self.state();
        if state.closed {
            return deliveries.iter().map(|delivery| delivery.receipt).collect();
        }
        for delivery in deliveries {
            let fence = delivery.receipt.fence;
            let held = Held {
                fence,
                received: false,
            };
            state.held.insert(delivery.receipt.id, held);
            state.ahead.push_back(delivery);
        }
        self.arrived.notify_one();
        Vec::new()
    }

    /// Tells the subscriber of a failure; a newer one replaces one not yet told.
    pub(super) fn report(&self, error: Error) {
        self.state().error = Some(error);
        self.arrived.notify_one();
    }

    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        while let Some(delivery) = state.ahead.pop_front() {
            let receipt = delivery.receipt;
            // A delivery whose lease was lost while it waited here is another's now.
            if let Some(held) = state
                .held
                .get_mut(&receipt.id)
                .filter(|held| held.fence == receipt.fence)
            {
                held.received = true;
                return Next::Delivery(Box::new(delivery));
            }
        }
        match state.error.take() {
            _ if state.closed => Next::Closed,
            Some(error) => Next::Error(error),
            None => Next::Nothing,
        }
    }

    pub(super) fn holds(&self, receipt: Receipt) -> bool {
        self.state()
            .held
            .get(&receipt.id)
            .is_some_and(|held| held.fence == receipt.fence)
    }

    /// Whether the receipt was still held. Makes room.
    pub(super) fn let_go(&self, receipt: Receipt) -> bool {
        let mut state = self.state();
        let held = state
            .held
            .get(&receipt.id)
            .is_some_and(|held| held.fence == receipt.fence);
        if held {
            state.held.remove(&receipt.id);
            self.wake.notify_one();
        }
        held
    }

    /// Everything held, for the lease to be extended.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        let state = self.state();
        state
            .held
            .iter()
            .map(|(id, held)| Receipt::new(*id, held.fence))
            .collect()
    }

    /// How many are in the user's hands.
    pub(super) fn in_flight(&self) -> usize {
        self.state()
            .held
            .values()
            .filter(|held| held.received)
            .count()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Closes the desk; gives what was fetched ahead and not received.
    #[must_use = "what was fetched ahead must be released"]
    pub(super) fn close(&self) -> Vec<Receipt> {
        let mut state = self.state();
        state.closed = true;
        state.ahead.clear();
        let unreceived: Vec<Receipt> = state
            .held
            .iter()
            .filter(|(_, held)| !held.received)
            .map(|(id, held)| Receipt::new(*id, held.fence))
            .collect();
        state.held.retain(|_, held| held.received);
        drop(state);
        self.arrived.notify_one();
        self.wake.notify_one();
        unreceived
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together, so a poisoned state is a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
