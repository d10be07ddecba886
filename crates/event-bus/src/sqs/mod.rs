#![doc = include_str!("../../docs/sqs.md")]

#[cfg(test)]
mod batch_tests;
mod call;
mod changes;
mod config;
#[cfg(test)]
mod credentials_tests;
mod dead_letter;
mod delayed;
mod desk;
mod fault;
mod feed;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod heartbeat;
mod history;
mod hold;
mod member;
mod names;
mod oldest;
mod policy;
mod publish;
mod pump;
mod routes;
mod settle;
mod split;
mod topology;
mod wire;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use self::changes::Changes;
use self::config::{Config, Topics};
use self::dead_letter::DeadLetters;
use self::delayed::Delayed;
use self::desk::Desk;
use self::feed::SqsFeed;
use self::member::Member;
use self::publish::Publisher;
use self::settle::SqsSettler;
use self::topology::Topology;
use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// How long the goodbyes may take when the bus closes.
const LEAVING: Duration = Duration::from_secs(5);

/// The backend behind `sqs:`.
pub(crate) struct Sqs {
    topology: Arc<Topology>,
    publisher: Arc<Publisher>,
    delayed: Arc<Delayed>,
    dead_letters: Arc<DeadLetters>,
    members: Mutex<Vec<Weak<Member>>>,
    closed: AtomicBool,
}

impl Sqs {
    /// From a URL, taken apart at the first colon. AWS must answer.
    pub(crate) async fn connect(rest: &str, clock: Clock) -> Result<Self, Error> {
        let mut config = Config::parse(rest)?;
        config.clock = clock;
        let topology = Arc::new(Topology::new(config).await);
        topology
            .check()
            .await
            .map_err(|fault| fault.error("connect"))?;
        let delayed = Arc::new(Delayed::new(Arc::clone(&topology)));
        let publisher = Arc::new(Publisher::new(Arc::clone(&topology), Arc::clone(&delayed)));
        if topology.config.delayed {
            tokio::spawn(delayed::run(
                Arc::clone(&delayed),
                Arc::downgrade(&publisher),
            ));
        }
        let dead_letters = Arc::new(DeadLetters {
            topology: Arc::clone(&topology),
        });
        Ok(Self {
            topology,
            publisher,
            delayed,
            dead_letters,
            members: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    fn ensure_open(&self, operation: &'static str) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed(operation))
        } else {
            Ok(())
        }
    }

    fn members(&self) -> Vec<Arc<Member>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.iter().filter_map(Weak::upgrade).collect()
    }
}

#[async_trait]
impl Backend for Sqs {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.topology.config;
        Capabilities {
            durable: true,
            multi_process: true,
            ordered: config.topics != Topics::Standard,
            filters: true,
            delayed: config.delayed,
            durable_retry: true,
            durable_attempts: true,
            dead_letters: true,
            fenced: true,
            max_message_bytes: config.heaviest(),
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        self.publisher.publish(messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        const OPERATION: &str = "subscribe";
        self.ensure_open(OPERATION)?;
        if subscription.order == Order::PerKey && !self.capabilities().ordered {
            let problem = "with topics=standard nothing keeps an order: subscribe with Order::Unordered, or connect with \
                           topics=fifo";
            return Err(Error::new(ErrorKind::Unsupported, OPERATION, problem));
        }
        let queues = self.topology.subscribe(&subscription).await?;
        let changes = Changes::of(Arc::clone(&self.topology), queues.main.clone());
        let member = Arc::new(Member::new(subscription, queues, changes));
        tokio::spawn(pump::run(Arc::clone(&self.topology), Arc::clone(&member)));
        tokio::spawn(heartbeat::keep(Arc::downgrade(&member)));
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&member));
        let settler = SqsSettler {
            member: Arc::clone(&member),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        // Dropped by the line below when a close that ran meanwhile did not see the member.
        let feed = Box::new(SqsFeed {
            member,
            settler: Arc::new(settler),
        });
        self.ensure_open(OPERATION)?;
        Ok(feed)
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        const OPERATION: &str = "backlog";
        let queues = self.topology.find(OPERATION, topic, name).await?;
        let (main, dead) = tokio::join!(
            self.topology.counts(&queues.main),
            self.topology.counts(&queues.dead)
        );
        let failed = |fault: fault::Fault| {
            if fault.is_missing() {
                self.topology.forget(topic);
            }
            fault.error(OPERATION)
        };
        let [waiting, in_flight, delayed] = main.map_err(failed)?;
        let dead = dead.map_err(failed)?.iter().sum();
        Ok(Backlog::new(waiting + delayed, in_flight, dead))
    }

    async fn dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.dead_letters.list(topic, name, limit).await
    }

    async fn redrive(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
        limit: usize,
        filter: &Filter,
    ) -> Result<u64, Error> {
        self.dead_letters.redrive(topic, name, limit, filter).await
    }

    async fn purge_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<u64, Error> {
        self.dead_letters.purge(topic, name).await
    }

    async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        const OPERATION: &str = "topics";
        if self.topology.config.topics == Topics::None {
            let problem =
                "without SNS topics cannot be listed: the names of queues do not tell them";
            return Err(Error::new(ErrorKind::Unsupported, OPERATION, problem));
        }
        let deadline = Instant::now() + self.topology.config.request_timeout;
        self.topology
            .topics(deadline)
            .await
            .map_err(|fault| fault.error(OPERATION))
    }

    async fn check(&self) -> Result<(), Error> {
        self.ensure_open("check")?;
        self.topology
            .check()
            .await
            .map_err(|fault| fault.error("check"))
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let now = Instant::now();
        let deadline = now
            .checked_add(within)
            .unwrap_or(now + Duration::from_hours(24 * 365));
        let members = self.members();
        for member in &members {
            member.leave();
        }
        let mut left = 0;
        for member in &members {
            if timeout_at(deadline, member.drained()).await.is_err() {
                left += member.desk().in_flight();
                member.release(Desk::abandon);
            }
        }
        let answered = self.publisher.close(deadline.max(Instant::now())).await;
        // From here: however long publishes took, what is held here goes back.
        let leaving = Instant::now() + LEAVING;
        // What is not released in time is visible again when its lease is over.
        let _ = timeout_at(leaving, self.delayed.close()).await;
        for member in &members {
            let _ = timeout_at(leaving, member.changes.flush()).await;
        }
        if left > 0 {
            let problem = format!("{left} deliveries were not settled in time");
            return Err(Error::new(ErrorKind::Timeout, "close", problem));
        }
        answered
    }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        self.delayed.end();
    }
}

impl fmt::Debug for Sqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqs")
            .field("config", &self.topology.config)
            .field("members", &self.members().len())
            .field("closed", &self.closed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}
