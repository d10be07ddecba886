//! A backend of your own, judged by the conformance suite: queues in this process, without order and without memory of
//! what came before. It claims nothing, so the suite asks of it what every backend must do.
//!
//! `cargo run --example custom-backend --features conformance`

use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use commerce_event_bus::conformance::{self, Factory};
use commerce_event_bus::{
    Accepted, Backend, Backlog, Capabilities, DeadLetter, Error, ErrorKind, EventBus, Feed, Filter,
    Incoming, Message, PublishError, Receipt, Settlement, Settler, Subscription, SubscriptionName,
    TopicName,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn StdError>> {
    judge(&mut io::stdout()).await
}

/// Runs the suite; it tells what it found.
pub(crate) async fn judge(out: &mut impl Write) -> Result<(), Box<dyn StdError>> {
    let report = conformance::run(&Queues).await?;
    let failed = report.outcomes.iter().filter(|outcome| outcome.failed());
    for outcome in failed {
        writeln!(out, "{outcome}")?;
    }
    writeln!(out, "conforms: {}", report.passed())?;
    Ok(())
}

/// Connects the suite to the backend.
struct Queues;

#[async_trait]
impl Factory for Queues {
    async fn connect(&self) -> Result<EventBus, Error> {
        Ok(EventBus::new(Arc::new(QueueBackend::default())))
    }
}

type Place = (TopicName, SubscriptionName);

#[derive(Debug, Default)]
struct QueueBackend {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<Place, VecDeque<Item>>,
    held: HashMap<u64, (Place, Item)>,
    last_fence: u64,
    closing: bool,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Item {
    message: Message,
    attempts: u32,
    due: Instant,
    first_seen_at: Option<DateTime<Utc>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this backend does not do, it refuses when it is asked.
fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "queues cannot do this")
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}

#[async_trait]
impl Backend for QueueBackend {
    fn name(&self) -> &'static str {
        "queues"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let mut state = self.shared.state();
        let closed_now = state.closed;
        let mut publish = |message: Message| {
            if closed_now {
                return Err(PublishError::failed(message, closed("publish")));
            }
            let queues = state.queues.iter_mut();
            let mut wanting: Vec<_> = queues
                .filter(|((topic, _), _)| *topic == message.topic)
                .collect();
            if wanting.is_empty() {
                // Nobody would ever see it: then it was not published.
                let nobody = Error::new(ErrorKind::Unavailable, "publish", "no subscription");
                return Err(PublishError::failed(message, nobody));
            }
            for (_, queue) in &mut wanting {
                let message = message.clone();
                let due = Instant::now();
                queue.push_back(Item {
                    message,
                    attempts: 0,
                    due,
                    first_seen_at: None,
                });
            }
            Ok(Accepted::new(None))
        };
        let results = messages.into_iter().map(&mut publish).collect();
        self.shared.changed.notify_waiters();
        results
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        let mut state = self.shared.state();
        if state.closing {
            return Err(closed("subscribe"));
        }
        let place = (subscription.topic.clone(), subscription.name.clone());
        state.queues.entry(place).or_default();
        Ok(Box::new(QueueFeed {
            shared: Arc::clone(&self.shared),
            subscription,
        }))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        let state = self.shared.state();
        let place = (topic.clone(), name.clone());
        let Some(queue) = state.queues.get(&place) else {
            let unknown = format!("topic {topic} has no subscription {name}");
            return Err(Error::new(ErrorKind::Config, "backlog", unknown));
        };
        let waiting = queue.len() as u64;
        let held = state.held.values().filter(|(of, _)| *of == place).count() as u64;
        Ok(Backlog::new(waiting, held, 0))
    }

    async fn dead_letters(
        &self,
        _: &TopicName,
        _: &SubscriptionName,
        _: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        Err(unsupported("dead_letters"))
    }

    async fn redrive(
        &self,
        _: &TopicName,
        _: &SubscriptionName,
        _: usize,
        _: &Filter,
    ) -> Result<u64, Error> {
        Err(unsupported("redrive"))
    }

    async fn purge_dead_letters(&self, _: &TopicName, _: &SubscriptionName) -> Result<u64, Error> {
        Err(unsupported("purge_dead_letters"))
    }

    async fn check(&self) -> Result<(), Error> {
        if self.shared.state().closed {
            Err(closed("check"))
        } else {
            Ok(())
        }
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.shared.state().closing = true;
        self.shared.changed.notify_waiters();
        let drained = async {
            loop {
                // Made before the look: what changes between the look and the wait is not missed.
                let changed = self.shared.changed.notified();
                if self.shared.state().held.is_empty() {
                    break;
                }
                changed.await;
            }
        };
        let drained = timeout(within, drained).await;
        self.shared.state().closed = true;
        drained.map_err(|_| Error::new(ErrorKind::Timeout, "close", "deliveries were left"))
    }
}

