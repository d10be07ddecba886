//! One member of a subscription, as its user holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
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
    rejecting: Option<Rejecting>,
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
                    let reason = format!("undecodable: {}", bytes.reason);
                    self.rejecting = Some(Rejecting::new(&self.settler, receipt, reason));
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
        let Some(rejecting) = &mut self.rejecting else {
            return Ok(());
        };
        let outcome = (&mut rejecting.settled).await;
        // What could not be rejected goes back.
        self.rejecting = None;
        match outcome {
            // Taken over by another member.
            Err(error) if error.kind() == ErrorKind::LeaseLost => Ok(()),
            outcome => outcome,
        }
    }
}

/// A rejection under way. It is asked for once, however often who waits for it is cancelled: asked again, a backend that
/// confirms slowly would bury the message twice.
struct Rejecting {
    settled: BoxFuture<'static, Result<(), Error>>,
    // After the rejection: what is still on its way cannot be given back.
    _back: GiveBack,
}

/// Gives the delivery of a dropped subscriber back. A receipt that was settled is ignored.
struct GiveBack {
    settler: Arc<dyn Settler>,
    receipt: Receipt,
}

impl Rejecting {
    fn new(settler: &Arc<dyn Settler>, receipt: Receipt, reason: String) -> Self {
        let asked = Arc::clone(settler);
        let settled = async move { asked.settle(receipt, Settlement::Reject { reason }).await };
        Self {
            settled: settled.boxed(),
            _back: GiveBack {
                settler: Arc::clone(settler),
                receipt,
            },
        }
    }
}

impl Drop for GiveBack {
    fn drop(&mut self) {
        self.settler.release(self.receipt);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::message::Undecodable;
    use crate::name::{SubscriptionName, TopicName};

    /// How long a rejection takes to be confirmed.
    const CONFIRM: Duration = Duration::from_secs(1);

    /// Settles slowly, and remembers what it was asked for. It has buried a message as soon as it is asked to.
    #[derive(Default)]
    struct Slow {
        buried: Mutex<Vec<(Receipt, Settlement)>>,
        confirmed: Mutex<Vec<Receipt>>,
        released: Mutex<Vec<Receipt>>,
    }

    #[async_trait]
    impl Settler for Slow {
        async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
            self.buried.lock().unwrap().push((receipt, settlement));
            sleep(CONFIRM).await;
            self.confirmed.lock().unwrap().push(receipt);
            Ok(())
        }

        fn release(&self, receipt: Receipt) {
            if !self.confirmed.lock().unwrap().contains(&receipt) {
                self.released.lock().unwrap().push(receipt);
            }
        }
    }

    /// Bytes that are no event, one receipt after the other, and then nothing.
    struct Garbage(VecDeque<u64>, Arc<Slow>);

    #[async_trait]
    impl Feed for Garbage {
        async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
            let Some(id) = self.0.pop_front() else {
                return pending().await;
            };
            let bytes = Undecodable::new("no JSON", Some(Bytes::from_static(b"{")));
            let receipt = Receipt::new(id, 1);
            Ok(Some(Incoming::new(Err(bytes), 1, id.to_string(), receipt)))
        }

        fn settler(&self) -> Arc<dyn Settler> {
            Arc::clone(&self.1) as Arc<dyn Settler>
        }

        async fn close(self: Box<Self>) {}
    }

    fn subscriber(count: u64) -> (Subscriber, Arc<Slow>) {
        let slow = Arc::new(Slow::default());
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("reader").unwrap();
        let feed = Garbage((1..=count).collect(), Arc::clone(&slow));
        let subscriber = Subscriber::new(Subscription::new(topic, name), Box::new(feed));
        (subscriber, slow)
    }

    fn ids(receipts: &Mutex<Vec<Receipt>>) -> Vec<u64> {
        let receipts = receipts.lock().unwrap();
        receipts.iter().map(|receipt| receipt.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_event_is_buried_once_however_often_next_is_cancelled() {
        let (mut subscriber, slow) = subscriber(2);
        for _ in 0..100 {
            let next = timeout(CONFIRM / 20, subscriber.next()).await;
            assert!(next.is_err(), "there is no event: {next:?}");
        }
        let buried = slow.buried.lock().unwrap().clone();
        assert_eq!(
            buried
                .iter()
                .map(|(receipt, _)| receipt.id)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        let reason = "undecodable: no JSON".to_owned();
        assert_eq!(buried[0].1, Settlement::Reject { reason });
        assert_eq!(ids(&slow.confirmed), [1, 2]);
        assert_eq!(ids(&slow.released), [0; 0], "both were settled");
        assert_eq!(subscriber.undecodable(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn close_waits_for_what_is_being_buried() {
        let (mut subscriber, slow) = subscriber(1);
        assert!(timeout(CONFIRM / 2, subscriber.next()).await.is_err());
        subscriber.close().await;
        assert_eq!(ids(&slow.confirmed), [1]);
        assert_eq!(slow.buried.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_being_buried_when_it_is_dropped_goes_back() {
        let (mut subscriber, slow) = subscriber(1);
        assert!(timeout(CONFIRM / 2, subscriber.next()).await.is_err());
        drop(subscriber);
        assert_eq!(ids(&slow.released), [1]);
    }
}
