//! What is to be delivered later, and how long queues keep it.

use super::*;

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
