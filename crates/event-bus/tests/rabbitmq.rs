//! The RabbitMQ backend against a real broker: the delivery contract, and what is RabbitMQ's own.

#[path = "rabbitmq/later.rs"]
mod later;
#[path = "rabbitmq/management.rs"]
mod management;
#[path = "rabbitmq/message.rs"]
mod message;
#[path = "rabbitmq/partitions.rs"]
mod partitions;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "rabbitmq/raw.rs"]
mod raw;
#[path = "rabbitmq/redrive.rs"]
mod redrive;
#[path = "rabbitmq/refusals.rs"]
mod refusals;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_event_bus::conformance::{self, Factory, Failure, Interruption};
use commerce_event_bus::{
    Clock, Error, ErrorKind, EventBus, Order, PublishErrorKind, SubscriptionName, TopicName,
};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};
use tokio::time::{Instant, sleep, timeout};

use management::Management;
use proxy::Proxy;
use servers::*;

const VARIABLE: &str = "AMQP_URL";

struct RabbitMq {
    url: String,
}

#[async_trait]
impl Factory for RabbitMq {
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
        raw::publish(&self.url, topic.as_str(), BasicProperties::default(), bytes).await;
        Ok(true)
    }

    async fn connect_breakable(&self) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        let (proxy, bus) = through_proxy(&self.url, "").await;
        Ok(Some((bus, Box::new(proxy))))
    }

    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        connect_with_clock(&self.url, clock, connections)
            .await
            .map(Some)
    }

    fn process_to_kill(&self) -> Option<Command> {
        Some(this_test_program("child_that_is_killed_while_it_holds"))
    }

    async fn lose_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<bool, Failure> {
        let direct = raw::channel(&self.url).await;
        raw::delete(&direct, &format!("{topic}.{name}.dead")).await;
        Ok(true)
    }
}

