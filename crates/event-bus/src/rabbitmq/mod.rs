//! RabbitMQ over AMQP 0-9-1, from 3.10 on.
//!
//! | concept | here |
//! |---|---|
//! | topic | a durable topic exchange of the same name; the routing key is the event's type |
//! | subscription | a quorum queue `TOPIC.SUBSCRIPTION` (dots in the subscription's name become underscores), bound to everything |
//! | ordered | the queue has a single active consumer; in that process, a lane per key |
//! | message | CloudEvents binary mode (`cloudEvents:` headers), persistent; `cloudEvents_` and structured mode are read |
//! | accepted | routed to every queue and confirmed by it; there are no positions |
//! | ack | `basic.ack` on the channel that delivered |
//! | retry | the key waits in this process |
//! | lease | the connection: what it holds is delivered again when it ends, or misses its heartbeats |
//! | dead letter | queue `TOPIC.SUBSCRIPTION.dead`, confirmed before the original is acked |
//! | redrive | to the subscription's queue, past the exchange |
//! | replay | no: a subscription sees what is published after it was made |
//!
//! # Subscribe before you publish
//!
//! A queue is made when its subscription is subscribed to for the first time, and keeps everything from then on, also
//! while nobody consumes. RabbitMQ throws away what no queue wants, so every publish is mandatory: on a topic without a
//! single subscription it fails, retryably, instead of vanishing. Where that is as it should be, the URL says so:
//! `unrouted_ok=audit,metrics`.
//!
//! # How it keeps the contract
//!
//! The members of an ordered subscription take turns: RabbitMQ delivers to one of them, and to the next when that one
//! leaves. In the active process lanes hand out the keys in parallel. This bounds an ordered subscription to what one
//! process handles; an unordered one is shared by all its members.
//!
//! A lost connection is made again, with growing pauses; queues, prefetch and consumers are restored. Everything
//! unsettled comes again. What was in a handler's hands meanwhile is refused with
//! [`LeaseLost`](crate::ErrorKind::LeaseLost) when it is settled, and its key waits until the handler lets go.
//!
//! # Settings
//!
//! `amqp://USER:PASSWORD@HOST:PORT/VHOST[?…]`, or `amqps:`, with
//!
//! | setting | default | what it does |
//! |---|---|---|
//! | `publish_timeout` | 30s | how long a publish waits for a connection and its confirm |
//! | `request_timeout` | 10s | how long one attempt to connect, or another request, may take |
//! | `heartbeat` | 15 | seconds; a silent connection is given up after twice as long |
//! | `lookahead` | 1000 | messages that an ordered subscription fetches ahead and holds in lanes, at most 2000. A key that waits holds its later messages; when all are of waiting keys, nothing more comes |
//! | `delivery_limit` | 100 | how often the broker delivers a message before it dead-letters it by itself: against messages that kill the process. A lost connection counts for everything it held |
//! | `unrouted_ok` | | topics that nobody needs to read, with commas between |
//!
//! Members of a subscription must agree on the order and on `delivery_limit`: they are properties of the queue.
//!
//! # What it cannot do
//!
//! - No replay, and no position.
//! - A retry's delay and the attempt number live in the process: after its end the message comes at once and counts from
//!   one. A delay longer than the broker's consumer timeout (30 minutes) makes the broker close the channel; the message
//!   comes again on the next one and waits out its delay, as long as this process lives.
//! - The backlog does not know what other processes have fetched and not settled.
//! - Messages larger than the broker's `max_message_size` break the channel: their publish is *unknown*.

mod config;
mod dead_letter;
mod envelope;
mod feed;
mod intake;
mod link;
mod member;
mod publish;
mod settle;
mod topology;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use lapin::types::ShortString;
use tokio::time::{Instant, timeout_at};

use self::config::Config;
use self::dead_letter::DeadLetters;
use self::feed::RabbitFeed;
use self::intake::Intake;
use self::link::Link;
use self::member::Member;
use self::publish::Publisher;
use self::settle::RabbitSettler;
use self::topology::{Queues, ready};
use crate::backend::{Backend, Feed};
use crate::backlog::Backlog;
use crate::capabilities::Capabilities;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, PublishError};
use crate::filter::Filter;
use crate::lanes::after;
use crate::message::{Accepted, Message};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

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
    closed: AtomicBool,
}

impl RabbitMq {
    /// From a URL, taken apart at the first colon. The broker must answer.
    pub(crate) async fn connect(scheme: &str, rest: &str) -> Result<Self, Error> {
        let config = Config::parse(scheme, rest)?;
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
            ..Capabilities::none()
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Accepted, PublishError>> {
        self.publisher.publish(messages).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Feed>, Error> {
        const OPERATION: &str = "subscribe";
        self.ensure_open(OPERATION)?;
        let queues = Queues::of(OPERATION, &subscription.topic, &subscription.name)?;
        let prefetch = self.config.prefetch(
            subscription.order == Order::PerKey,
            subscription.max_in_flight,
        );
        let member = Arc::new(Member::new(subscription, queues, prefetch));
        let intake = Intake::new(&self.config, &self.consuming, &member);
        let session = intake.consume(1).await?;
        tokio::spawn(intake.run(session));
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
        let missing = || no_subscription(OPERATION, topic, name);
        let main = ready(&channel, &queues.main)
            .await
            .map_err(failed)?
            .ok_or_else(missing)?;
        let dead = ready(&channel, &queues.dead)
            .await
            .map_err(failed)?
            .ok_or_else(missing)?;
        let _ = channel.close(200, ShortString::from("counted")).await;
        let (mut waiting, mut in_flight) = (u64::from(main), 0);
        for member in self
            .members()
            .iter()
            .filter(|member| member.queues.main == queues.main)
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
        filter.refuse_conditions("redrive")?;
        self.dead_letters.redrive(topic, name, limit).await
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
