//! Topics under a prefix, so that several platforms (or tests) can share one broker without seeing each other.

use std::sync::Arc;

use async_trait::async_trait;
use commerce_event_bus::{
    Accepted, Backend, Backlog, DeadLetter, Decorator, Error, ErrorKind, EventBus, Feed, Filter,
    Incoming, Message, PublishError, PublishErrorKind, Settler, Subscription, SubscriptionName,
    TopicName,
};

/// The same broker, with every topic `T` of the services kept as `PREFIX.T`: the prefix goes before a topic on its way
/// to the broker and away on its way back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use commerce_event_bus::EventBus;
/// let staging = commerce_host::namespaced(&EventBus::memory(), "staging");
/// assert_eq!(staging.backend().name(), "memory");
/// # }
/// ```
pub fn namespaced(bus: &EventBus, prefix: impl Into<String>) -> EventBus {
    EventBus::new(Arc::new(Namespaced {
        inner: bus.backend().clone(),
        prefix: prefix.into(),
    }))
}

#[derive(Debug)]
struct Namespaced {
    inner: Arc<dyn Backend>,
    prefix: String,
}

impl Namespaced {
    fn outer(&self, topic: &TopicName) -> Result<TopicName, Error> {
        TopicName::new(format!("{}.{topic}", self.prefix))
            .map_err(|error| Error::new(ErrorKind::Config, "topic", error.to_string()))
    }
}

#[async_trait]
impl Decorator for Namespaced {
    fn inner(&self) -> &dyn Backend {
        self.inner.as_ref()
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let topics: Vec<TopicName> = messages
            .iter()
            .map(|message| message.topic.clone())
            .collect();
        let Ok(outer_topics) = topics
            .iter()
            .map(|topic| self.outer(topic))
            .collect::<Result<Vec<_>, _>>()
        else {
            return messages
                .into_iter()
                .map(|message| Err(refused(message)))
                .collect();
        };
        let outer = messages
            .into_iter()
            .zip(outer_topics)
            .map(|(message, topic)| message.with_topic(topic))
            .collect();
        let results = self.inner.publish(outer).await;
        results
            .into_iter()
            .zip(topics)
            .map(|(result, topic)| {
                result.map_err(|refused| {
                    let kind = refused.kind();
                    let (message, error) = refused.into_parts();
                    let message = message.with_topic(topic);
                    if kind == PublishErrorKind::Unknown {
                        PublishError::unknown(message, error)
                    } else {
                        PublishError::failed(message, error)
                    }
                })
            })
            .collect()
    }

    async fn subscribe(&self, mut subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        let inner_topic = subscription.topic.clone();
        subscription.topic = self.outer(&inner_topic)?;
        let feed = self.inner.subscribe(subscription).await?;
        Ok(Box::new(NamespacedFeed {
            feed,
            topic: inner_topic,
        }))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        self.inner.backlog(&self.outer(topic)?, name).await
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = self
            .inner
            .dead_letters(&self.outer(topic)?, name, limit)
            .await?;
        for letter in &mut letters {
            letter.topic = topic.clone();
            if let Ok(message) = &mut letter.body {
                message.topic = topic.clone();
            }
        }
        Ok(letters)
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        let topic = self.outer(topic)?;
        self.inner.redrive(&topic, name, limit, filter).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.inner
            .purge_dead_letters(&self.outer(topic)?, name)
            .await
    }

    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        let outer = self.inner.topics().await?;
        let ours = |topic: TopicName| {
            let inner = topic
                .as_str()
                .strip_prefix(&self.prefix)?
                .strip_prefix('.')?;
            TopicName::new(inner).ok()
        };
        Ok(outer.into_iter().filter_map(ours).collect())
    }
}

fn refused(message: Message) -> PublishError {
    let error = Error::new(
        ErrorKind::Config,
        "publish",
        format!("the namespace makes the topic {} too long", message.topic),
    );
    PublishError::failed(message, error)
}

struct NamespacedFeed {
    feed: Box<dyn Feed>,
    topic: TopicName,
}

#[async_trait]
impl Feed for NamespacedFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        let incoming = self.feed.receive().await?;
        Ok(incoming.map(|mut incoming| {
            if let Ok(message) = &mut incoming.body {
                message.topic = self.topic.clone();
            }
            incoming
        }))
    }

    fn settler(&self) -> Arc<dyn Settler> {
        self.feed.settler()
    }

    async fn close(self: Box<Self>) {
        self.feed.close().await;
    }
}
