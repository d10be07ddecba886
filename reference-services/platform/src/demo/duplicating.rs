//! A bus that publishes some messages twice, the second time late: what a publisher does that lost a confirm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::{
    Accepted, Backend, Backlog, Capabilities, DeadLetter, Error, Feed, Message, PublishError,
    Subscription, SubscriptionName, TopicName,
};
use tokio::sync::Mutex;

/// Publishes every n-th message again after later ones: duplicated, and out of the order of its key.
#[derive(Debug)]
pub(crate) struct Duplicating {
    inner: Arc<dyn Backend>,
    every: u64,
    published: AtomicU64,
    duplicated: Arc<AtomicU64>,
    late: Mutex<Vec<Message>>,
}

impl Duplicating {
    /// Duplicates every n-th message of what goes to `inner`.
    pub(crate) fn new(inner: Arc<dyn Backend>, every: u64) -> Self {
        Self {
            inner,
            every: every.max(1),
            published: AtomicU64::new(0),
            duplicated: Arc::default(),
            late: Mutex::default(),
        }
    }

    /// How many messages were published twice.
    pub(crate) fn duplicated(&self) -> Arc<AtomicU64> {
        self.duplicated.clone()
    }
}

#[async_trait]
impl Backend for Duplicating {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, mut messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let asked = messages.len();
        let again: Vec<Message> = {
            let mut late = self.late.lock().await;
            let again = std::mem::take(&mut *late);
            late.extend(
                messages
                    .iter()
                    .filter(|_| {
                        (self.published.fetch_add(1, Ordering::Relaxed) + 1)
                            .is_multiple_of(self.every)
                    })
                    .cloned(),
            );
            again
        };
        let duplicates = again.len();
        messages.extend(again);
        let mut results = self.inner.publish(messages).await;
        let accepted = results
            .iter()
            .skip(asked)
            .filter(|result| result.is_ok())
            .count()
            .min(duplicates);
        self.duplicated
            .fetch_add(accepted as u64, Ordering::Relaxed);
        results.truncate(asked);
        results
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        self.inner.subscribe(subscription).await
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        self.inner.backlog(topic, name).await
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.inner.dead_letters(topic, name, limit).await
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<u64, Error> {
        self.inner.redrive(topic, name, limit).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.inner.purge_dead_letters(topic, name).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.inner.check().await
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.inner.close(within).await
    }
}
