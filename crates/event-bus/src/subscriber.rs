//! One member of a subscription, as its user holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::backend::{Feed, Incoming, Receipt, Settlement, Settler};
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind};
use crate::subscription::Subscription;

/// One member of a subscription. Dropping it, like [`close`](Self::close), leaves the subscription; deliveries received
/// before can still be settled.
pub struct Subscriber {
    subscription: Subscription,
    feed: Box<dyn Feed>,
    settler: Arc<dyn Settler>,
    // The undecodable message that is on its way to the dead letters: kept here so that a cancelled `next` goes on
    // with it.
    rejecting: Option<(Receipt, String)>,
    undecodable: u64,
}

impl Subscriber {
    pub(crate) fn new(subscription: Subscription, feed: Box<dyn Feed>) -> Self {
        Self {
            subscription,
            settler: feed.settler(),
            feed,
            rejecting: None,
            undecodable: 0,
        }
    }

    /// What was subscribed to.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Waits for the next delivery; `None` once the bus is closed. Cancel safe.
    ///
    /// An error does not end the subscription: the backend reconnects by itself, and the next call goes on.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            self.finish_rejecting().await?;
            let Some(Incoming {
                body,
                attempt,
                position,
                receipt,
                first_seen_at,
            }) = self.feed.receive().await?
            else {
                return Ok(None);
            };
            match body {
                Ok(message) => {
                    let settler = Arc::clone(&self.settler);
                    return Ok(Some(Delivery::new(
                        message,
                        attempt,
                        position,
                        first_seen_at,
                        receipt,
                        settler,
                    )));
                }
                Err(bytes) => {
                    self.undecodable += 1;
                    tracing::warn!(
                        topic = %self.subscription.topic,
                        subscription = %self.subscription.name,
                        position,
                        reason = bytes.reason,
                        "undecodable message sent to the dead letters"
                    );
                    self.rejecting = Some((receipt, format!("undecodable: {}", bytes.reason)));
                }
            }
        }
    }

    /// Waits for the next delivery, and takes what else there is by then, or comes within `linger`: at most `max` (at
    /// least one is allowed). Empty once the bus is closed. Cancel safe, except that deliveries already taken go back.
    ///
    /// A per-key subscription has at most one delivery of a key in a batch: the next one of the key waits until it is
    /// settled.
    pub async fn next_batch(
        &mut self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, Error> {
        let Some(first) = self.next().await? else {
            return Ok(Vec::new());
        };
        let deadline = Instant::now() + linger;
        let mut batch = vec![first];
        while batch.len() < max {
            match timeout_at(deadline, self.next()).await {
                Ok(Ok(Some(delivery))) => batch.push(delivery),
                // What is here is handed over; the next call meets the error again, or the end.
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        Ok(batch)
    }

    /// How many messages this subscriber sent to the dead letters because their bytes are no event.
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Leaves the subscription. What was fetched ahead goes back to it.
    pub async fn close(mut self) {
        // A rejection that fails here stays unsettled and is delivered again: nothing to add to that.
        let _ = self.finish_rejecting().await;
        self.feed.close().await;
    }

    async fn finish_rejecting(&mut self) -> Result<(), Error> {
        let Some((receipt, reason)) = self.rejecting.clone() else {
            return Ok(());
        };
        let outcome = self
            .settler
            .settle(receipt, Settlement::Reject { reason })
            .await;
        self.rejecting = None;
        match outcome {
            // Settled by a call that was cancelled after the backend had it, or taken over by another member.
            Err(error) if error.kind() == ErrorKind::LeaseLost => Ok(()),
            Err(error) => {
                self.settler.release(receipt);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}
