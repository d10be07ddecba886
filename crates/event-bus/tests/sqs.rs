//! The SQS backend against real servers: the delivery contract, and what is SQS's and SNS's own.
//!
//! `SQS_URL` is a server with queues only (ElasticMQ: receipt handles, FIFO groups and redrive policies as AWS has them);
//! `SNS_URL` one with topics too (moto, as `cargo xtask services up` mends it: its own queues lose and mix up what several
//! requests at once do to them). What needs a receipt handle to end, or a message to be dead-lettered by the server, is
//! tested on the first.

#[path = "sqs/later.rs"]
mod later;
#[path = "sqs/letters.rs"]
mod letters;
#[path = "sqs/messages.rs"]
mod messages;
#[path = "sqs/outages.rs"]
mod outages;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "sqs/raw.rs"]
mod raw;
mod servers;
#[path = "sqs/topics.rs"]
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use bytes::Bytes;
use commerce_event_bus::conformance::{self, Factory, Failure, Interruption};
use commerce_event_bus::{
    Clock, Error, ErrorKind, EventBus, Filter, Message, Order, PublishErrorKind, Redrive,
    Subscription, SubscriptionName, TopicName,
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use proxy::Proxy;
use raw::Raw;
use servers::*;

const QUEUES: &str = "SQS_URL";
const TOPICS: &str = "SNS_URL";
/// Tells a child where its parent is: the endpoint and the bus's URL.
const PLACE: &str = "COMMERCE_EVENT_BUS_TEST_PLACE";

/// Queues alone.
fn queues(endpoint: &str) -> String {
    format!(
        "sqs://test:test@us-east-1?endpoint={endpoint}&topics=none&refresh=200ms&wait=2s&delayed=off"
    )
}

/// Topics and queues.
fn topics(endpoint: &str) -> String {
    format!("sqs://test:test@us-east-1?endpoint={endpoint}&wait=2s&delayed=off")
}

/// The same with a queue of its own for what comes later: one that other tests leave behind in the middle of a request
/// would take messages along.
fn with_later(url: &str) -> String {
    let prefix = &Uuid::new_v4().simple().to_string()[..8];
    url.replace("delayed=off", &format!("prefix=t{prefix}-"))
}

async fn connect(url: &str) -> EventBus {
    EventBus::connect(url).await.unwrap()
}

fn with_tenant(message: Message, tenant: &str) -> Message {
    let mut message = message;
    message.event = message.event.with_extension("tenant", tenant).unwrap();
    message
}

struct Sqs {
    endpoint: String,
    url: String,
    raw: Raw,
}

impl Sqs {
    fn new(endpoint: String, url: String) -> Self {
        let raw = Raw::of(&endpoint).with_prefix_of(&url);
        Self { endpoint, url, raw }
    }
}

#[async_trait]
impl Factory for Sqs {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect(&self.url).await
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn watch(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn put_bytes(&self, topic: &TopicName, bytes: Bytes) -> Result<bool, Failure> {
        // A body is text; bytes are in the attribute for them.
        for queue in self.raw.queues(topic).await {
            if !queue.ends_with("__dead.fifo") {
                self.raw.send(&queue, "bytes", Some(bytes.clone())).await;
            }
        }
        Ok(true)
    }

    async fn connect_breakable(&self) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        let server = self.endpoint.trim_start_matches("http://").to_owned();
        let proxy = Proxy::start(server).await;
        let through = format!("http://127.0.0.1:{}", proxy.port());
        let url = self.url.replace(&self.endpoint, &through);
        // A publish that first has to ask where its queues are does not get far without answers.
        let bus = EventBus::connect(&url.replace("refresh=200ms", "refresh=20s")).await?;
        Ok(Some((bus, Box::new(proxy))))
    }

    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        // Queues of their own: whoever looks first gives out what is for later, by its own clock.
        let (url, _) = self.url.split_once("&prefix=").unwrap_or((&self.url, ""));
        let url = with_later(&format!("{url}&delayed=off"));
        connect_with_clock(&url, clock, connections).await.map(Some)
    }

    fn process_to_kill(&self) -> Option<Command> {
        // Moto hands out what is behind a message that nobody has settled, once its own time is up; SQS does not.
        if !self.url.contains("topics=none") {
            return None;
        }
        let mut command = this_test_program("child_that_is_killed_while_it_holds");
        command.env(PLACE, format!("{} {}", self.endpoint, self.url));
        Some(command)
    }

    async fn lose_dead_letters(
        &self,
        topic: &TopicName,
        _: &SubscriptionName,
    ) -> Result<bool, Failure> {
        let queue = self.raw.queue(topic, "__dead.fifo").await;
        self.raw.delete(&queue).await;
        Ok(true)
    }
}

