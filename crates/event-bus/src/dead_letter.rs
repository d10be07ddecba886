//! What was rejected, and why.

use chrono::{DateTime, Utc};

use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};

/// A delivery that was rejected, kept until it is redriven or purged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The topic that the message was published to.
    pub topic: TopicName,
    /// The subscription that rejected it.
    pub subscription: SubscriptionName,
    /// The message, or the bytes that were none, byte for byte.
    pub body: Result<Message, Undecodable>,
    /// Where the message was, in the backend's own words.
    pub position: String,
    /// How many times it was delivered.
    pub attempts: u32,
    /// Why it was rejected.
    pub reason: String,
    /// When it was rejected.
    pub rejected_at: DateTime<Utc>,
}

impl DeadLetter {
    /// A dead letter.
    pub fn new(
        topic: TopicName,
        subscription: SubscriptionName,
        body: Result<Message, Undecodable>,
        position: String,
        attempts: u32,
        reason: String,
        rejected_at: DateTime<Utc>,
    ) -> Self {
        Self {
            topic,
            subscription,
            body,
            position,
            attempts,
            reason,
            rejected_at,
        }
    }
}
