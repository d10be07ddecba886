//! Many share one trip to the disk, and nobody in the process waits for a poll.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{directory, message, name, open, topic};
use crate::bus::EventBus;
use crate::redrive::Redrive;
use crate::subscriber::Subscriber;
use crate::subscription::{Order, Subscription};

/// How many commits a write-ahead log holds. Each frame of it has a header, which in the last frame of a transaction says
/// how large the file is then, and in the others nothing; with a full `synchronous`, each costs one trip to the disk.
fn commits(file: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = std::fs::read(file.with_extension("db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page = usize::try_from(number(8)).unwrap();
    // Of a log that was begun anew, what is left from before is told by its salt.
    let salt = number(16);
    (HEADER..log.len())
        .step_by(FRAME_HEADER + page)
        .take_while(|frame| number(frame + 8) == salt)
        .filter(|frame| number(frame + 4) > 0)
        .count()
}

#[tokio::test]
async fn who_publishes_or_settles_at_the_same_time_shares_a_commit() {
    const MESSAGES: usize = 200;
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = EventBus::new(Arc::new(open(&path, "poll=10m").await));
    bus.publish(message(None, "the topic is made"))
        .await
        .unwrap();

    let before = commits(&path);
    let published = (0..MESSAGES).map(|n| bus.publish(message(None, n.to_string())));
    for result in join_all(published).await {
        result.unwrap();
    }
    let cost = commits(&path) - before;
    assert!(
        (1..=10).contains(&cost),
        "{cost} commits for {MESSAGES} publishers"
    );

    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_in_flight(MESSAGES);
    let mut subscriber = bus.subscribe(subscription).await.unwrap();
    let mut held = Vec::new();
    while held.len() < MESSAGES {
        held.push(next(&mut subscriber).await);
    }
    let before = commits(&path);
    for result in join_all(held.into_iter().map(crate::Delivery::ack)).await {
        result.unwrap();
    }
    let cost = commits(&path) - before;
    assert!(
        (1..=20).contains(&cost),
        "{cost} commits for {MESSAGES} settlements"
    );
}

/// What must come long before anybody looks.
async fn next(subscriber: &mut Subscriber) -> crate::Delivery {
    let next = timeout(Duration::from_secs(30), subscriber.next()).await;
    next.expect("nobody was woken").unwrap().unwrap()
}

#[tokio::test]
async fn the_process_wakes_its_own_subscribers() {
    let directory = directory();
    let backend = open(&directory.path().join("bus.db"), "poll=10m").await;
    let bus = EventBus::new(Arc::new(backend));
    let subscription = Subscription::new(topic(), name());
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    for attempt in ["first", "second"] {
        // It has looked, found nothing, and sleeps.
        let idle = timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(idle.is_err(), "{idle:?}");
        let waiting = tokio::spawn(async move {
            let delivery = next(&mut subscriber).await;
            (subscriber, delivery)
        });
        bus.publish(message(Some("a"), attempt)).await.unwrap();
        let (back, delivery) = waiting.await.unwrap();
        subscriber = back;
        // Also by the key that is free again, by a delay that is over, and by a redrive.
        bus.publish(message(Some("a"), "behind it")).await.unwrap();
        delivery.retry(Duration::from_millis(200)).await.unwrap();
        next(&mut subscriber)
            .await
            .reject("of no use")
            .await
            .unwrap();
        next(&mut subscriber).await.ack().await.unwrap();
        let redriven = bus
            .redrive(&topic(), &name(), Redrive::all())
            .await
            .unwrap();
        assert_eq!(redriven, 1);
        next(&mut subscriber).await.ack().await.unwrap();
        let later = message(Some("a"), "later").with_delay(Duration::from_millis(200));
        bus.publish(later).await.unwrap();
        next(&mut subscriber).await.ack().await.unwrap();
    }
}
