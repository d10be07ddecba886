//! Why a consumer did not start, or stopped by itself.

use commerce_event_bus::TopicName;

/// Why a consumer did not start, or stopped by itself. Events that were under way are delivered again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The consumer was put together wrongly.
    #[error("consumer `{consumer}` cannot start: {}", mistakes.join("; "))]
    Configuration {
        /// Its name.
        consumer: String,
        /// Everything that is wrong, and what would be right.
        mistakes: Vec<String>,
    },
    /// The inbox cannot be used.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[error("the inbox cannot be used")]
    Storage(#[source] crate::storage::Error),
    /// The bus refused a subscription.
    #[error("cannot subscribe to topic {topic}")]
    Subscribe {
        /// The topic.
        topic: TopicName,
        /// Why.
        source: commerce_event_bus::Error,
    },
    /// A subscription ended, or failed in a way that waiting does not mend.
    #[error("the subscription to topic {topic} is lost")]
    Lost {
        /// The topic.
        topic: TopicName,
        /// Why; without it the bus was closed.
        source: Option<commerce_event_bus::Error>,
    },
    /// The last attempt to handle an event failed, and the consumer was to
    /// [stop](crate::OnExhausted::Stop) then.
    #[error("event {event_id} of topic {topic} failed in all {attempts} attempts: {reason}")]
    Exhausted {
        /// The topic.
        topic: TopicName,
        /// The event.
        event_id: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure and its causes.
        reason: String,
    },
}
