//! Ordered subscriptions over several queues.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use commerce_event_bus::{ErrorKind, EventBus, Order, Redrive, Subscriber};
use tokio::time::{Instant, timeout};

use crate::servers::*;
use crate::{VARIABLE, raw};

#[tokio::test(flavor = "multi_thread")]
async fn keys_spread_over_the_queues_and_are_counted_together() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=3"))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    bus.subscribe(subscription.clone())
        .await
        .unwrap()
        .close()
        .await;
    for n in 0..60 {
        publish(&bus, &topic, Some(&format!("key-{n}")), [n]).await;
    }
    let direct = raw::channel(&url).await;
    let mut counts = Vec::new();
    for n in 0..3 {
        counts.push(raw::ready(&direct, &format!("{topic}.reader:{n}")).await);
    }
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    let backlog = bus.backlog(&topic, &subscription.name).await.unwrap();
    assert_eq!(backlog.waiting, 60);
    // Who only counts need not know how many queues there are.
    let other = EventBus::connect(&with_settings(&url, "partitions=1"))
        .await
        .unwrap();
    let backlog = other.backlog(&topic, &subscription.name).await.unwrap();
    assert_eq!(backlog.waiting, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_must_agree_on_the_number_of_queues() {
    let Some(url) = server(VARIABLE) else { return };
    let topic = new_topic();
    let with = async |partitions: u16| {
        EventBus::connect(&with_settings(&url, &format!("partitions={partitions}")))
            .await
            .unwrap()
    };
    let four = with(4).await;
    let _member = four.subscribe(subscription(&topic)).await.unwrap();
    for other in [1, 2, 8] {
        let error = with(other)
            .await
            .subscribe(subscription(&topic))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{other}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("here {other}")) && text.contains("delete them"),
            "{text}"
        );
    }
    let error = four
        .subscribe(subscription(&topic).order(Order::Unordered))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    // The refused left nothing behind that the others would trip over.
    publish(&four, &topic, Some("a"), [1]).await;
    with(4).await.subscribe(subscription(&topic)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_letter_goes_to_the_queue_of_its_key() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let keys: Vec<String> = (0..12).map(|n| format!("key-{n}")).collect();
    let mut before = BTreeMap::new();
    for (n, key) in (0..).zip(&keys) {
        publish(&bus, &topic, Some(key), [n]).await;
        let delivery = receive(&mut subscriber).await;
        let queue = delivery.position().split('.').next().unwrap().to_owned();
        before.insert(key.clone(), queue);
        delivery.reject("later").await.unwrap();
    }
    assert!(before.values().collect::<BTreeSet<_>>().len() > 1);
    let redriven = bus
        .redrive(&topic, &subscription.name, Redrive::all())
        .await
        .unwrap();
    assert_eq!(redriven, 12);
    for _ in &keys {
        let delivery = receive(&mut subscriber).await;
        let key = delivery.message().key().unwrap();
        assert_eq!(
            delivery.position().split('.').next(),
            Some(&*before[key]),
            "{key}"
        );
        delivery.ack().await.unwrap();
    }
}

/// A member that comes gets queues of the one that has them all, and gives them back when it leaves; every key keeps its
/// order all the while, with deliveries in hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_share_the_queues_and_keep_the_order() {
    const KEYS: u64 = 12;
    let Some(url) = server(VARIABLE) else { return };
    let (one, other) = (
        EventBus::connect(&url).await.unwrap(),
        EventBus::connect(&url).await.unwrap(),
    );
    let topic = new_topic();
    let subscription = subscription(&topic).max_in_flight(6);
    let mut first = one.subscribe(subscription.clone()).await.unwrap();
    let mut second = Some(other.subscribe(subscription.clone()).await.unwrap());
    let publisher = EventBus::connect(&url).await.unwrap();
    let mut next = 0;
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let settle = async |subscriber: &mut Subscriber, reached: &mut BTreeMap<String, u64>| {
        let Ok(delivery) = timeout(Duration::from_millis(20), subscriber.next()).await else {
            return 0;
        };
        let delivery = delivery.unwrap().expect("the subscriber ended");
        let key = delivery.message().key().unwrap().to_owned();
        let number = number(&delivery);
        let expected = reached.entry(key.clone()).or_default();
        assert_eq!(number, *expected, "{key} out of order");
        tokio::time::sleep(Duration::from_millis(2)).await;
        delivery.ack().await.unwrap();
        *expected += 1;
        1
    };
    let deadline = Instant::now() + PATIENCE;
    let mut by_second = 0;
    while by_second < 40 {
        assert!(
            Instant::now() < deadline,
            "the second member got {by_second}"
        );
        for key in 0..KEYS {
            publish(&publisher, &topic, Some(&format!("key-{key}")), [next]).await;
        }
        next += 1;
        for _ in 0..KEYS {
            settle(&mut first, &mut reached).await;
            by_second += settle(second.as_mut().unwrap(), &mut reached).await;
        }
    }
    second.take().unwrap().close().await;
    while reached.values().sum::<u64>() < KEYS * next {
        assert!(Instant::now() < deadline, "not all came: {reached:?}");
        settle(&mut first, &mut reached).await;
    }
}
