//! Amazon SQS, behind SNS or alone.
//!
//! | concept | here |
//! |---|---|
//! | topic | an SNS topic, FIFO unless the URL says otherwise; or, with `topics=none`, the set of its subscriptions' queues |
//! | subscription | a queue `TOPIC__SUBSCRIPTION`, subscribed to the topic with raw delivery; what is too long for a name ends in a hash |
//! | ordered | a FIFO queue; the message group is the key, or its hash where a group cannot be called so; a message without a key has a group to itself |
//! | unordered | a standard queue |
//! | message | CloudEvents structured mode (JSON) in the body, raw or in the envelope of SNS; headers, and data that base64 would make too large, in binary attributes |
//! | accepted | the entry is among the successful ones of its batch; there are no positions |
//! | ack | `DeleteMessageBatch`; those who settle at the same time share the request |
//! | retry | `ChangeMessageVisibility`, in whole seconds, rounded up, 12 hours at most |
//! | lease | visibility, extended in batches until 12 hours after the receive |
//! | release | visibility 0, with what follows in its group |
//! | dead letter | queue `TOPIC__SUBSCRIPTION__dead`, sent there before the original is deleted |
//! | redrive | to the subscription's queue, past the topic |
//! | later | a standard queue `Delayed`; whichever connected bus receives the message when it is due publishes it |
//! | filter | a filter policy over the body, where it has an exact translation; and in the process, always |
//! | replay | no: a subscription sees what is published after it was made |
//!
//! # Topics
//!
//! With `topics=fifo`, the default, every topic is an SNS FIFO topic: it keeps the order of each key, and delivers to FIFO
//! queues and to standard queues, so one topic has ordered and unordered subscriptions. The price is what FIFO topics cost
//! and allow: 300 publishes a second (3,000 messages in batches) unless the topic's `FifoThroughputScope` is
//! `MessageGroup`, and 100 subscriptions. Where nothing needs an order, `topics=standard` has neither limit, and refuses
//! ordered subscriptions. Two topics, one of each kind, would need two publishes for one message, with one of them failing.
//!
//! With `topics=none` there is no SNS: a publish lists the topic's queues, by their names, once in `refresh`, and sends to
//! each. A new subscription waits as long before it is joined, so that it sees everything published from then on. A
//! message that some queues took and others did not is *unknown*; published again it is twice in the ones (once, where
//! they are FIFO). A topic without a subscription refuses messages; SNS takes them and forgets them.
//!
//! A FIFO topic or queue takes the same message, byte for byte, once in five minutes.
//!
//! # How it keeps the contract
//!
//! SQS gives out no message of a group that has one in flight, to anybody: the order of a key holds across processes. Of
//! several messages of a group in one answer the later ones wait here, and go back with the first when it does. Requests
//! for messages are made only while somebody waits for a delivery. What a process holds when it dies is visible again after
//! its lease; what a member holds when it leaves, at once. A holder that lost its time by its own clock is refused
//! ([`LeaseLost`](crate::ErrorKind::LeaseLost)) without asking SQS, which does not always refuse it.
//!
//! Requests that fail are made again with growing pauses, a publish until `publish_timeout`. Of messages of one key in one
//! publish, those behind one that failed are not sent; only those in the same request may have overtaken it.
//!
//! # Settings
//!
//! `sqs://[KEY:SECRET@]REGION[?…]`. Without a region, and without credentials, they are found as by every AWS program:
//! environment, profile, web identity, container, instance. `KEY:SECRET@` (percent-encoded) is for local servers.
//!
//! | setting | default | what it does |
//! |---|---|---|
//! | `topics` | fifo | `fifo`, `standard` or `none`: see above |
//! | `endpoint` | AWS | another server, for both |
//! | `sns_endpoint` | `endpoint` | another server for SNS |
//! | `prefix` | | what begins all names, at most 11 characters: several buses in one account |
//! | `wait` | 20s | how long one request waits for messages, two thirds of the lease at most |
//! | `publish_timeout` | 30s | how long a publish waits for AWS |
//! | `request_timeout` | 10s | how long another request may take |
//! | `max_message` | 262144 | bytes of a message, and of a batch, up to 1048576 where every queue and topic takes that; 4 KiB of it stay free for what is known of a dead letter |
//! | `max_receives` | 1000 | after so many receives SQS dead-letters a message by itself: against messages that kill the process |
//! | `retention` | 14d | how long new queues keep a message |
//! | `refresh` | 1s | with `topics=none`: how old the list of a topic's queues may be; the same everywhere |
//! | `delayed` | on | `off`: nothing is delivered later, and this bus does not look for it |
//! | `unrouted_ok` | | with `topics=none`: topics that nobody needs to read, with commas between |
//!
//! Queues, topics and subscriptions that exist are used as they are, whatever made them.
//!
//! # Permissions
//!
//! - `sqs:GetQueueUrl`, `GetQueueAttributes`, `SendMessage`, `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility`;
//! - `sqs:CreateQueue`, `SetQueueAttributes`, unless queues, with their policies, are made by other means;
//! - with SNS `sns:CreateTopic`, `Publish`, `Subscribe`, `ListTopics`, `ListSubscriptionsByTopic`,
//!   `GetSubscriptionAttributes`, `SetSubscriptionAttributes`; without it `sqs:ListQueues`.
//!
//! # What it cannot do
//!
//! - No replay, no position, no exact backlog: SQS estimates.
//! - A message that was fetched and given back unseen counts as received: this process takes it off the attempt number,
//!   another one sees it.
//! - A delivery is lost 12 hours after it was received, whatever its handler does. A retry later than that is refused.
//! - A look at dead letters hides them from a look at the same time, reads 20,000 at most, and ten of each group of those
//!   that SQS dead-lettered by itself.
//! - Where more than 120,000 messages wait to be delivered later than in 15 minutes, those behind them come late.
//! - Text that XML 1.0 does not have is in the base64 form of an event's data; a body of somebody else's is text.

mod call;
mod changes;
mod config;
mod dead_letter;
mod delayed;
mod desk;
mod fault;
mod feed;
mod heartbeat;
mod history;
mod member;
mod names;
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
    pub(crate) async fn connect(rest: &str) -> Result<Self, Error> {
        let topology = Arc::new(Topology::new(Config::parse(rest)?).await);
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
            patterns: config.topics != Topics::None,
            delayed: config.delayed,
            durable_retry: true,
            durable_attempts: true,
            dead_letters: true,
            fenced: true,
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
        let leaving = Instant::now() + LEAVING;
        let answered = self.publisher.close(deadline.max(Instant::now())).await;
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
