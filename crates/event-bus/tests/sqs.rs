//! The SQS backend against real servers: the delivery contract, and what is SQS's and SNS's own.
//!
//! `SQS_URL` is a server with queues only (ElasticMQ: receipt handles, FIFO groups and redrive policies as AWS has them);
//! `SNS_URL` one with topics too (moto, as `cargo xtask services up` mends it: its own queues lose and mix up what several
//! requests at once do to them). What needs a receipt handle to end, or a message to be dead-lettered by the server, is
//! tested on the first.

#[path = "servers/proxy.rs"]
mod proxy;
#[path = "sqs/raw.rs"]
mod raw;
mod servers;

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
async fn raw_messages_and_notifications_are_both_read() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let event =
        |number| String::from_utf8(message(&topic, Some("a"), number).event.to_json()).unwrap();
    raw.send(&queue, &event(1), None).await;
    let notification = serde_json::json!({
        "Type": "Notification",
        "MessageId": "5c2b",
        "TopicArn": "arn:aws:sns:us-east-1:1:orders",
        "Message": event(2),
        "MessageAttributes": {"colour": {"Type": "String", "Value": "red"}},
    });
    raw.send(&queue, &notification.to_string(), None).await;
    assert_eq!(take(&mut subscriber, 1).await, [1]);
    let delivery = receive(&mut subscriber).await;
    assert_eq!(number(&delivery), 2);
    assert_eq!(
        delivery.message().headers.get("colour").unwrap().as_ref(),
        b"red"
    );
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_event_is_kept_as_it_is_and_can_be_redriven() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let body = "{\"no\": \"event\" – <at all>";
    raw.send(&queue, body, None).await;
    for times in 1..=2_usize {
        assert!(
            timeout(Duration::from_secs(3), subscriber.next())
                .await
                .is_err()
        );
        let letters = bus
            .dead_letters(&topic, &subscription.name, 10)
            .await
            .unwrap();
        let kept = letters[0].body.as_ref().unwrap_err();
        assert_eq!(kept.payload.as_deref(), Some(body.as_bytes()));
        assert_eq!(kept.key.as_deref(), Some(b"foreign".as_slice()));
        assert_eq!(letters[0].reasons.len(), times, "{:?}", letters[0].reasons);
        let redriven = bus
            .redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap();
        assert_eq!(redriven, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_odd_keys_survive() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&topics(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let key = format!("ein Schlüssel mit {}", "Länge ".repeat(40));
    let sent = message(&topic, Some(&key), 1)
        .with_header("bytes", every_byte)
        .and_then(|message| message.with_header("empty", ""))
        .and_then(|message| message.with_header("bytes", "again"))
        .unwrap();
    bus.publish(sent.clone()).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    assert_eq!(*delivery.message(), sent);
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_fails_alone() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut large = message(&topic, Some("a"), 2);
    large.event = large
        .event
        .with_data("text/plain", "x".repeat(300_000))
        .unwrap();
    let batch = vec![
        message(&topic, Some("a"), 1),
        large,
        message(&topic, Some("a"), 3),
    ];
    let results = bus.publish_batch(batch).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.error().kind()),
        (PublishErrorKind::Failed, ErrorKind::Message)
    );
    assert_eq!(take(&mut subscriber, 2).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_foreign_message_is_cut_to_the_room_that_it_leaves() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint);
    let bus = connect(&url).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let raw = Raw::of(&endpoint).with_prefix_of(&url);
    let queue = raw.queues(&topic).await;
    let queue = queue.iter().find(|queue| !queue.contains("__dead"));
    // Less than a queue takes, by less than what is kept free by messages of our own.
    let data = "x".repeat(259_900);
    let body = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/foreign","type":"foreign.v1","data":"{data}"}}"#
    );
    raw.send(queue.unwrap(), &body, None).await;
    let delivery = receive(&mut subscriber).await;
    delivery.reject("y".repeat(5000)).await.unwrap();
    let (topic, name) = (&subscription.topic, &subscription.name);
    let letters = bus.dead_letters(topic, name, 10).await.unwrap();
    let reason = letters[0].reason();
    assert!(
        reason.starts_with("yyy") && reason.len() < 2_200,
        "{}",
        reason.len()
    );
    assert_eq!(letters[0].attempts, 1);
    let redriven = bus.redrive(topic, name, Redrive::all()).await.unwrap();
    assert_eq!(redriven, 1);
    let again = receive(&mut subscriber).await;
    let brought = again.message().event.data().unwrap();
    assert_eq!(brought.len(), data.len() + 2, "a text of JSON");
    again.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_nobody_reads_refuses_unless_told() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let topic = new_topic();
        let bus = connect(&url(&endpoint)).await;
        let error = bus.publish(message(&topic, None, 1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error().kind()),
            (PublishErrorKind::Failed, ErrorKind::NoSubscription)
        );
        assert!(error.to_string().contains("unrouted_ok"), "{error}");
        let told = with_settings(&url(&endpoint), &format!("unrouted_ok={topic}"));
        let bus = connect(&told).await;
        bus.publish(message(&topic, None, 1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_must_agree_on_the_order() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let _ordered = bus.subscribe(subscription(&topic)).await.unwrap();
    let unordered = subscription(&topic).order(Order::Unordered);
    let error = bus.subscribe(unordered).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("order"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_topic_refuses_an_order_and_serves_the_rest() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&with_settings(&topics(&endpoint), "topics=standard")).await;
    assert!(!bus.capabilities().ordered);
    let topic = new_topic();
    let error = bus.subscribe(subscription(&topic)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("order"), "{error}");
    let mut subscriber = bus
        .subscribe(subscription(&topic).order(Order::Unordered))
        .await
        .unwrap();
    publish(&bus, &topic, Some("a"), 0..25).await;
    let seen: BTreeSet<u64> = take(&mut subscriber, 25).await.into_iter().collect();
    assert_eq!(seen, (0..25).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_topic_has_ordered_and_unordered_subscriptions() {
    for (variable, url) in [(TOPICS, topics as fn(&str) -> String), (QUEUES, queues)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let bus = connect(&url(&endpoint)).await;
        let topic = new_topic();
        let named = |name: &str| Subscription::new(topic.clone(), name.parse().unwrap());
        let mut ordered = bus.subscribe(named("ordered")).await.unwrap();
        let mut any = bus
            .subscribe(named("any").order(Order::Unordered))
            .await
            .unwrap();
        publish(&bus, &topic, Some("a"), 0..5).await;
        let held = receive_all(&mut any, 5).await;
        assert_eq!(
            held.iter().map(number).collect::<BTreeSet<_>>(),
            (0..5).collect()
        );
        assert_eq!(take(&mut ordered, 5).await, [0, 1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_sns_are_listed_and_queues_tell_none() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&topics(&endpoint)).await;
    let topic = new_topic();
    let _subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    assert!(bus.backend().topics().await.unwrap().contains(&topic));

    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let error = bus.backend().topics().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn with_tenant(message: Message, tenant: &str) -> Message {
    let mut message = message;
    message.event = message.event.with_extension("tenant", tenant).unwrap();
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_sns_understands_is_applied_there() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let (bus, raw) = (connect(&topics(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let wanted = subscription(&topic).filter(Filter::new().equals("tenant", "acme"));
    bus.subscribe(wanted.clone()).await.unwrap().close().await;
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let there = raw
        .attribute(&queue, QueueAttributeName::ApproximateNumberOfMessages)
        .await;
    assert_eq!(there, "3", "what nobody wants never reached the queue");
    let mut subscriber = bus.subscribe(wanted).await.unwrap();
    assert_eq!(take(&mut subscriber, 3).await, [0, 2, 4]);

    // Another filter on the same subscription: the policy becomes that of the newest member.
    let other = subscription(&topic).filter(Filter::new().any_of("tenant", ["other"]));
    subscriber.close().await;
    let mut subscriber = bus.subscribe(other).await.unwrap();
    for (n, tenant) in [(10, "acme"), (11, "other")] {
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    assert_eq!(take(&mut subscriber, 1).await, [11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nobody_else_applies_is_applied_here() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let wanted = subscription(&topic).filter(Filter::new().prefix("tenant", "ac"));
    let mut subscriber = bus.subscribe(wanted.clone()).await.unwrap();
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    assert_eq!(take(&mut subscriber, 3).await, [0, 2, 4]);
    eventually("what is not wanted is settled", async || {
        let next = timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(next.is_err(), "{next:?}");
        bus.backlog(&topic, &wanted.name)
            .await
            .unwrap()
            .is_drained()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_what_is_held_and_death_gives_it_back() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint);
    let topic = new_topic();
    let leased = subscription(&topic).lease(Duration::from_secs(2));
    let bus = connect(&url).await;
    let (holds, it_holds) = tokio::sync::oneshot::channel();
    // A process of its own, as far as the bus can tell: its tasks end with its runtime, and nothing is released.
    let doomed = std::thread::spawn({
        let (url, leased) = (url.clone(), leased.clone());
        move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let held = runtime.block_on(async {
                let bus = connect(&url).await;
                let mut subscriber = bus.subscribe(leased.clone()).await.unwrap();
                publish(&bus, &leased.topic, Some("a"), [1, 2]).await;
                let held = receive(&mut subscriber).await;
                holds.send(()).unwrap();
                sleep(Duration::from_secs(6)).await;
                assert_eq!(held.attempt(), 1);
                std::mem::forget((subscriber, bus));
                held
            });
            let ended = Instant::now();
            runtime.shutdown_background();
            std::mem::forget(held);
            ended
        }
    });
    it_holds.await.unwrap();
    let mut subscriber = bus.subscribe(leased).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    let came = Instant::now();
    let ended = tokio::task::spawn_blocking(move || doomed.join().unwrap())
        .await
        .unwrap();
    assert!(
        came >= ended,
        "while its holder lives it is its holder's, three leases long"
    );
    assert!(came - ended < Duration::from_secs(10), "{:?}", came - ended);
    assert_eq!((number(&delivery), delivery.attempt()), (1, 2));
    delivery.ack().await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [2]);
}

/// A bus whose connections go through a proxy.
async fn through_proxy(endpoint: &str, settings: &str) -> (Proxy, EventBus) {
    let proxy = Proxy::start(endpoint.trim_start_matches("http://").to_owned()).await;
    let url = queues(&format!("http://127.0.0.1:{}", proxy.port()));
    let bus = connect(&with_settings(&url, settings)).await;
    (proxy, bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_lost_touch_is_refused() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (proxy, bus) = through_proxy(&endpoint, "request_timeout=1s").await;
    let topic = new_topic();
    let leased = subscription(&topic).lease(Duration::from_secs(2));
    let mut subscriber = bus.subscribe(leased.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let held = receive(&mut subscriber).await;
    proxy.refuse(true);
    proxy.cut();
    let other = connect(&queues(&endpoint)).await;
    let mut heir = other.subscribe(leased).await.unwrap();
    let taken_over = receive(&mut heir).await;
    proxy.refuse(false);
    let error = held.ack().await.unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::LeaseLost, "{error}");
    drop(error);
    assert_eq!(taken_over.attempt(), 2);
    taken_over.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_waits_for_aws_as_long_as_it_was_told() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let proxy = Proxy::start(endpoint.trim_start_matches("http://").to_owned()).await;
        let url = url(&format!("http://127.0.0.1:{}", proxy.port()));
        let settings = "publish_timeout=20s&request_timeout=500ms&unrouted_ok=";
        let topic = new_topic();
        let bus = connect(&with_settings(&url, &format!("{settings}{topic}"))).await;
        proxy.refuse(true);
        proxy.cut();
        let publishing = tokio::spawn({
            let message = message(&topic, None, 1);
            async move { bus.publish(message).await }
        });
        sleep(Duration::from_secs(2)).await;
        proxy.refuse(false);
        publishing.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_connections_lose_nothing_and_keep_the_order() {
    const KEYS: u64 = 4;
    const EACH: u64 = 60;
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (proxy, bus) = through_proxy(&endpoint, "publish_timeout=20s&request_timeout=2s").await;
    let topic = new_topic();
    let leased = subscription(&topic)
        .lease(Duration::from_secs(3))
        .max_in_flight(16);
    let mut subscriber = bus.subscribe(leased).await.unwrap();
    let publisher = tokio::spawn({
        let (bus, topic) = (bus.clone(), topic.clone());
        async move {
            for n in 0..EACH {
                for k in 0..KEYS {
                    // What failed, or may have, is published again: at least once.
                    let mut next = message(&topic, Some(&format!("key-{k}")), n);
                    while let Err(error) = bus.publish(next).await {
                        assert!(error.is_retryable(), "{error}");
                        next = error.into_parts().0;
                    }
                }
            }
        }
    });
    let (mut cuts, mut next_cut) = (0, Instant::now() + Duration::from_millis(300));
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    while reached.values().sum::<u64>() < KEYS * EACH {
        assert!(Instant::now() < deadline, "not all came: {reached:?}");
        if cuts < 6 && Instant::now() >= next_cut {
            cuts += usize::from(proxy.cut() > 0);
            next_cut = Instant::now() + Duration::from_millis(400);
        }
        let Ok(delivery) = timeout(Duration::from_millis(100), subscriber.next()).await else {
            continue;
        };
        let delivery = delivery.unwrap().expect("the subscriber ended");
        let key = delivery.message().key().unwrap().to_owned();
        let number = number(&delivery);
        let reached = reached.entry(key.clone()).or_default();
        assert!(
            number <= *reached,
            "{key}: {number} came before {reached} was settled"
        );
        // A lost answer leaves it with SQS, which delivers it again.
        if delivery.ack().await.is_ok() {
            *reached = (*reached).max(number + 1);
        }
    }
    publisher.await.unwrap();
    assert!(cuts > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_beyond_what_sqs_keeps_is_refused_and_the_delivery_stays() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let delivery = receive(&mut subscriber).await;
    let error = delivery.retry(Duration::from_hours(13)).await.unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::Unsupported);
    error.delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn later_is_never_early_and_needs_no_publisher() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let url = with_later(&url(&endpoint));
        let topic = new_topic();
        let bus = connect(&url).await;
        let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
        let started = Instant::now();
        let delays = [
            (3, Duration::from_millis(4200)),
            (2, Duration::from_millis(2300)),
        ];
        let publisher = connect(&url).await;
        let later = delays.map(|(n, delay)| message(&topic, Some("a"), n).with_delay(delay));
        for result in publisher.publish_batch(later.into()).await {
            result.unwrap();
        }
        publish(&publisher, &topic, Some("a"), [1]).await;
        publisher.close(Duration::from_secs(10)).await.unwrap();
        assert_eq!(take(&mut subscriber, 1).await, [1]);
        for (n, delay) in delays.into_iter().rev() {
            assert_eq!(take(&mut subscriber, 1).await, [n]);
            assert!(
                started.elapsed() >= delay,
                "{n} came after {:?}",
                started.elapsed()
            );
        }
        let off = connect(&with_settings(&url, "delayed=off")).await;
        assert!(!off.capabilities().delayed);
        let refused = off
            .publish(message(&topic, None, 9).with_delay(Duration::from_secs(9)))
            .await;
        assert_eq!(refused.unwrap_err().error().kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_retention_is_of_subscriptions_only() {
    const LONGEST: &str = "1209600";
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let url = with_settings(&with_later(&topics(&endpoint)), "retention=60s");
    let (bus, raw) = (connect(&url).await, Raw::of(&endpoint).with_prefix_of(&url));
    let topic = new_topic();
    let _subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    bus.publish(message(&topic, None, 1).with_delay(Duration::from_hours(1)))
        .await
        .unwrap();
    let period = QueueAttributeName::MessageRetentionPeriod;
    let main = raw.queue(&topic, "__reader.fifo").await;
    assert_eq!(raw.attribute(&main, period.clone()).await, "60");
    let dead = raw.queue(&topic, "__dead.fifo").await;
    assert_eq!(raw.attribute(&dead, period.clone()).await, LONGEST);
    let delayed = raw.delayed().await;
    assert_eq!(raw.attribute(&delayed, period).await, LONGEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_would_lose_what_comes_later_takes_nothing() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let url = with_later(&topics(&endpoint));
    let (bus, raw) = (connect(&url).await, Raw::of(&endpoint).with_prefix_of(&url));
    let topic = new_topic();
    let delayed = raw.make_delayed().await;
    let later = || message(&topic, None, 1).with_delay(Duration::from_hours(1));
    raw.keep_for(&delayed, 60).await;
    let refused = bus.publish(later()).await.unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Config, "{refused}");
    assert!(refused.to_string().contains("MessageRetentionPeriod"));
    raw.keep_for(&delayed, 3600).await;
    bus.publish(later()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_called_dead_gets_its_messages() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let dead = Subscription::new(topic.clone(), SubscriptionName::new("dead").unwrap());
    let mut subscriber = bus.subscribe(dead).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_remembers_its_whole_life_and_redrives_in_its_place() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    for n in 0..4 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
        receive(&mut subscriber)
            .await
            .reject(format!("first of {n}"))
            .await
            .unwrap();
    }
    let letters = async || {
        bus.dead_letters(&topic, &subscription.name, 10)
            .await
            .unwrap()
    };
    let before = letters().await;
    // The oldest that the filter wants: rejected again, it is where it was.
    let one = Redrive::all()
        .filter(Filter::new().equals("tenant", "acme"))
        .limit(1);
    assert_eq!(
        bus.redrive(&topic, &subscription.name, one).await.unwrap(),
        1
    );
    let again = receive(&mut subscriber).await;
    assert_eq!((number(&again), again.attempt()), (0, 1));
    again.reject("second of 0").await.unwrap();
    let after = letters().await;
    let numbers = after
        .iter()
        .map(|letter| number_of(letter.body.as_ref().unwrap()));
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(after[0].reasons, ["first of 0", "second of 0"]);
    assert_eq!(after[0].first_failed_at, before[0].first_failed_at);
    assert!(after[0].rejected_at > before[0].rejected_at);
    assert_eq!(after[1], before[1], "a look changes nothing");
    assert_eq!(
        bus.redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap(),
        4
    );
    assert_eq!(take(&mut subscriber, 4).await, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_too_often_becomes_a_letter_of_the_servers_own() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&with_settings(&queues(&endpoint), "max_receives=2")).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    for _ in 0..2 {
        drop(receive(&mut subscriber).await);
    }
    eventually("the server gave up on it", async || {
        let next = timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(next.is_err(), "{next:?}");
        bus.backlog(&topic, &subscription.name).await.unwrap().dead == 1
    })
    .await;
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert!(
        letters[0].reason().contains("too often"),
        "{:?}",
        letters[0].reasons
    );
    assert_eq!(number_of(letters[0].body.as_ref().unwrap()), 1);
    assert_eq!(
        bus.redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap(),
        1
    );
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_somebody_deletes_are_made_again() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let held = receive(&mut subscriber).await;
    raw.delete(&raw.queue(&topic, "__dead.fifo").await).await;
    held.reject("of no use").await.unwrap();
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert_eq!(letters[0].reason(), "of no use");

    raw.delete(&raw.queue(&topic, "__reader.fifo").await).await;
    let received = tokio::spawn(async move { take(&mut subscriber, 1).await });
    eventually("the queue is there again", async || {
        bus.publish(message(&topic, Some("a"), 2)).await.is_ok()
    })
    .await;
    assert_eq!(received.await.unwrap(), [2]);
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
