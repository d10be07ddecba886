//! What a consumer asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::filter::Filter;
use crate::name::{SubscriptionName, TopicName};

/// Whether deliveries of one key wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// Delivery n+1 of a key starts only after n is settled, also across retries and restarts. Different keys run in
    /// parallel; an event without a key waits for nobody.
    #[default]
    PerKey,
    /// No delivery waits for another.
    Unordered,
}

/// Where a subscription begins when it is made for the first time. Later subscribers of the same name continue where
/// the subscription is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Start {
    /// With the oldest message that the backend still has. A backend without
    /// [replay](crate::Capabilities::replay) has none from before the subscription was made.
    #[default]
    Earliest,
    /// With the first message published after the subscription was made.
    Latest,
    /// With the first message published at this time or later, by the backend's clock. For backends that claim
    /// [`seek`](crate::Capabilities::seek).
    Time(DateTime<Utc>),
    /// With the message at this position, or the next one after it that is still there. The position is what
    /// [`Accepted`](crate::Accepted) or a [`Delivery`](crate::Delivery) of the topic told. For backends that claim
    /// [`seek`](crate::Capabilities::seek).
    Position(String),
}

/// A subscription to one topic. Every subscription sees every message of the topic; subscribers that give the same name
/// share them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// The topic.
    pub topic: TopicName,
    /// The name, shared by all members.
    pub name: SubscriptionName,
    /// Whether deliveries of one key wait for each other.
    pub order: Order,
    /// How many deliveries this subscriber holds at most, those fetched ahead included.
    pub max_in_flight: usize,
    /// How many bytes of messages this subscriber holds at most, those fetched ahead included. One message is always
    /// held, whatever its size.
    pub max_bytes_in_flight: usize,
    /// Which messages it wants. Members of one subscription want the same.
    pub filter: Filter,
    /// Where a new subscription begins.
    pub start: Start,
    /// How long a delivery may stay unsettled after its holder was last heard of. Backends with leases extend it while
    /// the holder lives, without its help; it bounds the time until the deliveries of a dead process go to another.
    pub lease: Duration,
}

impl Subscription {
    /// In order per key, everything, at most 64 deliveries and 64 MiB in flight, from the earliest message, with a lease of 30 seconds.
    pub fn new(topic: TopicName, name: SubscriptionName) -> Self {
        Self {
            topic,
            name,
            order: Order::default(),
            max_in_flight: 64,
            max_bytes_in_flight: 64 * 1024 * 1024,
            filter: Filter::new(),
            start: Start::default(),
            lease: Duration::from_secs(30),
        }
    }

    /// Sets whether deliveries of one key wait for each other.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets how many deliveries this subscriber holds at most; zero counts as one.
    pub fn max_in_flight(mut self, max: usize) -> Self {
        self.max_in_flight = max.max(1);
        self
    }

    /// Sets how many bytes of messages this subscriber holds at most.
    pub fn max_bytes_in_flight(mut self, max: usize) -> Self {
        self.max_bytes_in_flight = max;
        self
    }

    /// Sets which messages it wants.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets where a new subscription begins.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets how long the deliveries of a dead process stay with it; less than 100 ms counts as 100 ms.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }
}
