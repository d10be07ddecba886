//! Backends around backends.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, PublishError};
use crate::filter::Filter;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;

/// A backend around another, which changes some of what it does: a namespace before topics, a fault for tests, a log.
/// What it does not write itself goes to the backend inside. Every decorator is a [`Backend`].
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use commerce_event_bus::{Accepted, Backend, Decorator, EventBus, Message, PublishError};
///
/// #[derive(Debug)]
/// struct Loud(Arc<dyn Backend>);
///
/// #[async_trait]
/// impl Decorator for Loud {
///     fn inner(&self) -> &dyn Backend {
///         self.0.as_ref()
///     }
///
///     async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
///         println!("{} messages", messages.len());
///         self.inner().publish(messages).await
///     }
/// }
///
/// let bus = EventBus::new(Arc::new(Loud(EventBus::memory().backend().clone())));
/// assert_eq!(bus.backend().name(), "memory");
/// ```
#[async_trait]
pub trait Decorator: Debug + Send + Sync + 'static {
    /// The backend inside.
    fn inner(&self) -> &dyn Backend;

    /// See [`Backend::name`].
    fn name(&self) -> &'static str {
        self.inner().name()
    }

    /// See [`Backend::capabilities`].
    fn capabilities(&self) -> Capabilities {
        self.inner().capabilities()
    }

    /// See [`Backend::publish`].
    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        self.inner().publish(messages).await
    }

    /// See [`Backend::subscribe`].
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        self.inner().subscribe(subscription).await
    }

    /// See [`Backend::backlog`].
    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        self.inner().backlog(topic, name).await
    }

    /// See [`Backend::dead_letters`].
    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.inner().dead_letters(topic, name, limit).await
    }

    /// See [`Backend::redrive`].
    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        self.inner().redrive(topic, name, limit, filter).await
    }

    /// See [`Backend::purge_dead_letters`].
    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.inner().purge_dead_letters(topic, name).await
    }

    /// See [`Backend::topics`].
    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        self.inner().topics().await
    }

    /// See [`Backend::check`].
    async fn check(&self) -> Result<(), Error> {
        self.inner().check().await
    }

    /// See [`Backend::close`].
    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.inner().close(within).await
    }
}

#[async_trait]
impl<D: Decorator> Backend for D {
    fn name(&self) -> &'static str {
        Decorator::name(self)
    }

    fn capabilities(&self) -> Capabilities {
        Decorator::capabilities(self)
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        Decorator::publish(self, messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        Decorator::subscribe(self, subscription).await
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        Decorator::backlog(self, topic, name).await
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        Decorator::dead_letters(self, topic, name, limit).await
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        Decorator::redrive(self, topic, name, limit, filter).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        Decorator::purge_dead_letters(self, topic, name).await
    }

    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        Decorator::topics(self).await
    }

    async fn check(&self) -> Result<(), Error> {
        Decorator::check(self).await
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        Decorator::close(self, within).await
    }
}