struct QueueFeed {
    shared: Arc<Shared>,
    subscription: Subscription,
}

impl QueueFeed {
    /// The next delivery, or when to look again.
    fn take(&self) -> Result<Option<Incoming>, Option<Instant>> {
        let mut state = self.shared.state();
        if state.closing {
            return Ok(None);
        }
        let place = (
            self.subscription.topic.clone(),
            self.subscription.name.clone(),
        );
        let held = state.held.values().filter(|(of, _)| *of == place);
        let (count, bytes) = held.fold((0, 0), |(count, bytes), (_, item)| {
            (count + 1, bytes + item.message.size())
        });
        let queue = state.queues.get_mut(&place).ok_or(None)?;
        let now = Instant::now();
        let Some(next) = queue.iter().position(|item| item.due <= now) else {
            return Err(queue.iter().map(|item| item.due).min());
        };
        let fits = bytes + queue[next].message.size() <= self.subscription.max_bytes_in_flight;
        if count >= self.subscription.max_in_flight || (count > 0 && !fits) {
            return Err(None);
        }
        let mut item = queue.remove(next).ok_or(None)?;
        item.attempts += 1;
        item.first_seen_at.get_or_insert_with(Utc::now);
        state.last_fence += 1;
        let fence = state.last_fence;
        state.held.insert(fence, (place, item.clone()));
        let receipt = Receipt::new(fence, fence);
        let position = fence.to_string();
        let incoming = Incoming::new(Ok(item.message), item.attempts, position, receipt)
            .with_first_seen_at(item.first_seen_at);
        Ok(Some(incoming))
    }
}

#[async_trait]
impl Feed for QueueFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        loop {
            let changed = self.shared.changed.notified();
            match self.take() {
                Ok(incoming) => return Ok(incoming),
                Err(None) => changed.await,
                Err(Some(due)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::new(QueueSettler(Arc::clone(&self.shared)))
    }

    async fn close(self: Box<Self>) {}
}

struct QueueSettler(Arc<Shared>);

#[async_trait]
impl Settler for QueueSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let mut state = self.0.state();
        let lost = || Error::new(ErrorKind::LeaseLost, "settle", "it was settled before");
        let (place, mut item) = state.held.remove(&receipt.fence).ok_or_else(lost)?;
        let again = match settlement {
            Settlement::Ack => None,
            Settlement::Retry { after } => Some(after),
            refused => {
                state.held.insert(receipt.fence, (place, item));
                let problem = format!("queues have no place for {refused:?}");
                return Err(Error::new(ErrorKind::Unsupported, "settle", problem));
            }
        };
        if let (Some(after), Some(queue)) = (again, state.queues.get_mut(&place)) {
            item.due = Instant::now() + after;
            queue.push_front(item);
        }
        drop(state);
        self.0.changed.notify_waiters();
        Ok(())
    }

    fn release(&self, receipt: Receipt) {
        let mut state = self.0.state();
        if let Some((place, item)) = state.held.remove(&receipt.fence)
            && let Some(queue) = state.queues.get_mut(&place)
        {
            queue.push_front(item);
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}
