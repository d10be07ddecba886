#![doc = include_str!("../../docs/kafka.md")]

pub(crate) mod completed;
mod config;
mod context;
mod dead_letter;
mod delayed;
mod feed;
mod frontier;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod member;
mod offsets;
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
use crate::clock::Clock;
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
        clock: Clock,
    ) -> Result<Self, Error> {
        let mut config = Config::parse(rest, tokens.is_some())?;
        config.link = Link::new(tokens).await?;
        config.clock = clock;
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
            backlog_age: true,
            max_message_bytes: self.config.max_message,
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        let now = self.config.clock.now();
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
