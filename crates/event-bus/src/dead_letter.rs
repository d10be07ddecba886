//! What was rejected, and why.

use chrono::{DateTime, Utc};

use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};

/// How many reasons a dead letter keeps: the newest.
pub(crate) const REASONS: usize = 16;

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
    /// How many times it was delivered since it was published or last redriven.
    pub attempts: u32,
    /// Why it was rejected, each time it was: a letter that is redriven and rejected again has two reasons, the newest
    /// last. The newest 16 are kept.
    pub reasons: Vec<String>,
    /// When an attempt first failed, as far as the backend remembers.
    pub first_failed_at: DateTime<Utc>,
    /// When it was rejected, the last time.
    pub rejected_at: DateTime<Utc>,
}

impl DeadLetter {
    /// A dead letter after one attempt that failed now, with no reason yet.
    pub fn new(
        topic: TopicName,
        subscription: SubscriptionName,
        body: Result<Message, Undecodable>,
        position: String,
    ) -> Self {
        let now = Utc::now();
        Self {
            topic,
            subscription,
            body,
            position,
            attempts: 1,
            reasons: Vec::new(),
            first_failed_at: now,
            rejected_at: now,
        }
    }

    /// Sets how many times it was delivered.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets why it was rejected, the newest reason last.
    pub fn with_reasons(mut self, reasons: Vec<String>) -> Self {
        self.reasons = reasons;
        self
    }

    /// Sets when an attempt first failed, and when it was rejected.
    pub fn with_times(
        mut self,
        first_failed_at: DateTime<Utc>,
        rejected_at: DateTime<Utc>,
    ) -> Self {
        self.first_failed_at = first_failed_at;
        self.rejected_at = rejected_at;
        self
    }

    /// Why it was rejected, the last time.
    pub fn reason(&self) -> &str {
        self.reasons.last().map_or("", String::as_str)
    }

    /// The ordering key.
    pub fn key(&self) -> Option<&[u8]> {
        match &self.body {
            Ok(message) => message.key().map(str::as_bytes),
            Err(bytes) => bytes.key.as_deref(),
        }
    }
}

/// Adds a reason to those of earlier rejections; the newest are kept.
pub(crate) fn add_reason(reasons: &mut Vec<String>, reason: String) {
    reasons.push(reason);
    let surplus = reasons.len().saturating_sub(REASONS);
    reasons.drain(..surplus);
}
