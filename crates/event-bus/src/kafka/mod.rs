//! Apache Kafka, through librdkafka.
//!
//! | concept | here |
//! |---|---|
//! | topic | a topic of the same name, made on demand |
//! | subscription | a consumer group `TOPIC.SUBSCRIPTION` (dots in the subscription's name become underscores) |
//! | key | the record key, partitioned like Java's default (murmur2); in the process, a lane per key |
//! | message | CloudEvents binary mode (`ce_` headers); binary and structured mode are read |
//! | headers | record headers, byte for byte; a null value reads as an empty one |
//! | accepted | the idempotent producer's confirmation by all in-sync replicas; the position is `partition@offset` |
//! | ack | the partition's frontier moves: the committed offset never passes a record that is not settled |
//! | retry | the key waits in this process, the partition goes on |
//! | filter | judged by the record's headers, before the event is decoded; what is not wanted is settled |
//! | later | topics of equal waits, worked off by every connected bus (see below) |
//! | lease | the group's session: the subscription's lease, from 6 seconds to 30 minutes |
//! | dead letter | topic `TOPIC.SUBSCRIPTION.dead`, confirmed before the offset may move |
//! | redrive | published to the topic again, in a record that only this subscription looks at |
//! | start | earliest, latest, a time (milliseconds, by the records' timestamps), a position: `0@12,1@5`; partitions not named begin with their oldest record |
//! | topics | all but Kafka's own and what ends like dead letters of a topic that is there |
//!
//! # How it keeps the contract
//!
//! Handlers settle in any order. Committed is the offset of the oldest record that is not settled, and beside it, in the
//! commit's metadata, which records after it are: after a crash only what is unsettled comes again, and what was settled
//! since the last commit (`commit_interval`). The metadata is bounded by the broker: a partition pauses when it is three
//! quarters full, and what does not fit comes again. Foreign or damaged metadata means repetition, nothing else.
//!
//! When a partition is revoked, nothing more of it is handed out; deliveries in flight have `drain` to be settled; the
//! position is committed; then the partition goes. What is settled after that is refused with
//! [`LeaseLost`](crate::ErrorKind::LeaseLost). Rebalances are cooperative: partitions that stay are not interrupted. A
//! member that is full, by count or by bytes, pauses its partitions and stays in the group.
//!
//! Offsets that are never delivered (transaction markers, aborted records, compacted ones) are jumped.
//!
//! A new subscription's position is written before the first member joins, so that `subscribe` returning means: what is
//! published from now on will be seen.
//!
//! # Later
//!
//! A message with [`deliver_at`](crate::Message::deliver_at) is accepted when it stands on one of six topics
//! `commerce-event-bus_delayed_…` (soon, 4s, 32s, 4m, 34m, 5h; 4 partitions each), confirmed like any other. It goes from
//! the longest wait that it has time for down to the topic of the last seconds, and from there to its own topic when it is
//! due: never early by the clock of the process that hands it over, after the confirmation of the next place, so that a
//! process killed in between means a repetition. One key's messages arrive in the order of their due times; what fell due while
//! nobody worked it off, about in that order.
//!
//! Every bus that has published with a delay works them off, and every bus that subscribes: after five seconds, so that
//! processes that come and go do not disturb, or within half a minute of the first delayed message in the cluster. They share the group `commerce-event-bus_delayed`. *While no such process runs,
//! nothing is delivered and nothing is lost*: the topics keep what they have without limit, and what fell due meanwhile is
//! delivered when one runs again. Per partition at most 4000 records (8 MiB) of the last four seconds are held; more of
//! them at once come late, not early. What was handed over is deleted from the topics every 30 seconds. The backlog counts
//! a message from when it is due.
//!
//! # Settings
//!
//! `kafka://[USER:PASSWORD@]HOST:PORT[,HOST:PORT][?…]` with
//!
//! | setting | default | what it does |
//! |---|---|---|
//! | `partitions` | 6 | partitions of topics made here; the most members that share a subscription. -1: the broker's own default |
//! | `replication` | -1 | replicas of topics made here; -1: the broker's own default. In production 3, with `min.insync.replicas` 2 |
//! | `publish_timeout` | 30s | how long a publish waits for the brokers |
//! | `request_timeout` | 10s | how long any other request waits |
//! | `drain` | 10s | how long a revoked partition waits for its deliveries in flight; the whole group waits with it |
//! | `commit_interval` | 500ms | how much may come again after a crash |
//! | `commit_metadata` | 4096 | bytes of metadata beside a commit: at most the broker's `offset.metadata.max.bytes`; 0 keeps none |
//! | `lookahead` | 1000 | records held in lanes. A key that waits holds its later records; when all are of waiting keys, the member is full |
//! | `max_message` | 1000000 | bytes of the heaviest message; more needs the topics' `max.message.bytes` raised as well |
//! | `linger` | 2ms | how long the producer collects a batch |
//! | `protocol` | classic | `consumer`: the group protocol of Kafka 4 (KIP-848); rebalances are the broker's, and so are sessions: the lease is not used |
//! | `instance` | | a name for this process that stays over restarts (`group.instance.id`): an absence shorter than the session moves no partition. Further members of one group in one process add `-2`, `-3` |
//! | `tls` | off, on with `sasl` or `tls_ca` | encrypts, and checks that the certificate is the broker's |
//! | `tls_ca` | the system's authorities | PEM file of the authorities to trust |
//! | `sasl` | | `plain`, `scram-sha-256`, `scram-sha-512` with the URL's user and password (percent-encoded); `oauthbearer` with a [source of tokens](crate::Connector::tokens) |
//! | `client_id` | commerce-event-bus | how brokers name this client in their logs and quotas |
//!
//! TLS and SASL need the feature `kafka-tls`, which links OpenSSL. Beside
//! [`max_bytes_in_flight`](crate::Subscription::max_bytes_in_flight) a member holds what its client reads ahead: as much
//! again, at most 16 MiB. Lanes hold at least 1 MiB, so that one key that waits does not hold up the others.
//!
//! Topics that exist are used as they are; give them more partitions only while no key has records in flight, because
//! keys move. A topic needs no setting of its own; the group's offsets live for the broker's
//! `offsets.retention.minutes` (7 days) after its last member left, and then it begins anew. A redrive that leaves letters
//! in between keeps which are gone in such offsets too, in a group named like the topic of dead letters.
//!
//! # What it cannot do
//!
//! - A retry's delay and the attempt number live in the process: after a crash, or when a rebalance moves the partition,
//!   the message comes at once and counts from one. First-seen and first-failed times likewise, except in dead letters.
//! - A failed publish whose time ran out is *unknown*: the client does not tell whether it was on its way.
//! - Redriven records are on the topic again; consumers that do not use this crate see them as repetitions.
//! - With `sasl=oauthbearer` it cannot make topics or delete records, because the client's administrator takes no tokens:
//!   topics, those of dead letters and of delayed messages included, are made beforehand (errors say how), and redriven or
//!   purged dead letters stay on the disk.
//! - After an unclean leader election, which loses records, others that take the offsets of settled ones may be taken for
//!   them.

