//! The Kafka backend against a real broker: the delivery contract, and what is Kafka's own.

#[path = "kafka/crash.rs"]
mod crash;
#[path = "kafka/gaps.rs"]
mod gaps;
#[path = "kafka/groups.rs"]
mod groups;
#[path = "kafka/later.rs"]
mod later;
#[path = "kafka/messages.rs"]
mod messages;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "kafka/raw.rs"]
mod raw;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_contracts::CloudEvent;
use commerce_event_bus::conformance::{self, Factory, Failure, Interruption};
use commerce_event_bus::{
    Error, ErrorKind, EventBus, Order, PublishErrorKind, SubscriptionName, TopicName,
};
use tokio::time::{Instant, timeout};

use proxy::Proxy;
use raw::RawRecord;
use servers::*;

const VARIABLE: &str = "KAFKA_URL";

struct Kafka {
    url: String,
}

#[async_trait]
impl Factory for Kafka {
    async fn connect(&self) -> Result<EventBus, Error> {
        // One partition more than members in any case; a short commit interval, because cases come and go.
        EventBus::connect(&with_settings(
            &self.url,
            "partitions=4&commit_interval=100ms",
        ))
        .await
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn watch(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn put_bytes(&self, topic: &TopicName, bytes: Bytes) -> Result<bool, Failure> {
        raw::produce(
            &self.url,
            topic.as_str(),
            &RawRecord {
                payload: Some(bytes),
                ..RawRecord::default()
            },
        )
        .await;
        Ok(true)
    }

    async fn connect_breakable(&self) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        match through_proxy(&self.url, "partitions=4&commit_interval=100ms").await {
            None => Ok(None),
            Some((proxy, bus)) => Ok(Some((bus?, Box::new(proxy)))),
        }
    }

    fn process_to_kill(&self) -> Option<Command> {
        Some(this_test_program("child_that_is_killed_while_it_holds"))
    }

    async fn lose_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<bool, Failure> {
        raw::delete_topic(&self.url, &format!("{topic}.{name}.dead")).await;
        Ok(true)
    }
}

/// A bus whose connections go through a proxy. `None` for several nodes, which would need a proxy each: the cluster's suite
/// loses a node instead.
async fn through_proxy(url: &str, settings: &str) -> Option<(Proxy, Result<EventBus, Error>)> {
    let broker = url.strip_prefix("kafka://")?.split(['/', '?']).next()?;
    if broker.contains([',', '@']) || !broker.contains(':') {
        return None;
    }
    let proxy = Proxy::of_kafka(broker.to_owned()).await;
    let url = format!("kafka://127.0.0.1:{}?{settings}", proxy.port());
    let bus = EventBus::connect(&url).await;
    Some((proxy, bus))
}

/// For the case about a crash: the suite runs this program again, for this test alone.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed_while_it_holds() {
    let Some(url) = server(VARIABLE) else { return };
    conformance::hold_until_killed(&Kafka { url })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_to_the_delivery_contract() {
    let Some(url) = server(VARIABLE) else { return };
    conformance(&Kafka { url }, 6).await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_in_time() {
    // Nothing listens on port 1.
    let error = EventBus::connect("kafka://127.0.0.1:1?request_timeout=300ms")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable(), "{error}");
}

/// Making sure of a topic takes requests of its own, which wait longer than a publish may.
#[tokio::test(flavor = "multi_thread")]
async fn publishing_to_a_new_topic_while_the_brokers_are_away_ends_in_time() {
    let Some(url) = server(VARIABLE) else { return };
    let settings = "publish_timeout=2s&request_timeout=1m";
    let Some((proxy, bus)) = through_proxy(&url, settings).await else {
        return;
    };
    let bus = bus.unwrap();
    let topic = new_topic();
    proxy.refuse(true);
    proxy.cut();
    let started = Instant::now();
    let results = bus
        .publish_batch(vec![message(&topic, None, 1), message(&topic, None, 2)])
        .await;
    let took = started.elapsed();
    for result in &results {
        let error = result.as_ref().unwrap_err();
        // The topic was not there, so nothing can have been sent.
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (PublishErrorKind::Failed, true),
            "{error}"
        );
    }
    // The second does not wait anew, and neither waits for as long as other requests may.
    assert!(took < Duration::from_secs(30), "{took:?}");
    proxy.refuse(false);
    eventually("it publishes again", async || {
        bus.publish(message(&topic, None, 3)).await.is_ok()
    })
    .await;
}

