//! How much a subscription has before it.

use chrono::{DateTime, Utc};

/// How much a subscription has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Messages that wait for delivery, those that wait for a retry included.
    pub waiting: u64,
    /// Messages delivered, or fetched ahead, and not settled yet.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest message that is not settled was published, dead letters aside, where the backend
    /// [tells](crate::Capabilities::backlog_age): now minus this is the subscription's lag in time. `None` also when there is
    /// none.
    pub oldest_at: Option<DateTime<Utc>>,
}

impl Backlog {
    /// A count.
    pub const fn new(waiting: u64, in_flight: u64, dead: u64) -> Self {
        Self {
            waiting,
            in_flight,
            dead,
            oldest_at: None,
        }
    }

    /// Adds when the oldest message that is not settled was published.
    pub const fn with_oldest_at(mut self, oldest_at: Option<DateTime<Utc>>) -> Self {
        self.oldest_at = oldest_at;
        self
    }

    /// Whether nothing waits and nothing is in flight; dead letters wait for a person.
    pub const fn is_drained(&self) -> bool {
        self.waiting == 0 && self.in_flight == 0
    }
}
