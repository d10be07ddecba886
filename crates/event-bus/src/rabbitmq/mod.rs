//! RabbitMQ over AMQP 0-9-1, from 3.10 on.
//!
//! | concept | here |
//! |---|---|
//! | topic | a durable topic exchange of the same name; the routing key is the event's type |
//! | subscription | an exchange `TOPIC.SUBSCRIPTION:in`, bound to everything, before one or more quorum queues (dots in the subscription's name become underscores) |
//! | ordered | `partitions` queues `TOPIC.SUBSCRIPTION:0`, `:1`, … behind a consistent hash of the key, each with a single active consumer; in that process, a lane per key |
//! | unordered | one queue `TOPIC.SUBSCRIPTION`, shared by all members |
//! | message | CloudEvents binary mode (`cloudEvents:` headers), persistent; `cloudEvents_` and structured mode are read |
//! | headers | AMQP headers: text, or a byte array for what is not text; a name that occurs twice is an array, and `commerce-header-order` tells the order where it is not that of the names |
//! | accepted | routed to every queue and confirmed by it; there are no positions |
//! | ack | `basic.ack` on the channel that delivered |
//! | retry, ordered | the key waits in this process |
//! | retry, unordered | `basic.reject` back to the queue, or the queues of delays and back |
//! | later (`deliver_at`) | the queues of delays, then the topic |
//! | lease | the connection: what it holds is delivered again when it ends, or misses its heartbeats |
//! | dead letter | queue `TOPIC.SUBSCRIPTION.dead`, confirmed before the original is acked |
//! | redrive | to the subscription's exchange, past the topic: to the queue of its key |
//! | filter | told by the headers, before anything is decoded; what is not wanted is acked |
//! | replay | no: a subscription sees what is published after it was made |
//!
//! # Subscribe before you publish
//!
//! A queue is made when its subscription is subscribed to for the first time, and keeps everything from then on, also
//! while nobody consumes. RabbitMQ throws away what no queue wants, so every publish is mandatory: on a topic without a
//! single subscription it fails, retryably, instead of vanishing. Where that is as it should be, the URL says so:
//! `unrouted_ok=audit,metrics`.
//!
//! This is why filters are not pushed to the broker as bindings: a message that every filter leaves aside would be
//! unroutable, and could not be told from one that is lost.
//!
//! # How it keeps the contract
//!
//! The queues of an ordered subscription are shared among its members: RabbitMQ delivers each queue to one of them, and to
//! the next when that one leaves. A member that has more than its share steps aside when another has come: within some
//! seconds, once what it has in hand of that queue is settled, and not while a message of it waits there for its retry. In
//! the active process lanes hand out the keys in parallel. So `partitions` is how many members can work at the same time.
//! Events without a key, and those whose key is not in the header `cloudEvents:partitionkey` as every publisher of this
//! crate writes it (other spellings, structured mode), all go through one and the same of the queues.
//!
//! A lost connection is made again, with growing pauses; queues, prefetch and consumers are restored, also when the broker
//! cancels a consumer or an operator deletes a queue. Everything unsettled comes again. What was in a handler's hands
//! meanwhile is refused with [`LeaseLost`](crate::ErrorKind::LeaseLost) when it is settled, and its key waits until the
//! handler lets go.
//!
//! In an unordered subscription the attempt number is the broker's `x-delivery-count` and what a retry carries on in its
//! headers, so it survives the process, as does the delay. Failures are rejected (`basic.reject`), which counts on every
//! version; a member that leaves gives back what it fetched ahead with `basic.nack`, which RabbitMQ counts as well up to 4.2
//! and no more from 4.3 on. In an ordered one both live in the process: given back to the queue, the message would come
//! behind the others of its key.
//!
//! # Later
//!
//! A message for later waits inside the broker, in queues that all topics of the vhost share: `commerce:delay:0` to `:26`,
//! one for each binary digit of the delay in steps of 250 ms, each with one time to live and a dead-letter exchange to
//! the next. It passes those whose digit is set and is due never early; a step, and a few milliseconds for each queue, late.
//! More than 388 days are refused. Each step is confirmed by the next queue before it leaves the one before (at-least-once
//! dead-lettering).
//!
//! From the last one it comes to `TOPIC:due`, which passes it on to the topic at once. As long as the topic has no
//! subscription it stays there, and goes on within some minutes after one is made; `unrouted_ok` does not change this. What
//! is due for a subscription that was deleted meanwhile goes to the queue `commerce:delay:lost`. Who binds queues by the
//! event's type does not see what was delayed: its routing key is the way that it came.
//!
//! # Required of the server
//!
//! - RabbitMQ 3.10 or later, with all its stable feature flags enabled (at-least-once dead-lettering needs `stream_queue`).
//! - The plugin `rabbitmq_consistent_hash_exchange`, which comes with the server, for ordered subscriptions over more than
//!   one queue: `rabbitmq-plugins enable rabbitmq_consistent_hash_exchange`, on every node. Without it such a subscription is
//!   refused and the refusal says so; `partitions=1` needs none. One queue is never taken silently instead: members would
//!   spread the keys differently.
//! - A user that may configure, write and read exchanges and queues of these names.
//!
//! It is tested with 3.10. What is said of later versions is from their documentation. The delayed retries of quorum queues
//! in 4.3 are not used: their delay belongs to the queue and grows with the count, and a retry here asks for its own.
//!
//! # Settings
//!
//! `amqp://USER:PASSWORD@HOST:PORT/VHOST[?…]`, or `amqps:`, with
//!
//! | setting | default | what it does |
//! |---|---|---|
//! | `partitions` | 4 | queues of an ordered subscription, 1 to 64. A subscription keeps the number it was made with, and a member that says another is refused; to change it, end the members and, once the queues are empty, delete them and the exchange |
//! | `publish_timeout` | 30s | how long a publish waits for a connection and its confirm |
//! | `request_timeout` | 10s | how long one attempt to connect, or another request, may take |
//! | `heartbeat` | 15 | seconds; a silent connection is given up after twice as long |
//! | `lookahead` | 1000 | messages that an ordered subscription fetches ahead, from all its queues together, and holds in lanes; at most 2000. A key that waits holds its later messages; when all are of waiting keys, nothing more comes |
//! | `delivery_limit` | 100 | how often the broker delivers a message without a verdict before it dead-letters it by itself: against messages that kill the process. A lost connection counts for everything it held |
//! | `unrouted_ok` | | topics that nobody needs to read, with commas between |
//! | `tls_ca` | | for `amqps:`, a file of certificates (PEM) to trust beside those of the system |
//! | `connection_name` | `commerce-event-bus` | what operators see the connections under |
//!
//! Members of a subscription must agree on the order, on `partitions` and on `delivery_limit`: they are properties of its
//! exchange and queues.
//!
//! # What it cannot do
//!
//! - No replay, no position, and no list of topics for patterns: AMQP has none.
//! - In an ordered subscription a retry's delay and the attempt number live in the process: after its end the message comes
//!   at once and counts from one. So neither is claimed. A delay longer than the broker's consumer timeout (30 minutes)
//!   makes the broker close the channel; the message comes again on the next one and waits out its delay, as long as this
//!   process lives.
//! - The broker counts what it sends ahead and does not weigh it. When more than `max_bytes_in_flight` (at least 1 MiB) is
//!   held, it goes back and less is fetched from then on; until then as much as `lookahead` messages, or `max_in_flight`
//!   unordered ones, may be in memory. What is handed out keeps to the bound always.
//! - The backlog knows neither what other processes have fetched and not settled, nor what waits in the queues of delays.
//! - A queue that is deleted and made again moves some keys to other queues: what is unsettled of them then may run beside
//!   what comes.
//! - Messages larger than the broker's `max_message_size` break the channel: their publish is *unknown*.
//! - Up to 4.2, what a member of an unordered subscription fetched ahead and gave back when it left counts an attempt.

mod balance;
mod config;
mod dead_letter;
mod delay;
mod envelope;
mod feed;
mod headers;
mod intake;
mod link;
mod member;
mod publish;
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