/// For the case about a crash: the suite runs this program again, for this test alone.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed_while_it_holds() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let (endpoint, url) = place.split_once(' ').unwrap();
    let parents = Sqs::new(endpoint.to_owned(), url.to_owned());
    conformance::hold_until_killed(&parents).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_to_the_delivery_contract_on_queues() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = with_later(&queues(&endpoint));
    conformance(&Sqs::new(endpoint, url), 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_to_the_delivery_contract_on_topics() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let url = with_later(&topics(&endpoint));
    // What it finds is not in the table: that is of the server with queues alone.
    let factory = Sqs::new(endpoint, url);
    let report = conformance::run_at_once(&factory, 4).await.unwrap();
    println!("{report}");
    assert!(report.passed(), "{report}");
    let mut not_claimed = report.not_claimed();
    not_claimed.sort_unstable();
    assert_eq!(
        not_claimed,
        [
            // SQS keeps nothing that was settled, has no positions and estimates its backlog.
            "a_pattern_follows_its_topics",
            // Moto forgets everything when it ends.
            "a_restart_of_the_broker_loses_nothing",
            "a_subscription_begins_at_a_position",
            "a_subscription_begins_at_a_time",
            "earliest_sees_what_came_before",
            "order_outlasts_a_restart_of_the_broker",
            "positions_are_told",
            "the_backlog_is_counted",
            "the_backlog_tells_its_age",
            // See `process_to_kill`.
            "what_a_killed_process_held_comes_again",
            "what_is_held_through_a_restart_settles_or_comes_again",
            "what_waits_outlasts_a_restart",
        ],
        "{report}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_in_time() {
    // Nothing listens on port 1.
    let started = Instant::now();
    let error = EventBus::connect(
        "sqs://key:hidden@us-east-1?endpoint=http://127.0.0.1:1&request_timeout=1s",
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable() && started.elapsed() < Duration::from_secs(10));
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_bus_nor_its_errors_show_the_secret() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint).replace("test:test", "key:hidden");
    let bus = connect(&url).await;
    assert!(!format!("{bus:?}").contains("hidden"));
    assert_eq!(bus.backend().name(), "sqs");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_a_long_poll() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint).replace("wait=2s", "wait=20s");
    let bus = connect(&url).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let waiting = tokio::spawn(async move { subscriber.next().await.unwrap().is_none() });
    sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    bus.close(Duration::from_secs(30)).await.unwrap();
    assert!(waiting.await.unwrap());
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    // What the poll that was left behind is given, it gives back.
    let other = connect(&url).await;
    publish(&other, &topic, Some("a"), [1]).await;
    let mut heir = other.subscribe(subscription(&topic)).await.unwrap();
    let started = Instant::now();
    assert_eq!(take(&mut heir, 1).await, [1]);
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_are_bounded() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let bounded = subscription(&topic)
        .order(Order::Unordered)
        .max_bytes_in_flight(35_000);
    let mut subscriber = bus.subscribe(bounded).await.unwrap();
    for n in 0..6 {
        let mut large = message(&topic, None, n);
        large.event = large
            .event
            .with_data("text/plain", format!("{n:010000}"))
            .unwrap();
        bus.publish(large).await.unwrap();
    }
    let mut held = receive_all(&mut subscriber, 3).await;
    let more = timeout(Duration::from_secs(2), subscriber.next()).await;
    assert!(more.is_err(), "a fourth came while three were held");
    let mut seen = BTreeSet::new();
    while seen.len() < 6 {
        let delivery = match held.pop() {
            Some(delivery) => delivery,
            None => receive(&mut subscriber).await,
        };
        seen.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
}
