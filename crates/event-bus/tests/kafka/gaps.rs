//! Offsets that no reader is given: what transactions leave, and what compaction takes away.

use commerce_event_bus::Delivery;

use super::raw::Ends;
use super::*;

const SETTINGS: &str = "partitions=1&commit_interval=50ms";

/// A segment is closed by the first record that comes so long after its first one. Only closed ones are compacted, when the
/// broker's cleaner looks, which it does every fifteen seconds.
const SEGMENT: Duration = Duration::from_millis(200);
const COMPACTED: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "200"),
    ("min.cleanable.dirty.ratio", "0.01"),
];

async fn committed(url: &str, topic: &TopicName) -> (i64, bool) {
    let group = format!("{topic}.reader");
    let (offset, metadata) = raw::committed(url, &group, topic.as_str()).await;
    (offset, !metadata.is_empty())
}

/// Until the position is there, with records beyond it that are settled or without.
async fn eventually_committed(url: &str, topic: &TopicName, offset: i64, has_beyond: bool) {
    eventually("the position is committed", async || {
        committed(url, topic).await == (offset, has_beyond)
    })
    .await;
}

/// Settles all but these, which are given back.
async fn settle_all_but(held: Vec<Delivery>, kept: &[u64]) -> Vec<Delivery> {
    let mut unsettled = Vec::new();
    for delivery in held {
        if kept.contains(&number(&delivery)) {
            unsettled.push(delivery);
        } else {
            delivery.ack().await.unwrap();
        }
    }
    unsettled
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_of_transactions_are_jumped() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, SETTINGS))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic).order(Order::Unordered);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [0]).await;
    let record = raw::read(&url, topic.as_str(), 1).await.remove(0);
    for (number, ends, next) in [("7", Ends::Aborted, 3), ("1", Ends::Committed, 5)] {
        let record = RawRecord {
            payload: Some(Bytes::from_static(number.as_bytes())),
            ..record.clone()
        };
        raw::transaction(&url, topic.as_str(), record, ends).await;
        // The coordinator answers before its end is written everywhere.
        eventually("the transaction has ended in the topic", async || {
            raw::next_offset(&url, topic.as_str()).await == next
        })
        .await;
    }
    publish(&bus, &topic, Some("a"), [2]).await;
    // Between them: what was aborted, and the end of each transaction.
    assert_eq!(raw::offsets(&url, topic.as_str()).await, [0, 3, 5]);
    let held = receive_all(&mut subscriber, 3).await;
    let numbers: Vec<u64> = held.iter().map(number).collect();
    assert_eq!(numbers, [0, 1, 2], "what was aborted is not there");
    let unsettled = settle_all_but(held, &[0]).await;
    eventually_committed(&url, &topic, 0, true).await;
    // As a crash would, but for the goodbye to the group.
    bus.close(Duration::from_millis(200)).await.unwrap_err();
    drop(unsettled);

    let bus = EventBus::connect(&with_settings(&url, SETTINGS))
        .await
        .unwrap();
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [0]);
    eventually_committed(&url, &topic, 6, false).await;
    publish(&bus, &topic, Some("a"), [3]).await;
    assert_eq!(take(&mut subscriber, 1).await, [3]);
    eventually("nothing is left", async || {
        let backlog = bus.backlog(&topic, &subscription.name).await;
        backlog.unwrap().is_drained()
    })
    .await;
}

/// Gaps at the beginning and between, and one where the position was committed.
#[tokio::test(flavor = "multi_thread")]
async fn gaps_of_compaction_are_jumped() {
    let Some(url) = server(VARIABLE) else { return };
    let connect = async || {
        let bus = EventBus::connect(&with_settings(&url, SETTINGS)).await;
        bus.unwrap()
    };
    let topic = new_topic();
    raw::create_topic(&url, topic.as_str(), &COMPACTED).await;
    let bus = connect().await;
    // The even ones overwrite each other.
    for n in 0..20 {
        let own = format!("own-{n}");
        let key = if n % 2 == 0 { "same" } else { &own };
        publish(&bus, &topic, Some(key), [n]).await;
    }
    let left = [1, 3, 5, 7, 9, 11, 13, 15, 17, 18, 19, 20];
    compact(&url, &bus, &topic, 20, &left).await;

    let subscription = subscription(&topic).order(Order::Unordered);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let held = receive_all(&mut subscriber, left.len()).await;
    let numbers: Vec<i64> = held
        .iter()
        .map(|delivery| i64::try_from(number(delivery)).unwrap())
        .collect();
    assert_eq!(numbers, left);
    let mut unsettled = settle_all_but(held, &[5, 18]).await;
    eventually_committed(&url, &topic, 5, true).await;
    unsettled.remove(0).ack().await.unwrap();
    eventually_committed(&url, &topic, 18, true).await;
    // As a crash would, but for the goodbye to the group.
    bus.close(Duration::from_millis(200)).await.unwrap_err();
    drop(unsettled);

    // The record goes that the position is at.
    let bus = connect().await;
    publish(&bus, &topic, Some("same"), [21]).await;
    let left = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22];
    compact(&url, &bus, &topic, 22, &left).await;
    assert_eq!(committed(&url, &topic).await, (18, true));
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    assert_eq!(take(&mut subscriber, 2).await, [21, 22]);
    eventually_committed(&url, &topic, 23, false).await;
    let backlog = bus.backlog(&topic, &subscription.name).await.unwrap();
    assert!(backlog.is_drained(), "{backlog:?}");
}

/// Closes the segment with one more record, of a key of its own, and waits until only these offsets are left.
async fn compact(url: &str, bus: &EventBus, topic: &TopicName, last: u64, left: &[i64]) {
    tokio::time::sleep(SEGMENT * 2).await;
    publish(bus, topic, Some(&format!("last-{last}")), [last]).await;
    eventually("the topic is compacted", async || {
        raw::offsets(url, topic.as_str()).await == left
    })
    .await;
}
