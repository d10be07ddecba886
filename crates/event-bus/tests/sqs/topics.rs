//! What subscriptions of a topic share, and what each wants of it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_nobody_reads_refuses_unless_told() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let topic = new_topic();
        let bus = connect(&url(&endpoint)).await;
        let error = bus.publish(message(&topic, None, 1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error().kind()),
            (PublishErrorKind::Failed, ErrorKind::NoSubscription)
        );
        assert!(error.to_string().contains("unrouted_ok"), "{error}");
        let told = with_settings(&url(&endpoint), &format!("unrouted_ok={topic}"));
        let bus = connect(&told).await;
        bus.publish(message(&topic, None, 1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_must_agree_on_the_order() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let _ordered = bus.subscribe(subscription(&topic)).await.unwrap();
    let unordered = subscription(&topic).order(Order::Unordered);
    let error = bus.subscribe(unordered).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("order"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_topic_refuses_an_order_and_serves_the_rest() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&with_settings(&topics(&endpoint), "topics=standard")).await;
    assert!(!bus.capabilities().ordered);
    let topic = new_topic();
    let error = bus.subscribe(subscription(&topic)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("order"), "{error}");
    let mut subscriber = bus
        .subscribe(subscription(&topic).order(Order::Unordered))
        .await
        .unwrap();
    publish(&bus, &topic, Some("a"), 0..25).await;
    let seen: BTreeSet<u64> = take(&mut subscriber, 25).await.into_iter().collect();
    assert_eq!(seen, (0..25).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_topic_has_ordered_and_unordered_subscriptions() {
    for (variable, url) in [(TOPICS, topics as fn(&str) -> String), (QUEUES, queues)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let bus = connect(&url(&endpoint)).await;
        let topic = new_topic();
        let named = |name: &str| Subscription::new(topic.clone(), name.parse().unwrap());
        let mut ordered = bus.subscribe(named("ordered")).await.unwrap();
        let mut any = bus
            .subscribe(named("any").order(Order::Unordered))
            .await
            .unwrap();
        publish(&bus, &topic, Some("a"), 0..5).await;
        let held = receive_all(&mut any, 5).await;
        assert_eq!(
            held.iter().map(number).collect::<BTreeSet<_>>(),
            (0..5).collect()
        );
        assert_eq!(take(&mut ordered, 5).await, [0, 1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_sns_are_listed_and_queues_tell_none() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&topics(&endpoint)).await;
    let topic = new_topic();
    let _subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    assert!(bus.backend().topics().await.unwrap().contains(&topic));

    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let error = bus.backend().topics().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_sns_understands_is_applied_there() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let (bus, raw) = (connect(&topics(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let wanted = subscription(&topic).filter(Filter::new().equals("tenant", "acme"));
    bus.subscribe(wanted.clone()).await.unwrap().close().await;
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let there = raw
        .attribute(&queue, QueueAttributeName::ApproximateNumberOfMessages)
        .await;
    assert_eq!(there, "3", "what nobody wants never reached the queue");
    let mut subscriber = bus.subscribe(wanted).await.unwrap();
    assert_eq!(take(&mut subscriber, 3).await, [0, 2, 4]);

    // Another filter on the same subscription: the policy becomes that of the newest member.
    let other = subscription(&topic).filter(Filter::new().any_of("tenant", ["other"]));
    subscriber.close().await;
    let mut subscriber = bus.subscribe(other).await.unwrap();
    for (n, tenant) in [(10, "acme"), (11, "other")] {
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    assert_eq!(take(&mut subscriber, 1).await, [11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nobody_else_applies_is_applied_here() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let wanted = subscription(&topic).filter(Filter::new().prefix("tenant", "ac"));
    let mut subscriber = bus.subscribe(wanted.clone()).await.unwrap();
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
    }
    assert_eq!(take(&mut subscriber, 3).await, [0, 2, 4]);
    eventually("what is not wanted is settled", async || {
        let next = timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(next.is_err(), "{next:?}");
        bus.backlog(&topic, &wanted.name)
            .await
            .unwrap()
            .is_drained()
    })
    .await;
}
