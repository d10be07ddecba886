#![doc = include_str!("../../docs/rabbitmq.md")]

mod balance;
mod config;
pub(crate) mod dead_letter;
mod delay;
pub(crate) mod envelope;
mod feed;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod headers;
mod intake;
mod link;
mod member;
mod publish;
mod redrive;
mod settle;
mod topology;
mod trail;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use lapin::types::ShortString;
use tokio::time::{Instant, timeout_at};

use self::balance::balance;
use self::config::Config;
use self::dead_letter::DeadLetters;
use self::feed::RabbitFeed;
use self::intake::Intake;
use self::link::Link;
use self::member::Member;
use self::publish::Publisher;
use self::settle::RabbitSettler;
use self::topology::{Plan, Queues, ready};
use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::lanes::after;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::Subscription;

/// How long the goodbyes may take when the bus closes.
const LEAVING: Duration = Duration::from_secs(5);

/// The backend behind `amqp:`.
pub(crate) struct RabbitMq {
    config: Config,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    publisher: Arc<Publisher>,
    dead_letters: Arc<DeadLetters>,
    members: Mutex<Vec<Weak<Member>>>,
    /// The plugin for several queues was seen to be there.
    hashes: AtomicBool,
    closed: AtomicBool,
}

impl RabbitMq {
    /// From a URL, taken apart at the first colon. The broker must answer.
    pub(crate) async fn connect(scheme: &str, rest: &str, clock: Clock) -> Result<Self, Error> {
        let mut config = Config::parse(scheme, rest)?;
        config.clock = clock;
        let publishing = Arc::new(Link::new(&config, "publish"));
        let consuming = Arc::new(Link::new(&config, "consume"));
        let publisher = Arc::new(Publisher::new(&config, Arc::clone(&publishing)));
        let dead_letters = Arc::new(DeadLetters {
            config: config.clone(),
            link: Arc::clone(&consuming),
            publisher: Arc::clone(&publisher),
        });
        let bus = Self {
            config,
            publishing,
            consuming,
            publisher,
            dead_letters,
            members: Mutex::default(),
            hashes: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        bus.round_trip("connect").await?;
        Ok(bus)
    }

    async fn round_trip(&self, operation: &'static str) -> Result<(), Error> {
        let deadline = Instant::now() + self.config.request_timeout;
        let channel = self.publishing.channel(operation, deadline).await?;
        let closed = channel.close(200, ShortString::from("checked")).await;
        closed.map_err(|error| unavailable(operation, "the connection to RabbitMQ is gone", error))
    }

    /// Makes sure that the exchange before several queues can be made. A broker without the plugin answers by closing the
    /// connection, so the first is made on a connection of its own.
    async fn ensure_plugin(&self, plan: &Plan<'_>) -> Result<(), Error> {
        if !plan.is_partitioned() || self.hashes.load(Ordering::Acquire) {
            return Ok(());
        }
        let (connection, channel) = self.consuming.apart("subscribe").await?;
        plan.declare_entry(&channel).await?;
        self.hashes.store(true, Ordering::Release);
        let _ = connection.close(200, ShortString::from("made")).await;
        Ok(())
    }

    /// The messages in the subscription's queues, however many queues there are; `None` when there is none.
    async fn count(
        &self,
        operation: &'static str,
        queues: &Queues,
        deadline: Instant,
    ) -> Result<Option<u64>, Error> {
        let failed = |error| unavailable(operation, "RabbitMQ does not count", error);
        let mut sum = None;
        // A queue that is not there costs the channel.
        let mut channel = self.consuming.channel(operation, deadline).await?;
        if let Some(count) = ready(&channel, &queues.single()).await.map_err(failed)? {
            sum = Some(u64::from(count));
        } else {
            channel = self.consuming.channel(operation, deadline).await?;
            for number in 0.. {
                let queue = queues.partition(number);
                let Some(count) = ready(&channel, &queue).await.map_err(failed)? else {
                    break;
                };
                sum = Some(sum.unwrap_or_default() + u64::from(count));
            }
        }
        let _ = channel.close(200, ShortString::from("counted")).await;
        Ok(sum)
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
impl Backend for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            multi_process: true,
            ordered: true,
            dead_letters: true,
            fenced: true,
            filters: true,
            delayed: true,
            max_message_bytes: self.config.max_message,
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        self.publisher.publish(messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        const OPERATION: &str = "subscribe";
        self.ensure_open(OPERATION)?;
        let Subscription {
            topic, name, order, ..
        } = &subscription;
        let queues = Queues::of(OPERATION, topic, name)?;
        let partitions = self.config.partitions(*order);
        let plan = Plan {
            config: &self.config,
            topic,
            queues: &queues,
            order: *order,
            partitions,
        };
        self.ensure_plugin(&plan).await?;
        let lookahead = self.config.lookahead(*order, subscription.max_in_flight);
        let member = Arc::new(Member::new(subscription, queues, partitions, lookahead));
        let mut intakes = Vec::with_capacity(member.parts.len());
        for part in 0..member.parts.len() {
            let intake = Intake::new(&self.config, &self.consuming, &member, part);
            let session = intake.consume(1).await?;
            intakes.push((intake, session));
        }
        for (intake, session) in intakes {
            tokio::spawn(intake.run(session));
        }
        if partitions > 1 {
            tokio::spawn(balance(Arc::clone(&self.consuming), Arc::clone(&member)));
        }
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&member));
        let settler = RabbitSettler {
            member: Arc::clone(&member),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        // Dropped by the line below when a close that ran meanwhile did not see the member.
        let feed = Box::new(RabbitFeed {
            member,
            settler: Arc::new(settler),
        });
        self.ensure_open(OPERATION)?;
        Ok(feed)
    }

    async fn backlog(&self, topic: &TopicName, name: &SubscriptionName) -> Result<Backlog, Error> {
        const OPERATION: &str = "backlog";
        let failed = |error| unavailable(OPERATION, "RabbitMQ does not count", error);
        let queues = Queues::of(OPERATION, topic, name)?;
        let deadline = Instant::now() + self.config.request_timeout;
        let channel = self.consuming.channel(OPERATION, deadline).await?;
        let dead = ready(&channel, &queues.dead).await.map_err(failed)?;
        let missing = || no_subscription(OPERATION, topic, name);
        let dead = dead.ok_or_else(missing)?;
        let _ = channel.close(200, ShortString::from("counted")).await;
        let main = self.count(OPERATION, &queues, deadline).await?;
        let main = main.ok_or_else(missing)?;
        let (mut waiting, mut in_flight) = (main, 0);
        for member in self
            .members()
            .iter()
            .filter(|member| member.queues == queues)
        {
            member.desk.look(|lanes, ()| {
                waiting += lanes.waiting() as u64;
                in_flight += lanes.in_flight() as u64;
            });
        }
        Ok(Backlog::new(waiting, in_flight, u64::from(dead)))
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

    async fn check(&self) -> Result<(), Error> {
        self.ensure_open("check")?;
        self.round_trip("check").await
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
                left += member.desk.look(|lanes, ()| lanes.in_flight());
                member.leave(Duration::ZERO);
            }
        }
        let confirmed = self.publisher.close(deadline).await;
        let leaving = Instant::now() + LEAVING;
        for member in &members {
            let _ = timeout_at(leaving, member.departure.gone()).await;
        }
        self.consuming.close(leaving).await;
        self.publishing.close(leaving).await;
        if left > 0 {
            let problem = format!("{left} deliveries were not settled in time");
            return Err(Error::new(ErrorKind::Timeout, "close", problem));
        }
        confirmed
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq")
            .field("config", &self.config)
            .field("members", &self.members().len())
            .field("closed", &self.closed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the bus is closed")
}

fn no_subscription(operation: &'static str, topic: &TopicName, name: &SubscriptionName) -> Error {
    Error::new(
        ErrorKind::Config,
        operation,
        format!("topic {topic} has no subscription {name}"),
    )
}

/// The broker cannot be reached, or does not do it now.
fn unavailable(operation: &'static str, problem: &str, source: lapin::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        operation,
        format!("{problem}: {source}"),
    )
    .with_source(source)
}