/// For the case about a crash: the suite runs this program again, for this test alone.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed_while_it_holds() {
    let Some(url) = server(VARIABLE) else { return };
    conformance::hold_until_killed(&RabbitMq { url })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_to_the_delivery_contract() {
    let Some(url) = server(VARIABLE) else { return };
    conformance(&RabbitMq { url }, 6).await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_in_time() {
    // Nothing listens on port 1.
    let started = Instant::now();
    let error = EventBus::connect("amqp://guest:hidden@127.0.0.1:1?request_timeout=300ms")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.is_retryable() && started.elapsed() < Duration::from_secs(10),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_at_once_and_not_repeated() {
    let Some(url) = server(VARIABLE) else { return };
    let (_, server) = url.split_once('@').unwrap();
    let started = Instant::now();
    let error = EventBus::connect(&format!("amqp://guest:hidden@{server}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable() && started.elapsed() < Duration::from_secs(5));
    assert!(!format!("{error:?} {error}").contains("hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_wants_is_a_failure_of_exactly_that_message() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let (read, unread) = (new_topic(), new_topic());
    let mut subscriber = bus.subscribe(subscription(&read)).await.unwrap();
    // Alternating, so that one confirm for several messages covers routed and returned ones.
    let messages = (0..100)
        .map(|n| message(if n % 2 == 0 { &read } else { &unread }, Some("a"), n))
        .collect();
    let results = bus.publish_batch(messages).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}: {result:?}");
    }
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.error().kind()),
        (PublishErrorKind::Failed, ErrorKind::NoSubscription)
    );
    assert!(
        error.is_retryable() && error.to_string().contains(unread.as_str()),
        "{error}"
    );
    assert_eq!(
        take(&mut subscriber, 50).await,
        (0..100).step_by(2).collect::<Vec<_>>()
    );

    // A subscription makes it routable; and what nobody needs can be said in the URL.
    let mut late = bus.subscribe(subscription(&unread)).await.unwrap();
    publish(&bus, &unread, None, [7]).await;
    assert_eq!(take(&mut late, 1).await, [7]);
    let nobody = new_topic();
    let bus = EventBus::connect(&with_settings(&url, &format!("unrouted_ok={nobody}")))
        .await
        .unwrap();
    publish(&bus, &nobody, None, [1]).await;
    assert!(bus.publish(message(&new_topic(), None, 1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_must_agree_on_the_order() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let _ordered = bus.subscribe(subscription(&topic)).await.unwrap();
    let error = bus
        .subscribe(subscription(&topic).order(Order::Unordered))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("order"), "{error}");
}

/// A bus whose connections go through a proxy.
async fn through_proxy(url: &str, settings: &str) -> (Proxy, EventBus) {
    let (credentials, rest) = url.split_once('@').unwrap();
    let (server, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
    let proxy = Proxy::start(server.to_owned()).await;
    let url = format!("{credentials}@127.0.0.1:{}/{vhost}", proxy.port());
    let bus = EventBus::connect(&with_settings(&url, settings))
        .await
        .unwrap();
    (proxy, bus)
}

/// A publish right after a cut may meet the broken connection.
async fn publish_until_accepted(bus: &EventBus, topic: &TopicName, key: Option<&str>, number: u64) {
    let mut next = message(topic, key, number);
    while let Err(error) = bus.publish(next).await {
        assert!(error.is_retryable(), "{error}");
        next = error.into_parts().0;
    }
}

/// Connections break again and again under a publisher and a consumer: nothing is lost, every key keeps its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_connections_lose_nothing_and_keep_the_order() {
    const KEYS: u64 = 5;
    const EACH: u64 = 120;
    const CUTS: u64 = 6;
    const BETWEEN_CUTS: u64 = 80;
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "publish_timeout=20s").await;
    let topic = new_topic();
    let mut subscriber = bus
        .subscribe(subscription(&topic).max_in_flight(16))
        .await
        .unwrap();

    let publisher = tokio::spawn({
        let (bus, topic) = (bus.clone(), topic.clone());
        async move {
            for n in 0..EACH {
                for k in 0..KEYS {
                    // What failed, or may have, is published again: at least once.
                    publish_until_accepted(&bus, &topic, Some(&format!("key-{k}")), n).await;
                }
            }
        }
    });
    let mut cuts = 0;
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let settled = reached.values().sum::<u64>();
        if settled >= KEYS * EACH {
            break;
        }
        assert!(Instant::now() < deadline, "not all came: {reached:?}");
        // By what was done, not by the clock: a fast machine is cut as often as a slow one.
        if cuts < CUTS && settled >= (cuts + 1) * BETWEEN_CUTS {
            cuts += u64::from(proxy.cut() > 0);
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
        match delivery.ack().await {
            Ok(()) => *reached = (*reached).max(number + 1),
            Err(error) => assert!(
                matches!(
                    error.source.kind(),
                    ErrorKind::LeaseLost | ErrorKind::Unavailable
                ),
                "{error}"
            ),
        }
    }
    assert_eq!(cuts, CUTS);
    timeout(PATIENCE, publisher).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_a_lost_connection_is_refused_and_repeated_after_its_handler() {
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "").await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), 0..3).await;
    let held = receive(&mut subscriber).await;
    assert!(proxy.cut() > 0);
    publish_until_accepted(&bus, &topic, Some("b"), 10).await;
    // Another key goes on over the new connection; this one waits for its handler.
    assert_eq!(take(&mut subscriber, 1).await, [10]);
    assert!(
        timeout(Duration::from_millis(500), subscriber.next())
            .await
            .is_err()
    );
    let error = held.ack().await.unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::LeaseLost);
    drop(error);
    let again = receive(&mut subscriber).await;
    assert_eq!((number(&again), again.attempt()), (0, 2));
    again.ack().await.unwrap();
    assert_eq!(take(&mut subscriber, 2).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_delay_outlives_the_connection() {
    const AFTER: Duration = Duration::from_secs(2);
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "").await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), 0..2).await;
    let asked = Instant::now();
    receive(&mut subscriber).await.retry(AFTER).await.unwrap();
    assert!(proxy.cut() > 0);
    let again = receive(&mut subscriber).await;
    assert!(asked.elapsed() >= AFTER, "early: {:?}", asked.elapsed());
    assert_eq!((number(&again), again.attempt()), (0, 2));
    again.ack().await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prefetch_is_restored_with_the_connection() {
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "").await;
    let topic = new_topic();
    let unordered = subscription(&topic)
        .order(Order::Unordered)
        .max_in_flight(5);
    let mut subscriber = bus.subscribe(unordered).await.unwrap();
    assert!(proxy.cut() > 0);
    publish_until_accepted(&bus, &topic, None, 0).await;
    publish(&bus, &topic, None, 1..50).await;
    let held = receive_all(&mut subscriber, 5).await;
    let direct = raw::channel(&url).await;
    let queue = format!("{topic}.reader");
    eventually("five are fetched and no more", async || {
        raw::ready(&direct, &queue).await == 45
    })
    .await;
    drop(held);
    assert_eq!(
        take_rest(&mut subscriber, Duration::from_secs(2)).await,
        (0..50).collect::<BTreeSet<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_waits_for_the_broker_up_to_its_deadline() {
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "publish_timeout=2s").await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    // The first may meet the connection while it breaks; after that it is certain that nothing was sent.
    let _ = bus.publish(message(&topic, None, 1)).await;
    let started = Instant::now();
    let error = bus.publish(message(&topic, None, 2)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (PublishErrorKind::Failed, true),
        "{error}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert!(bus.check().await.is_err());

    let waiting = tokio::spawn({
        let (bus, message) = (bus.clone(), message(&topic, None, 3));
        async move { bus.publish(message).await }
    });
    sleep(Duration::from_millis(300)).await;
    proxy.refuse(false);
    waiting
        .await
        .unwrap()
        .expect("the broker came back in time");
    let mut seen = BTreeSet::new();
    while !seen.contains(&3) {
        seen.extend(take(&mut subscriber, 1).await);
    }
    assert!(!seen.contains(&2), "what failed for certain was not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_the_broker_cancels_consumes_again() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=1"))
        .await
        .unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    assert_eq!(take(&mut subscriber, 1).await, [1]);
    // The broker cancels every consumer of a queue that is deleted.
    let direct = raw::channel(&url).await;
    raw::delete(&direct, &format!("{topic}.reader")).await;
    eventually("the queue is there again", async || {
        bus.publish(message(&topic, Some("a"), 2)).await.is_ok()
    })
    .await;
    assert_eq!(take(&mut subscriber, 1).await, [2]);
}

