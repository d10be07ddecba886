//! What is committed outlives a process that is killed. The test binary runs itself again as the child.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use commerce_event_bus::Subscription;

use super::*;

/// Names the topic to the child.
const TOPIC: &str = "COMMERCE_EVENT_BUS_TEST_TOPIC";

const SETTINGS: &str = "partitions=1&commit_interval=50ms";

fn quickly_gone(topic: &TopicName) -> Subscription {
    subscription(topic)
        .order(Order::Unordered)
        .lease(Duration::from_millis(100))
}

/// The child: settles all but every tenth of a hundred records, and then hangs until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_settles_most() {
    let (Ok(topic), Some(url)) = (std::env::var(TOPIC), server(VARIABLE)) else {
        return;
    };
    let topic = TopicName::new(topic).unwrap();
    let bus = EventBus::connect(&with_settings(&url, SETTINGS))
        .await
        .unwrap();
    let mut subscriber = bus
        .subscribe(quickly_gone(&topic).max_in_flight(100))
        .await
        .unwrap();
    let mut kept = Vec::new();
    for delivery in receive_all(&mut subscriber, 100).await {
        if number(&delivery).is_multiple_of(10) {
            kept.push(delivery);
        } else {
            delivery.ack().await.unwrap();
        }
    }
    // A few commit intervals later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("\nsettled");
    tokio::time::sleep(PATIENCE).await;
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_only_what_is_unsettled_comes_again() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, SETTINGS))
        .await
        .unwrap();
    let topic = new_topic();
    publish(&bus, &topic, None, 0..100).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_settles_most", "--nocapture"])
        .env(TOPIC, topic.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let settled = output.any(|line| line.unwrap() == "settled");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(settled, "the child ended early");

    let name = quickly_gone(&topic).name;
    let backlog = bus.backlog(&topic, &name).await.unwrap();
    assert_eq!(backlog.waiting, 10);
    let mut subscriber = bus.subscribe(quickly_gone(&topic)).await.unwrap();
    let again = take_rest_of(&mut subscriber, 10).await;
    assert_eq!(again, (0..10).map(|n| n * 10).collect());
    eventually("everything is settled", async || {
        bus.backlog(&topic, &name).await.unwrap().is_drained()
    })
    .await;
}

/// So many at least, and what else comes in a second after.
async fn take_rest_of(
    subscriber: &mut commerce_event_bus::Subscriber,
    count: usize,
) -> BTreeSet<u64> {
    let mut numbers: BTreeSet<u64> = take(subscriber, count).await.into_iter().collect();
    numbers.extend(take_rest(subscriber, Duration::from_secs(1)).await);
    numbers
}

/// Somebody else's metadata, or damaged metadata: records come again, and nothing else happens.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_metadata_means_repetition() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, SETTINGS))
        .await
        .unwrap();
    for metadata in ["another system's words", "ceb1:AAAA", "ceb1:~"] {
        let topic = new_topic();
        publish(&bus, &topic, None, 0..5).await;
        raw::commit(
            &url,
            &format!("{topic}.reader"),
            topic.as_str(),
            2,
            metadata,
        )
        .await;
        let mut subscriber = bus.subscribe(quickly_gone(&topic)).await.unwrap();
        assert_eq!(take(&mut subscriber, 3).await, [2, 3, 4], "{metadata}");
        subscriber.close().await;
        let committed = raw::committed(&url, &format!("{topic}.reader"), topic.as_str()).await;
        assert_eq!(committed, (5, String::new()));
    }
}

/// More settled out of order than the metadata may tell: the partition pauses, goes on, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_full_holds_the_partition_up() {
    let Some(url) = server(VARIABLE) else { return };
    let settings = "partitions=1&commit_interval=20ms&commit_metadata=64";
    let bus = EventBus::connect(&with_settings(&url, settings))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = quickly_gone(&topic).max_in_flight(2000);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let mut kept = Vec::new();
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut published = 0;
    let mut held_up = false;
    // Little by little, so that commits come in between.
    while published < 2000 && !held_up {
        publish(&bus, &topic, None, published..published + 10).await;
        published += 10;
        for _ in 0..10 {
            let Ok(delivery) = timeout(Duration::from_secs(3), subscriber.next()).await else {
                held_up = true;
                break;
            };
            let delivery = delivery.unwrap().unwrap();
            if number(&delivery).is_multiple_of(2) {
                kept.push(delivery);
            } else {
                seen.insert(number(&delivery));
                delivery.ack().await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(
        held_up,
        "every second record unsettled, and still {} came",
        kept.len()
    );
    let group = format!("{topic}.reader");
    let (_, metadata) = raw::committed(&url, &group, topic.as_str()).await;
    assert!((48..=64).contains(&metadata.len()), "{metadata}");
    for delivery in kept {
        seen.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
    while (seen.len() as u64) < published {
        let delivery = receive(&mut subscriber).await;
        assert!(seen.insert(number(&delivery)), "settled before");
        delivery.ack().await.unwrap();
    }
    eventually("everything is settled", async || {
        bus.backlog(&topic, &subscription.name)
            .await
            .unwrap()
            .is_drained()
    })
    .await;
}
