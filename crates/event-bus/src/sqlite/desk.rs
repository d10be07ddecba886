//! What one subscriber holds: deliveries fetched ahead, and those in its user's hands.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::sync::{Mutex, MutexGuard, Notify, PoisonError};
use crate::backend::{Incoming, Receipt};
use crate::error::Error;

/// Which subscription, in the file's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) topic: i64,
    pub(super) subscription: i64,
    pub(super) ordered: bool,
}

/// How much more a desk takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// Nothing is held: one delivery fits, whatever its size.
    pub(super) empty: bool,
}

impl Room {
    /// How many of these sizes fit, from the first on.
    pub(super) fn fitting(self, sizes: impl Iterator<Item = usize>) -> usize {
        let mut bytes = 0_usize;
        sizes
            .take(self.count)
            .enumerate()
            .take_while(|(at, size)| {
                bytes = bytes.saturating_add(*size);
                bytes <= self.bytes || (self.empty && *at == 0)
            })
            .count()
    }
}

/// A delivery that was fetched, and how many bytes its message takes.
pub(super) struct Fetched {
    pub(super) incoming: Incoming,
    pub(super) size: usize,
}

/// What one subscriber holds.
pub(super) struct Desk {
    pub(super) place: Place,
    pub(super) lease: Duration,
    limit: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// Something was put here, or it was closed.
    arrived: Notify,
    /// There may be something to claim, or room for it, or it was closed.
    pub(super) wake: Notify,
}

#[derive(Default)]
struct State {
    ahead: VecDeque<Incoming>,
    held: HashMap<u64, Held>,
    /// Of the messages held.
    bytes: usize,
    error: Option<Error>,
    closed: bool,
}

struct Held {
    fence: u64,
    size: usize,
    /// In the user's hands, no longer only fetched ahead.
    received: bool,
}

impl State {
    fn hold(&mut self, id: u64, held: Held) {
        // One whose lease was lost may come back under another fence, and takes its own place.
        self.let_go(id);
        self.bytes += held.size;
        self.held.insert(id, held);
    }

    fn let_go(&mut self, id: u64) {
        if let Some(held) = self.held.remove(&id) {
            self.bytes -= held.size;
        }
    }

    fn holds(&self, receipt: Receipt) -> bool {
        let held = self.held.get(&receipt.id);
        held.is_some_and(|held| held.fence == receipt.fence)
    }
}

/// What the desk has for its subscriber now.
enum Next {
    Delivery(Box<Incoming>),
    Error(Error),
    Closed,
    Nothing,
}

impl Desk {
    pub(super) fn new(place: Place, lease: Duration, limit: usize, max_bytes: usize) -> Self {
        Self {
            place,
            lease,
            limit,
            max_bytes,
            state: Mutex::new(State::default()),
            arrived: Notify::new(),
            wake: Notify::new(),
        }
    }

    /// Waits until it takes another delivery; none once it is closed.
    pub(super) async fn roomy(&self) -> Option<Room> {
        loop {
            match self.room() {
                Some(Room { count: 0, .. }) => self.wake.notified().await,
                room => return room,
            }
        }
    }

    fn room(&self) -> Option<Room> {
        let state = self.state();
        (!state.closed).then(|| Room {
            count: self.limit.saturating_sub(state.held.len()),
            bytes: self.max_bytes.saturating_sub(state.bytes),
            empty: state.held.is_empty(),
        })
    }

    /// Puts deliveries on the desk. A closed desk gives them back.
    #[must_use = "what a closed desk gives back must be released"]
    pub(super) fn put(&self, deliveries: Vec<Fetched>) -> Vec<Receipt> {
        let mut state = self.state();
        if state.closed {
            return deliveries
                .iter()
                .map(|delivery| delivery.incoming.receipt)
                .collect();
        }
        for Fetched { incoming, size } in deliveries {
            let Receipt { id, fence } = incoming.receipt;
            let held = Held {
                fence,
                size,
                received: false,
            };
            state.hold(id, held);
            state.ahead.push_back(incoming);
        }
        self.arrived.notify_one();
        Vec::new()
    }

    /// Tells the subscriber of a failure; a newer one replaces one not yet told.
    pub(super) fn report(&self, error: Error) {
        self.state().error = Some(error);
        self.arrived.notify_one();
    }

    /// Waits for the next delivery; none once it is closed.
    pub(super) async fn receive(&self) -> Result<Option<Incoming>, Error> {
        loop {
            match self.next() {
                Next::Delivery(incoming) => return Ok(Some(*incoming)),
                Next::Closed => return Ok(None),
                Next::Error(error) => return Err(error),
                // A permit is kept for who was not waiting: nothing is missed in between.
                Next::Nothing => self.arrived.notified().await,
            }
        }
    }

    fn next(&self) -> Next {
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
        self.state().holds(receipt)
    }

    /// Whether the receipt was still held. Makes room.
    pub(super) fn let_go(&self, receipt: Receipt) -> bool {
        let mut state = self.state();
        let held = state.holds(receipt);
        if held {
            state.let_go(receipt.id);
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
        for receipt in &unreceived {
            state.let_go(receipt.id);
        }
        self.arrived.notify_one();
        self.wake.notify_one();
        unreceived
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together, so a poisoned state is a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
