//! The handle that users hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::backend::Backend;
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::connect::Connector;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::memory::Memory;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::pattern::{PatternSubscriber, TopicPattern};
use crate::redrive::Redrive;
use crate::subscriber::Subscriber;
use crate::subscription::{Order, Start, Subscription};

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
    /// | `kafka://[USER:PASSWORD@]HOST:PORT[,HOST:PORT]` | Apache Kafka | `kafka`, with TLS and SASL `kafka-tls` |
    /// | `amqp://USER:PASSWORD@HOST:PORT/VHOST` | RabbitMQ | `rabbitmq` |
    /// | `sqs://REGION` | Amazon SQS and SNS | `sqs` |
    ///
    /// Settings follow as a query (`sqlite:bus.db?retain=1d`).
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Connector::new(url).connect().await
    }

    /// Connects with more than a URL can hold, such as a source of tokens.
    pub fn connector(url: &str) -> Connector {
        Connector::new(url)
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
        let first = self.publish_batch(vec![message]).await.into_iter().next();
        first.unwrap_or_else(|| Err(unanswered(kept)))
    }

    /// Publishes messages, in order per key. One result per message, in the same order: one that is refused does not
    /// hide the others. Waits as long as the backend's settings say.
    pub async fn publish_batch(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<Accepted, PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        if self.capabilities().delayed {
            return self.backend.publish(messages).await;
        }
        let is_later = |message: &Message| message.deliver_at.is_some();
        let later: Vec<bool> = messages.iter().map(is_later).collect();
        let (refused, sent): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_later);
        let mut refused = refused
            .into_iter()
            .map(|message| Err(self.not_delayed(message)));
        let sent = if sent.is_empty() {
            Vec::new()
        } else {
            self.backend.publish(sent).await
        };
        let mut sent = sent.into_iter();
        let in_their_order = later.into_iter().filter_map(|is_later| {
            if is_later {
                refused.next()
            } else {
                sent.next()
            }
        });
        in_their_order.collect()
    }

    /// Publishes messages, and waits no longer than this. What the backend did not answer by then is
    /// [unknown](crate::PublishErrorKind::Unknown).
    pub async fn publish_within(
        &self,
        messages: Vec<Message>,
        within: Duration,
    ) -> Vec<Result<Accepted, PublishError>> {
        let kept = messages.clone();
        if let Ok(results) = timeout(within, self.publish_batch(messages)).await {
            return results;
        }
        let late = |message| {
            let problem = format!("no answer within {within:?}");
            let error = Error::new(ErrorKind::Timeout, "publish", problem);
            Err(PublishError::unknown(message, error))
        };
        kept.into_iter().map(late).collect()
    }

    /// Joins a subscription, and makes it if it does not exist. What the backend cannot do is refused here.
    pub async fn subscribe(&self, subscription: Subscription) -> Result<Subscriber, Error> {
        self.can_do(&subscription)?;
        let feed = self.backend.subscribe(subscription.clone()).await?;
        Ok(Subscriber::new(subscription, feed))
    }

    /// Joins the subscriptions that `make` says, to all topics that match, those included that are made later. For
    /// backends that claim [`patterns`](Capabilities::patterns).
    ///
    /// ```
    /// # use commerce_event_bus::{Error, EventBus, Subscription, SubscriptionName, TopicPattern};
    /// # async fn all(bus: EventBus, audit: SubscriptionName, pattern: TopicPattern) -> Result<(), Error> {
    /// let mut deliveries = bus
    ///     .subscribe_matching(pattern, move |topic| Subscription::new(topic, audit.clone()))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn subscribe_matching(
        &self,
        pattern: TopicPattern,
        make: impl Fn(TopicName) -> Subscription + Send + Sync + 'static,
    ) -> Result<PatternSubscriber, Error> {
        if !self.capabilities().patterns {
            let reason = "its topics cannot be listed; subscribe to each by its name";
            return Err(self.cannot("follow a pattern of topics", reason));
        }
        PatternSubscriber::new(self.clone(), pattern, Arc::new(make)).await
    }

    fn can_do(&self, subscription: &Subscription) -> Result<(), Error> {
        let can = self.capabilities();
        if !can.ordered && subscription.order == Order::PerKey {
            let reason = "subscribe with Order::Unordered";
            return Err(self.cannot("keep an order per key", reason));
        }
        match subscription.start {
            Start::Time(_) | Start::Position(_) if !can.seek => {
                let reason = "begin with Start::Earliest or Start::Latest";
                return Err(self.cannot("begin at a time or a position", reason));
            }
            _ => {}
        }
        if !can.filters && !subscription.filter.is_empty() {
            let reason = "subscribe without a filter and ack what is not wanted";
            return Err(self.cannot("filter", reason));
        }
        Ok(())
    }

    fn cannot(&self, what: &str, instead: &str) -> Error {
        let problem = format!("{} cannot {what}: {instead}", self.backend.name());
        Error::new(ErrorKind::Unsupported, "subscribe", problem)
    }

    fn not_delayed(&self, message: Message) -> PublishError {
        let problem = format!(
            "{} cannot deliver later: publish it when it is due, without deliver_at",
            self.backend.name()
        );
        PublishError::failed(
            message,
            Error::new(ErrorKind::Unsupported, "publish", problem),
        )
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

    /// Gives dead letters to the subscription again, in their original order per key, with attempts counted from one.
    /// Returns how many. At most those that are there when it is called: what is rejected meanwhile stays.
    ///
    /// With [a rate](Redrive::per_second) it takes as long as that takes; dropped in between, it has redriven some.
    /// Where [the backlog is not exact](crate::Capabilities::exact_backlog) some may be overlooked: call it until it
    /// returns 0.
    pub async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        redrive: Redrive,
    ) -> Result<u64, Error> {
        let dead = self.backend.backlog(topic, name).await?.dead;
        let mut left = redrive.limit.map_or(dead, |limit| limit.min(dead));
        let at_once = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let Some(rate) = redrive.per_second else {
            return self
                .backend
                .redrive(topic, name, at_once(left), &redrive.filter)
                .await;
        };
        // Ten steps a second where the rate allows it, each after the time that the ones before have earned.
        let step = (rate.get() / 10).max(1);
        let pause = Duration::from_secs(1) * step / rate.get();
        let mut turns = interval(pause);
        // A step that took long must not be caught up with: the rate is a cap.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut total = 0;
        while left > 0 {
            turns.tick().await;
            let asked = left.min(u64::from(step));
            let redriven = self
                .backend
                .redrive(topic, name, at_once(asked), &redrive.filter)
                .await?;
            total += redriven;
            left -= redriven.min(left);
            if redriven < asked {
                break;
            }
        }
        Ok(total)
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

/// A backend that breaks its contract may or may not have the message.
fn unanswered(message: Message) -> PublishError {
    let problem = "the backend reported nothing about the message";
    PublishError::unknown(message, Error::new(ErrorKind::Backend, "publish", problem))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use commerce_contracts::CloudEvent;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::decorator::Decorator;
    use crate::filter::Filter;

    fn message(name: &str) -> Message {
        let event = CloudEvent::new("/test", "test.bus.run.v1").unwrap();
        let topic = TopicName::new("orders").unwrap();
        Message::new(topic, event.with_id(name).unwrap())
    }

    /// A backend that cannot deliver later.
    #[derive(Debug)]
    struct Prompt(EventBus);

    #[async_trait]
    impl Decorator for Prompt {
        fn inner(&self) -> &dyn Backend {
            self.0.backend().as_ref()
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities {
                delayed: false,
                ..self.inner().capabilities()
            }
        }

        async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
            assert!(!messages.is_empty(), "nothing is left to publish");
            self.inner().publish(messages).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_for_later_is_refused_alone() {
        let bus = EventBus::new(Arc::new(Prompt(EventBus::memory())));
        let later = |name| message(name).with_delay(Duration::from_secs(1));
        let batch = vec![message("a"), later("b"), message("c"), later("d")];
        let results = bus.publish_batch(batch).await;
        assert_eq!(results.len(), 4, "one result for each");
        for (at, name) in [(1, "b"), (3, "d")] {
            let error = results[at].as_ref().unwrap_err();
            assert_eq!(error.error().kind(), ErrorKind::Unsupported);
            assert_eq!(error.message().event().id(), name, "its own message");
        }
        let position = |at: usize| results[at].as_ref().unwrap().position.clone();
        assert_eq!(
            (position(0), position(2)),
            (Some("1".into()), Some("2".into()))
        );
        assert_eq!(bus.publish_batch(vec![later("e")]).await.len(), 1);
    }

    /// A backend with as many dead letters as anybody asks for, whose first step takes long.
    #[derive(Debug)]
    struct Stalling {
        bus: EventBus,
        began: Instant,
        steps: Mutex<Vec<(Duration, usize)>>,
    }

    const STALL: Duration = Duration::from_secs(10);

    #[async_trait]
    impl Decorator for Stalling {
        fn inner(&self) -> &dyn Backend {
            self.bus.backend().as_ref()
        }

        async fn backlog(&self, _: &TopicName, _: &SubscriptionName) -> Result<Backlog, Error> {
            Ok(Backlog {
                dead: 1_000,
                ..Backlog::default()
            })
        }

        async fn redrive(
            &self,
            _: &TopicName,
            _: &SubscriptionName,
            limit: usize,
            _: &Filter,
        ) -> Result<u64, Error> {
            let first = self.steps.lock().unwrap().is_empty();
            if first {
                sleep(STALL).await;
            }
            let step = (self.began.elapsed(), limit);
            self.steps.lock().unwrap().push(step);
            Ok(limit as u64)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_not_caught_up_with() {
        let backend = Arc::new(Stalling {
            bus: EventBus::memory(),
            began: Instant::now(),
            steps: Mutex::default(),
        });
        let bus = EventBus::new(Arc::clone(&backend) as Arc<dyn Backend>);
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("reader").unwrap();
        let redrive = Redrive::all()
            .limit(300)
            .per_second(100.try_into().unwrap());
        assert_eq!(bus.redrive(&topic, &name, redrive).await.unwrap(), 300);
        let steps = backend.steps.lock().unwrap();
        // A hundred a second, and one step that was due when the second began.
        for (from, _) in steps.iter() {
            let second = *from..*from + Duration::from_secs(1);
            let within = steps.iter().filter(|(at, _)| second.contains(at));
            let count: usize = within.map(|(_, count)| count).sum();
            assert!(count <= 110, "{count} in the second after {from:?}");
        }
    }
}
