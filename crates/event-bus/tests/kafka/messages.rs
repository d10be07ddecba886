//! What travels with a message, which of it is wanted, where a subscription begins.

use std::collections::BTreeSet;
use std::time::Instant;

use commerce_event_bus::{Filter, Redrive, Start, SubscriptionName};

use super::*;

fn key_of(n: u64) -> &'static str {
    if n.is_multiple_of(2) { "a" } else { "b" }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_record_headers() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=1"))
        .await
        .unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let sent = message(&topic, Some("a"), 1)
        .with_header("token", vec![0xff, 0x00, 0x80])
        .and_then(|message| message.with_header("content-type", "not the event's"))
        .and_then(|message| message.with_header("token", ""))
        .unwrap();
    bus.publish(sent.clone()).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    assert_eq!(*delivery.message(), sent);
    delivery.ack().await.unwrap();

    let record = &raw::read(&url, topic.as_str(), 1).await[0];
    let token = Some(Bytes::from_static(&[0xff, 0x00, 0x80]));
    assert!(record.headers.contains(&("token".to_owned(), token)));
    // Also what others wrote.
    let mut foreign = record.clone();
    let strange = Some(Bytes::from_static(&[0xfe]));
    foreign.headers.push(("X-Strange".to_owned(), strange));
    raw::produce(&url, topic.as_str(), &foreign).await;
    let delivery = receive(&mut subscriber).await;
    let headers = delivery.message().headers();
    assert_eq!(headers.get("X-Strange").unwrap().as_ref(), [0xfe]);
    assert_eq!(headers.len(), 4);
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_does_not_want_is_settled() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=1&commit_interval=50ms"))
        .await
        .unwrap();
    let topic = new_topic();
    let wants_b = subscription(&topic).filter(Filter::new().equals("partitionkey", "b"));
    let mut subscriber = bus.subscribe(wants_b.clone()).await.unwrap();
    for n in 0..10 {
        publish(&bus, &topic, Some(key_of(n)), [n]).await;
    }
    // In structured mode too, and what is no event at all.
    let event = message(&topic, Some("b"), 11).event;
    let structured = RawRecord {
        payload: Some(Bytes::from(event.to_json())),
        headers: vec![(
            "content-type".to_owned(),
            Some(Bytes::from_static(b"application/cloudevents+json")),
        )],
        ..RawRecord::default()
    };
    raw::produce(&url, topic.as_str(), &structured).await;
    raw::produce(&url, topic.as_str(), &RawRecord::default()).await;
    assert_eq!(take(&mut subscriber, 6).await, [1, 3, 5, 7, 9, 11]);
    eventually("what is not wanted is settled too", async || {
        let backlog = bus.backlog(&topic, &wants_b.name).await.unwrap();
        backlog.is_drained() && backlog.dead == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_at_a_time_or_a_position() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=2"))
        .await
        .unwrap();
    let topic = new_topic();
    let named = |name: &str| {
        let name = SubscriptionName::new(name).unwrap();
        commerce_event_bus::Subscription::new(topic.clone(), name).order(Order::Unordered)
    };
    let mut positions = BTreeMap::new();
    let mut between = None;
    for n in 0..20 {
        if n == 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            between = Some(chrono::Utc::now());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let accepted = bus.publish(message(&topic, Some(&n.to_string()), n)).await;
        let position = accepted.unwrap().position.unwrap();
        let (partition, offset) = position.split_once('@').unwrap();
        let offset = offset.parse::<u64>().unwrap();
        positions.insert(n, (partition.to_owned(), offset));
    }
    let lagging = named("lag");
    drop(bus.subscribe(lagging.clone()).await.unwrap());
    let backlog = bus.backlog(&topic, &lagging.name).await.unwrap();
    let (oldest_at, between) = (backlog.oldest_at.unwrap(), between.unwrap());
    let a_while = chrono::TimeDelta::minutes(5);
    assert!(oldest_at < between && oldest_at > between - a_while);

    let mut since = bus
        .subscribe(named("since").start(Start::Time(between)))
        .await
        .unwrap();
    let seen: BTreeSet<u64> = take(&mut since, 10).await.into_iter().collect();
    assert_eq!(seen, (10..20).collect());

    // From the third record of partition 0, everything of partition 1.
    let from = |(partition, offset): &(String, u64)| partition != "0" || *offset >= 2;
    let expected: BTreeSet<u64> = (0..20).filter(|n| from(&positions[n])).collect();
    let mut at = bus
        .subscribe(named("at").start(Start::Position("0@2".to_owned())))
        .await
        .unwrap();
    let seen: BTreeSet<u64> = take(&mut at, expected.len()).await.into_iter().collect();
    assert_eq!(seen, expected);

    // What is not there yet begins with what comes next, instead of somewhere else.
    let later = named("later").start(Start::Position("0@99999,1@99999".to_owned()));
    let mut later = bus.subscribe(later).await.unwrap();
    publish(&bus, &topic, None, [100]).await;
    assert_eq!(take(&mut later, 1).await, [100]);

    for wrong in ["7", "2@0", "0@1,0@2"] {
        let start = Start::Position(wrong.to_owned());
        let error = bus
            .subscribe(named("wrong").start(start))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_without_the_dead() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, None, [1]).await;
    let delivery = receive(&mut subscriber).await;
    delivery.reject("not this time").await.unwrap();
    let topics = bus.backend().topics().await.unwrap();
    assert!(topics.contains(&topic));
    assert!(
        !topics
            .iter()
            .any(|other| other.as_str().starts_with(&format!("{topic}.")))
    );
    assert!(!topics.iter().any(|topic| topic.as_str().starts_with("__")));
}

/// Letters redriven out of the middle leave the others where they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_redrive_leaves_the_others() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=1"))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let name = subscription.name.clone();
    let mut subscriber = bus.subscribe(subscription).await.unwrap();
    for n in 0..8 {
        publish(&bus, &topic, Some(key_of(n)), [n]).await;
    }
    for delivery in receive_rejecting(&mut subscriber, 8, "first").await {
        assert!(delivery < 8);
    }
    let odd = Redrive::all()
        .filter(Filter::new().equals("partitionkey", "b"))
        .limit(3);
    assert_eq!(bus.redrive(&topic, &name, odd.clone()).await.unwrap(), 3);
    let left = || async {
        let letters = bus.dead_letters(&topic, &name, 100).await.unwrap();
        let dead = bus.backlog(&topic, &name).await.unwrap().dead;
        assert_eq!(dead, letters.len() as u64);
        letters
    };
    let numbers = |letters: &[commerce_event_bus::DeadLetter]| -> Vec<u64> {
        let body =
            |letter: &commerce_event_bus::DeadLetter| number_of(letter.body.as_ref().unwrap());
        letters.iter().map(body).collect()
    };
    assert_eq!(numbers(&left().await), [0, 2, 4, 6, 7]);
    assert_eq!(
        receive_rejecting(&mut subscriber, 3, "second").await,
        [1, 3, 5]
    );
    let letters = left().await;
    assert_eq!(numbers(&letters), [0, 2, 4, 6, 7, 1, 3, 5]);
    assert_eq!(letters[0].reasons, ["first"]);
    assert_eq!(letters[5].reasons, ["first", "second"]);
    assert!(letters[5].first_failed_at <= letters[0].rejected_at + chrono::TimeDelta::seconds(60));
    assert_eq!(bus.redrive(&topic, &name, odd).await.unwrap(), 3);
    assert_eq!(numbers(&left().await), [0, 2, 4, 6, 5]);
    assert_eq!(bus.redrive(&topic, &name, Redrive::all()).await.unwrap(), 5);
    assert!(left().await.is_empty());
    assert_eq!(take(&mut subscriber, 8).await, [7, 1, 3, 0, 2, 4, 6, 5]);
}

