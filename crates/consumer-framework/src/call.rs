//! One attempt to handle one event, as layers see it.

use commerce_contracts::CloudEvent;
use commerce_event_bus::{Message, SubscriptionName, TopicName};

/// One attempt to handle one event: what goes through the [layers](crate::Consumer::layer).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    message: Message,
    subscription: SubscriptionName,
    attempt: u32,
}

impl Call {
    pub(crate) fn new(message: Message, subscription: SubscriptionName, attempt: u32) -> Self {
        Self {
            message,
            subscription,
            attempt,
        }
    }

    /// The event in its envelope.
    pub fn event(&self) -> &CloudEvent {
        &self.message.event
    }

    /// The topic that it came from.
    pub fn topic(&self) -> &TopicName {
        &self.message.topic
    }

    /// The subscription that it was delivered to: the consumer's name.
    pub fn subscription(&self) -> &SubscriptionName {
        &self.subscription
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}
