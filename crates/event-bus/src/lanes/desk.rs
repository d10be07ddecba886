//! Lanes that tasks share: a lock around them, and the waiting.

use std::hash::Hash;
#[cfg(any(feature = "kafka", test))]
use std::time::Duration;

use tokio::time::Instant;

#[cfg(any(feature = "kafka", test))]
use super::sync::wait_while;
use super::sync::{Condvar, Mutex, MutexGuard, Notify, PoisonError};
use super::{HandedOut, Lanes};
use crate::error::Error;

/// Shared by the intake that fills the lanes, the feed that empties them and the handlers that settle. `X` is what must
/// change together with the lanes, under the same lock.
#[derive(Debug)]
pub(crate) struct Desk<T, I, X> {
    inner: Mutex<Inner<T, I, X>>,
    /// Something may be handed out now.
    changed: Notify,
    /// The intake has something to look at: room, or an end.
    intake: Notify,
    /// For those who wait on a plain thread, in a callback of the broker's client.
    settled: Condvar,
    /// For those who wait in a task.
    drained: Notify,
}

#[derive(Debug)]
struct Inner<T, I, X> {
    lanes: Lanes<T, I>,
    beside: X,
    ended: bool,
    /// Reported once by the next receive.
    failure: Option<Error>,
}

impl<T: Clone, I: Clone + Eq + Hash, X> Desk<T, I, X> {
    pub(crate) fn new(lanes: Lanes<T, I>, beside: X) -> Self {
        Self {
            inner: Mutex::new(Inner {
                lanes,
                beside,
                ended: false,
                failure: None,
            }),
            changed: Notify::new(),
            intake: Notify::new(),
            settled: Condvar::new(),
            drained: Notify::new(),
        }
    }

    /// Looks without changing anything.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Lanes<T, I>, &X) -> R) -> R {
        let inner = self.lock();
        look(&inner.lanes, &inner.beside)
    }

    /// Changes the lanes and tells everybody who may wait for the change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Lanes<T, I>, &mut X) -> R) -> R {
        let result = {
            let mut inner = self.lock();
            let Inner { lanes, beside, .. } = &mut *inner;
            change(lanes, beside)
        };
        self.tell();
        result
    }

    /// Waits for the next message to hand out; `None` once ended. Cancel safe: it is handed out in the last step.
    pub(crate) async fn next(&self) -> Result<Option<HandedOut<T>>, Error> {
        loop {
            let changed = self.changed.notified();
            let wake_at = {
                let mut inner = self.lock();
                if inner.ended {
                    return Ok(None);
                }
                if let Some(failure) = inner.failure.take() {
                    return Err(failure);
                }
                if let Some(handed_out) = inner.lanes.next(Instant::now()) {
                    return Ok(Some(handed_out));
                }
                inner.lanes.wake_at()
            };
            match wake_at {
                Some(at) => drop(tokio::time::timeout_at(at, changed).await),
                None => changed.await,
            }
        }
    }

    /// Waits until the intake has something to look at.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) async fn intake(&self) {
        self.intake.notified().await;
    }

    /// Nothing is handed out any more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.tell();
    }

    /// Reports a failure to who receives next.
    pub(crate) fn report(&self, failure: Error) {
        self.lock().failure = Some(failure);
        self.tell();
    }

    /// Takes back what `of` selects, for another member: nothing more of it is handed out, what is in somebody's hands has
    /// `within` to be settled, and the rest is revoked. `last` looks at what is beside the lanes in the same step, so what
    /// is settled is either known to it, or refused. Blocks the thread. True when all that was in hand was settled.
    // Only Kafka's client calls back on a thread.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn take_back<R>(
        &self,
        within: Duration,
        of: impl Fn(&T) -> bool,
        last: impl FnOnce(&mut X) -> R,
    ) -> (bool, R) {
        self.change(|lanes, _| lanes.leave(&of));
        let (mut inner, is_settled) = wait_while(&self.settled, self.lock(), within, |inner| {
            inner.lanes.out_of(&of) > 0
        });
        let Inner { lanes, beside, .. } = &mut *inner;
        lanes.revoke(&of);
        let result = last(beside);
        drop(inner);
        self.tell();
        (is_settled, result)
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn drained(&self) {
        self.wait_until(|lanes| lanes.in_flight() == 0).await;
    }

    /// Waits until the lanes are as asked for; looks after every change.
    pub(crate) async fn wait_until(&self, so: impl Fn(&Lanes<T, I>) -> bool) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Before looking, so that a settlement in between is not missed.
            drained.as_mut().enable();
            if self.look(|lanes, _| so(lanes)) {
                return;
            }
            drained.await;
        }
    }

    fn tell(&self) {
        self.changed.notify_one();
        self.intake.notify_one();
        self.settled.notify_all();
        self.drained.notify_waiters();
    }

    /// A panic in a holder of the lock leaves no half-made change that matters more than going on.
    fn lock(&self) -> MutexGuard<'_, Inner<T, I, X>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
