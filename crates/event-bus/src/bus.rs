//! The handle that users hold.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Backend;
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::connect::connect;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::memory::Memory;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscriber::Subscriber;
use crate::subscription::Subscription;

/// A bus: publish to topics, subscribe to them. Cloning is cheap and shares the connection.
#[derive(Clone, Debug)]
pub struct EventBus {
    backend: Arc<dyn Backend>,
}

impl EventBus {
    /// Connects to the backend that the URL names:
    ///
    /// | URL | backend | feature |
    /// |---|---|---|
    /// | `memory:` | this process | |
    /// | `sqlite:PATH` | a file, shared by processes of one machine | `sqlite` |
    /// | `kafka://HOST:PORT[,HOST:PORT]` | Apache Kafka | `kafka` |
    /// | `amqp://USER:PASSWORD@HOST:PORT/VHOST` | RabbitMQ | `rabbitmq` |
    ///
    /// Settings follow as a query (`sqlite:bus.db?retain=1d`).
    pub async fn connect(url: &str) -> Result<Self, Error> {
        connect(url).await.map(Self::new)
    }

    /// A bus inside this process, with nothing to set up.
    pub fn memory() -> Self {
        Self::new(Arc::new(Memory::default()))
    }

    /// A bus over a backend of your own, or over a decorator around [another bus's](Self::backend).
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// The backend behind this handle.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// What the backend can do.
    pub fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    /// Publishes one message; `Ok` when the backend has it durably.
    pub async fn publish(&self, message: Message) -> Result<Accepted, PublishError> {
        let kept = message.clone();
        let first = self.backend.publish(vec![message]).await.into_iter().next();
        // A backend that breaks its contract may or may not have the message.
        first.unwrap_or_else(|| {
            let error = Error::new(
                ErrorKind::Backend,
                "publish",
                "the backend reported nothing about the message",
            );
            Err(PublishError::unknown(kept, error))
        })
    }

    /// Publishes messages, in order per key. One result per message, in the same order: one that is refused does not
    /// hide the others.
    pub async fn publish_batch(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<Accepted, PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        self.backend.publish(messages).await
    }

    /// Joins a subscription, and makes it if it does not exist. What the backend cannot do is refused here.
    pub async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber, Error> {
        let feed = self.backend.subscribe(subscription.clone()).await?;
        Ok(Subscriber::new(subscription, feed))
    }

    /// How much a subscription has before it.
    pub async fn backlog(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<Backlog, Error> {
        self.backend.backlog(topic, name).await
    }

    /// The oldest dead letters of a subscription, at most `limit`.
    pub async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.backend.dead_letters(topic, name, limit).await
    }

    /// Gives the oldest dead letters, at most `limit`, to the subscription again, in their original order per key.
    /// Returns how many.
    pub async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<u64, Error> {
        self.backend.redrive(topic, name, limit).await
    }

    /// Forgets all dead letters of a subscription. Returns how many.
    pub async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.backend.purge_dead_letters(topic, name).await
    }

    /// One round trip that proves the backend to be usable: for health checks.
    pub async fn check(&self) -> Result<(), Error> {
        self.backend.check().await
    }

    /// Stops intake (every subscriber ends with `None`), waits for deliveries in flight to be settled, then
    /// disconnects. An error of kind [`Timeout`](ErrorKind::Timeout) when they were not within the time; what was
    /// unsettled is delivered again.
    pub async fn close(&self, within: Duration) -> Result<(), Error> {
        self.backend.close(within).await
    }
}