async fn receive_rejecting(
    subscriber: &mut commerce_event_bus::Subscriber,
    count: usize,
    reason: &str,
) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let delivery = receive(subscriber).await;
        numbers.push(number(&delivery));
        delivery.reject(reason).await.unwrap();
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_made_again() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "publish_timeout=3s"))
        .await
        .unwrap();
    let topic = new_topic();
    bus.publish(message(&topic, None, 1)).await.unwrap();
    raw::delete_topic(&url, topic.as_str()).await;
    let mut next = message(&topic, None, 2);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = bus.publish(next).await {
        assert!(error.is_retryable(), "{error}");
        assert!(Instant::now() < deadline, "never made again: {error}");
        next = error.into_parts().0;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_record_as_large_as_its_topic_takes_goes_to_the_dead_letters_and_back() {
    // The broker's own limit is 1048588, and more than what this client takes for a message of its own.
    const SIZE: usize = 1_048_300;
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let record = RawRecord {
        payload: Some(Bytes::from(vec![7; SIZE])),
        ..RawRecord::default()
    };
    raw::produce(&url, topic.as_str(), &record).await;
    let receiving = tokio::spawn(async move {
        let next = subscriber.next().await;
        panic!("it is no event, and nothing else is there: {next:?}");
    });
    let (topic, name) = (&subscription.topic, &subscription.name);
    let letters = async || bus.dead_letters(topic, name, 10).await.unwrap();
    eventually("it is a dead letter", async || letters().await.len() == 1).await;
    let first = letters().await.remove(0);
    let kept = first.body.as_ref().unwrap_err();
    assert_eq!(kept.payload.as_ref().map(Bytes::len), Some(SIZE));
    assert!(!first.reason().is_empty());
    // There and back: it has no place in its topic for what is known of it but where it belongs and when it failed.
    let redriven = bus.redrive(topic, name, Redrive::all()).await.unwrap();
    assert_eq!(redriven, 1);
    eventually("it is a dead letter again", async || {
        letters()
            .await
            .first()
            .is_some_and(|letter| letter.position != first.position)
    })
    .await;
    let again = letters().await.remove(0);
    assert_eq!(again.first_failed_at, first.first_failed_at);
    receiving.abort();
}
