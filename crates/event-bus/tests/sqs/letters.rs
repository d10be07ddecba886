//! Dead letters, and queues that somebody deletes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_called_dead_gets_its_messages() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let dead = Subscription::new(topic.clone(), SubscriptionName::new("dead").unwrap());
    let mut subscriber = bus.subscribe(dead).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_remembers_its_whole_life_and_redrives_in_its_place() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    for n in 0..4 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        bus.publish(with_tenant(message(&topic, Some("a"), n), tenant))
            .await
            .unwrap();
        receive(&mut subscriber)
            .await
            .reject(format!("first of {n}"))
            .await
            .unwrap();
    }
    let letters = async || {
        bus.dead_letters(&topic, &subscription.name, 10)
            .await
            .unwrap()
    };
    let before = letters().await;
    // The oldest that the filter wants: rejected again, it is where it was.
    let one = Redrive::all()
        .filter(Filter::new().equals("tenant", "acme"))
        .limit(1);
    assert_eq!(
        bus.redrive(&topic, &subscription.name, one).await.unwrap(),
        1
    );
    let again = receive(&mut subscriber).await;
    assert_eq!((number(&again), again.attempt()), (0, 1));
    again.reject("second of 0").await.unwrap();
    let after = letters().await;
    let numbers = after
        .iter()
        .map(|letter| number_of(letter.body.as_ref().unwrap()));
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(after[0].reasons, ["first of 0", "second of 0"]);
    assert_eq!(after[0].first_failed_at, before[0].first_failed_at);
    assert!(after[0].rejected_at > before[0].rejected_at);
    assert_eq!(after[1], before[1], "a look changes nothing");
    assert_eq!(
        bus.redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap(),
        4
    );
    assert_eq!(take(&mut subscriber, 4).await, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_too_often_becomes_a_letter_of_the_servers_own() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&with_settings(&queues(&endpoint), "max_receives=2")).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    for _ in 0..2 {
        drop(receive(&mut subscriber).await);
    }
    eventually("the server gave up on it", async || {
        let next = timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(next.is_err(), "{next:?}");
        bus.backlog(&topic, &subscription.name).await.unwrap().dead == 1
    })
    .await;
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert!(
        letters[0].reason().contains("too often"),
        "{:?}",
        letters[0].reasons
    );
    assert_eq!(number_of(letters[0].body.as_ref().unwrap()), 1);
    assert_eq!(
        bus.redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap(),
        1
    );
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_somebody_deletes_are_made_again() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let held = receive(&mut subscriber).await;
    raw.delete(&raw.queue(&topic, "__dead.fifo").await).await;
    held.reject("of no use").await.unwrap();
    let letters = bus
        .dead_letters(&topic, &subscription.name, 10)
        .await
        .unwrap();
    assert_eq!(letters[0].reason(), "of no use");

    raw.delete(&raw.queue(&topic, "__reader.fifo").await).await;
    let received = tokio::spawn(async move { take(&mut subscriber, 1).await });
    eventually("the queue is there again", async || {
        bus.publish(message(&topic, Some("a"), 2)).await.is_ok()
    })
    .await;
    assert_eq!(received.await.unwrap(), [2]);
}
