//! A bus on which some topics need nobody to hear them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use commerce_event_bus::{
    Accepted, Backend, Decorator, ErrorKind, EventBus, Message, PublishError, TopicName,
};

/// The same bus; what is published to one of these topics while nobody subscribes to it counts as accepted.
pub(crate) fn unheard(bus: &EventBus, topics: BTreeSet<TopicName>) -> EventBus {
    if topics.is_empty() {
        return bus.clone();
    }
    EventBus::new(Arc::new(Unheard {
        inner: bus.backend().clone(),
        topics,
    }))
}

#[derive(Debug)]
struct Unheard {
    inner: Arc<dyn Backend>,
    topics: BTreeSet<TopicName>,
}

#[async_trait]
impl Decorator for Unheard {
    fn inner(&self) -> &dyn Backend {
        self.inner.as_ref()
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let nobodys_loss = |error: &PublishError| {
            error.error().kind() == ErrorKind::NoSubscription
                && self.topics.contains(error.message().topic())
        };
        let results = self.inner.publish(messages).await.into_iter();
        results
            .map(|result| match result {
                Err(error) if nobodys_loss(&error) => Ok(Accepted::new(None)),
                result => result,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commerce_contracts::CloudEvent;
    use commerce_event_bus::Error;

    /// A bus on which nobody subscribes to anything, or which is away.
    #[derive(Debug)]
    struct Deaf(EventBus, ErrorKind);

    #[async_trait]
    impl Decorator for Deaf {
        fn inner(&self) -> &dyn Backend {
            self.0.backend().as_ref()
        }

        async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
            let error = || Error::new(self.1, "publish", "on purpose");
            let messages = messages.into_iter();
            messages
                .map(|message| Err(PublishError::failed(message, error())))
                .collect()
        }
    }

    #[tokio::test]
    async fn only_what_nobody_needs_may_go_unheard_and_only_for_want_of_a_subscription() {
        let topic = |name| TopicName::new(name).unwrap();
        for (kind, name, accepted) in [
            (ErrorKind::NoSubscription, "notifications", true),
            (ErrorKind::NoSubscription, "orders", false),
            (ErrorKind::Unavailable, "notifications", false),
        ] {
            let deaf = EventBus::new(Arc::new(Deaf(EventBus::memory(), kind)));
            let bus = unheard(&deaf, BTreeSet::from([topic("notifications")]));
            let event = CloudEvent::new("/shop", "shop.told.v1").unwrap();
            let published = bus.publish(Message::new(topic(name), event)).await;
            assert_eq!(published.is_ok(), accepted, "{kind:?} {name}");
        }
    }
}
