//! The contract for those who implement a backend. Those who use one hold an [`EventBus`](crate::EventBus).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::message::{Accepted, Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;

/// A place where messages are kept and handed out. Object safe; implemented by each backend and by decorators around
/// one.
///
/// What every implementation promises, and the conformance suite checks:
/// - `publish` reports a message as accepted only when the backend has it durably;
/// - a delivery that is not settled is delivered again, to this or another member;
/// - in a [`PerKey`](crate::Order::PerKey) subscription, delivery n+1 of a key starts only after n is settled, also
///   across retries and restarts, and a key that waits delays no other key;
/// - nothing is held without bound;
/// - a broker that goes away is reconnected to inside the backend, with subscriptions restored;
/// - what it cannot do it refuses when asked (`subscribe`, `redrive`), with
///   [`Unsupported`](crate::ErrorKind::Unsupported), and does not claim.
#[async_trait]
pub trait Backend: Debug + Send + Sync + 'static {
    /// The name of the backend's kind: `"memory"`, `"sqlite"`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Publishes messages, in order per key, and returns one result per message, in the same order. Waits for room and
    /// for a broker that is away up to the backend's own deadline.
    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>>;

    /// Makes the subscription if it does not exist, and joins it.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error>;

    /// How much a subscription has before it. An unknown subscription is an error.
    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error>;

    /// The oldest dead letters of a subscription, at most `limit`, in their original order.
    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error>;

    /// Gives the oldest dead letters that the filter wants, at most `limit`, to the subscription again, in their original
    /// order per key, with attempts counted from one. Bytes that are no event pass the empty filter only. Returns how
    /// many.
    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error>;

    /// Forgets all dead letters of a subscription. Returns how many.
    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error>;

    /// The topics that there are. For backends that claim [`patterns`](Capabilities::patterns); others refuse.
    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        let problem = format!("{} cannot list topics", self.name());
        Err(Error::new(ErrorKind::Unsupported, "topics", problem))
    }

    /// One round trip that proves the backend to be usable.
    async fn check(&self) -> Result<(), Error>;

    /// Stops intake (every feed ends, nobody can subscribe), waits for deliveries in flight to be settled, which may
    /// publish meanwhile, then disconnects. [`Timeout`](crate::ErrorKind::Timeout) when they were not within the time; it disconnects then too,
    /// and what was unsettled is delivered again.
    async fn close(&self, within: Duration) -> Result<(), Error>;
}

/// One member of a subscription: what it is handed.
#[async_trait]
pub trait Feed: Send {
    /// Waits for the next delivery; `None` once the bus is closed. Cancel safe: a delivery is never lost in a dropped
    /// future. An error is reported once per failure and receiving may go on; the backend reconnects by itself.
    async fn receive(&mut self) -> Result<Option<Incoming>, Error>;

    /// What settles the deliveries of this feed; it outlives the feed.
    fn settler(&self) -> Arc<dyn Settler>;

    /// Leaves the subscription: what was fetched ahead and not received goes back uncounted. Deliveries received
    /// before can still be settled.
    async fn close(self: Box<Self>);
}

/// Settles deliveries of one feed.
#[async_trait]
pub trait Settler: Send + Sync {
    /// Settles a delivery; returns when the backend has it as durably as it claims.
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when the receipt no longer holds.
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error>;

    /// Settles several deliveries; one result for each, in their order. A backend that can settle many in one go does.
    async fn settle_batch(
        &self,
        settlements: Vec<(Receipt, Settlement)>,
    ) -> Vec<Result<(), Error>> {
        let each = settlements
            .into_iter()
            .map(|(receipt, settlement)| self.settle(receipt, settlement));
        join_all(each).await
    }

    /// Gives a delivery back without a verdict, for redelivery as soon as possible; it counts as an attempt. Called from
    /// `Drop`: returns at once. A receipt that no longer holds is ignored.
    fn release(&self, receipt: Receipt);
}

/// A delivery as a backend hands it over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// The message, or the bytes that are none.
    pub body: Result<Message, Undecodable>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Where the message is, in the backend's own words.
    pub position: String,
    /// What to settle it with.
    pub receipt: Receipt,
    /// When the subscription was first given the message, as far as the backend remembers; `None`: now.
    pub first_seen_at: Option<DateTime<Utc>>,
}

impl Incoming {
    /// A delivery of the given attempt (from 1).
    pub fn new(
        body: Result<Message, Undecodable>,
        attempt: u32,
        position: String,
        receipt: Receipt,
    ) -> Self {
        Self {
            body,
            attempt,
            position,
            receipt,
            first_seen_at: None,
        }
    }

    /// Adds when the subscription was first given the message.
    pub fn with_first_seen_at(mut self, first_seen_at: Option<DateTime<Utc>>) -> Self {
        self.first_seen_at = first_seen_at;
        self
    }
}

/// Names one delivery to the settler that it came with. The fence tells this delivery of a message from earlier and
/// later ones, so that a settlement that comes too late is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Which message, to the backend.
    pub id: u64,
    /// Which delivery of it.
    pub fence: u64,
}

impl Receipt {
    /// A receipt.
    pub const fn new(id: u64, fence: u64) -> Self {
        Self { id, fence }
    }
}

/// The verdict on a delivery. A backend that meets a verdict it does not know refuses it with
/// [`Unsupported`](crate::ErrorKind::Unsupported); it never guesses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// Done: never again for this subscription.
    Ack,
    /// Again, not before the delay has passed. Its key waits.
    Retry {
        /// The shortest time until the next attempt.
        after: Duration,
    },
    /// Never again: to the dead letters. Its key goes on.
    Reject {
        /// Why, for who reads the dead letters.
        reason: String,
    },
}

/// Fails to compile when a trait stops being object safe.
fn _object_safe(_: &dyn Backend, _: &dyn Feed, _: &dyn Settler) {}
