#![doc = include_str!("../../docs/memory.md")]

mod config;
mod dead_letter;
mod feed;
mod group;
mod publish;
mod settle;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use self::config::Config;
use self::feed::MemoryFeed;
use self::state::State;
use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;

/// The backend behind `memory:`.
#[derive(Default)]
pub(crate) struct Memory {
    shared: Arc<Shared>,
}

/// What the backend, its feeds and their settlers share.
#[derive(Default)]
struct Shared {
    config: Config,
    clock: Clock,
    state: Mutex<State>,
    /// Deliveries handed out and not settled, all subscriptions together.
    in_flight: AtomicUsize,
    /// Something was settled: a publisher may have room, a close may be complete.
    settled: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together, so a poisoned state is a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// From a URL without its scheme.
    pub(crate) fn connect(rest: &str, clock: Clock) -> Result<Self, Error> {
        let shared = Shared {
            config: Config::parse(rest)?,
            clock,
            ..Shared::default()
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ordered: true,
            replay: true,
            seek: true,
            filters: true,
            patterns: true,
            delayed: true,
            dead_letters: true,
            fenced: true,
            positions: true,
            exact_backlog: true,
            backlog_age: true,
            max_message_bytes: self.shared.config.max_message,
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        publish::publish(&self.shared, messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        Ok(Box::new(MemoryFeed::join(
            Arc::clone(&self.shared),
            subscription,
        )?))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        self.shared.state().backlog(topic, name)
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        dead_letter::list(&self.shared, topic, name, limit)
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        dead_letter::redrive(&self.shared, topic, name, limit, filter)
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        dead_letter::purge(&self.shared, topic, name)
    }

    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        Ok(self.shared.state().topics.keys().cloned().collect())
    }

    async fn check(&self) -> Result<(), Error> {
        if self.shared.state().closed {
            return Err(closed("check"));
        }
        Ok(())
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        {
            let mut state = self.shared.state();
            state.closing = true;
            state.wake_all();
        }
        let drained = async {
            loop {
                let settled = self.shared.settled.notified();
                if self.shared.in_flight.load(Ordering::Acquire) == 0 {
                    break;
                }
                settled.await;
            }
        };
        let drained = tokio::time::timeout(within, drained).await;
        self.shared.state().closed = true;
        // Publishers that wait for room learn of it.
        self.shared.settled.notify_waiters();
        drained.map_err(|_| {
            let left = self.shared.in_flight.load(Ordering::Acquire);
            let problem = format!("{left} deliveries were not settled in time");
            Error::new(ErrorKind::Timeout, "close", problem)
        })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Memory")
            .field("topics", &state.topics.len())
            .field("retained", &state.retained)
            .field("retained_bytes", &state.retained_bytes)
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}
