//! Delivery at a later time, through the broker.

use chrono::{DateTime, TimeDelta, Utc};
use commerce_event_bus::Message;

use super::*;

fn due_in(message: Message, milliseconds: i64) -> (Message, DateTime<Utc>) {
    let due = Utc::now() + TimeDelta::milliseconds(milliseconds);
    (message.with_deliver_at(due), due)
}

/// Through the topic of the last seconds and through one above it; each not before its time, and as it was published.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_early_and_everything_comes() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=2"))
        .await
        .unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut due = BTreeMap::new();
    for (number, delay) in [
        (5, 6_500),
        (4, 4_200),
        (3, 2_500),
        (2, 1_500),
        (1, 200),
        (0, -50),
    ] {
        let message = message(&topic, Some("a"), number)
            .with_header("token", vec![0xff, 0x00])
            .unwrap();
        let (message, at) = due_in(message, delay);
        let accepted = bus.publish(message).await.unwrap();
        assert_eq!(accepted.position.is_some(), delay < 0);
        due.insert(number, at);
    }
    // Not asserted in their order: the group that works them off is the cluster's, and other tests come and go in it. What
    // is late comes in about that order.
    let mut came = BTreeSet::new();
    while came.len() < 6 {
        let delivery = receive(&mut subscriber).await;
        let (now, number) = (Utc::now(), number(&delivery));
        came.insert(number);
        assert!(
            now >= due[&number],
            "{number} came {} early",
            due[&number] - now
        );
        let message = delivery.message();
        assert_eq!((message.key(), message.deliver_at), (Some("a"), None));
        assert_eq!(
            message.headers().get("token").unwrap().as_ref(),
            [0xff, 0x00]
        );
        assert_eq!(message.headers().len(), 1);
        delivery.ack().await.unwrap();
    }
    let topics = bus.backend().topics().await.unwrap();
    assert!(
        !topics
            .iter()
            .any(|topic| topic.as_str().contains("delayed"))
    );
}

/// Who published is gone by then; whoever is connected works it off.
#[tokio::test(flavor = "multi_thread")]
async fn it_comes_when_its_publisher_is_gone() {
    let Some(url) = server(VARIABLE) else { return };
    let topic = new_topic();
    let publisher = EventBus::connect(&url).await.unwrap();
    let mut due = BTreeMap::new();
    let mut messages = Vec::new();
    for number in 0..50 {
        let (message, at) = due_in(message(&topic, Some(&number.to_string()), number), 5_000);
        messages.push(message);
        due.insert(number, at);
    }
    for result in publisher.publish_batch(messages).await {
        result.unwrap();
    }
    publisher.close(PATIENCE).await.unwrap();
    drop(publisher);

    let bus = EventBus::connect(&url).await.unwrap();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut came = BTreeSet::new();
    while came.len() < 50 {
        let delivery = receive(&mut subscriber).await;
        assert!(Utc::now() >= due[&number(&delivery)]);
        came.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
}