pub(crate) mod completed;
mod config;
mod context;
mod dead_letter;
mod delayed;
mod feed;
mod frontier;
mod member;
mod publish;
mod reader;
mod record;
mod scheduler;
mod security;
mod settle;
mod topics;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use tokio::time::{Instant, timeout_at};

use self::config::Config;
use self::context::Link;
use self::dead_letter::DeadLetters;
use self::feed::KafkaFeed;
use self::member::Member;
use self::publish::Publisher;
use self::scheduler::Scheduler;
use self::settle::KafkaSettler;
use self::topics::{Keeps, Topics, dead_letter_topic};
use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::dead_letter::DeadLetter;
use crate::derived::qualified;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::lanes::after;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;
use crate::token::TokenSource;

/// How long a member that has nothing in flight may take to leave its group when the bus closes.
const LEAVING: Duration = Duration::from_secs(10);

/// The backend behind `kafka:`.
pub(crate) struct Kafka {
    config: Config,
    topics: Arc<Topics>,
    publisher: Arc<Publisher>,
    dead_letters: Arc<DeadLetters>,
    scheduler: Arc<Scheduler>,
    members: Mutex<Vec<Weak<Member>>>,
    closed: AtomicBool,
}

impl Kafka {
    /// From a URL without its scheme. The brokers must answer.
    pub(crate) async fn connect(
        rest: &str,
        tokens: Option<Arc<dyn TokenSource>>,
    ) -> Result<Self, Error> {
        let mut config = Config::parse(rest, tokens.is_some())?;
        config.link = Link::new(tokens).await?;
        let topics = Arc::new(Topics::new(&config)?);
        topics.check("connect").await?;
        let publisher = Arc::new(Publisher::new(&config, Arc::clone(&topics))?);
        let dead_letters = Arc::new(DeadLetters {
            config: config.clone(),
            topics: Arc::clone(&topics),
            publisher: Arc::clone(&publisher),
        });
        let scheduler = Arc::new(Scheduler::new(&config, &topics, &publisher));
        Ok(Self {
            config,
            scheduler,
            topics,
            publisher,
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

    fn new_member(&self, subscription: Subscription, group: String) -> Arc<Member> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let there: Vec<Arc<Member>> = members.iter().filter_map(Weak::upgrade).collect();
        let taken = |instance: &str| {
            there.iter().any(|other| {
                other.group == group
                    && other.instance.as_deref() == Some(instance)
                    && !other.departure.is_done()
            })
        };
        // Several members of one group in one process need a name each: always the same ones, whichever comes first.
        let instance = self.config.instance.as_deref().map(|first| {
            let names = (2..).map(|n| format!("{first}-{n}"));
            let mut names = std::iter::once(first.to_owned()).chain(names);
            names.find(|name| !taken(name)).unwrap_or_default()
        });
        let member = Arc::new(Member::new(subscription, group, instance, &self.config));
        members.push(Arc::downgrade(&member));
        member
    }

    fn members(&self) -> Vec<Arc<Member>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.iter().filter_map(Weak::upgrade).collect()
    }
}

#[async_trait]
impl Backend for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            multi_process: true,
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
            max_message_bytes: self.config.max_message,
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let now = Utc::now();
        if messages
            .iter()
            .any(|message| delayed::due(message, now).is_some())
            && let Err(error) = self.scheduler.start().await
        {
            // The message is kept all the same, and worked off by who can.
            tracing::warn!(%error, "delayed messages are not worked off by this process");
        }
        self.publisher.publish(messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        const OPERATION: &str = "subscribe";
        self.ensure_open(OPERATION)?;
        let (topic, name) = (&subscription.topic, &subscription.name);
        // A subscription whose dead letters could not be kept is refused now, not at the first of them.
        dead_letter_topic(topic, name)?;
        let group = qualified(topic, name);
        self.topics
            .ensure(OPERATION, topic.as_str(), Keeps::Events)
            .await?;
        self.topics
            .pin(&group, topic.as_str(), &subscription.start)
            .await?;
        let member = self.new_member(subscription, group);
        let settler = Arc::new(KafkaSettler {
            member: Arc::clone(&member),
            dead_letters: Arc::clone(&self.dead_letters),
        });
        // Made before the reader: a cancelled subscribe drops it, and with it the reader.
        let feed = KafkaFeed {
            member: Arc::clone(&member),
            settler,
        };
        reader::start(&self.config, &member).await?;
        self.scheduler.start_when_needed();
        // A close that ran meanwhile did not see the member.
        self.ensure_open(OPERATION)?;
        Ok(Box::new(feed))
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        const OPERATION: &str = "backlog";
        let unknown = || {
            let problem = format!("topic {topic} has no subscription {name}");
            Error::new(ErrorKind::Config, OPERATION, problem)
        };
        let group = qualified(topic, name);
        let watermarks = self.topics.watermarks(OPERATION, topic.as_str()).await?;
        let partitions = i32::try_from(watermarks.len()).unwrap_or(i32::MAX);
        if partitions == 0 {
            return Err(unknown());
        }
        let committed = self
            .topics
            .committed(OPERATION, &group, topic.as_str(), partitions)
            .await?;
        if committed.is_empty() {
            return Err(unknown());
        }
        let dead = self.dead_letters.count(OPERATION, topic, name).await?;
        // Of the partitions that are read here, this process knows more than the broker.
        let mut read_here = BTreeMap::new();
        let (mut waiting, mut in_flight) = (0, 0);
        for member in self.members().iter().filter(|member| member.group == group) {
            member.desk.look(|lanes, assigned| {
                for (partition, progress) in assigned.progress() {
                    let next = watermarks.get(&partition).map_or(0, |(_, next)| *next);
                    let settled = assigned.completed_before(partition, next);
                    read_here.insert(partition, (progress, settled));
                }
                waiting += lanes.waiting() as u64;
                in_flight += lanes.in_flight() as u64;
            });
        }
        let mut behind = Vec::new();
        for (partition, (oldest, next)) in watermarks {
            let (position, end, settled) =
                match (read_here.get(&partition), committed.get(&partition)) {
                    (Some((progress, settled)), _) => (progress.position, progress.end, *settled),
                    (None, Some(known)) => {
                        let settled = known.completed.count(known.offset.max(oldest), next);
                        (known.offset, known.offset, settled)
                    }
                    (None, None) => (oldest, oldest, 0),
                };
            let unread = u64::try_from(next - end.max(oldest)).unwrap_or(0);
            waiting += unread.saturating_sub(settled);
            if position.max(oldest) < next {
                behind.push((partition, position.max(oldest)));
            }
        }
        let oldest_at = if waiting + in_flight == 0 {
            None
        } else {
            self.topics
                .first_written(OPERATION, topic.as_str(), behind)
                .await?
        };
        Ok(Backlog::new(waiting, in_flight, dead).with_oldest_at(oldest_at))
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
        self.topics.list("topics").await
    }