/// An operator closes the connections, and later deletes every queue: it consumes again, with its prefetch.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_breaks_is_made_again() {
    let Some(url) = server(VARIABLE) else { return };
    let Some(management) = Management::find() else {
        return;
    };
    let topic = new_topic();
    let url_with_name = with_settings(&url, &format!("connection_name={topic}&lookahead=16"));
    let bus = EventBus::connect(&url_with_name).await.unwrap();
    let mut subscriber = bus
        .subscribe(subscription(&topic).max_in_flight(8))
        .await
        .unwrap();
    let keys: Vec<String> = (0..8).map(|n| format!("key-{n}")).collect();
    for purpose in ["consume", "publish"] {
        let name = format!("{topic} {purpose}");
        eventually("the connection is listed and closed", async || {
            management.close_connections(&name).await == 1
        })
        .await;
    }
    for (n, key) in (0..).zip(&keys) {
        publish_until_accepted(&bus, &topic, Some(key), n).await;
    }
    let seen = take_rest(&mut subscriber, Duration::from_secs(2)).await;
    assert_eq!(seen, (0..8).collect());

    let direct = raw::channel(&url).await;
    for n in 0..4 {
        raw::delete(&direct, &format!("{topic}.reader:{n}")).await;
    }
    // While a queue is missing, its keys are unroutable, and that is told.
    for (n, key) in (10..).zip(&keys) {
        publish_until_accepted(&bus, &topic, Some(key), n).await;
    }
    let seen = take_rest(&mut subscriber, Duration::from_secs(3)).await;
    assert_eq!(seen, (10..18).collect());

    // Four queues share what is fetched ahead.
    for n in 100..180 {
        publish(&bus, &topic, Some(&format!("key-{n}")), [n]).await;
    }
    let held = receive_all(&mut subscriber, 8).await;
    let ready = async || {
        let mut sum = 0;
        for n in 0..4 {
            sum += raw::ready(&direct, &format!("{topic}.reader:{n}")).await;
        }
        sum
    };
    eventually("sixteen are fetched and no more", async || {
        ready().await == 64
    })
    .await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_messages_reach_the_dead_letters_byte_for_byte() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert(
        "cloudEvents:id".into(),
        AMQPValue::LongString(LongString::from(vec![0xc3, 0x28])),
    );
    headers.insert("number".into(), AMQPValue::LongInt(-7));
    headers.insert("nothing".into(), AMQPValue::Void);
    let properties = BasicProperties::default()
        .with_content_type("application/x-strange".into())
        .with_correlation_id("17".into())
        .with_headers(headers.clone());
    let body = Bytes::from_static(b"\x00\xffnot an event");
    raw::publish(&url, topic.as_str(), properties, body.clone()).await;
    publish(&bus, &topic, Some("a"), [1]).await;
    assert_eq!(
        take(&mut subscriber, 1).await,
        [1],
        "only the event is yielded"
    );
    assert_eq!(subscriber.undecodable(), 1);

    let direct = raw::channel(&url).await;
    let dead = raw::get(&direct, &format!("{topic}.reader.dead"))
        .await
        .expect("a dead letter");
    assert_eq!(dead.data, body);
    assert_eq!(
        dead.properties
            .content_type()
            .as_ref()
            .map(lapin::types::ShortString::as_str),
        Some("application/x-strange")
    );
    assert_eq!(
        dead.properties
            .correlation_id()
            .as_ref()
            .map(lapin::types::ShortString::as_str),
        Some("17")
    );
    let kept = dead.properties.headers().clone().unwrap();
    for (name, value) in headers.inner() {
        assert_eq!(kept.inner().get(name), Some(value), "{name}");
    }
    let mut added: Vec<&str> = kept
        .inner()
        .keys()
        .map(lapin::types::ShortString::as_str)
        .collect();
    // The queue of dead letters counts its own deliveries.
    added.retain(|name| !headers.contains_key(name) && *name != "x-delivery-count");
    assert!(
        !added.is_empty() && added.iter().all(|name| name.starts_with("commerce-")),
        "{added:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_outlives_the_loss_of_the_dead_letter_queue() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let direct = raw::channel(&url).await;
    raw::delete(&direct, &format!("{topic}.reader.dead")).await;
    receive(&mut subscriber)
        .await
        .reject("of no use")
        .await
        .unwrap();
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason(), "of no use");
}

/// What kills a process again and again is kept by the broker in the end, and can be read like every dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn the_delivery_limit_leads_to_the_dead_letters() {
    let Some(url) = server(VARIABLE) else { return };
    let (proxy, bus) = through_proxy(&url, "delivery_limit=2").await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    eventually("the broker gave up on it", async || {
        // The connection breaks while a handler has the message, every time.
        if let Ok(next) = timeout(Duration::from_millis(200), subscriber.next()).await {
            let held = next.unwrap();
            proxy.cut();
            drop(held);
        }
        matches!(bus.backlog(&topic, &subscription.name).await, Ok(backlog) if backlog.dead == 1)
    })
    .await;
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert_eq!(letters[0].reason(), "delivery_limit");
    assert_eq!(number_of(letters[0].body.as_ref().unwrap()), 1);
}
