//! What every case works with: a bus, a topic of its own, and bounded waiting.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use commerce_contracts::CloudEvent;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{Factory, Failure, Interruption};
use crate::bus::EventBus;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::message::Message;
use crate::name::{SubscriptionName, TopicName};
use crate::subscriber::Subscriber;
use crate::subscription::{Order, Subscription};

/// What every case works with.
pub(super) struct Stage<'factory> {
    pub(super) factory: &'factory dyn Factory,
    pub(super) bus: EventBus,
    pub(super) topic: TopicName,
    others: Mutex<Vec<EventBus>>,
    names: AtomicU32,
}

impl<'factory> Stage<'factory> {
    pub(super) fn new(factory: &'factory dyn Factory, bus: EventBus) -> Self {
        let topic = TopicName::new(format!("conformance.t{}", Uuid::new_v4().simple()));
        Self {
            factory,
            bus,
            // Made of letters, digits and one dot above.
            topic: topic.expect("the topic's name is valid"),
            others: Mutex::default(),
            names: AtomicU32::new(0),
        }
    }

    /// Another connection.
    pub(super) async fn connect(&self) -> Result<EventBus, Failure> {
        let bus = self.factory.connect().await?;
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bus.clone());
        Ok(bus)
    }

    /// A connection that can be interrupted, where the factory has one.
    pub(super) async fn breakable(&self) -> Result<(EventBus, Box<dyn Interruption>), Failure> {
        let breakable = self.factory.connect_breakable().await?;
        self.interrupted(breakable, "connect_breakable")
    }

    /// A connection whose broker can be restarted, where the factory has one.
    pub(super) async fn restartable(&self) -> Result<(EventBus, Box<dyn Interruption>), Failure> {
        let restartable = self.factory.connect_restartable().await?;
        self.interrupted(restartable, "connect_restartable")
    }

    /// Connections that go by this clock, where the factory has them.
    pub(super) async fn with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Vec<EventBus>, Failure> {
        let offered = self.factory.connect_with_clock(clock, connections).await?;
        let buses = offered.ok_or_else(|| Failure::inapplicable("connect_with_clock"))?;
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(buses.iter().cloned());
        let made = buses.len();
        if made < connections {
            return Err(Failure::new(format!(
                "the factory made {made} of {connections} connections"
            )));
        }
        Ok(buses)
    }

    fn interrupted(
        &self,
        offered: Option<(EventBus, Box<dyn Interruption>)>,
        needs: &'static str,
    ) -> Result<(EventBus, Box<dyn Interruption>), Failure> {
        let (bus, interruption) = offered.ok_or_else(|| Failure::inapplicable(needs))?;
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bus.clone());
        Ok((bus, interruption))
    }

    /// Closes every connection that the case made.
    pub(super) async fn leave(self) {
        let others = self
            .others
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for bus in others.into_iter().chain([self.bus]) {
            // What a case leaves in flight is its own affair.
            let _ = bus.close(Duration::from_millis(1)).await;
        }
    }

    /// A subscription of a new name to the case's topic.
    pub(super) fn subscription(&self) -> Subscription {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = SubscriptionName::new(format!("s{number}-{}", Uuid::new_v4().simple()));
        let subscription = Subscription::new(
            self.topic.clone(),
            name.expect("the subscription's name is valid"),
        );
        if self.bus.capabilities().ordered {
            subscription
        } else {
            subscription.order(Order::Unordered)
        }
    }

    pub(super) async fn subscribe(
        &self,
        subscription: &Subscription,
    ) -> Result<Subscriber, Failure> {
        subscribe(&self.bus, subscription).await
    }

    /// A message whose data is the number.
    pub(super) fn message(&self, key: Option<&str>, number: u64) -> Result<Message, Failure> {
        let mut event = CloudEvent::new("/conformance", "conformance.case.run.v1")?
            .with_data("text/plain", number.to_string().into_bytes())?;
        if let Some(key) = key {
            event = event.with_key(key)?;
        }
        Ok(Message::new(self.topic.clone(), event))
    }

    /// Publishes the numbers under one key, in order.
    pub(super) async fn publish(
        &self,
        key: Option<&str>,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), Failure> {
        let messages: Result<Vec<_>, _> = numbers
            .into_iter()
            .map(|number| self.message(key, number))
            .collect();
        for result in self.bus.publish_batch(messages?).await {
            result?;
        }
        Ok(())
    }

    /// The next delivery, which must come.
    pub(super) async fn receive(&self, subscriber: &mut Subscriber) -> Result<Delivery, Failure> {
        let patience = self.factory.patience();
        let next = timeout(patience, subscriber.next()).await;
        let next =
            next.map_err(|_| Failure::new(format!("no delivery came within {patience:?}")))?;
        next?.ok_or_else(|| Failure::new("the subscriber ended while the bus was open"))
    }

    /// The next deliveries, which must come, all held unsettled.
    pub(super) async fn receive_all(
        &self,
        subscriber: &mut Subscriber,
        count: usize,
    ) -> Result<Vec<Delivery>, Failure> {
        let mut deliveries = Vec::with_capacity(count);
        for _ in 0..count {
            deliveries.push(self.receive(subscriber).await?);
        }
        Ok(deliveries)
    }

    /// The numbers of the next deliveries, each acked before the next.
    pub(super) async fn take_all(
        &self,
        subscriber: &mut Subscriber,
        count: usize,
    ) -> Result<Vec<u64>, Failure> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let delivery = self.receive(subscriber).await?;
            let number = number(&delivery)?;
            delivery.ack().await?;
            if !(self.factory.is_disturbed() && numbers.contains(&number)) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// No delivery may come.
    pub(super) async fn silence(&self, subscriber: &mut Subscriber) -> Result<(), Failure> {
        match timeout(self.factory.watch(), subscriber.next()).await {
            Err(_) | Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(delivery))) => Err(Failure::new(format!(
                "a delivery that must not come: {delivery:?}"
            ))),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Tries until the answer is yes; what a broker counts, it may count late.
    pub(super) async fn eventually<F>(
        &self,
        what: &str,
        mut yes: impl FnMut() -> F + Send,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<bool, Failure>> + Send,
    {
        let deadline = Instant::now() + self.factory.patience();
        while !yes().await? {
            if timeout_at(deadline, tokio::time::sleep(Duration::from_millis(20)))
                .await
                .is_err()
            {
                return Err(Failure::new(format!("it never came about that {what}")));
            }
        }
        Ok(())
    }
}

pub(super) async fn subscribe(
    bus: &EventBus,
    subscription: &Subscription,
) -> Result<Subscriber, Failure> {
    Ok(bus.subscribe(subscription.clone()).await?)
}

/// The number that a delivery carries.
pub(super) fn number(delivery: &Delivery) -> Result<u64, Failure> {
    number_of(delivery.message())
}

pub(super) fn number_of(message: &Message) -> Result<u64, Failure> {
    let data = message
        .event
        .data()
        .ok_or_else(|| Failure::new("a message lost its data"))?;
    Ok(std::str::from_utf8(data)?.parse()?)
}

pub(super) fn key(delivery: &Delivery) -> Result<String, Failure> {
    let key = delivery.message().key();
    key.map(ToOwned::to_owned)
        .ok_or_else(|| Failure::new("a message lost its key"))
}
