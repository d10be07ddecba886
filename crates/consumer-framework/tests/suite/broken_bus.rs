//! A bus that fails when told to: a decorator around the one in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use commerce_event_bus::{
    Accepted, Backend, Decorator, Error, ErrorKind, EventBus, Feed, Incoming, Message,
    PublishError, Receipt, Settlement, Settler, Subscription, TopicName,
};

/// What happens to the next published messages, one entry per message; when the list is at its end
/// everything is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    /// Not accepted, and it may be tried again.
    Unavailable,
    /// Accepted, but nobody hears of it.
    Unknown,
    /// Not accepted, ever.
    Refused,
}

type Script = dyn Fn(&Message) -> Fate + Send + Sync;

pub(crate) struct BrokenBus {
    inner: EventBus,
    script: Mutex<VecDeque<Fate>>,
    rule: Mutex<Option<Box<Script>>>,
    poison: Mutex<Option<TopicName>>,
    settle_failures: Arc<Mutex<u32>>,
    receive_failures: Arc<Mutex<VecDeque<ErrorKind>>>,
    published: Mutex<Vec<(Message, Fate)>>,
    batches: Mutex<Vec<usize>>,
}

impl BrokenBus {
    pub(crate) fn new() -> (EventBus, Arc<Self>) {
        let broken = Arc::new(Self {
            inner: EventBus::memory(),
            script: Mutex::default(),
            rule: Mutex::default(),
            poison: Mutex::default(),
            settle_failures: Arc::default(),
            receive_failures: Arc::default(),
            published: Mutex::default(),
            batches: Mutex::default(),
        });
        (EventBus::new(broken.clone()), broken)
    }

    pub(crate) fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.script.lock().unwrap() = fates.into_iter().collect();
    }

    /// Decides by the message; `None` accepts again.
    pub(crate) fn rule(&self, rule: Option<Box<Script>>) {
        *self.rule.lock().unwrap() = rule;
    }

    /// A batch with a message of this topic in it is refused as a whole.
    pub(crate) fn poison(&self, topic: Option<TopicName>) {
        *self.poison.lock().unwrap() = topic;
    }

    pub(crate) fn fail_settling(&self, times: u32) {
        *self.settle_failures.lock().unwrap() = times;
    }

    pub(crate) fn fail_receiving(&self, kinds: impl IntoIterator<Item = ErrorKind>) {
        *self.receive_failures.lock().unwrap() = kinds.into_iter().collect();
    }

    /// Everything that was tried, in order.
    pub(crate) fn tried(&self) -> Vec<(Message, Fate)> {
        self.published.lock().unwrap().clone()
    }

    /// What the bus has, in order.
    pub(crate) fn accepted(&self) -> Vec<Message> {
        let has = |fate| matches!(fate, Fate::Accepted | Fate::Unknown);
        let tried = self.tried().into_iter();
        tried
            .filter(|(_, fate)| has(*fate))
            .map(|(message, _)| message)
            .collect()
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    fn fate_of(&self, message: &Message) -> Fate {
        if let Some(rule) = &*self.rule.lock().unwrap() {
            return rule(message);
        }
        self.script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Fate::Accepted)
    }
}

impl fmt::Debug for BrokenBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenBus").finish_non_exhaustive()
    }
}

#[async_trait]
impl Decorator for BrokenBus {
    fn inner(&self) -> &dyn Backend {
        self.inner.backend().as_ref()
    }

    fn name(&self) -> &'static str {
        "broken"
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        self.batches.lock().unwrap().push(messages.len());
        let poison = self.poison.lock().unwrap().clone();
        let poisoned = messages
            .iter()
            .any(|message| poison.as_ref() == Some(message.topic()));
        let mut results = Vec::new();
        for message in messages {
            let fate = if poisoned {
                Fate::Unavailable
            } else {
                self.fate_of(&message)
            };
            self.published.lock().unwrap().push((message.clone(), fate));
            let error = |kind| Error::new(kind, "publish", "broken on purpose");
            results.push(match fate {
                Fate::Accepted => self.inner.publish(message).await,
                Fate::Unavailable => {
                    Err(PublishError::failed(message, error(ErrorKind::Unavailable)))
                }
                Fate::Refused => Err(PublishError::failed(message, error(ErrorKind::Message))),
                Fate::Unknown => {
                    self.inner.publish(message.clone()).await.unwrap();
                    Err(PublishError::unknown(message, error(ErrorKind::Timeout)))
                }
            });
        }
        results
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        Ok(Box::new(BrokenFeed {
            inner: self.inner.backend().subscribe(subscription).await?,
            settle_failures: self.settle_failures.clone(),
            receive_failures: self.receive_failures.clone(),
        }))
    }
}

struct BrokenFeed {
    inner: Box<dyn Feed>,
    settle_failures: Arc<Mutex<u32>>,
    receive_failures: Arc<Mutex<VecDeque<ErrorKind>>>,
}

#[async_trait]
impl Feed for BrokenFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        if let Some(kind) = self.receive_failures.lock().unwrap().pop_front() {
            return Err(Error::new(kind, "receive", "broken on purpose"));
        }
        self.inner.receive().await
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::new(BrokenSettler {
            inner: self.inner.settler(),
            failures: self.settle_failures.clone(),
        })
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}

struct BrokenSettler {
    inner: Arc<dyn Settler>,
    failures: Arc<Mutex<u32>>,
}

#[async_trait]
impl Settler for BrokenSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "settle",
                    "broken on purpose",
                ));
            }
        }
        self.inner.settle(receipt, settlement).await
    }

    fn release(&self, receipt: Receipt) {
        self.inner.release(receipt);
    }
}
