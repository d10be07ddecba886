//! One attempt to hand a message to a subscription.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};
use crate::message::Message;

/// One attempt to hand a message to a subscription. It is settled at most once, by [`ack`](Self::ack),
/// [`retry`](Self::retry) or [`reject`](Self::reject), which take it; dropped unsettled, it goes back for redelivery.
#[must_use = "a delivery that is dropped is delivered again"]
pub struct Delivery {
    message: Message,
    attempt: u32,
    position: String,
    first_seen_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    receipt: Receipt,
    settler: Arc<dyn Settler>,
    settled: bool,
}

impl Delivery {
    pub(crate) fn new(
        message: Message,
        attempt: u32,
        position: String,
        first_seen_at: Option<DateTime<Utc>>,
        receipt: Receipt,
        settler: Arc<dyn Settler>,
    ) -> Self {
        let received_at = Utc::now();
        Self {
            message,
            attempt,
            position,
            first_seen_at: first_seen_at.unwrap_or(received_at),
            received_at,
            receipt,
            settler,
            settled: false,
        }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Which attempt this is, from 1. A delivery that was dropped, or whose process died, counts.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where the message is, in the backend's own words.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// When the subscription was first given the message, as far as the backend remembers; at the first attempt, now.
    pub fn first_seen_at(&self) -> DateTime<Utc> {
        self.first_seen_at
    }

    /// When this process received it.
    pub fn received_at(&self) -> DateTime<Utc> {
        self.received_at
    }

    /// Done: the subscription never sees the message again.
    pub async fn ack(self) -> Result<(), SettleError> {
        self.settle(Settlement::Ack).await
    }

    /// Once more, not before `after` has passed. In a per-key subscription the key waits.
    pub async fn retry(self, after: Duration) -> Result<(), SettleError> {
        self.settle(Settlement::Retry { after }).await
    }

    /// Never again: the message goes to the subscription's dead letters, with the reason.
    pub async fn reject(self, reason: impl Into<String> + Send) -> Result<(), SettleError> {
        let reason = reason.into();
        self.settle(Settlement::Reject { reason }).await
    }

    /// Settles several deliveries, of any subscribers, in as few round trips as their backends can; one result for
    /// each, in their order. [`ack_all`](Self::ack_all) is the common case.
    pub async fn settle_all(
        deliveries: impl IntoIterator<Item = (Self, Settlement)> + Send,
    ) -> Vec<Result<(), SettleError>> {
        let mut batches: Vec<(Arc<dyn Settler>, Vec<usize>)> = Vec::new();
        let mut held = Vec::new();
        for (at, (delivery, settlement)) in deliveries.into_iter().enumerate() {
            let settler = &delivery.settler;
            match batches
                .iter_mut()
                .find(|(known, _)| Arc::ptr_eq(known, settler))
            {
                Some((_, batch)) => batch.push(at),
                None => batches.push((Arc::clone(settler), vec![at])),
            }
            held.push((delivery, Some(settlement)));
        }
        let mut outcomes: Vec<Option<Error>> = Vec::new();
        outcomes.resize_with(held.len(), || Some(unanswered()));
        for (settler, batch) in batches {
            let settlements = batch
                .iter()
                .filter_map(|at| Some((held[*at].0.receipt, held[*at].1.take()?)))
                .collect();
            let results = settler.settle_batch(settlements).await;
            for (at, result) in batch.into_iter().zip(results) {
                held[at].0.settled = result.is_ok();
                outcomes[at] = result.err();
            }
        }
        held.into_iter()
            .zip(outcomes)
            .map(|((delivery, _), outcome)| match outcome {
                None => Ok(()),
                Some(source) => Err(SettleError {
                    delivery: Box::new(delivery),
                    source,
                }),
            })
            .collect()
    }

    /// Acks several deliveries, in as few round trips as their backends can; one result for each, in their order.
    pub async fn ack_all(
        deliveries: impl IntoIterator<Item = Self, IntoIter: Send> + Send,
    ) -> Vec<Result<(), SettleError>> {
        let acked = deliveries
            .into_iter()
            .map(|delivery| (delivery, Settlement::Ack));
        Self::settle_all(acked.collect::<Vec<_>>()).await
    }

    async fn settle(mut self, settlement: Settlement) -> Result<(), SettleError> {
        match self.settler.settle(self.receipt, settlement).await {
            Ok(()) => {
                self.settled = true;
                Ok(())
            }
            Err(source) => Err(SettleError {
                delivery: Box::new(self),
                source,
            }),
        }
    }
}

/// What a backend that answers fewer results than it was asked for leaves.
fn unanswered() -> Error {
    let problem = "the backend reported nothing about the settlement";
    Error::new(ErrorKind::Backend, "settle", problem)
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            self.settler.release(self.receipt);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("topic", &self.message.topic)
            .field("event_id", &self.message.event.id())
            .field("attempt", &self.attempt)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A settlement that did not reach the backend. The delivery is given back: it can be settled again, unless its lease
/// was lost.
#[derive(Debug)]
#[non_exhaustive]
pub struct SettleError {
    /// The delivery, still unsettled.
    pub delivery: Box<Delivery>,
    /// What went wrong.
    pub source: Error,
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.delivery.message;
        write!(
            f,
            "delivery of {} from topic {} not settled: {}",
            message.event.id(),
            message.topic,
            self.source
        )
    }
}

impl StdError for SettleError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}