/// What the default partitioner of the Java client computes for these keys (its own test vectors).
#[tokio::test(flavor = "multi_thread")]
async fn a_key_lands_where_java_puts_it() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=7"))
        .await
        .unwrap();
    let topic = new_topic();
    let vectors: [(&str, i32); 3] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
    ];
    for (key, murmur2) in vectors {
        let accepted = bus.publish(message(&topic, Some(key), 1)).await.unwrap();
        let partition = (murmur2 & i32::MAX) % 7;
        let position = accepted.position.unwrap();
        assert!(
            position.starts_with(&format!("{partition}@")),
            "{key}: {position}, not partition {partition}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_message_fails_alone() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let event = CloudEvent::new("/test", "test.number.counted.v1").unwrap();
    let large = event
        .with_data("application/octet-stream", vec![7; 2_000_000])
        .unwrap();
    let large = commerce_event_bus::Message::new(topic.clone(), large);
    let results = bus
        .publish_batch(vec![
            message(&topic, None, 1),
            large,
            message(&topic, None, 2),
        ])
        .await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.error().kind()),
        (PublishErrorKind::Failed, ErrorKind::Message)
    );
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_repeats_what_is_unsettled_and_nothing_else() {
    let Some(url) = server(VARIABLE) else { return };
    let url = with_settings(&url, "partitions=1&commit_interval=50ms");
    let topic = new_topic();
    let subscription = subscription(&topic).order(Order::Unordered);
    let bus = EventBus::connect(&url).await.unwrap();
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, None, 0..10).await;
    let mut unsettled = None;
    for delivery in receive_all(&mut subscriber, 10).await {
        if number(&delivery) == 3 {
            unsettled = Some(delivery);
        } else {
            delivery.ack().await.unwrap();
        }
    }
    // As a crash would, but for the goodbye to the group: number 3 is never settled.
    let error = bus.close(Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let late = unsettled.unwrap().ack().await.unwrap_err();
    assert_eq!(late.source.kind(), ErrorKind::LeaseLost);
    drop(late);

    let bus = EventBus::connect(&url).await.unwrap();
    let backlog = bus.backlog(&topic, &subscription.name).await.unwrap();
    assert_eq!(backlog.waiting, 1);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [3]);
    subscriber.close().await;

    let mut subscriber = bus.subscribe(subscription).await.unwrap();
    publish(&bus, &topic, None, [10]).await;
    assert_eq!(
        take(&mut subscriber, 1).await,
        [10],
        "what was settled stays away"
    );
}

/// Far more records than a member may hold: it pauses, stays in the group, and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_member_pauses_and_goes_on() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=2&lookahead=10"))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic).max_in_flight(4);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    for key in ["a", "b", "c"] {
        publish(&bus, &topic, Some(key), 0..200).await;
    }
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for taken in 0..600 {
        let delivery = receive(&mut subscriber).await;
        let key = delivery.message().key().unwrap().to_owned();
        let expected = next.entry(key.clone()).or_default();
        assert_eq!(number(&delivery), *expected, "the next of {key}");
        *expected += 1;
        if taken % 100 == 0 {
            // Slow enough for the rest to pile up.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        delivery.ack().await.unwrap();
    }
    eventually("nothing is left", async || {
        bus.backlog(&topic, &subscription.name)
            .await
            .unwrap()
            .is_drained()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_holds_its_key_and_lets_the_partition_go_on() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=1&commit_interval=50ms"))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("slow"), 0..2).await;
    publish(&bus, &topic, Some("quick"), 10..15).await;
    receive(&mut subscriber)
        .await
        .retry(Duration::from_hours(1))
        .await
        .unwrap();
    assert_eq!(take(&mut subscriber, 5).await, [10, 11, 12, 13, 14]);
    // Everything else of the partition is settled, and still the position stays before the record that waits.
    subscriber.close().await;
    let mut subscriber = bus.subscribe(subscription).await.unwrap();
    let again = receive(&mut subscriber).await;
    assert_eq!(number(&again), 0);
    again.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_records_reach_the_dead_letters_byte_for_byte() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let strange = RawRecord {
        key: Some(Bytes::from_static(&[0xff, 0x00, 0x01])),
        payload: Some(Bytes::from_static(b"\x00\xffnot an event")),
        headers: vec![
            ("ce_id".to_owned(), Some(Bytes::from_static(&[0xc3, 0x28]))),
            ("same".to_owned(), Some(Bytes::from_static(b"one"))),
            ("same".to_owned(), None),
            ("empty".to_owned(), Some(Bytes::new())),
        ],
    };
    let tombstone = RawRecord {
        key: Some(Bytes::from_static(b"k")),
        ..RawRecord::default()
    };
    raw::produce(&url, topic.as_str(), &strange).await;
    raw::produce(&url, topic.as_str(), &tombstone).await;
    publish(&bus, &topic, Some("a"), [1]).await;
    assert_eq!(
        take(&mut subscriber, 1).await,
        [1],
        "only the event is yielded"
    );
    eventually("both are dead letters", async || {
        // The subscriber works on undecodable records while it waits for the next.
        let _ = timeout(Duration::from_millis(100), subscriber.next()).await;
        bus.backlog(&topic, &subscription.name).await.unwrap().dead == 2
    })
    .await;
    let dead = raw::read(&url, &format!("{topic}.reader.dead"), 2).await;
    let find = |key: &Option<Bytes>| {
        dead.iter()
            .find(|record| record.key == *key)
            .expect("kept with its key")
    };
    for original in [&strange, &tombstone] {
        let kept = find(&original.key);
        assert_eq!(kept.payload, original.payload);
        assert_eq!(kept.headers[..original.headers.len()], original.headers[..]);
        let added: Vec<&str> = kept.headers[original.headers.len()..]
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(
            added
                .iter()
                .all(|name| name.starts_with("commerce-dead-letter-")),
            "{added:?}"
        );
    }
}
