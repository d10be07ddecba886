//! What waits inside the broker: delayed messages, and retries of unordered subscriptions.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use commerce_event_bus::{ErrorKind, EventBus, Message, Order, TopicName};
use tokio::time::{Instant, sleep};

use crate::VARIABLE;
use crate::management::Management;
use crate::servers::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_later_needs_nobody_and_is_never_early() {
    let Some(url) = server(VARIABLE) else { return };
    let topic = new_topic();
    let reader = EventBus::connect(&url).await.unwrap();
    let mut subscriber = reader.subscribe(subscription(&topic)).await.unwrap();
    let bus = EventBus::connect(&url).await.unwrap();
    // The queues that it waits in are made by the first that waits, which takes a busy broker longer than this one shall wait.
    let soon = message(&topic, Some("a"), 0).with_delay(Duration::from_millis(1));
    bus.publish(soon).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [0]);
    let due = Utc::now() + TimeDelta::milliseconds(2600);
    // Published in the wrong order, due in the right one; what was due before is due at once.
    for (number, due) in [
        (3, due + TimeDelta::milliseconds(1500)),
        (2, due),
        (1, Utc::now() - TimeDelta::days(1)),
    ] {
        let later = message(&topic, Some("a"), number).with_deliver_at(due);
        bus.publish(later).await.unwrap();
    }
    bus.close(PATIENCE).await.unwrap();
    let first = receive(&mut subscriber).await;
    assert_eq!(number(&first), 1);
    first.ack().await.unwrap();
    let second = receive(&mut subscriber).await;
    assert_eq!((number(&second), second.attempt()), (2, 1));
    assert!(
        second.received_at() >= due,
        "early by {}",
        due - second.received_at()
    );
    assert_eq!(second.message().deliver_at, None);
    assert!(second.message().headers.is_empty());
    second.ack().await.unwrap();
    let third = receive(&mut subscriber).await;
    assert_eq!(number(&third), 3);
    assert!(third.received_at() >= due + TimeDelta::milliseconds(1500));
    third.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beyond_a_year_is_refused() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let later = message(&new_topic(), None, 1).with_delay(Duration::from_hours(400 * 24));
    let error = bus.publish(later).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("388 days"), "{error}");
}

/// The delay is longer than the connection, and the member that retries is not the one that gets it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unordered_retry_and_its_attempts_outlive_their_process() {
    const AFTER: Duration = Duration::from_secs(2);
    let Some(url) = server(VARIABLE) else { return };
    let topic = new_topic();
    let unordered = subscription(&topic).order(Order::Unordered);
    let before = EventBus::connect(&url).await.unwrap();
    let mut subscriber = before.subscribe(unordered.clone()).await.unwrap();
    publish(&before, &topic, None, [1]).await;
    let first = receive(&mut subscriber).await;
    let seen = first.first_seen_at();
    // Let go of: the broker counts it.
    drop(first);
    let second = receive(&mut subscriber).await;
    assert_eq!(second.attempt(), 2);
    let asked = Instant::now();
    second.retry(AFTER).await.unwrap();
    before.close(PATIENCE).await.unwrap();

    let after = EventBus::connect(&url).await.unwrap();
    let mut subscriber = after.subscribe(unordered.clone()).await.unwrap();
    let third = receive(&mut subscriber).await;
    assert!(asked.elapsed() >= AFTER, "early: {:?}", asked.elapsed());
    assert_eq!((number(&third), third.attempt()), (1, 3));
    assert_eq!(third.first_seen_at(), seen);
    third.reject("enough").await.unwrap();
    let letters = after
        .dead_letters(&topic, &unordered.name, 1)
        .await
        .unwrap();
    assert_eq!(letters[0].attempts, 3);
    assert!(letters[0].rejected_at - letters[0].first_failed_at >= TimeDelta::seconds(2));
}

/// Retries are asked for; the broker's limit is for what nobody decides about.
#[tokio::test(flavor = "multi_thread")]
async fn retries_at_once_do_not_end_at_the_delivery_limit_and_drops_do() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "delivery_limit=3"))
        .await
        .unwrap();
    let topic = new_topic();
    let unordered = subscription(&topic).order(Order::Unordered);
    let mut subscriber = bus.subscribe(unordered.clone()).await.unwrap();
    publish(&bus, &topic, None, [1]).await;
    for attempt in 1..=10 {
        let delivery = receive(&mut subscriber).await;
        assert_eq!(delivery.attempt(), attempt);
        delivery.retry(Duration::ZERO).await.unwrap();
    }
    receive(&mut subscriber).await.ack().await.unwrap();
    publish(&bus, &topic, None, [2]).await;
    for attempt in 1..=4 {
        let delivery = receive(&mut subscriber).await;
        assert_eq!((number(&delivery), delivery.attempt()), (2, attempt));
        drop(delivery);
    }
    let mut letters = Vec::new();
    eventually("the broker gave up on it", async || {
        letters = bus.dead_letters(&topic, &unordered.name, 1).await.unwrap();
        !letters.is_empty()
    })
    .await;
    assert_eq!(
        (letters[0].attempts, letters[0].reason()),
        (4, "delivery_limit")
    );
    assert!((Utc::now() - letters[0].rejected_at).num_seconds().abs() < 60);
}

/// What is due for a topic that nobody reads waits for a reader, and holds up no other topic.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_for_nobody_holds_up_nothing() {
    let Some(url) = server(VARIABLE) else { return };
    let Some(management) = Management::find() else {
        return;
    };
    let bus = EventBus::connect(&url).await.unwrap();
    let (unread, read) = (new_topic(), new_topic());
    let mut subscriber = bus.subscribe(subscription(&read)).await.unwrap();
    let later = |topic: &TopicName, numbers: std::ops::Range<u64>| -> Vec<Message> {
        numbers
            .map(|n| message(topic, Some("a"), n).with_delay(Duration::from_millis(250)))
            .collect()
    };
    // More than a queue has on its way to the next at a time.
    for result in bus.publish_batch(later(&unread, 0..100)).await {
        result.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    for result in bus.publish_batch(later(&read, 0..10)).await {
        result.unwrap();
    }
    assert_eq!(take(&mut subscriber, 10).await, (0..10).collect::<Vec<_>>());
    eventually("all that nobody reads is in one place", async || {
        management.messages(&format!("{unread}:due")).await == Some(100)
    })
    .await;
}