    async fn check(&self) -> Result<(), Error> {
        self.ensure_open("check")?;
        self.topics.check("check").await
    }

    async fn close(&self, within: Duration) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let deadline = after(Instant::now(), within);
        let members = self.members();
        for member in &members {
            // Longer than this waits: who leaves first decides that the time is up.
            member.leave(within.saturating_add(LEAVING));
        }
        let mut left = 0;
        for member in &members {
            if timeout_at(deadline, member.desk.drained()).await.is_err() {
                left += member.desk.look(|lanes, _| lanes.in_flight());
                member.leave(Duration::ZERO);
            }
        }
        self.scheduler.close(LEAVING).await;
        let flushed = self
            .publisher
            .close(deadline.saturating_duration_since(Instant::now()))
            .await;
        let leaving = Instant::now() + LEAVING;
        for member in &members {
            if timeout_at(leaving, member.departure.gone()).await.is_err() {
                tracing::warn!(topic = %member.topic, subscription = %member.name, "the group is not left yet");
            }
        }
        if left > 0 {
            let problem = format!("{left} deliveries were not settled in time");
            return Err(Error::new(ErrorKind::Timeout, "close", problem));
        }
        flushed
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("config", &self.config)
            .field("members", &self.members().len())
            .field("closed", &self.closed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}

/// The brokers cannot be reached, or do not do it now.
fn unavailable(
    operation: &'static str,
    problem: impl Into<String>,
    source: impl StdError + Send + Sync + 'static,
) -> Error {
    let problem = format!("{}: {source}", problem.into());
    Error::new(ErrorKind::Unavailable, operation, problem).with_source(source)
}

/// The client itself refused.
fn failed(
    operation: &'static str,
    problem: &str,
    source: impl StdError + Send + Sync + 'static,
) -> Error {
    Error::new(
        ErrorKind::Backend,
        operation,
        format!("{problem}: {source}"),
    )
    .with_source(source)
}
