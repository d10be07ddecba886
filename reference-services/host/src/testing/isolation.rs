//! A bus whose topics are a test's own, on a broker that many tests share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::{
    Accepted, Backend, Backlog, Capabilities, DeadLetter, Error, EventBus, Feed, Incoming, Message,
    PublishError, Settler, Subscription, SubscriptionName, TopicName,
};
use uuid::Uuid;

/// The same broker, seen through a prefix that only this test knows.
///
/// Services name their topics and subscriptions themselves. So that tests need not, the prefix goes before a topic on
/// its way to the broker and away on its way back.
pub fn isolated(bus: EventBus) -> EventBus {
    let prefix = format!("t{}", Uuid::now_v7().simple());
    EventBus::new(Arc::new(Isolated {
        inner: bus.backend().clone(),
        prefix,
    }))
}

#[derive(Debug)]
struct Isolated {
    inner: Arc<dyn Backend>,
    prefix: String,
}

impl Isolated {
    fn outward(&self, topic: &TopicName) -> TopicName {
        TopicName::new(format!("{}.{topic}", self.prefix))
            .expect("a short prefix of letters and digits fits any topic")
    }
}

#[async_trait]
impl Backend for Isolated {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, mut messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        for message in &mut messages {
            message.topic = self.outward(&message.topic);
        }
        self.inner.publish(messages).await
    }

    async fn subscribe(&self, mut subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        let topic = subscription.topic.clone();
        subscription.topic = self.outward(&topic);
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Box::new(IsolatedFeed { inner, topic }))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        self.inner.backlog(&self.outward(topic), name).await
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = self
            .inner
            .dead_letters(&self.outward(topic), name, limit)
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
    ) -> Result<u64, Error> {
        self.inner.redrive(&self.outward(topic), name, limit).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.inner
            .purge_dead_letters(&self.outward(topic), name)
            .await
    }

    async fn check(&self) -> Result<(), Error> {
        self.inner.check().await
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.inner.close(within).await
    }
}

struct IsolatedFeed {
    inner: Box<dyn Feed>,
    topic: TopicName,
}

#[async_trait]
impl Feed for IsolatedFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        let mut incoming = self.inner.receive().await?;
        if let Some(Incoming {
            body: Ok(message), ..
        }) = &mut incoming
        {
            message.topic = self.topic.clone();
        }
        Ok(incoming)
    }

    fn settler(&self) -> Arc<dyn Settler> {
        self.inner.settler()
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}
